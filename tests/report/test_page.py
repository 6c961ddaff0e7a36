"""`personagen report` on a release in a real browser, with markup in every text of the model."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from personagen.builder.core.progress import SILENT
from personagen.builder.release import measuring
from personagen.builder.release.composition import attributes_of
from personagen.builder.release.results import add_results
from personagen.builder.report.page import default_target, packed
from personagen.builder.report.release_report import ReleaseReport, read_release_report
from personagen.builder.report.text_groups import MAX_TEXTS, sample
from tests.helpers.browser import open_page, unpacked
from tests.helpers.command import Run
from tests.helpers.real_texts import as_reference, known_vectors, real
from tests.helpers.releasing import (
    EMOTIONS,
    left_out_beside_predictions,
    make_release,
    manifest_of,
    records,
    rewrite,
    with_predictions,
)
from tests.helpers.servers.fake_openai import FakeOpenAI

REFERENCE = real(140)

HOSTILE = (
    "</script><script>window.hacked = 1</script><img src=http://127.0.0.1:9/x.png onerror='window.hacked = 2'>"
    "<b>bold</b> &lt;i&gt; ${1+1} %{y} <!-- \u2028 {{ 7 * 7 }}"
)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A release of 70 texts whose name, model, texts, layers and rejects contain markup."""
    folder = tmp_path_factory.mktemp("report")
    with FakeOpenAI() as server:
        plain = make_release(folder / "plain", server.url, "rows: 70")

    def insert_markup(table: pa.Table) -> pa.Table:
        rows = table.to_pylist()
        for number, row in enumerate(rows):
            row["provenance"] |= {"checker_label": EMOTIONS[number % 7], "checker_confidence": 0.5}
            row["text"] = f"{HOSTILE} {row['id']}"
            row["sociocultural"]["prose"] = HOSTILE
        return pa.Table.from_pylist(rows, schema=with_predictions(table.schema))

    out, model = folder / "hostile", manifest_of(plain)["model"] | {"name": HOSTILE}
    for number, name in enumerate(EMOTIONS):
        source, out = (out if number else plain), folder / f"hostile{number}"
        keys: dict[str, Any] = {"rejects": {"expression": {"markup": 2}}, "name": HOSTILE, "model": model}
        rewrite(source, out, f"{name}/", insert_markup, left_out=left_out_beside_predictions(plain), **keys)
    run = out.with_name(f"{out.name}.run")
    run.mkdir()
    reject = {
        "id": "joy-000001",
        "stage": "expression",
        "reason": "markup",
        "attempt": 0,
        "text": HOSTILE,
        "detail": HOSTILE,
    }
    (run / "rejects.jsonl").write_text(json.dumps(reject) + "\n" + json.dumps({**reject, "text": None}) + "\n")
    return out


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A reference of 140 texts with the seven labels."""
    return as_reference(tmp_path_factory.mktemp("labelled") / "real.jsonl", REFERENCE)


@pytest.fixture(scope="module")
def cache(hostile: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Vectors of the texts of both, so that no embedding model is loaded."""
    texts = [row["text"] for name in EMOTIONS for row in records(hostile, name)]
    with known_vectors(tmp_path_factory.mktemp("cache"), [*texts, *REFERENCE.texts]) as folder:
        yield folder


@pytest.fixture(scope="module")
def page(hostile: Path, labelled: Path, cache: Path) -> Path:
    """The page of the hostile release."""
    from personagen.builder.report import write_report

    return write_report(hostile, reference=str(labelled))


def test_markup_in_texts_stays_text_and_nothing_is_requested(hostile: Path, page: Path) -> None:
    assert str(hostile) not in page.read_text(encoding="utf-8")
    with open_page(page) as opened:
        view = opened.page
        charts = ("map", "confusion", "lengths", "vocabulary", "growth", "values", "pairs", "rejects")
        assert [view.locator(f"#{name} .main-svg").count() > 0 for name in charts] == [True] * 8
        assert HOSTILE[:60] in view.locator("h1").inner_text() and HOSTILE[:60] in view.locator(".facts").inner_text()
        first = view.locator("#rows tr").first
        assert first.locator("summary").inner_text().startswith(HOSTILE.split("\u2028", maxsplit=1)[0].strip())
        assert view.locator("#rows b, #rows img, li b, li img, h1 b, dd b").count() == 0
        first.locator("summary").click()
        persona = first.locator("details dl").first.inner_text()
        assert "sociocultural" in persona and HOSTILE[:40] in persona and "persona id" in persona
        view.locator("#rejects-section details").last.locator("summary").click()
        assert HOSTILE[:60] in view.locator("#rejects-section li").first.inner_text()
        assert "no text" in view.locator("#rejects-section li").last.inner_text()
        view.evaluate("Plotly.Fx.hover('map', [{curveNumber: 1, pointNumber: 0}])")
        assert "<b>bold</b>" in (view.locator("#map .hovertext").text_content() or "")
        assert view.evaluate("window.hacked") is None
    assert opened.errors == [] and opened.requests == []


def test_the_table_is_searched_and_a_click_on_the_map_finds_the_text(hostile: Path, page: Path) -> None:
    rows = [row for name in EMOTIONS for row in records(hostile, name)]
    differing = sum(row["provenance"]["checker_label"] != EMOTIONS[row["label"]] for row in rows)
    with open_page(page) as opened:
        view = opened.page

        def matches() -> int:
            count = int(view.locator("#count").inner_text().split()[0])
            assert view.locator("#rows tr").count() == min(count, 50)
            return count

        assert matches() == 210 and view.locator("#more").is_visible()
        view.locator("#more").click()
        assert view.locator("#rows tr").count() == 100
        view.locator("#source").select_option("synthetic")
        assert matches() == 70
        view.locator("#differs").check()
        assert matches() == differing
        view.locator("#label").select_option("joy")
        assert 0 < matches() <= 10
        view.locator("#differs").uncheck()
        assert matches() == 10
        occupation = rows[0]["demographic"]["occupation"]
        view.locator("#search").fill(occupation.upper())
        assert matches() == sum(occupation in json.dumps(row) for row in records(hostile, "joy"))
        view.locator("#search").fill("nothing has these words")
        assert matches() == 0 and not view.locator("#more").is_visible()
        view.evaluate("document.getElementById('map').emit('plotly_click', {points: [{customdata: 3}]})")
        assert matches() == 1 and view.locator("#source").input_value() == "synthetic"
    assert opened.errors == []


def test_results_of_audit_and_evaluate_are_shown(
    run: Run, hostile: Path, labelled: Path, cache: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(hostile, tmp_path / "copy"))
    run("audit", folder, "--reference", labelled)
    run("evaluate", folder, "--reference", labelled, "--sample-size", "12")
    done = run("report", folder, "--reference", labelled)
    assert done.code == 0, done.err
    assert done.out == f"{folder.with_name('copy.report.html')}\n"
    text = Path(done.out.strip()).read_text(encoding="utf-8")
    headings = re.findall(r"<h2[^>]*>([^<]*)</h2>", text)
    assert {"Bias audit", "Scores", "Expression", "What the texts teach about real ones"} <= set(headings)
    assert "diversity: vendi" in text and headings[:2] == ["What was found", "Read with caution"]


def test_an_audit_of_another_version_is_a_note(hostile: Path, labelled: Path, cache: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(hostile, tmp_path / "copy"))
    facts = {"findings": [], "counterfactuals": [], "audited_by": "personagen audit"}
    add_results(folder, manifest_of(folder), "audit", {"format": "personagen-audit/1"}, facts)
    report = read_release_report(folder, str(labelled), None, 0, SILENT)
    assert report.audit is None and [section for section in report.sections() if section.id == "audit"] == []
    (note,) = report.notes
    assert note.startswith("Bias audit: audit.json has the format 'personagen-audit/1'")


def test_same_release_gives_same_page(hostile: Path, labelled: Path, page: Path, run: Run, tmp_path: Path) -> None:
    done = run("report", hostile, "--reference", labelled, "--out", tmp_path / "page.html")
    assert done.out == f"{tmp_path / 'page.html'}\n"
    assert (tmp_path / "page.html").read_bytes() == page.read_bytes()


@pytest.mark.parametrize("damage", ["empty", "torn", "altered"])
def test_a_folder_that_cannot_be_reported_on_is_refused(run: Run, hostile: Path, tmp_path: Path, damage: str) -> None:
    folder = tmp_path / "folder"
    if damage == "empty":
        folder.mkdir()
        why = f"{folder} is no release, comparison or match; name a folder of `generate`, `compare` or `match`"
    elif damage == "torn":
        folder.mkdir()
        (folder / "results.json").write_text('{"arms": {')
        why = f"cannot read the comparison {folder}: JSONDecodeError"
    else:
        shutil.copytree(hostile, folder)
        next(folder.glob("joy/*.parquet")).write_bytes(b"PAR1")
        why = "was altered: its SHA-256 is not that of the manifest; run its `generate` command again, which mends it"
    done = run("report", folder, "--out", tmp_path / "page.html")
    assert done.code == 1 and done.err.startswith("personagen: ") and why in done.err
    assert not (tmp_path / "page.html").exists() and len(done.err.splitlines()) == 1


def test_missing_plotly_is_reported_first(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from importlib.util import find_spec

    monkeypatch.setattr(measuring, "find_spec", lambda name: None if name == "plotly" else find_spec(name))
    done = run("report", tmp_path)
    assert done.code == 1
    assert done.err == "personagen: cannot measure without plotly; run: pip install 'personagen[metrics]'\n"


def test_the_page_of_a_release_lies_beside_it(hostile: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    release = tmp_path / "release"
    (release / "below").mkdir(parents=True)
    shutil.copy(hostile / "manifest.json", release)
    assert default_target(release) == tmp_path / "release.report.html"
    monkeypatch.chdir(release)
    assert default_target(Path()) == tmp_path / "release.report.html"
    monkeypatch.chdir(release / "below")
    assert default_target(Path("..")) == tmp_path / "release.report.html"
    assert default_target(Path()) == Path("report.html"), "no release"


@pytest.fixture(scope="module")
def report(hostile: Path, labelled: Path, cache: Path) -> ReleaseReport:
    """The content of the page."""
    return read_release_report(hostile, str(labelled), None, 0, SILENT)


def chart(report: ReleaseReport, section: str) -> list[dict[str, Any]]:
    """Return the traces of the chart of a section."""
    (data,) = [each.chart["data"] for each in report.sections() if each.id == section and each.chart]
    return list(data)


def test_predictions_are_counted_per_intended_emotion(report: ReleaseReport, hostile: Path) -> None:
    (heatmap,) = chart(report, "confusion")
    for label in ("joy", "neutral"):
        predicted = [row["provenance"]["checker_label"] for row in records(hostile, label)]
        row, column = heatmap["y"].index(label), heatmap["x"].index("fear")
        assert heatmap["z"][row][column] == pytest.approx(predicted.count("fear") / len(predicted))


def test_distinctive_words_of_both_groups_are_sorted(report: ReleaseReport) -> None:
    (bars,) = chart(report, "vocabulary")
    assert {"hacked", "bold"} <= {word for word, z in zip(bars["y"], bars["x"], strict=True) if z > 0}
    assert bars["x"] == sorted(bars["x"]) and bars["x"][0] < 0
    assert [trace["name"] for trace in chart(report, "lengths")] == ["synthetic", "real"]


def test_personas_are_counted_once_each(report: ReleaseReport, hostile: Path) -> None:
    rows = [row for name in EMOTIONS for row in records(hostile, name)]
    people = [attributes_of(layers) for layers in report.personas.drawn]
    assert len(people) == report.personas.total == len({row["persona_id"] for row in rows}) > 30
    bars = chart(report, "values")
    men = sum(person["gender"] == "man" for person in people) / len(people)
    assert men in bars[2]["y"] and sum(bars[2]["y"]) == pytest.approx(1) == pytest.approx(sum(bars[3]["y"]))
    (pairs,) = chart(report, "pairs")
    occurring = len({(person["gender"], person["settlement"]) for person in people})
    row, column = pairs["y"].index("gender"), pairs["x"].index("settlement")
    assert pairs["text"][row][column] == f"{occurring} of 12" and pairs["z"][row][column] == occurring / 12


def test_a_sample_is_drawn_of_many_texts() -> None:
    assert sample(5, 10, 0) == [0, 1, 2, 3, 4]
    drawn = sample(100_000, MAX_TEXTS, 0)
    assert len(set(drawn)) == MAX_TEXTS
    assert drawn == sorted(drawn) == sample(100_000, MAX_TEXTS, 0) != sample(100_000, MAX_TEXTS, 1)


NESTED = st.recursive(
    st.text() | st.integers() | st.booleans() | st.none(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(NESTED)
def test_data_of_a_page_is_complete_and_free_of_markup(value: Any) -> None:
    text = packed(json.dumps(value))
    assert unpacked(text) == value and not set(text) & set("<>&\n\u2028")
