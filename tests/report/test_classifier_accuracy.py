"""The accuracy of the emotion classifier stands beside its predictions."""

from personagen.builder.evaluation.comparison_tables import classifier_line
from personagen.builder.report.sections import classifier_accuracy, text_sections
from personagen.builder.report.text_groups import TextGroup

FACTS = {
    "model": "m", "reference": "goemotions", "version": "v", "trained_on": 9, "tested_on": 8, "accuracy": 0.5,
    "balanced_accuracy": 0.4, "macro_f1": 0.3, "calibration_error": 0.02,
}  # fmt: skip
ELSEWHERE = FACTS | {
    "other_reference": "brighter and xed", "other_tested_on": 7, "other_accuracy": 0.34,
    "other_balanced_accuracy": 0.33, "other_calibration_error": 0.06, "calibrated_on": "brighter and xed",
}  # fmt: skip


def test_a_page_says_how_often_predictions_are_right() -> None:
    right = (
        "Of its predictions 50% are right on unseen texts of its own corpus, and 34% on texts of other corpora "
        "(brighter and xed)."
    )
    unknown = "How often it is right on texts unlike those of its training is unknown; expect far from always."
    assert classifier_accuracy(ELSEWHERE) == right
    assert classifier_accuracy(FACTS) == classifier_accuracy(None) == unknown
    groups = [TextGroup("release", [], 0, "#000000")]
    for facts, expected in ((ELSEWHERE, right), (None, unknown)):
        (section,) = (part for part in text_sections(groups, [], [], "release", facts) if part.id == "confusion")
        assert expected in str(section)


def test_a_comparison_states_the_accuracy_of_its_classifier_elsewhere() -> None:
    assert classifier_line(ELSEWHERE).endswith(
        "On 7 texts of other corpora (brighter and xed): accuracy 0.340, balanced accuracy 0.330, calibration error "
        "0.060. Its confidence is calibrated on other texts of brighter and xed."
    )
    assert classifier_line(FACTS).endswith("Its accuracy on texts of other kinds, as these are, is unknown.")
