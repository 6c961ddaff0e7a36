"""Examples of the measurement with their results, as `evaluate` keeps them; None where there is no number."""

test_cases = [
    {
        "data": ["So happy today", "so  happy today", "The bus was late"],
        "result": {
            "texts": 3,
            "mean_words": 10 / 3,
            "duplicate_share": 1 / 3,
            "distinct_1": 7 / 10,
            "distinct_2": 5 / 7,
            "distinct_3": 3 / 4,
            "ead_1": None,
            "ead_vocabulary": None,
        },
    },
    {
        "data": ["a b", "a c"],
        "vocabulary": 4,
        "result": {
            "texts": 2,
            "mean_words": 2.0,
            "duplicate_share": 0.0,
            "distinct_1": 3 / 4,
            "distinct_2": 1.0,
            "distinct_3": None,
            "ead_1": 3 / (4 * (1 - (3 / 4) ** 4)),
            "ead_vocabulary": 4,
        },
    },
]
