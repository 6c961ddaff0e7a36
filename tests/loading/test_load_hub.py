"""Loading a release from the Hub with the real clients; and the examples in the card."""

import json
import re
import shutil
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.helpers.releasing import NAMES, RECIPE, ROOT, make_release, records, run_python
from tests.helpers.servers.fake_openai import FakeOpenAI
from tests.helpers.servers.hub.server import Hub

HEAD = """
import json, os
import datasets
from datasets import load_dataset
datasets.disable_progress_bars()
def show(value): print(json.dumps(value))
def refused(**options):
    try: load_dataset(**options)
    except Exception as error: show([type(error).__name__, str(error)])
"""


@pytest.fixture(scope="module")
def hub(release: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """Serve the release as user/personagen with the tag v1.0.0, and another dataset as user/other."""
    other = tmp_path_factory.mktemp("other")
    (other / "rows.jsonl").write_text('{"text": "x"}\n')
    with Hub() as running:
        running.publish("user/personagen", release, tag="v1.0.0")
        running.publish("user/other", other)
        yield running


def on_hub(hub: Hub, cwd: Path, code: str, **env: str) -> list[object]:
    """Run code against the Hub with a cache of its own; return the values that it printed."""
    own = {"HF_HOME": str(cwd / "hf"), "PYTHONPATH": str(ROOT)}
    return [json.loads(line) for line in run_python(HEAD + code, cwd, **hub.env(), **own, **env).splitlines()]


def texts(release: Path, config: str, split: str = "train") -> list[str]:
    return [row["text"] for row in records(release, config, split)]


def test_plain_datasets_reads_the_repository(hub: Hub, release: Path, tmp_path: Path) -> None:
    code = """
show(load_dataset("user/personagen", "joy", split="train")["text"][:])
show({name: rows.num_rows for name, rows in load_dataset("user/personagen").items()})
show([row["text"] for row in load_dataset("user/personagen", "joy", split="train", streaming=True)])
show(load_dataset("user/personagen", "joy", split="train[:2]", revision="v1.0.0")["text"][:])
show(load_dataset("user/personagen", "joy", split="train", columns=["id"], filters=[("intensity", "==", "low")]).shape)
show(load_dataset("user/personagen", split="train", num_proc=2).num_rows)
show(datasets.get_dataset_config_names("user/personagen"))
show(load_dataset("user/personagen", "plain", split="test").column_names)
show(list(next(iter(load_dataset("user/personagen", "plain", split="test", streaming=True)))))
"""
    joy, rows, streamed, two, part, apart, configs, plain, streamed_plain = on_hub(hub, tmp_path, code)
    assert joy == streamed == texts(release, "joy") and two == texts(release, "joy")[:2]
    assert rows == {"train": 56, "validation": 7, "test": 7} and part == [4, 1] and apart == 56
    assert configs == list(NAMES) and plain == streamed_plain == ["text", "label"]


@pytest.mark.slow
def test_loading_one_emotion_lists_no_other_but_the_first(hub: Hub, tmp_path: Path) -> None:
    """To load any configuration, `datasets` looks up the files of the first one."""
    before = len(hub.requests)
    assert on_hub(hub, tmp_path, 'show(load_dataset("user/personagen", "joy", split="train").num_rows)') == [8]
    asked = [path.partition("/tree/")[2].partition("/")[2] for path in hub.requests[before:] if "/tree/" in path]
    assert set(asked) == {"", "anger", "joy"}


BARE = """
import personagen_dataset
show(load_dataset("personagen", "joy", split="train")["text"][:])
show([row["text"] for row in load_dataset("personagen", "joy", split="train", streaming=True)])
show(load_dataset("personagen", emotions=["joy"], depth="none", split="train").num_rows)
show(load_dataset("personagen", "joy", split="test", revision="v1.0.0")["text"][:])
show(load_dataset("personagen", "joy", split="test", data_dir="hf://datasets/user/personagen@v1.0.0")["text"][:])
show(datasets.get_dataset_config_names("personagen"))
"""


@pytest.mark.slow
@pytest.mark.parametrize("named", ["user/personagen", "hf://datasets/user/personagen@main"])
def test_the_bare_name_finds_the_repository_that_the_environment_names(
    named: str, hub: Hub, release: Path, tmp_path: Path
) -> None:
    joy, streamed, part, tagged, given, configs = on_hub(hub, tmp_path, BARE, PERSONAGEN_RELEASE=named)
    assert joy == streamed == texts(release, "joy") and part == 8
    assert tagged == given == texts(release, "joy", "test")
    assert configs == list(NAMES)


@pytest.mark.slow
def test_a_loaded_release_is_available_offline(hub: Hub, release: Path, tmp_path: Path) -> None:
    env = {"PERSONAGEN_RELEASE": "user/personagen"}
    code = 'import personagen_dataset\nshow(load_dataset("personagen", "joy", split="train")["text"][:])'
    (first,) = on_hub(hub, tmp_path, code, **env)
    asked = len(hub.requests)
    offline = 'os.environ["HF_HUB_OFFLINE"] = "1"\n'
    own = {"HF_HOME": str(tmp_path / "hf"), "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"}
    (second,) = run_python(HEAD + offline + code, tmp_path, **own, **env).splitlines()
    assert first == json.loads(second) == texts(release, "joy") and len(hub.requests) == asked


@pytest.mark.slow
def test_a_new_release_is_never_served_stale(hub: Hub, release: Path, model: FakeOpenAI, tmp_path: Path) -> None:
    code = """
import personagen_dataset
for name, options in (("user/moving", {}), ("personagen", {"data_dir": "hf://datasets/user/moving"})):
    show(load_dataset(name, "joy", split="train", **options)["text"][:])
"""
    newer = make_release(tmp_path / "newer", model.url, RECIPE, seed=9)
    assert texts(release, "joy") != texts(newer, "joy")
    for folder in (release, newer):
        hub.publish("user/moving", folder)
        assert on_hub(hub, tmp_path, code) == [texts(folder, "joy")] * 2


def test_what_the_hub_does_not_have(hub: Hub, tmp_path: Path) -> None:
    code = """
import personagen_dataset
part = "hf://datasets/user/personagen/joy"
for source in ("user/missing", "user/other", "user/personagen@v9", part, "user/personagen"):
    refused(path="personagen", name="joi", data_dir=source)
refused(path="personagen", revision="v7", data_dir="user/personagen")
"""
    missing, other, revision, part, joi, named = [dict([answer]) for answer in on_hub(hub, tmp_path, code)]
    serves = (
        r"no such folder, and the Hub serves no manifest\.json of it \({}\); check the name and the revision, or log in"
    )
    for answer, start, error in (
        (missing, "no release user/missing@main: ", "RepositoryNotFoundError"),
        (other, "no release user/other@main: ", "RemoteEntryNotFoundError"),
        (revision, "no release user/personagen@v9: ", "RevisionNotFoundError"),
        (named, "no release user/personagen@v7: ", "RevisionNotFoundError"),
    ):
        assert re.match(start + serves.format(error), answer["FileNotFoundError"])
    assert part["FileNotFoundError"].startswith("no release in hf://datasets/user/personagen/joy: no such folder; run")
    assert re.match(r"no configuration of hf://datasets/user/personagen@\w{40}: 'joi', did you mean", joi["ValueError"])


def test_a_file_that_the_hub_does_not_have(hub: Hub, release: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(release, broken)
    (broken / "joy" / "test-00000-of-00001.parquet").unlink()
    hub.publish("user/broken", broken)
    code = 'import personagen_dataset\nrefused(path="personagen", name="joy", data_dir="user/broken")'
    (answer,) = on_hub(hub, tmp_path, code)
    assert answer[0] == "FileNotFoundError" and "joy/test-00000-of-00001.parquet" in answer[1]


@pytest.mark.slow
def test_a_private_release_takes_the_token(release: Path, tmp_path: Path) -> None:
    code = """
import personagen_dataset
options = {"path": "personagen", "name": "joy", "data_dir": "user/secret", "split": "test"}
refused(**options)
show(load_dataset(**options, token="hf_read").num_rows)
show([row["id"] for row in load_dataset(**options, token="hf_read", streaming=True)])
"""
    with Hub(tokens={"hf_write": "write", "hf_read": "read"}) as hub:
        hub.publish("user/secret", release)
        hub.repo("user/secret").private = True
        answer, rows, streamed = on_hub(hub, tmp_path, code)
    assert answer[0] == "FileNotFoundError" and "(RepositoryNotFoundError)" in answer[1]
    assert rows == 1 and streamed == [row["id"] for row in records(release, "joy", "test")]


def blocks(card: str) -> list[str]:
    """Return the Python code blocks of a card."""
    return re.findall(r"```python\n(.*?)```", card, flags=re.DOTALL)


@pytest.mark.slow
def test_every_example_of_the_card_runs(hub: Hub, release: Path, tmp_path: Path) -> None:
    """One after the other in one process, in the folder of the release, whose name on the Hub is user/personagen."""
    shutil.copytree(release, tmp_path / "rel_x")
    found = blocks((release / "README.md").read_text(encoding="utf-8"))
    assert len(found) == 5
    runnable = [block for block in found if "sklearn" not in block or find_spec("sklearn")]  # of the extra `metrics`
    whole = "\n".join(runnable).replace("USER/NAME", "user/personagen")
    code = 'load_dataset("user/personagen", "anger")\n' + whole + '\nshow("ran")'
    assert on_hub(hub, tmp_path / "rel_x", code)[-1] == "ran"


@pytest.mark.slow
def test_the_examples_read_the_same_rows(hub: Hub, release: Path, tmp_path: Path) -> None:
    """Pandas, Polars and DuckDB read the same rows, in the folder and on the Hub."""
    code = """
import duckdb, pandas as pd, polars as pl, pyarrow.dataset
from huggingface_hub import HfFileSystem
joy = pyarrow.dataset.dataset("datasets/user/personagen/joy", filesystem=HfFileSystem(), format="parquet")
show(sorted(pd.read_parquet("hf://datasets/user/personagen/joy")["text"]))
show(sorted(pl.scan_pyarrow_dataset(joy).select("text").collect()["text"]))
show(sorted(text for text, in duckdb.sql("SELECT text FROM joy").fetchall()))
show(sorted(pd.read_parquet("personagen/joy")["text"]))
show(sorted(pl.scan_parquet("personagen/joy/*.parquet").select("text").collect()["text"]))
show(sorted(text for text, in duckdb.sql("SELECT text FROM 'personagen/joy/*.parquet'").fetchall()))
show(dict(duckdb.sql("SELECT id, demographic.age FROM 'personagen/joy/*.parquet'").fetchall()))
"""
    shutil.copytree(release, tmp_path / "personagen")
    *six, ages = on_hub(hub, tmp_path, code)
    assert six == [sorted(texts(release, "joy", "*"))] * 6
    assert ages == {row["id"]: row["demographic"]["age"] for row in records(release, "joy")}
