"""`personagen report` on comparisons that lack arms, claims, intervals or rejects."""

import json
from pathlib import Path
from typing import Any

import pytest

from personagen.builder.core.progress import SILENT
from personagen.builder.evaluation.comparison import FORMAT
from personagen.builder.evaluation.comparison_tables import comparison_markdown
from personagen.builder.report import write_report
from personagen.builder.report.charts import NOT_SIGNIFICANT
from personagen.builder.report.comparison_report import ComparisonReport, read_comparison_report
from tests.helpers.browser import open_page
from tests.helpers.real_texts import known_vectors, real

TEXTS = real(60)
CLASSIFIER = {
    "model": "m", "reference": "r", "version": "1", "trained_on": 60, "tested_on": 20, "accuracy": 0.5,
    "balanced_accuracy": 0.5, "macro_f1": 0.5, "calibration_error": 0.1,
}  # fmt: skip
PERSONA = {"demographic": {"age": 30, "gender": "woman", "work": "retired", "occupation": "<b>x</b>"}}
FIGURE = {"value": 0.5, "low": 0.25, "high": 0.75, "blocks": [0.5]}
CLAIM = {
    "statement": "Personas <i>help</i>", "measure": "vendi_score", "arm": "demographic", "against": "none",
    "better": "higher", "null": 0.0, "difference": 0.125, "low": 0.1, "high": 0.15, "p": 0.001, "p_corrected": 0.001,
    "verdict": "supported",
}  # fmt: skip


def write_comparison(folder: Path, arms: dict[str, dict[str, Any]], claims: list[dict[str, Any]]) -> Path:
    """Write a comparison whose arms have eight texts each, in the layout of `personagen compare`."""
    facts = {
        "texts": 8, "missing": 0, "requests": 8, "prompt_tokens": 80, "completion_tokens": 80, "tokens_per_text": 20.0,
        "cost_per_text": None, "rejects_per_text": 0.0, "rejects": {}, "figures": {},
    }  # fmt: skip
    results = {
        "format": FORMAT,
        "personagen": "0",
        "recipe": "0",
        "prompts": "0",
        "command": "personagen compare",
        "model": {"name": "m", "backend": "openai"},
        "reference": {"name": "r"},
        "embeddings": None,
        "rows": 8,
        "seeds": 1,
        "emotions": ["joy", "anger"],
        "classifier": CLASSIFIER,
        "arms": {arm: facts | changes for arm, changes in arms.items()},
        "claims": claims,
        "human_likeness": None,
    }
    (folder / "texts").mkdir(parents=True)
    (folder / "results.json").write_text(json.dumps(results), encoding="utf-8")
    (folder / "rejects.jsonl").touch()
    for number, arm in enumerate(arms):
        lines = [
            {
                "seed": 0,
                "id": f"joy-{row}",
                "text": TEXTS.texts[8 * number + row],
                "label": "joy" if row % 2 else "anger",
                "prediction": "joy",
                "confidence": 0.5,
                "persona_id": None,
                "persona": {},
            }
            for row in range(8)
        ]
        path = folder / "texts" / f"{arm.replace(':', '-')}.jsonl"
        path.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    return folder


def read(folder: Path) -> ComparisonReport:
    """Read the report with cheap vectors."""
    with known_vectors(folder / "cache", list(TEXTS.texts)):
        return read_comparison_report(folder, 0, SILENT)


def test_one_arm_without_figures_claims_or_rejects_has_a_page(tmp_path: Path) -> None:
    folder = write_comparison(tmp_path / "c", {"none": {}}, [])
    with known_vectors(tmp_path / "cache", list(TEXTS.texts)):
        page = write_report(folder)
    assert page == folder / "report.html"
    with open_page(page) as opened:
        ids = opened.page.locator("section").evaluate_all("sections => sections.map(section => section.id)")
        assert opened.page.locator("#costs-section tbody tr").count() == 1
    assert opened.errors == []
    assert [name for name in ids if name] == [
        "costs-section",
        "map-section",
        "confusion-section",
        "lengths-section",
        "growth-section",
    ]


def test_a_single_seed_has_values_without_intervals(tmp_path: Path) -> None:
    alone = {"figures": {"leak_rate": FIGURE | {"low": None, "high": None}}}
    claim = CLAIM | {"low": None, "high": None, "p_corrected": None, "verdict": "undecided", "against": None}
    sections = {
        section.id: section for section in read(write_comparison(tmp_path / "c", {"none": alone}, [claim])).sections()
    }
    assert (sections["arms"].chart or {})["data"][0]["error_x"] == {
        "type": "data", "color": NOT_SIGNIFICANT, "symmetric": False, "arrayminus": [0.0], "array": [0.0],
    }  # fmt: skip
    (row,) = sections["verdicts"].table.rows  # type: ignore[union-attr]
    assert [cell.text for cell in row] == [
        "Personas <i>help</i>",
        "undecided",
        "vendi_score: demographic",
        "+0.125",
        "",
        "",
        "",
    ]


def test_an_arm_without_a_leak_rate_has_its_reason(tmp_path: Path) -> None:
    """Most of its texts are in a language without a lexicon."""
    arms = {"none": {"figures": {"leak_rate": FIGURE, "mmd2": FIGURE}}, "demographic": {"figures": {"mmd2": FIGURE}}}
    report = read(write_comparison(tmp_path / "c", arms, []))
    (line,) = {section.id: section for section in report.sections()}["arms"].lines
    assert line.startswith("Leak rate of demographic: not checked, since most texts are not in English")
    assert line in comparison_markdown(report.comparison)
    arms["demographic"]["figures"]["leak_rate"] = FIGURE
    report = read(write_comparison(tmp_path / "d", arms, []))
    assert "not checked" not in comparison_markdown(report.comparison)


@pytest.mark.parametrize(
    ("arms", "main"),
    [
        (["real"], "real"),
        (["real", "none"], "none"),
        (["none", "demographic"], "none"),
        (["none", "situational"], "situational"),
    ],
)
def test_the_main_arm_is_the_full_method_or_the_first_of_a_model(arms: list[str], main: str, tmp_path: Path) -> None:
    report = read(write_comparison(tmp_path / "c", {arm: {} for arm in arms}, []))
    assert report.main == main
    assert [group.name for group in report.groups if group.real] == [arm for arm in arms if arm == "real"]
    assert {group.name for group in report.groups if not group.visible} == {"demographic"} & set(arms)
    assert len({group.colour for group in report.groups}) == len(arms)


def test_markup_in_claims_and_rejects_stays_text(tmp_path: Path) -> None:
    folder = write_comparison(tmp_path / "c", {"none:verbalized": {"rejects": {"<b>x</b>": 1}}}, [CLAIM])
    reject = {
        "arm": "none:verbalized",
        "seed": 0,
        "id": "joy-1",
        "stage": "expression",
        "reason": "<b>x</b>",
        "attempt": 0,
    }
    (folder / "rejects.jsonl").write_text(json.dumps(reject | {"text": "<b>x</b>", "detail": None}), encoding="utf-8")
    with known_vectors(tmp_path / "cache", list(TEXTS.texts)), open_page(write_report(folder)) as opened:
        view = opened.page
        assert view.locator("#verdicts-section td").first.inner_text() == "Personas <i>help</i>"
        assert view.locator("#verdicts-section td.supported").inner_text() == "supported"
        assert view.locator("td i, li b, summary b").count() == 0
        assert view.locator("#rejects-section summary").last.inner_text() == "<b>x</b>: 1 shown"
        assert "none:verbalized, seed 0, joy-1, expression, attempt 1:" in (
            view.locator("#rejects-section li").text_content() or ""
        )
    assert opened.errors == []
