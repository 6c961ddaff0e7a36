"""`personagen report`: pages of a release and of a comparison in a real browser, with hostile text in all places."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from personagen.builder.release.composition import attributes_of
from personagen.builder.report.charts import arms_figure
from personagen.builder.report.content import MOST, Material, read_material, sample
from personagen.builder.report.page import embedded
from personagen.builder.report.persona_charts import pairs_figure, values_figure
from personagen.builder.report.text_charts import confusion_figure, length_figure, vocabulary_figure
from personagen.metrics.statistics.projection import project
from tests.helpers.browser import opened
from tests.helpers.command import Run, run_here
from tests.helpers.real_texts import as_reference, known_vectors, real
from tests.helpers.releasing import EMOTIONS, make_release, records, rewrite
from tests.helpers.servers.fake_openai import FakeOpenAI

REFERENCE = real(140)

HOSTILE = (
    "</script><script>window.hacked = 1</script><img src=http://127.0.0.1:9/x.png onerror='window.hacked = 2'>"
    "<b>bold</b> &lt;i&gt; ${1+1} %{y} <!-- \u2028 {{ 7 * 7 }}"
)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A release whose texts, layers, predictions and rejects try to break out of a page."""
    folder = tmp_path_factory.mktemp("report")
    with FakeOpenAI() as server:
        plain = make_release(folder / "plain", server.url, "rows: 70")

    def change(table: pa.Table) -> pa.Table:
        rows = table.to_pylist()
        for number, row in enumerate(rows):
            row["provenance"] |= {"checker_label": EMOTIONS[number % 7], "checker_confidence": 0.5}
            row["text"] = f"{HOSTILE} {row['id']}"
            row["sociocultural"]["prose"] = HOSTILE
        return pa.Table.from_pylist(rows, schema=table.schema)

    out = folder / "hostile"
    for number, name in enumerate(EMOTIONS):
        source, out = (out if number else plain), folder / f"hostile{number}"
        rewrite(source, out, f"{name}/", change, rejects={"expression": {"markup": 2}})
    run = out.with_name(f"{out.name}.run")
    run.mkdir()
    reject = {
        "id": "joy-000001",
        "stage": "expression",
        "reason": "markup",
        "attempt": 0,
        "text": HOSTILE,
        "detail": "x",
    }
    (run / "rejects.jsonl").write_text(json.dumps(reject) + "\n" + json.dumps({**reject, "text": None}) + "\n")
    return out


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return as_reference(tmp_path_factory.mktemp("labelled") / "real.jsonl", REFERENCE)


@pytest.fixture(scope="module")
def cache(hostile: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    texts = [row["text"] for name in EMOTIONS for row in records(hostile, name)]
    with known_vectors(tmp_path_factory.mktemp("cache"), [*texts, *REFERENCE.texts]) as folder:
        yield folder


@pytest.fixture
def run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path_factory: pytest.TempPathFactory
) -> Run:
    return run_here(monkeypatch, capsys, tmp_path_factory)


def material_of(folder: Path, reference: Path) -> Material:
    return read_material(folder, str(reference), None, 0, lambda line: None)


def test_hostile_text_stays_text_in_a_page_that_asks_for_nothing(
    run: Run, hostile: Path, labelled: Path, cache: Path, tmp_path: Path
) -> None:
    out = tmp_path / "page.html"
    done = run("report", hostile, "--reference", labelled, "--out", out)
    assert done.code == 0, done.err
    assert done.out == f"{out}\n" and str(hostile) not in out.read_text(encoding="utf-8")
    with opened(out) as seen:
        page = seen.page
        sections = ("map", "confusion", "lengths", "vocabulary", "growth", "values", "pairs", "rejects")
        assert [page.locator(f"#{name} .main-svg").count() > 0 for name in sections] == [True] * 8
        first = page.locator("#rows tr").first
        assert first.locator("summary").inner_text().startswith(HOSTILE.split("\u2028", maxsplit=1)[0].strip())
        assert page.locator("#rows b, #rows img, li b, li img").count() == 0
        first.locator("summary").click()
        told = first.locator("details dl").first.inner_text()
        assert "sociocultural" in told and HOSTILE[:40] in told and "persona id" in told
        page.locator("#rejects-section details").first.click()
        assert HOSTILE[:60] in page.locator("#rejects-section li").first.inner_text()
        assert "no text" in page.locator("#rejects-section li").last.inner_text()
        page.evaluate("Plotly.Fx.hover('map', [{curveNumber: 0, pointNumber: 0}])")
        assert "<b>bold</b>" in (page.locator("#map .hovertext").text_content() or "")
        assert page.evaluate("window.hacked") is None
    assert seen.errors == [] and seen.requests == []


def test_the_table_is_searched_and_a_point_leads_to_its_text(
    run: Run, hostile: Path, labelled: Path, cache: Path, tmp_path: Path
) -> None:
    out = tmp_path / "page.html"
    run("report", hostile, "--reference", labelled, "--out", out)
    own = [row for name in EMOTIONS for row in records(hostile, name)]
    differ = sum(row["provenance"]["checker_label"] != EMOTIONS[row["label"]] for row in own)
    with opened(out) as seen:
        page = seen.page

        def found() -> int:
            count = int(page.locator("#found").inner_text().split()[0])
            assert page.locator("#rows tr").count() == min(count, 50)
            return count

        assert found() == 210 and page.locator("#more").is_visible()
        page.locator("#more").click()
        assert page.locator("#rows tr").count() == 100
        page.locator("#source").select_option("synthetic")
        assert found() == 70
        page.locator("#differs").check()
        assert found() == differ
        page.locator("#label").select_option("joy")
        assert 0 < found() <= 10
        page.locator("#differs").uncheck()
        assert found() == 10
        page.locator("#search").fill(own[0]["demographic"]["occupation"].upper())
        held = sum(own[0]["demographic"]["occupation"] in json.dumps(row) for row in records(hostile, "joy"))
        assert found() == held, "the search goes through the persona"
        page.locator("#search").fill("nothing has these words")
        assert found() == 0 and not page.locator("#more").is_visible()
        page.evaluate("find(data.texts[3])")
        assert found() == 1 and page.locator("#source").input_value() == "synthetic"
    assert seen.errors == []


def test_beside_a_release_by_default_and_with_what_was_found(
    run: Run, hostile: Path, labelled: Path, cache: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(hostile, tmp_path / "copy"))
    run("audit", folder, "--reference", labelled)
    run("evaluate", folder, "--reference", labelled, "--no-judge", "--sample-size", "12")
    done = run("report", folder, "--reference", labelled)
    assert done.code == 0, done.err
    page = Path(done.out.strip())
    assert page == folder.with_name("copy.report.html")
    text = page.read_text(encoding="utf-8")
    assert "<h2>Bias</h2>" in text and '<h2 id="scores">Scores</h2>' in text and "diversity: vendi" in text


def test_without_labels_what_is_read_is_left_out_and_that_is_told(run: Run, tmp_path: Path, cache: Path) -> None:
    with FakeOpenAI() as server:
        folder = make_release(tmp_path / "bare", server.url, "rows: 7\ndepth: none")
    texts = [row["text"] for name in EMOTIONS for row in records(folder, name)]
    reference = tmp_path / "real.jsonl"
    reference.write_text("\n".join(json.dumps({"text": text}) for text in REFERENCE.texts))
    with known_vectors(tmp_path / "cache", [*texts, *REFERENCE.texts]):
        done = run("report", folder, "--reference", reference)
    assert done.code == 0, done.err
    text = Path(done.out.strip()).read_text(encoding="utf-8")
    assert "Not shown: Emotions that a classifier reads: real.jsonl has no texts of anger" in text
    assert 'id="confusion"' not in text and 'id="values"' not in text and 'id="map"' in text


@pytest.mark.parametrize("what", ["nothing", "torn", "altered"])
def test_what_cannot_be_shown(run: Run, hostile: Path, tmp_path: Path, what: str) -> None:
    folder = tmp_path / "folder"
    if what == "nothing":
        folder.mkdir()
        why = f"{folder} is neither a release nor a comparison; name what `generate` or `compare` wrote"
    elif what == "torn":
        folder.mkdir()
        (folder / "results.json").write_text('{"arms": {')
        why = f"cannot read the comparison {folder}: JSONDecodeError"
    else:
        shutil.copytree(hostile, folder)
        next(folder.glob("joy/*.parquet")).write_bytes(b"PAR1")
        why = "was altered: its SHA-256 is not that of the manifest; make the release again"
    done = run("report", folder, "--out", tmp_path / "page.html")
    assert done.code == 1 and done.err.startswith("personagen: ") and why in done.err
    assert not (tmp_path / "page.html").exists() and len(done.err.splitlines()) == 1


def test_without_plotly_nothing_is_begun(run: Run, hostile: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from importlib.util import find_spec

    monkeypatch.setattr(
        "personagen.builder.release.measuring.find_spec", lambda name: None if name == "plotly" else find_spec(name)
    )
    done = run("report", hostile)
    assert done.code == 1
    assert done.err == "personagen: cannot measure without plotly; run: pip install 'personagen[metrics]'\n"


def test_figures_say_what_the_rows_say(hostile: Path, labelled: Path, cache: Path) -> None:
    material = material_of(hostile, labelled)
    rows = [(EMOTIONS[row["label"]], row) for name in EMOTIONS for row in records(hostile, name)]
    heat = (confusion_figure(material) or {})["data"][0]
    place = {name: number for number, name in enumerate(heat["x"])}
    for label in ("joy", "neutral"):
        read = [row["provenance"]["checker_label"] for own, row in rows if own == label]
        assert heat["z"][place[label]][place["fear"]] == pytest.approx(read.count("fear") / len(read))
    assert [trace["name"] for trace in length_figure(material)["data"]] == ["synthetic", "real"]
    words = (vocabulary_figure(material) or {})["data"][0]
    assert {"hacked", "bold"} <= {word for word, z in zip(words["y"], words["x"], strict=True) if z > 0}
    assert words["x"] == sorted(words["x"]) and words["x"][0] < 0
    people = [attributes_of(layers) for layers in material.personas]
    assert len(people) == len({row["persona_id"] for _, row in rows}) > 30
    bars = (values_figure(material) or {})["data"]
    men = sum(person["gender"] == "man" for person in people) / len(people)
    assert men in bars[2]["y"] and sum(bars[2]["y"]) == pytest.approx(1) == pytest.approx(sum(bars[3]["y"]))
    pairs = (pairs_figure(material) or {})["data"][0]
    met = len({(person["gender"], person["settlement"]) for person in people})
    row, column = pairs["y"].index("gender"), pairs["x"].index("settlement")
    assert pairs["text"][row][column] == f"{met} of 12" and pairs["z"][row][column] == met / 12


def test_an_interval_that_ends_at_nothing_is_drawn_to_there_and_none_is_drawn_where_there_is_none() -> None:
    figures = {"leak_rate": {"value": 0.02, "low": 0.0, "high": 0.05}}
    alone = {"leak_rate": {"value": 0.02, "low": None, "high": None}}
    trace = arms_figure({"arms": {"none": {"figures": figures}, "real": {"figures": alone}}})["data"][0]
    assert trace["error_x"]["arrayminus"] == [0.02, 0.0] and trace["error_x"]["array"] == pytest.approx([0.03, 0.0])


def test_of_many_texts_a_sample_is_shown() -> None:
    assert sample(5, 10, 0) == [0, 1, 2, 3, 4]
    drawn = sample(100_000, MOST, 0)
    assert len(set(drawn)) == MOST and drawn == sorted(drawn) == sample(100_000, MOST, 0) != sample(100_000, MOST, 1)


NESTED = st.recursive(
    st.text() | st.integers() | st.booleans() | st.none(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(NESTED)
def test_data_of_a_page_is_whole_and_has_no_markup(value: Any) -> None:
    text = embedded(value)
    assert json.loads(text) == value and not set(text) & set("<>&\n\u2028")


def test_a_map_keeps_together_what_is_alike() -> None:
    generator = np.random.default_rng(0)
    middles = np.repeat(np.eye(3, 20), 20, axis=0)
    vectors = (middles + generator.normal(scale=0.05, size=middles.shape)).astype(np.float32)
    points = project(vectors)
    assert points.shape == (60, 2) and (points == project(vectors)).all()
    for group in range(3):
        own, others = (
            points[group * 20 : group * 20 + 20],
            np.delete(points, range(group * 20, group * 20 + 20), axis=0),
        )
        centre = own.mean(axis=0)
        assert np.linalg.norm(own - centre, axis=1).max() < np.linalg.norm(others - centre, axis=1).min()


@pytest.mark.parametrize("count", [1, 2, 9])
def test_of_few_texts_there_is_a_map_too(count: int) -> None:
    assert project(np.eye(9, dtype=np.float32)[:count]).shape == (count, 2)
