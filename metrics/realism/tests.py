"""Test cases of the metric in the format of `evaluate`, with some of their results; None: not defined."""

test_cases = [
    {
        "predictions": ["one", "two!"],
        "references": ["three", "four?", "five"],
        "embeddings": [[1.0, 0.0], [0.0, 1.0]],
        "reference_embeddings": [[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]],
        "result": {
            "n": 2,
            "n_reference": 3,
            "sample_size": 2,
            "copied_share": 0.0,
            "js_length": 0.0,
            "mmd2_null": None,
            "c2st_auc": None,
            "recall": None,
            "js_label": None,
            "labels_unknown": None,
        },
    },
]
