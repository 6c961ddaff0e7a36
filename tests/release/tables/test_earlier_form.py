"""Releases of the form before version 1.3.0: tests/golden/release-1.2 was made by the version before this one."""

import shutil
from pathlib import Path

import pytest
from datasets import load_dataset

import personagen_dataset
from personagen.builder.release.texts import read_texts
from tests.helpers.command import Run
from tests.helpers.pushing import Pusher, held, served
from tests.helpers.releasing import GOLDEN, features_of, manifest_of, records
from tests.helpers.servers.hub.server import Hub

NOTE = "(columns 1.2.0: `all` is one emotion after another, without their names)"


@pytest.fixture
def earlier(tmp_path: Path) -> Path:
    return Path(shutil.copytree(GOLDEN / "release-1.2", tmp_path / "earlier"))


def test_it_is_verified_and_its_form_is_named(earlier: Path, run: Run) -> None:
    done = run("verify", str(earlier))
    assert done.code == 0 and done.out == f"{earlier}: 11 files, 38 rows, all match the manifest {NOTE}\n"
    assert '"columns": "1.2.0"' in run("verify", str(earlier), "--json").out


@pytest.mark.parametrize("config", ["all", "joy", "situational", "demographic", "counterfactual_gender"])
@pytest.mark.parametrize("ours", [True, False])
def test_it_is_loaded(earlier: Path, config: str, ours: bool, request: pytest.FixtureRequest) -> None:
    if not ours:
        request.getfixturevalue("plain_datasets")
    loaded = load_dataset(str(earlier), config, split="train")
    assert loaded.features == features_of(earlier, config) and "emotion" not in loaded.features
    names = ("joy", "fear") if config == "all" else (config,)
    assert sorted(loaded.to_list(), key=str) == sorted(
        (row for name in names for row in records(earlier, name, "train")), key=str
    )


def test_parts_of_it_are_loaded(earlier: Path) -> None:
    both = load_dataset(str(earlier), emotions=["joy", "fear"], split="test")
    assert sorted(both["label"]) == [0] * 3 + [1] * 3
    one = load_dataset(str(earlier), emotions="joy", split="test")
    assert one.to_list() == records(earlier, "joy", "test")
    assert personagen_dataset.open_release(earlier).emotions == ["fear", "joy"]


def test_its_texts_are_read(earlier: Path) -> None:
    texts = read_texts(earlier, manifest_of(earlier))
    assert len(texts.texts) == 12 and {row["emotion"] for row in texts.rows} == {"joy", "fear"} == {*texts.labels}


def test_it_is_pushed_and_verified_there(earlier: Path, tmp_path: Path) -> None:
    with Hub() as hub, Pusher(hub, tmp_path / "home") as pusher:
        pusher.push(earlier, "user/earlier")
        assert served(hub, "user/earlier") == held(earlier)
        assert pusher.verify("user/earlier")["problems"] == []
