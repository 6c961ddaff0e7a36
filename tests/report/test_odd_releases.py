"""`personagen report` on releases and references that lack a part that the page shows."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.helpers.browser import opened
from tests.helpers.command import Run, run_here
from tests.helpers.real_texts import known_vectors, real
from tests.helpers.releasing import make_release, manifest_of, records
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
        OWN_TAXONOMY, {"confusion"}, "a classifier reads: reference.jsonl has no texts of calm, glad", labels="none"
    ),
    "seven texts": Case("rows: 7", set()),
    "one text of one emotion": Case("{rows: 1, emotions: [joy]}", set()),
    "one text without a persona": Case("{rows: 1, emotions: [joy], depth: none}", PERSONA_CHARTS),
    "two personas of one layer": Case("{rows: 2, emotions: [joy, fear], depth: demographic}", set()),
    "reference of one label": Case(
        "{rows: 2, emotions: [joy]}", {"confusion", "vocabulary"}, "a classifier reads: labels", labels="joy", count=3
    ),
    "reference of one text": Case(
        "{rows: 1, emotions: [joy]}", {"confusion", "vocabulary"}, "a classifier reads: ", labels="none", count=1
    ),
}


@pytest.fixture(scope="module")
def server() -> Iterator[FakeOpenAI]:
    with FakeOpenAI() as running:
        yield running


@pytest.fixture
def run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path_factory: pytest.TempPathFactory
) -> Run:
    return run_here(monkeypatch, capsys, tmp_path_factory)


def write_reference(path: Path, case: Case) -> list[str]:
    """Write the reference of a case as JSON lines, and return its texts."""
    pairs = [(text, label) for text, label in zip(REAL.texts, REAL.labels or [], strict=True)]
    chosen = [pair for pair in pairs if case.labels in ("all", "none", pair[1])][: case.count]
    lines = [{"text": text} | ({} if case.labels == "none" else {"label": label}) for text, label in chosen]
    path.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    return [text for text, _ in chosen]


def texts_of(release: Path) -> list[str]:
    """Read the texts at the recipe's own depth."""
    names = [emotion["name"] for emotion in manifest_of(release)["taxonomy"]["emotions"]]
    return [row["text"] for name in names for row in records(release, name)]


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_page_omits_the_charts_that_cannot_be_drawn(case: Case, run: Run, server: FakeOpenAI, tmp_path: Path) -> None:
    release = make_release(tmp_path / "release", server.url, case.recipe)
    texts = [*texts_of(release), *write_reference(tmp_path / "reference.jsonl", case)]
    with known_vectors(tmp_path / "cache", list(dict.fromkeys(texts))):
        done = run("report", release, "--reference", tmp_path / "reference.jsonl")
    assert done.code == 0, done.err
    with opened(Path(done.out.strip())) as seen:
        drawn = {name for name in CHARTS if seen.page.locator(f"#{name} .main-svg").count()}
        text = seen.page.locator("body").inner_text()
    assert seen.errors == [] and CHARTS - drawn == case.missing
    assert (case.note or "") in text and ("Not shown:" in text) == (case.note is not None)
