"""The accuracy of the emotion classifier stands beside its predictions, at home and on other corpora."""

from dataclasses import replace

from personagen.builder.core.result_table import ResultTable
from personagen.builder.evaluation.audit_results import (
    OUTCOMES,
    AttributeAssociation,
    Audit,
    CounterfactualContrast,
    CounterfactualEffect,
    DistinctiveWords,
    ValueDifference,
    audit_lines,
    read_audit,
)
from personagen.builder.evaluation.comparison_tables import classifier_line
from personagen.builder.evaluation.scores import read_scores, score_lines
from personagen.builder.release.measuring import accuracy_line, accuracy_of, agreement_line
from personagen.builder.report.sections import text_sections
from personagen.builder.report.text_groups import TextGroup

FACTS = {
    "model": "m", "reference": "goemotions", "version": "v", "trained_on": 9, "tested_on": 8, "accuracy": 0.5,
    "balanced_accuracy": 0.4, "macro_f1": 0.3, "calibration_error": 0.02,
}  # fmt: skip
ELSEWHERE = FACTS | {
    "other_reference": "brighter and xed", "other_tested_on": 7, "other_accuracy": 0.34,
    "other_balanced_accuracy": 0.33, "other_calibration_error": 0.06, "calibrated_on": "brighter and xed",
}  # fmt: skip
RIGHT = (
    "Of its predictions 50% are right on unseen texts of its own corpus (goemotions), and 34% on texts of other "
    "corpora (brighter and xed)."
)
UNKNOWN = "How often it is right on texts unlike those of its training is unknown; expect far from always."


def test_a_page_says_how_often_predictions_are_right() -> None:
    assert accuracy_line(accuracy_of(ELSEWHERE)) == RIGHT
    assert accuracy_line(accuracy_of(FACTS)) == accuracy_line(accuracy_of(None)) == UNKNOWN
    assert accuracy_of(FACTS | {"accuracy": "high"}) is None, "a manifest of others"
    groups = [TextGroup("release", [], 0, "#000000")]
    for facts, expected in ((ELSEWHERE, RIGHT), (None, UNKNOWN)):
        parts = text_sections(groups, [], [], "release", accuracy_of(facts))
        (section,) = (part for part in parts if part.id == "confusion")
        assert expected in str(section)


def audited() -> Audit:
    """Return an audit without texts."""
    return Audit(
        None, "", 0, "", {"prediction": OUTCOMES["prediction"]}, ResultTable(AttributeAssociation, ()),
        ResultTable(ValueDifference, ()), ResultTable(DistinctiveWords, ()), ResultTable(CounterfactualContrast, ()),
        ResultTable(CounterfactualEffect, ()), {}, accuracy_of(ELSEWHERE),
    )  # fmt: skip


def test_an_audit_says_how_often_the_predicted_emotion_is_right() -> None:
    line = f"The predicted emotion is that of a classifier. {RIGHT}"
    assert line in list(audit_lines(audited()))
    content = audited().to_json()
    assert content["classifier"]["other_accuracy"] == 0.34 and read_audit(content) == audited()
    del content["classifier"]
    assert read_audit(content) == replace(audited(), accuracy=None)
    assert not any("classifier" in line for line in audit_lines(replace(audited(), outcomes={})))


def test_an_evaluation_says_how_often_stored_predictions_are_right() -> None:
    line = agreement_line(ELSEWHERE | {"agreement": 0.41})
    assert line == f"An emotion classifier predicts the label of 41% of the texts. {RIGHT}"
    content = {"results": {}, "problems": {}, "slices": {}}
    assert list(score_lines(read_scores(content | {"predictions": line})))[-1] == f"\n{line}"
    assert agreement_line(None) is agreement_line(ELSEWHERE) is None


def test_a_comparison_states_the_accuracy_of_its_classifier_elsewhere() -> None:
    assert classifier_line(ELSEWHERE).endswith(
        "On 7 texts of other corpora (brighter and xed): accuracy 0.340, balanced accuracy 0.330, calibration error "
        "0.060. Its confidence is calibrated on other texts of brighter and xed."
    )
    assert classifier_line(FACTS).endswith("Its accuracy on texts of other kinds, as these are, is unknown.")
