"""Scores as records, as lines on the terminal and as rows of the card."""

import copy
import pickle
from typing import Any

import pytest

from personagen.builder.evaluation.scores import (
    DISPLAYED,
    Score,
    card_rows,
    displayed,
    read_scores,
    score_lines,
    score_text,
)

CONTENT: dict[str, Any] = {
    "reference": {"name": "goemotions"},
    "command": "personagen evaluate x --reference goemotions --seed 0 --no-judge",
    "results": {
        "diversity": {
            "self_bleu": 0.1133, "self_bleu_ci": [0.108, 0.118], "self_bleu_reference": 0.1115, "duplicate_share": 0.0,
            "vendi_score": 1650.4, "distinct_2": None, "distinct_2_ci": None, "sample_size": 1000, "n": 5000, "seed": 0,
            "sample_size_by_label": 20, "self_bleu_by_label": {"joy": 0.25, "fear": None},
        },
        "realism": {"mmd2": -0.0000123, "mmd2_ci": [-0.0002, 0.0002], "mmd2_null": 0.000004},
        "human_likeness": {
            "human_likeness": 3.25, "human_likeness_real": 3.5, "human_likeness_gap": -0.25,
            "judge_validated": False, "judge_validation": "one judge alone",
        },
        "utility": {"tstr_macro_f1": 0.25, "trtr_macro_f1": 0.5, "tstr_trtr_ratio": 0.5},
    },
    "problems": {"realism": "it rained"},
}  # fmt: skip
SCORES = read_scores(CONTENT)


def test_displayed_scores_have_the_value_of_real_text_beside_them() -> None:
    found = {score.measure: score for score in displayed(SCORES)}
    assert list(found) == [
        "duplicate_share", "self_bleu", "vendi_score", "mmd2", "human_likeness", "human_likeness_gap",
        "tstr_macro_f1", "tstr_trtr_ratio",
    ]  # fmt: skip
    floors = {measure: score.floor for measure, score in found.items() if score.floor is not None}
    assert floors == {"self_bleu": 0.1115, "mmd2": 0.000004, "human_likeness": 3.5, "tstr_macro_f1": 0.5}
    assert score_text(found["self_bleu"]) == "0.113 (95 %: 0.108 to 0.118; real: 0.112)"
    assert score_text(found["vendi_score"]) == "1,650" and score_text(found["duplicate_share"]) == "0"


def test_every_measure_is_a_record_and_intervals_floors_and_sizes_are_not() -> None:
    diversity = [score for score in SCORES.table if score.metric == "diversity"]
    assert [(score.measure, score.label) for score in diversity] == [
        ("self_bleu", None), ("duplicate_share", None), ("vendi_score", None), ("distinct_2", None),
        ("self_bleu", "joy"), ("self_bleu", "fear"),
    ]  # fmt: skip
    assert diversity[0] == Score("diversity", "self_bleu", None, 0.1133, 0.108, 0.118, 0.1115, 1000, None, "lower")
    assert diversity[4] == Score("diversity", "self_bleu", "joy", 0.25, n=20, better="lower")
    frame = SCORES.to_pandas()
    assert len(frame) == len(SCORES.table) and list(frame.columns)[:4] == ["metric", "measure", "label", "value"]
    assert "self_bleu" in SCORES._repr_html_() and repr(SCORES).startswith("<Scores against goemotions: diversity")


def test_scores_are_attributes_and_a_misspelt_one_names_the_nearest() -> None:
    assert SCORES.diversity.self_bleu.value == 0.1133 and SCORES.utility["tstr_macro_f1"].floor == 0.5
    assert "vendi_score" in dir(SCORES.diversity)
    with pytest.raises(AttributeError, match=r"^diversity has no measure 'self_blue', did you mean 'self_bleu'\?$"):
        _ = SCORES.diversity.self_blue
    assert not hasattr(SCORES.diversity, "__array__") and not hasattr(SCORES.diversity, "_ipython_display_")
    for scores in (copy.deepcopy(SCORES.diversity), pickle.loads(pickle.dumps(SCORES.diversity))):
        assert scores.self_bleu == SCORES.diversity.self_bleu


def test_a_metric_that_could_not_be_measured_has_the_reason_in_its_scores() -> None:
    failed = read_scores({**CONTENT, "results": {}, "problems": {"utility": "labels are missing"}})
    assert failed.utility.tstr_macro_f1.value is None
    assert failed.utility.tstr_macro_f1.reason == "labels are missing" and len(failed.realism) == 0


def test_ratings_that_must_not_be_trusted_say_so_everywhere() -> None:
    assert SCORES.human_likeness.human_likeness.reason == "one judge alone"
    rows = {row["metric"]: row for row in card_rows(SCORES)}
    assert rows["human_likeness: human_likeness"]["value"] == "3.25 (real: 3.5); not validated"
    assert rows["diversity: duplicate_share"]["value"] == "0"
    assert {row["command"] for row in rows.values()} == {CONTENT["command"]}
    assert "  not validated: one judge alone" in list(score_lines(SCORES))
    results = {"human_likeness": {"human_likeness": 3, "judge_validated": True}}
    trusted = read_scores({**CONTENT, "results": results})
    assert "not validated" not in str(list(score_lines(trusted)) + card_rows(trusted))


STYLE: dict[str, Any] = {
    "sample_size": 50, "n": 120, "style_reason": None,
    "polarity": 0.05, "polarity_ci": [0.01, 0.09], "polarity_null": -0.2, "polarity_null_ci": [-0.25, -0.15],
    "polarity_in_null": False, "polarity_difference": 0.25, "polarity_difference_ci": [0.2, 0.3],
    "polarity_by_label": {"joy": 0.4}, "polarity_null_by_label": {"joy": 0.45},
    "polarity_in_null_by_label": {"joy": True},
    "polarity_difference_by_label": {"joy": -0.05}, "polarity_difference_ci_by_label": {"joy": [-0.1, 0.0]},
}  # fmt: skip


def test_a_figure_of_style_has_real_text_and_its_null_beside_it() -> None:
    scores = read_scores({**CONTENT, "results": {"realism": STYLE}, "problems": {}})
    assert list(scores.table) == [
        Score("realism", "polarity", None, 0.05, 0.01, 0.09, -0.2, 120, None, "real", False),
        Score("realism", "polarity_difference", None, 0.25, 0.2, 0.3, None, 120),
        Score("realism", "polarity", "joy", 0.4, floor=0.45, better="real", in_null=True),
        Score("realism", "polarity_difference", "joy", -0.05, -0.1, 0.0),
    ]
    assert score_text(scores.realism.polarity) == "0.05 (95 %: 0.01 to 0.09; real: -0.2; outside the null)"
    assert list(score_lines(scores))[-1].endswith("real, outside the null")


def test_a_figure_of_style_that_is_not_defined_has_the_reason() -> None:
    result = {
        **dict.fromkeys(STYLE),
        "sample_size": 50,
        "n": 120,
        "style_reason": "the texts are mostly not in English",
    }
    result = {key: {} if key.endswith("_by_label") else value for key, value in result.items()}
    scores = read_scores({**CONTENT, "results": {"realism": result}, "problems": {}})
    assert [score.measure for score in scores.table] == ["polarity", "polarity_difference"]
    assert scores.realism.polarity.value is None
    assert scores.realism.polarity.reason == "the texts are mostly not in English"


def test_an_unknown_command_is_an_empty_cell_of_the_card() -> None:
    assert {row["command"] for row in card_rows(read_scores({**CONTENT, "command": None}))} == {""}


def test_the_columns_of_the_terminal_line_up() -> None:
    lines = list(score_lines(SCORES))
    assert lines[0].split() == ["here", "95", "%", "real", "text", "better"]
    rows = [line for line in lines[1:] if line.endswith(("higher", "lower"))]
    assert len(rows) == 7 and len({len(line.removesuffix("higher").removesuffix(" lower")) for line in rows}) == 1
    assert rows[1].split() == ["self_bleu", "0.113", "0.108", "to", "0.118", "0.112", "lower"]
    assert lines[-1] == "\nrealism: not measured: it rained"


@pytest.mark.slow
def test_displayed_measures_are_keys_of_the_metric_modules() -> None:
    """A key that is renamed in a module would silently disappear from terminal and card."""
    from personagen.metrics.diversity import diversity
    from personagen.metrics.human_likeness import human_likeness
    from personagen.metrics.realism import realism
    from tests.helpers.real_texts import real
    from tests.metrics.test_human_likeness import MADE, REAL, RuleJudge, connoisseur
    from tests.metrics.test_utility import quiet, three

    personas = [{"age": str(row % 3), "job": "ab"[row % 2]} for row in range(60)]
    judges = [RuleJudge(connoisseur), RuleJudge(connoisseur)]
    results = {
        "diversity": diversity(real(60), real(60, 500), personas=personas),
        "realism": realism(real(60), real(120, 500), sample_size=30),
        "human_likeness": human_likeness(MADE, REAL, judges, sample_size=5, personas=personas[:50]),
        "utility": quiet(three(20, 0), three(20, 100), three(20, 200)),
    }
    missing = {metric: [key for key, _ in keys if key not in results[metric]] for metric, keys in DISPLAYED.items()}
    assert missing == {"diversity": [], "realism": [], "human_likeness": [], "utility": []}
