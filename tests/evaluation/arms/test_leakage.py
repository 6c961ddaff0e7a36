"""A release is not measured against real texts that its prompts have shown."""

from pathlib import Path

import pytest

from personagen.builder.core.errors import ReleaseError
from personagen.builder.evaluation.evaluate import EvaluationSettings, evaluate
from personagen.builder.release.folder import read_manifest
from personagen.builder.release.shown_texts import read_shown_ids, shown_note, unshown
from personagen.metrics.texts.reference import load_reference
from tests.helpers.flow import Recorder, make, recipe_for, texts_of
from tests.helpers.real_texts import known_vectors, write_reference
from tests.helpers.servers.fake_openai import FakeOpenAI


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_reference(tmp_path_factory.mktemp("my source") / "my texts.jsonl")


@pytest.fixture(scope="module")
def release(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    with FakeOpenAI() as server:
        recipe = recipe_for(server.url, {"grounding.examples.source": str(source), "grounding.examples.count": 2})
        return make(recipe, tmp_path_factory.mktemp("release") / "out").folder


def shown_in(release: Path) -> set[int]:
    return {int(id_.rpartition(":")[2]) for row in texts_of(release) for id_ in row["provenance"]["real_texts"].split()}


def test_shown_texts_are_left_out_of_their_own_source_alone(release: Path, source: Path) -> None:
    manifest = read_manifest(release)
    whole = load_reference(str(source))
    rest = unshown(str(source), read_shown_ids(release, manifest), manifest)
    rows = [row for row in range(len(whole.texts)) if row not in shown_in(release)]
    assert rest.left_out == len(shown_in(release)) > 10 and rest.unknown == ()
    assert rest.reference.texts == [whole.texts[row] for row in rows]
    assert rest.reference.labels == [(whole.labels or [])[row] for row in rows]
    assert rest.reference.test_texts == whole.test_texts
    assert rest.warning() == f"{rest.left_out} texts of my texts.jsonl were shown in the prompts and are left out"


def test_another_reference_is_whole_and_said_to_be_unknown(release: Path) -> None:
    manifest = read_manifest(release)
    other = unshown("xed", read_shown_ids(release, manifest), manifest)
    assert other.reference == load_reference("xed") and other.left_out == 0
    assert str(other.warning()).startswith("the prompts have shown texts of my texts.jsonl; if xed has them too")
    with pytest.raises(ReleaseError, match="no reference file"):
        unshown("gone.csv", read_shown_ids(release, manifest), manifest)


def test_a_page_says_that_its_real_texts_were_shown(release: Path, source: Path) -> None:
    manifest = read_manifest(release)
    assert f"shown {manifest['grounding']['texts']} texts of my texts.jsonl" in str(shown_note(str(source), manifest))
    assert shown_note("xed", manifest) is None


def test_an_evaluation_leaves_them_out(release: Path, source: Path, tmp_path: Path) -> None:
    progress, whole = Recorder(), load_reference(str(source))
    texts = [row["text"] for row in texts_of(release)] + whole.texts + whole.test_texts
    with known_vectors(tmp_path, texts):
        scores = evaluate(release, EvaluationSettings(str(source), sample_size=8), progress=progress)
    facts = scores.content["reference"]
    assert facts["texts"] == len(whole.texts) - len(shown_in(release))
    assert facts["shown_in_prompts"] == progress.warnings[0]
