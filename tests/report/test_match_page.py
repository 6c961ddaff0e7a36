"""`personagen report` on a match: its page in a real browser, also at the width of a phone, and what is refused."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from personagen.builder.core.result_table import ResultTable
from personagen.builder.evaluation.matching import MatchedArm, MatchFacts, MatchResults, Yardstick
from personagen.builder.evaluation.matching.match_results import read_match, save_match
from personagen.builder.report import write_report
from personagen.builder.report.match_report import read_match_report
from tests.helpers.browser import open_page
from tests.helpers.command import Run

HOSTILE = "<img src=http://127.0.0.1:9/x.png onerror='window.hacked = 1'>.csv"
FACTS = MatchFacts(
    command="personagen match real.csv",
    recipe="0",
    model={"backend": "openai", "name": "m", "revision": None},
    prompts="0",
    reference={"name": HOSTILE, "pool": 420, "test": 180, "labels": {"joy": 300, "anger": 300}},
    embeddings="e",
    rows=140,
    seed=0,
    labelled=True,
    examples=True,
)
ARMS = (
    MatchedArm("plain", "feelings shown, no style", 138, 2, 150, 12_000, 0.41, 0.35, 0.47, {"leak": 2}, None),
    MatchedArm("style", "the style of the real texts", 140, 0, 150, 13_000, 0.52, 0.46, 0.58, {}, None),
    MatchedArm("examples", "with real texts", 3, 137, 150, 9_000, None, None, None, {"copied": 137}, "3 texts"),
)
YARDSTICKS = (
    Yardstick("synthetic", 140, 0.5, 0.42, 0.58, 0.0),
    Yardstick("plain sentences", 6, 0.45, 0.36, 0.54, -0.05, -0.11, 0.01),
    Yardstick("most frequent label", 0, 0.33, 0.31, 0.35, -0.17, -0.22, -0.12),
    Yardstick("real 50", 50, 0.55, 0.46, 0.64, 0.05, -0.02, 0.12),
    Yardstick("real 1000", None, None, reason="the pool has 420 texts"),
)
WORTH = {
    "rows": 40,
    "low": 0,
    "high": 60,
    "first": 50,
    "last": 420,
    "words": "40 real rows (95 %: fewer than 50 to 60)",
}


def saved(folder: Path, *, labelled: bool = True) -> MatchResults:
    """Save a match with labels or without, as `personagen match` does."""
    folder.mkdir()
    match = MatchResults(
        folder=folder.absolute(),
        facts=FACTS if labelled else replace(FACTS, labelled=False, reference={**FACTS.reference, "labels": {}}),
        arms=ResultTable(MatchedArm, ARMS),
        best="style",
        yardsticks=ResultTable(Yardstick, YARDSTICKS if labelled else ()),
        test={"worth": WORTH} if labelled else {"worth": None, "reason": "no labels", "distance": {"real": 0.1}},
        conclusions=["The best arm is style.", "The floor, 6 plain sentences: 0.450."],
    )
    save_match(match)
    return match


def test_a_match_is_read_as_it_was_saved(tmp_path: Path) -> None:
    match = saved(tmp_path / "match")
    assert read_match(tmp_path / "match") == match


def test_the_page_shows_conclusions_arms_and_yardsticks_and_requests_nothing(run: Run, tmp_path: Path) -> None:
    saved(tmp_path / "match")
    done = run("report", tmp_path / "match")
    assert done.code == 0, done.err
    page = tmp_path / "match" / "report.html"
    assert done.out == f"{page}\n"
    with open_page(page) as opened:
        view = opened.page
        ids = view.locator("section").evaluate_all("sections => sections.map(section => section.id)")
        assert [name for name in ids if name] == ["arms-section", "yardsticks-section"]
        assert view.locator("h1").inner_text() == f"Texts like those of {HOSTILE}"
        assert "The floor, 6 plain sentences: 0.450." in view.locator(".found li").all_inner_texts()
        assert view.locator("#arms-section td.supported").all_inner_texts() == ["style"]
        assert view.locator("#arms-section li").all_inner_texts() == ["examples has no score: 3 texts"]
        rows = view.locator("#yardsticks-section > .scroll tbody tr").all_inner_texts()
        assert [row.split("\t")[0] for row in rows] == [one.training for one in YARDSTICKS[:-1]]
        assert rows[1].split("\t")[1:] == ["6", "0.45", "0.36 to 0.54", "-0.05", "-0.11 to +0.01"]
        assert view.locator("#yardsticks-section li").all_inner_texts() == ["real 1000: the pool has 420 texts"]
        assert view.locator("#arms .main-svg, #yardsticks .main-svg").count() >= 2
        assert view.locator("#table, #rows, #search").count() == 0 and "Texts shown" not in view.content()
        assert view.evaluate("window.hacked") is None
    assert opened.errors == [] and opened.requests == []


def test_the_page_fits_a_phone(tmp_path: Path) -> None:
    saved(tmp_path / "match")
    page = write_report(tmp_path / "match")
    with open_page(page) as opened:
        opened.page.set_viewport_size({"width": 390, "height": 844})
        opened.visit(page)
        assert opened.page.evaluate("document.documentElement.scrollWidth") <= 390


def test_the_chart_of_yardsticks_has_both_figures_and_no_interval_where_there_is_none(tmp_path: Path) -> None:
    saved(tmp_path / "match")
    sections = {section.id: section for section in read_match_report(tmp_path / "match").sections()}
    values, differences = (sections["yardsticks"].chart or {})["data"]
    assert values["y"] == ["synthetic", "plain sentences", "most frequent label", "real 50"]
    assert differences["y"] == values["y"][1:] and differences["x"] == [-0.05, -0.17, 0.05]
    assert differences["error_x"]["array"] == pytest.approx([0.06, 0.05, 0.07])


def test_a_match_without_labels_has_no_yardsticks(tmp_path: Path) -> None:
    saved(tmp_path / "match", labelled=False)
    report = read_match_report(tmp_path / "match")
    shown = [section for section in report.sections() if section.has_content]
    assert [section.id for section in shown] == ["arms"]
    assert shown[0].table is not None and shown[0].table.columns[1] == "MMD²"
    assert report.facts["labels"] == "none" and "worth" not in report.facts


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"format": "personagen-match/0"},
            "has the format 'personagen-match/0', wanted personagen-match/1; run `match` a",
        ),
        ({"arms": [{}]}, "cannot read the match "),
        (None, "cannot read the match "),
    ],
)
def test_a_damaged_match_is_refused_in_one_line(
    run: Run, tmp_path: Path, change: dict[str, object] | None, message: str
) -> None:
    path = saved(tmp_path / "match").folder / "match.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    path.write_text("{" if change is None else json.dumps({**content, **change}), encoding="utf-8")
    done = run("report", tmp_path / "match")
    assert done.code == 1 and message in done.err and len(done.err.splitlines()) == 1
    assert not (tmp_path / "match" / "report.html").exists()
