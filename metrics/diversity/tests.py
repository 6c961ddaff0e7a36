"""Test cases of the measurement in the format of `evaluate`, with some of their results; None: not defined."""

test_cases = [
    {
        "data": ["So happy today", "so  happy today", "The bus was late"],
        "embeddings": [[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]],
        "result": {
            "n": 3,
            "sample_size": 3,
            "mean_words": 10 / 3,
            "duplicate_share": 1 / 3,
            "distinct_1": 7 / 10,
            "distinct_2": 5 / 7,
            "distinct_3": 3 / 4,
            "ead_1": None,
            "mean_cosine": 1 / 3,
            "rke": 9 / 5,
            "hdd": None,
        },
    },
    {
        "data": ["a b", "a c"],
        "vocabulary": 4,
        "embeddings": [[1.0, 0.0], [0.6, 0.8]],
        "result": {
            "n": 2,
            "duplicate_share": 0.0,
            "distinct_1": 3 / 4,
            "distinct_2": 1.0,
            "distinct_3": None,
            "ead_1": 3 / (4 * (1 - (3 / 4) ** 4)),
            "ead_vocabulary": 4,
            "vendi_score": 1.6493848884661177,
            "homogenization_rouge_l": 1 / 2,
        },
    },
]
