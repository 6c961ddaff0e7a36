"""`personagen report` on releases and references that lack a part that the page shows."""

import json
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pytest

from personagen.builder.report import write_report
from tests.helpers.browser import data_of, open_page
from tests.helpers.real_texts import known_vectors, real
from tests.helpers.releasing import make_release, manifest_of, records, rewrite
from tests.helpers.servers.fake_openai import FakeOpenAI

REAL = real(140)
OWN_TAXONOMY = """
rows: 8
taxonomy:
  name: two
  emotions:
  - {name: calm, definition: at rest, like: neutral}
  - {name: glad, definition: pleased with what happened, like: joy}
"""
PERSONA_CHARTS = {"values", "pairs"}
REAL_CHARTS = {"vocabulary"}
CHARTS = {"map", "confusion", "lengths", "growth"} | PERSONA_CHARTS | REAL_CHARTS


@dataclass(frozen=True)
class Case:
    """A release, a reference, and the charts that their page lacks.

    Attributes:
        recipe: YAML of the recipe.
        missing: ids of the charts that cannot be drawn.
        note: the line on the page that gives the reason; None: no such line.
        labels: "all" for the seven labels of the reference, "joy" for this one alone, "none" for no labels.
        count: texts of the reference.

    """

    recipe: str
    missing: set[str]
    note: str | None = None
    labels: str = "all"
    count: int = 140


CASES = {
    "taxonomy of the user's own": Case(
        OWN_TAXONOMY, {"confusion", "vocabulary"}, "Real texts: reference.jsonl has no texts of calm, glad; name texts"
    ),
    "taxonomy of the user's own, without personas": Case(
        f"{OWN_TAXONOMY}depth: none", {"confusion", "vocabulary"} | PERSONA_CHARTS, "Real texts: reference.jsonl has no"
    ),
    "taxonomy of the user's own, unlabelled reference": Case(
        OWN_TAXONOMY, {"confusion"}, "Predicted emotions: reference.jsonl has no texts of calm, glad", labels="none"
    ),
    "seven texts": Case("rows: 7", set()),
    "one text of one emotion": Case("{rows: 1, emotions: [joy]}", set()),
    "one text without a persona": Case("{rows: 1, emotions: [joy], depth: none}", PERSONA_CHARTS),
    "two personas of one layer": Case("{rows: 2, emotions: [joy, fear], depth: demographic}", set()),
    "reference of one label": Case(
        "{rows: 2, emotions: [joy]}", {"confusion", "vocabulary"}, "Predicted emotions: labels", labels="joy", count=3
    ),
    "reference of one text": Case(
        "{rows: 1, emotions: [joy]}", {"confusion", "vocabulary"}, "Predicted emotions: ", labels="none", count=1
    ),
}


@dataclass(frozen=True)
class View:
    """A page as the browser shows it: ids of the charts, text, and errors of scripts."""

    charts: set[str]
    text: str
    errors: list[str]


def write_reference(path: Path, case: Case) -> list[str]:
    """Write the reference of a case as JSON lines, and return its texts."""
    pairs = list(zip(REAL.texts, REAL.labels or [], strict=True))
    chosen = [(text, label) for text, label in pairs if case.labels in ("all", "none", label)][: case.count]
    lines = [{"text": text} | ({} if case.labels == "none" else {"label": label}) for text, label in chosen]
    path.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    return [text for text, _ in chosen]


def texts_of(release: Path) -> list[str]:
    """Read the texts at the recipe's own depth."""
    names = [emotion["name"] for emotion in manifest_of(release)["taxonomy"]["emotions"]]
    return [row["text"] for name in names for row in records(release, name)]


def write_page(case: Case, folder: Path, url: str) -> Path:
    """Generate the release of a case and write its page."""
    folder.mkdir()
    release, reference = make_release(folder / "release", url, case.recipe), folder / "reference.jsonl"
    texts = [*write_reference(reference, case), *texts_of(release)]
    with known_vectors(folder / "cache", list(dict.fromkeys(texts))):
        return write_report(release, reference=str(reference))


@pytest.fixture(scope="module")
def views(model: FakeOpenAI, tmp_path_factory: pytest.TempPathFactory) -> dict[str, View]:
    """The pages of all cases, opened one after the other in one browser."""
    folder = tmp_path_factory.mktemp("odd")
    pages = {
        name: write_page(case, folder / str(number), model.url) for number, (name, case) in enumerate(CASES.items())
    }
    views = {}
    with open_page(next(iter(pages.values()))) as opened:
        for name, page in pages.items():
            opened.errors.clear()
            opened.visit(page)
            charts = {chart for chart in CHARTS if opened.page.locator(f"#{chart} .main-svg").count()}
            views[name] = View(charts, opened.page.locator("body").inner_text(), list(opened.errors))
    return views


@pytest.mark.parametrize("name", CASES)
def test_page_omits_the_charts_that_cannot_be_drawn(name: str, views: dict[str, View]) -> None:
    case, view = CASES[name], views[name]
    assert view.errors == [] and CHARTS - view.charts == case.missing
    assert (case.note or "") in view.text and ("Not shown:" in view.text) == (case.note is not None)


def test_page_of_texts_that_were_not_searched_for_emotion_words_says_so(model: FakeOpenAI, tmp_path: Path) -> None:
    """The language of the recipe has no lexicon: column and manifest have null."""

    def without_leaks(table: pa.Table) -> pa.Table:
        rows = table.to_pylist()
        for row in rows:
            row["provenance"]["leaked"] = None
        return pa.Table.from_pylist(rows, table.schema)

    made = make_release(tmp_path / "made", model.url, "{rows: 1, emotions: [joy], depth: none}")
    release = rewrite(made, tmp_path / "release", "joy/", without_leaks, leaked=None)
    reference = tmp_path / "reference.jsonl"
    texts = [*write_reference(reference, CASES["seven texts"]), *texts_of(release)]
    with known_vectors(tmp_path / "cache", list(dict.fromkeys(texts))):
        page = write_report(release, reference=str(reference)).read_text(encoding="utf-8")
    assert "not checked: the word list is English" in page
    (text,) = [text for text in data_of(page)["texts"] if text["source"] == "synthetic"]
    assert text["facts"]["leaked"] == "not checked"
