"""Which figures are shown, and how: on the terminal and in the card."""

from typing import Any

import pytest

from personagen.builder.evaluation.scores import SHOWN, card_rows, doubts, shown, table, told

SCORES: dict[str, Any] = {
    "command": "personagen evaluate x --reference goemotions --seed 0 --no-judge",
    "results": {
        "diversity": {
            "self_bleu": 0.1133, "self_bleu_ci": [0.108, 0.118], "self_bleu_reference": 0.1115, "duplicate_share": 0.0,
            "vendi_score": 1650.4, "distinct_2": None, "distinct_2_ci": None,
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


def test_every_figure_stands_beside_what_real_text_gets() -> None:
    found = {score.key: score for score in shown(SCORES)}
    assert list(found) == [
        "duplicate_share", "self_bleu", "vendi_score", "mmd2", "human_likeness", "human_likeness_gap",
        "tstr_macro_f1", "tstr_trtr_ratio",
    ]  # fmt: skip
    beside = {key: score.real for key, score in found.items() if score.real is not None}
    assert beside == {"self_bleu": 0.1115, "mmd2": 0.000004, "human_likeness": 3.5, "tstr_macro_f1": 0.5}
    assert told(found["self_bleu"]) == "0.113 (95 %: 0.108 to 0.118; real: 0.112)"
    assert told(found["vendi_score"]) == "1,650" and told(found["duplicate_share"]) == "0"


def test_ratings_that_are_not_to_be_believed_say_so_everywhere() -> None:
    assert doubts(SCORES) == "one judge alone"
    rows = {row["metric"]: row for row in card_rows(SCORES)}
    assert rows["human_likeness: human_likeness"]["value"] == "3.25 (real: 3.5); not validated"
    assert rows["diversity: duplicate_share"]["value"] == "0" and {row["command"] for row in rows.values()} == {
        SCORES["command"]
    }
    assert "  not validated: one judge alone" in list(table(SCORES))
    believed = {**SCORES, "results": {"human_likeness": {"human_likeness": 3, "judge_validated": True}}}
    assert doubts(believed) is None and "not validated" not in str(list(table(believed)) + card_rows(believed))
    assert doubts({"results": {}}) is None


def test_the_table_lines_up() -> None:
    lines = list(table(SCORES))
    assert lines[0].split() == ["here", "95", "%", "real", "text", "better"]
    rows = [line for line in lines[1:] if line.endswith(("higher", "lower"))]
    assert len(rows) == 7 and len({len(line.removesuffix("higher").removesuffix(" lower")) for line in rows}) == 1
    assert rows[1].split() == ["self_bleu", "0.113", "0.108", "to", "0.118", "0.112", "lower"]
    assert lines[-1] == "\nrealism: not measured: it rained"


@pytest.mark.slow
def test_what_is_shown_is_what_the_modules_give() -> None:
    """A key that is renamed there would silently be gone here."""
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
    missing = {metric: [key for key, _ in keys if key not in results[metric]] for metric, keys in SHOWN.items()}
    assert missing == {"diversity": [], "realism": [], "human_likeness": [], "utility": []}
