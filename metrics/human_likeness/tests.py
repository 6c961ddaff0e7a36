"""Test cases of the measurement in the format of `evaluate`, with some of their results; None: not defined."""

from collections.abc import Sequence

from personagen.metrics.human_likeness.judge import Answer, Question


class _Constant:
    """A judge that rates every text 3."""

    name = "constant"

    def __call__(self, questions: Sequence[Question]) -> list[Answer]:
        return [Answer(texts=["3"]) for _ in questions]


test_cases = [
    {
        "data": ["So happy today", "The bus was late"],
        "reference_data": ["my cat is on the roof again", "who ate my lunch"],
        "judge": _Constant(),
        "result": {
            "n": 2,
            "sample_size": 2,
            "human_likeness": 3.0,
            "human_likeness_gap": 0.0,
            "human_likeness_auc": 0.5,
            "judge_failures": 0.0,
            "judge_captured_mass": 1.0,
            "judge_alpha": None,
            "judge_validated": False,
        },
    },
]
