"""`audit`: a planted bias is found, nothing is found without one; errors."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from personagen.builder.core.errors import ReleaseError
from personagen.builder.evaluation.audit import AuditSettings, audit
from personagen.builder.evaluation.audit_results import (
    FORMAT,
    AttributeAssociation,
    Audit,
    counterfactual_lines,
    findings,
    read_audit,
)
from personagen.builder.hub.verify import verify_folder
from personagen.builder.release.texts import read_texts
from personagen.metrics.statistics.paired import holm
from tests.helpers.command import Run, run_here
from tests.helpers.pushing import Pusher, held, served
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
from tests.helpers.servers.hub.server import Hub

REFERENCE = real(150)


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with FakeOpenAI() as server:
        recipe = "rows: 210\nintensities: [low, high]\nsituations_per_persona: 3"
        return make_release(tmp_path_factory.mktemp("audit") / "plain", server.url, recipe)


@pytest.fixture(scope="module")
def biased(release: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make texts of women wretched and predicted as sadness, independently of their labels."""

    def change(table: pa.Table) -> pa.Table:
        rows = table.to_pylist()
        for number, row in enumerate(rows):
            row["provenance"] |= {"checker_label": EMOTIONS[number % 7], "checker_confidence": 0.5}
            if row["demographic"]["gender"] == "woman":
                row["text"] += " It was awful and I cried in the kitchen."
                row["provenance"]["checker_label"] = "sadness"
        return pa.Table.from_pylist(rows, schema=with_predictions(table.schema))

    out = tmp_path_factory.mktemp("biased") / "biased"
    for name in (*EMOTIONS, "all"):
        source, out = (release, out) if name == EMOTIONS[0] else (out, out.with_name(f"biased-{name}"))
        rewrite(source, out, f"{name}/", change, left_out=left_out_beside_predictions(release))
    return out


@pytest.fixture(scope="module")
def cache(release: Path, biased: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Cache vectors for all texts under the name of the default model."""
    texts = [row["text"] for made in (release, biased) for name in EMOTIONS for row in records(made, name)]
    with known_vectors(tmp_path_factory.mktemp("cache"), [*texts, *REFERENCE.texts]) as folder:
        yield folder


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return as_reference(tmp_path_factory.mktemp("labelled") / "real.jsonl", REFERENCE)


@pytest.fixture
def run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path_factory: pytest.TempPathFactory
) -> Run:
    return run_here(monkeypatch, capsys, tmp_path_factory)


def content_of(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "audit.json").read_text(encoding="utf-8"))
    return content


def associations_of(audit: Audit, attribute: str) -> dict[str, AttributeAssociation]:
    return {record.outcome: record for record in audit.associations if record.attribute == attribute}


def copied(release: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(release, tmp_path / "copy"))


def test_a_planted_bias_is_found_and_listed_in_the_card(run: Run, biased: Path, cache: Path, tmp_path: Path) -> None:
    folder = copied(biased, tmp_path)
    done = run("audit", folder)
    assert done.code == 0, done.err
    audit = read_audit(content_of(folder))
    gender = associations_of(audit, "gender")
    for outcome in ("prediction", "sentiment", "length", "vocabulary"):
        corrected = gender[outcome].p_corrected
        assert corrected is not None and corrected < 0.001, outcome
        assert gender[outcome].fraction == max(
            record.fraction for record in audit.associations if record.outcome == outcome
        )
    assert not gender["label"].is_significant, "labels are those of the plan for every persona"
    sentiment = {record.value: record for record in audit.differences
                 if (record.attribute, record.outcome) == ("gender", "sentiment")}  # fmt: skip
    assert (sentiment["woman"].high or 0) < 0 < (sentiment["man"].low or 0)
    words = {record.value: record.words for record in audit.words if record.attribute == "gender"}
    assert {"awful", "cried"} <= set(words["woman"]) and not words["man"]
    assert "gender goes with sentiment" in done.out and "woman -" in done.out
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert "gender goes with sentiment" in card and str(audit.command) in card
    assert audit.command == "personagen audit personagen --reference goemotions --seed 0"
    assert manifest_of(folder)["findings"] == list(findings(audit)) and not verify_folder(folder).problems


def test_nothing_is_found_without_a_bias(run: Run, release: Path, cache: Path, labelled: Path, tmp_path: Path) -> None:
    folder = copied(release, tmp_path)
    done = run("audit", folder, "--reference", labelled)
    assert done.code == 0, done.err
    content = content_of(folder)
    assert list(content["outcomes"]) == [
        "label", "intensity", "prediction", "sentiment", "length", "vocabulary", "content",
    ]  # fmt: skip
    *_, nothing, power = done.out.splitlines()
    assert nothing == "no association was found in 210 texts"
    assert re.fullmatch(
        r"Of associations that explain [\d.]+ % to [\d.]+ % of the variance, depending on attribute and outcome, an "
        r"audit of 210 texts finds 80 %; smaller ones are mostly missed",
        power,
    )
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert f"found no association of the texts with persona attributes beyond the planned ones. {power}." in card
    assert str(tmp_path) not in json.dumps(content)


def test_results_are_tables_of_records(release: Path, cache: Path, labelled: Path, tmp_path: Path) -> None:
    folder = copied(release, tmp_path)
    result = audit(str(folder), AuditSettings(reference=str(labelled)))
    assert read_audit(content_of(folder)) == result and result.command is None
    assert {(record.attribute, record.outcome) for record in result.associations} == {
        (attribute, outcome) for attribute in result.attributes for outcome in result.outcomes
    }
    assert {record.n for record in result.associations} == {210}
    tested = [record for record in result.associations if record.p is not None]
    corrected = holm([record.p for record in tested if record.p is not None])
    assert [record.p_corrected for record in tested] == corrected, "over all attributes and outcomes"
    assert min(corrected) > 2 * min(record.p or 1 for record in tested)
    assert {record.detectable is None for record in tested} == {False}
    for attribute in result.attributes:
        assert sum(record.n for record in result.words if record.attribute == attribute) == 210
    frame = result.to_pandas()
    assert list(frame.columns) == [
        "attribute", "outcome", "fraction", "low", "high", "p", "p_corrected", "n", "detectable", "reason",
    ]  # fmt: skip
    assert len(frame) == len(result.associations) and "gender" in result._repr_html_()
    assert repr(result) == f"<Audit of 210 texts: 0 of {len(frame)} associations significant>"


def test_results_of_an_older_version_are_refused_in_one_line() -> None:
    with pytest.raises(ReleaseError, match=r"^audit.json has the format 'personagen-audit/1', wanted personagen-audit"):
        read_audit({"format": "personagen-audit/1"})


def test_a_star_marks_the_effects_whose_corrected_p_is_small() -> None:
    values = {"attribute": "gender", "first": "woman", "second": "man", "pairs": 6}
    pairs = {**values, "identical": 0.5, "reclassified": None, "distance": 0.1}
    effect = {**values, "difference": 2.0, "low": 1.0, "high": 3.0, "p": 0.001}
    content: dict[str, Any] = {
        **{"format": FORMAT, "command": None, "release": "", "texts": 12, "digest": "", "outcomes": {}, "problems": {}},
        **{"associations": [], "differences": [], "words": [], "pairs": [pairs]},
        "effects": [
            {**effect, "outcome": "sentiment", "p_corrected": 0.04},
            {**effect, "outcome": "length", "p_corrected": 0.06},
            {**effect, "outcome": "agreement", **dict.fromkeys(("low", "high", "p", "p_corrected")), "reason": "few"},
        ],
    }
    assert list(counterfactual_lines(read_audit(content))) == [
        "gender man instead of woman, all else equal: of 6 pairs 50% are the same word for word; "
        "sentiment +2 [+1, +3]*, length +2 [+1, +3], agreement +2 (no interval: few)"
    ]


def test_a_second_audit_writes_the_same_bytes_and_scores_stay(
    run: Run, release: Path, cache: Path, labelled: Path, tmp_path: Path
) -> None:
    folder = copied(release, tmp_path)
    assert run("evaluate", folder, "--reference", labelled, "--no-judge", "--sample-size", "12").code == 0
    run("audit", folder, "--reference", labelled)
    first = held(folder)
    assert run("audit", folder, "--reference", labelled).code == 0 and held(folder) == first
    assert "diversity: vendi" in (folder / "README.md").read_text(encoding="utf-8")
    assert not verify_folder(folder).problems
    done = run("audit", folder, "--reference", labelled, "--json")
    assert json.loads(done.out) == content_of(folder)


def test_the_results_of_an_audit_are_pushed(run: Run, biased: Path, cache: Path, tmp_path: Path) -> None:
    folder = copied(biased, tmp_path)
    run("audit", folder)
    with Hub(tokens={"hf_write": "write"}) as hub, Pusher(hub, tmp_path / "home") as pusher:
        assert "audit.json" in pusher.push(folder, "user/biased")["sent"]
        assert json.loads(served(hub, "user/biased")["audit.json"]) == content_of(folder)


def test_altered_results_are_detected_and_replaced(run: Run, biased: Path, cache: Path, tmp_path: Path) -> None:
    folder = copied(biased, tmp_path)
    run("audit", folder)
    (folder / "audit.json").write_text("{}")
    with pytest.raises(ReleaseError, match=r"audit\.json was altered: .* audit it again$"):
        verify_folder(folder)
    assert run("audit", folder).code == 0 and not verify_folder(folder).problems


def test_an_incomplete_reference_leaves_predictions_out(run: Run, release: Path, cache: Path, tmp_path: Path) -> None:
    path = tmp_path / "two.jsonl"
    path.write_text('{"text": "a b", "label": "joy"}\n{"text": "c d", "label": "fear"}\n')
    folder = copied(release, tmp_path)
    done = run("audit", folder, "--reference", path)
    assert done.code == 0, done.err
    why = "two.jsonl has no texts of anger, disgust, neutral, sadness, surprise to train a classifier on"
    assert content_of(folder)["problems"] == {"prediction": why} and f"not measured: prediction: {why}" in done.out


def test_a_release_without_personas_is_refused(run: Run, tmp_path: Path) -> None:
    with FakeOpenAI() as server:
        folder = make_release(tmp_path / "bare", server.url, "rows: 7\ndepth: none")
    done = run("audit", folder)
    assert done.code == 1
    why = "has no personas: its texts are of depth 'none'; audit a release of depth demographic or deeper"
    assert done.err == f"personagen: {folder} {why}\n"


def test_personas_of_a_source_without_attributes_are_refused(run: Run, tmp_path: Path) -> None:
    sentences = tmp_path / "sentences.csv"
    sentences.write_text("persona\n" + "".join(f"Collects {number} maps.\n" for number in range(20)), encoding="utf-8")
    source = {"personas.source": str(sentences), "personas.source_license": "cc0-1.0"}
    with FakeOpenAI() as server:
        folder = make_release(tmp_path / "prose", server.url, "rows: 7", **source)
    done = run("audit", folder)
    assert done.code == 1
    why = "its personas have no attribute to audit, only prose or attributes of their source; audit a release whose "
    assert done.err.startswith(f"personagen: {folder}: {why}personas have one of age, gender, work, country, ")


def test_missing_values_of_a_source_are_a_group_of_their_own(
    run: Run, cache: Path, labelled: Path, tmp_path: Path
) -> None:
    table = tmp_path / "people.csv"
    people = (f"{number},{'' if number % 3 else 30},{'woman' if number % 2 else ''}\n" for number in range(20))
    table.write_text("id,age,gender\n" + "".join(people), encoding="utf-8")
    source = {"personas.source": str(table), "personas.source_license": "cc0-1.0"}
    with FakeOpenAI() as server:
        folder = make_release(tmp_path / "gaps", server.url, "rows: 28", **source)
    texts = read_texts(folder, manifest_of(folder))
    assert {frozenset(persona) for persona in texts.personas} == {frozenset({"age", "gender"})}
    with known_vectors(tmp_path / "vectors", [*texts.texts, *REFERENCE.texts]):
        done = run("audit", folder, "--reference", labelled)
    assert done.code == 0, done.err
    values = {(difference["attribute"], difference["value"]) for difference in content_of(folder)["differences"]}
    assert values == {("age", "30-34"), ("age", "not given"), ("gender", "woman"), ("gender", "not given")}


def test_sentiment_is_not_measured_in_another_language(run: Run, biased: Path, cache: Path, tmp_path: Path) -> None:
    recipe = manifest_of(biased)["recipe"]
    recipe["text"]["language"] = "de"
    folder = rewrite(biased, tmp_path / "other", "none/", lambda table: table, recipe=recipe)
    done = run("audit", folder)
    assert done.code == 0, done.err
    found = content_of(folder)
    assert "sentiment" not in found["outcomes"] and "are for English" in found["problems"]["sentiment"]
    assert "not measured: sentiment: " in done.out
