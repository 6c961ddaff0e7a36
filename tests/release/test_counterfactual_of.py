"""The column `counterfactual_of`, and releases and runs from before it."""

import shutil
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from datasets import Features, load_dataset

from personagen.builder.core.errors import FolderError
from personagen.builder.core.file_names import CARD
from personagen.builder.hub.verify import verify_folder
from personagen.builder.planning.recipe.parsing import parse_recipe
from personagen.builder.release.folder import read_manifest
from personagen.builder.release.manifest import classifier_facts, model_license
from personagen.builder.release.texts import read_texts
from personagen_dataset import features
from tests.helpers.flow import bytes_of
from tests.helpers.releasing import GOLDEN, features_of, in_earlier_form, make_release, manifest_of, records, rewrite
from tests.helpers.servers.fake_openai import FakeOpenAI
from tests.loading.test_columns import flat
from tests.release.cards.test_card import table

RECIPE = """
rows: 21
emotions: [joy, anger, fear]
depth: demographic
expression: shown
counterfactual: {pairs: 3, attributes: {gender: [woman, man]}}
"""
EMOTIONS = ("anger", "fear", "joy")
CONFIG = "counterfactual_gender"


@pytest.fixture(scope="module")
def release(model: FakeOpenAI, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_release(tmp_path_factory.mktemp("counterfactual") / "personagen", model.url, RECIPE)


@pytest.fixture(scope="module")
def older(release: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The release as version 0.1 wrote it: without the column, with columns of version 1.0.0 and the old keys."""

    model = {**manifest_of(release)["model"], "licence": "mit"}
    del model["license"]
    out = tmp_path_factory.mktemp("older") / "personagen"
    return in_earlier_form(release, out, "1.0.0", model=model)


def test_the_column_has_the_id_of_the_text_of_all_that_a_counterfactual_belongs_to(release: Path) -> None:
    originals = {row["id"]: row for emotion in EMOTIONS for row in records(release, emotion)}
    rows = records(release, CONFIG)
    assert len(rows) == len({row["counterfactual_of"] for row in rows}) == 3
    for row in rows:
        original = originals[row["counterfactual_of"]]
        assert row["id"].startswith(original["id"]) and row["label"] == original["label"]
        changed = {name for name, value in row["demographic"].items() if value != original["demographic"][name]}
        assert "gender" in changed and changed <= {"gender", "prose"}


def test_no_other_configuration_has_the_column(release: Path) -> None:
    for config in (*EMOTIONS, "demographic"):
        assert "counterfactual_of" not in records(release, config)[0]


@pytest.mark.parametrize("ours", [True, False])
def test_datasets_loads_the_column(ours: bool, release: Path, request: pytest.FixtureRequest) -> None:
    if not ours:
        request.getfixturevalue("plain_datasets")
    loaded = load_dataset(str(release), CONFIG, split="train")
    assert loaded.to_list() == records(release, CONFIG, "train")
    assert loaded.features == features_of(release, CONFIG) and "counterfactual_of" in loaded.features
    for path in (release / CONFIG).glob("*.parquet"):
        assert Features.from_arrow_schema(pq.read_schema(path)) == features_of(release, CONFIG)


def test_the_card_lists_the_column(release: Path) -> None:
    card = (release / CARD).read_text(encoding="utf-8")
    listed = {name.strip("`"): cells[0] for name, cells in table(card, "| column |").items()}
    assert listed | {"counterfactual_of": "string"} == flat(dict(features_of(release, CONFIG)))
    assert f"Each text of `{CONFIG}` is the counterfactual of a text of `all`" in card


def test_a_release_without_the_column_is_not_of_this_version(release: Path, older: Path, tmp_path: Path) -> None:
    assert verify_folder(release).problems == ()
    damaged = rewrite(older, tmp_path / "damaged", "counterfactual_", lambda table: table, version="1.1.0")
    problems = verify_folder(damaged).problems
    assert set(problems) == {
        f"{shard['path']} has other columns than a release of version 1.1.0"
        for shard in manifest_of(damaged)["shards"]
        if shard["path"].startswith(CONFIG)
    }


# Releases and runs of version 0.1, which had no such column.


def test_an_older_release_is_verified_loaded_and_read(older: Path, release: Path) -> None:
    assert verify_folder(older).problems == ()
    loaded = load_dataset(str(older), CONFIG, split="train")
    assert loaded.features == features(CONFIG, EMOTIONS, "1.0.0") and "counterfactual_of" not in loaded.features
    assert loaded.to_list() == records(older, CONFIG, "train")
    new, old = (read_texts(folder, read_manifest(folder), [CONFIG]) for folder in (release, older))
    assert [row["counterfactual_of"] for row in old.rows] == [row["counterfactual_of"] for row in new.rows]


def test_the_old_keys_of_a_manifest_are_read(older: Path) -> None:
    manifest = read_manifest(older)
    assert model_license(manifest) == "mit" and "under mit." in (older / CARD).read_text(encoding="utf-8")
    facts: dict[str, Any] = {"model": "m"}
    assert classifier_facts({"checker": facts}) == classifier_facts({"classifier": facts}) == facts
    assert classifier_facts({}) is None


def test_an_older_release_is_made_again(older: Path, release: Path, model: FakeOpenAI, tmp_path: Path) -> None:
    """From the journal, without a request."""
    shutil.copytree(older, tmp_path / "personagen")
    shutil.copytree(release.with_name("personagen.run"), tmp_path / "personagen.run")
    sent = len(model.requests)
    make_release(tmp_path / "personagen", model.url, RECIPE)
    assert len(model.requests) == sent
    assert bytes_of(tmp_path / "personagen") == bytes_of(release)
    assert bytes_of(tmp_path / "personagen.1") == bytes_of(older)


def test_an_unfinished_run_of_version_0_1_has_other_personas_and_is_refused_in_words(tmp_path: Path) -> None:
    """`run-0.1` was left by version 0.1 when the budget was spent: its 13 replies are to personas of former tables."""
    with FakeOpenAI() as server:
        shutil.copytree(GOLDEN / "run-0.1", tmp_path / "personagen.run")
        before = bytes_of(tmp_path)
        with pytest.raises(FolderError, match=r"personagen\.run has a run with other tables of personas, "):
            make_release(tmp_path / "personagen", server.url, RECIPE)
        assert not server.requests and before.items() <= bytes_of(tmp_path).items()
        out = make_release(tmp_path / "personagen", server.url, RECIPE, fresh=True)
    assert verify_folder(out).problems == ()
    assert (tmp_path / "personagen.run.1" / "run.json").is_file()


@pytest.mark.parametrize(
    ("text", "fingerprint"),
    [("rows: 35\nexpression: shown", "1049e0a62b94742b"), (RECIPE, "918cf0d6c4683180")],
    ids=["plain", "counterfactuals"],
)
def test_fingerprints_are_those_of_version_0_1(text: str, fingerprint: str) -> None:
    """Its unfinished runs have these fingerprints."""
    assert parse_recipe(text, "t", {"backend.kind": "openai", "backend.model": "fake-1"}).fingerprint() == fingerprint
