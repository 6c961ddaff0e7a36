"""Test cases of the metric in the format of `evaluate`, with some of their results; None: not defined."""

_LABELS = ["joy", "fear"] * 5
_VECTORS = [[1.0, 0.0], [0.0, 1.0]] * 5

test_cases = [
    {
        "predictions": [f"made {number}" for number in range(10)],
        "labels": _LABELS,
        "embeddings": _VECTORS,
        "references": [f"real {number}" for number in range(10)],
        "reference_labels": _LABELS,
        "reference_embeddings": _VECTORS,
        "test_data": [f"held {number}" for number in range(10)],
        "test_labels": _LABELS,
        "test_embeddings": [[0.8, 0.6], [0.6, 0.8]] * 5,
        "result": {
            "n": 10,
            "n_test": 10,
            "n_train": 10,
            "labels_used": 2,
            "leaked_rows": {"synthetic": 0, "real": 0},
            "tstr_macro_f1": 1.0,
            "trtr_macro_f1": 1.0,
            "tstr_trtr_gap": 0.0,
            "mcnemar_p": 1.0,
            "utility_floor_majority": 1 / 3,
        },
    },
]
