"""Refusals of `personagen_dataset`, each in one line with advice; and hostile releases."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import pyarrow.parquet as pq
import pytest
from datasets import load_dataset

from personagen_dataset import PersonaGen
from tests.helpers.releasing import make_release, manifest_of, records, rewrite, write_manifest

Change = Callable[[dict[str, Any]], Any]


@pytest.fixture
def copy(release: Path, away: Path) -> Path:
    """A copy of the release for changes."""
    shutil.copytree(release, away / "personagen")
    return away / "personagen"


def refused(kind: type[Exception], message: str, config: str | None = None, **options: Any) -> None:
    """Assert that loading fails with one line, also as a stream."""
    for call in (load_dataset, load_dataset_streaming):
        with pytest.raises(kind, match=message) as caught:
            call("personagen", config, **options)
        assert "\n" not in str(caught.value)


def load_dataset_streaming(*args: Any, **options: Any) -> Any:
    return load_dataset(*args, streaming=True, **options)


@pytest.mark.parametrize(
    ("config", "options", "message"),
    [
        (
            "joi",
            {},
            r"^no configuration of .*/personagen: 'joi', did you mean 'joy'\?; known: anger, .*, situational, plain$",
        ),
        ("zebra", {}, r"^no configuration of .*/personagen: 'zebra'; known: anger"),
        ("../joy", {}, r"^no configuration of .*: '\.\./joy', did you mean 'joy'\?; known: anger"),
        (
            None,
            {"emotions": ["joy", "angr"]},
            r"^no emotion of all in .*: 'angr', did you mean 'anger'\?; known: anger, disgust",
        ),
        ("joy", {"emotions": ["anger"]}, r"^no emotion of joy in .*: 'anger'; known: joy$"),
        (None, {"emotions": []}, r"^emotions is \[\]; name at least one, or leave it out$"),
        (
            "demographic",
            {"emotions": ["joy"]},
            r"^emotions is \['joy'\], but 'demographic' is a table of personas; leave it out$",
        ),
        (None, {"depth": "deep"}, r"^no depth of .*: 'deep'; known: situational, none, demographic$"),
        (None, {"depth": "sociocultral"}, r"^no depth of .*: 'sociocultral'; known: situational, none, demographic$"),
        (
            "depth_none",
            {"depth": "demographic"},
            r"^depth is 'demographic' for 'depth_none'; leave one of the two out$",
        ),
        ("situational", {"depth": "none"}, r"^depth is 'none' for 'situational'; leave one of the two out$"),
        (
            None,
            {"min_confidence": 0.5},
            r"^min_confidence: .*/personagen has no predictions of an emotion classifier; leave it out$",
        ),
        (None, {"min_confidence": 80}, r"^min_confidence is 80, wanted a number from 0 to 1$"),
        (None, {"min_confidence": "high"}, r"^min_confidence is 'high', wanted a number from 0 to 1$"),
        (
            "demographic",
            {"min_confidence": 0.5},
            r"^min_confidence is for texts, and 'demographic' has none; leave it out$",
        ),
        (
            None,
            {"columns": ["text", "lable"]},
            r"^no column of all: 'lable', did you mean 'label'\?; known: id, text, label",
        ),
        (
            None,
            {"revision": "v1.0.0"},
            r"^revision 'v1\.0\.0' of the folder personagen: only releases on the Hub have rev",
        ),
    ],
)
def test_what_a_release_does_not_have(config: str | None, options: dict[str, Any], message: str, beside: Path) -> None:
    refused(ValueError, message, config, **options)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"emotion": ["joy"]}, r"^no argument 'emotion', did you mean 'emotions'\?; known: emotions, depth, min_conf"),
        ({"min_confidnece": 0.5}, r"^no argument 'min_confidnece', did you mean 'min_confidence'\?; known: emotions,"),
        ({"column": ["text"]}, r"^no argument 'column', did you mean 'columns'\?; known: emotions, depth, min_confi"),
        ({"source": "personagen"}, r"^no argument 'source', did you mean 'data_dir'\?; known: emotions, depth, min_c"),
        ({"qqq": 1}, r"^no argument 'qqq'; known: emotions, depth, min_confidence, data_dir, columns, filters$"),
    ],
)
def test_arguments_that_do_not_exist(arguments: dict[str, Any], message: str, beside: Path) -> None:
    refused(ValueError, message, **arguments)
    with pytest.raises(ValueError, match=message):
        PersonaGen(data_dir=str(beside), **arguments)


@pytest.mark.parametrize("name", ["batch_size", "cache_dir", "features", "writer_batch_size", "storage_options"])
def test_arguments_of_datasets_are_no_mistakes(name: str, beside: Path) -> None:
    """With their default values, they change nothing."""
    value = {"batch_size": 2, "writer_batch_size": 5}.get(name)
    assert load_dataset("personagen", "joy", split="train", **{name: value}).num_rows == 8


def test_the_builder_has_the_same_messages(release: Path, tmp_path: Path) -> None:
    message = f"^no configuration of {re.escape(str(release))}: 'joi', did you mean 'joy'\\?; known: anger"
    with pytest.raises(ValueError, match=message):
        PersonaGen(cache_dir=str(tmp_path), config_name="joi", data_dir=str(release))


OTHERS = r"run `personagen generate`, or name a folder or USER/NAME on the Hub \(`data_dir=` of `load_dataset`\)$"


def test_no_release_anywhere(away: Path) -> None:
    refused(FileNotFoundError, rf"^no release: no folder 'personagen' here, PERSONAGEN_RELEASE is not set; {OTHERS}")


def test_a_folder_that_is_no_release(away: Path) -> None:
    (away / "personagen").mkdir()
    (away / "personagen" / "rows.jsonl").write_text('{"text": "x"}\n')
    refused(FileNotFoundError, rf"^personagen is no release: no manifest\.json; {OTHERS}")


def test_a_named_folder_that_is_not_there(away: Path) -> None:
    refused(FileNotFoundError, rf"^no release in \./nowhere: no such folder; {OTHERS}", data_dir="./nowhere")


@pytest.mark.parametrize("named", ["/nowhere/at/all", "./nowhere", "hf://datasets/user", "s3://bucket/x"])
def test_an_environment_variable_without_a_release(named: str, away: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PERSONAGEN_RELEASE", named)
    message = rf"^PERSONAGEN_RELEASE='{re.escape(named)}': no folder, no hf://datasets/USER/NAME; correct it$"
    refused(FileNotFoundError, message)


def test_the_hub_without_a_network(away: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PERSONAGEN_RELEASE", "user/personagen")
    refused(
        ConnectionError, r"^no folder 'user/personagen', and no answer from the Hub \(.*\); check name and network$"
    )


def test_a_missing_file(copy: Path) -> None:
    (copy / "joy" / "train-00001-of-00002.parquet").unlink()
    message = r"/personagen/joy/train-00001-of-00002\.parquet is missing; run its `generate` command again, .* again$"
    refused(FileNotFoundError, message, "joy")
    (copy / "all" / "train-00003-of-00012.parquet").unlink()
    refused(FileNotFoundError, r"/personagen/all/train-00003-of-00012\.parquet is missing; run its `generate` comm")
    assert load_dataset("personagen", "anger", split="train").to_list() == records(copy, "anger", "train")


def test_a_file_that_is_cut_off(copy: Path) -> None:
    assert load_dataset("personagen", "joy", split="train").num_rows == 8  # cached, and not served from the cache
    path = copy / "joy" / "train-00000-of-00002.parquet"
    content = path.read_bytes()
    path.write_bytes(content[:-100])
    size = len(content)
    refused(
        ValueError, rf"/train-00000-of-00002\.parquet has {size - 100} bytes, wanted {size}: cut off or changed;", "joy"
    )


def test_a_file_of_the_right_size_with_other_rows(copy: Path, release: Path, tmp_path: Path) -> None:
    """The manifest is consistent and has the right sizes, but counts too many rows."""
    other = rewrite(release, tmp_path / "other", "joy/train-", lambda table: table.slice(0, 3))
    manifest = manifest_of(other)
    for shard in manifest["shards"]:
        shard["rows"] += shard["path"] == "joy/train-00000-of-00002.parquet"
    manifest["configs"]["joy"]["rows"]["train"] += 1
    write_manifest(other, manifest)
    with pytest.raises(datasets.exceptions.NonMatchingSplitsSizesError, match=r"num_examples=7.*num_examples=6"):
        load_dataset("personagen", "joy", data_dir=str(other))


def test_bytes_that_are_no_parquet(copy: Path) -> None:
    path = copy / "joy" / "train-00000-of-00002.parquet"
    path.write_bytes(b"x" * path.stat().st_size)
    with pytest.raises(datasets.exceptions.DatasetGenerationError) as caught:
        load_dataset("personagen", "joy")
    assert "magic bytes" in str(caught.value.__cause__)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda manifest: manifest.update(format="other/3"),
            r"has format 'other/3', wanted 'personagen-release/1'; na",
        ),
        (lambda manifest: manifest.pop("format"), r"has format None, wanted 'personagen-release/1'"),
        (
            lambda manifest: manifest.update(version="2.1.0", personagen="9.0"),
            r"^the manifest of personagen has columns of version '2\.1\.0', this module reads 1\.4\.0; "
            r"use the version of personagen that made it \('9\.0'\)$",
        ),
        (
            lambda manifest: manifest.pop("shards"),
            r"^the manifest of personagen is not complete \(KeyError\('shards'\)\); ",
        ),
        (lambda manifest: manifest.update(taxonomy=None), r"is not complete \(TypeError"),
        (lambda manifest: manifest.update(configs=[]), r"is not complete \(TypeError"),
        (lambda manifest: manifest["shards"][0].update(rows="many"), r"lists \{.*\}, which no release does; run its"),
        (lambda manifest: manifest["shards"][0].update(rows=-1), r"lists \{.*\}, which no release does; run its"),
        (lambda manifest: manifest["shards"][0].update(sha256="../x"), r"lists \{.*\}, which no release does; run its"),
        (lambda manifest: manifest["shards"][0].pop("bytes"), r"is not complete \(KeyError\('bytes'\)\); run its"),
        (
            lambda manifest: manifest["shards"].append(manifest["shards"][0]),
            r"has an unknown depth, or lists a file twice",
        ),
        (lambda manifest: manifest.update(version=1), r"has columns of version '1', this module reads 1\.4\.0; use"),
        (
            lambda manifest: manifest.update(version="1.0.0/../../x"),
            r"has columns of version '1\.0\.0/\.\./\.\./x', this",
        ),
        (
            lambda manifest: manifest.update(fingerprint="../../x"),
            r"has the name '\.\./\.\./x', which no release has; run",
        ),
        (
            lambda manifest: manifest.update(fingerprint="/tmp/x"),
            r"has the name '/tmp/x', which no release has; run its `generate`",
        ),
        (lambda manifest: manifest["views"]["plain"].update(of="x"), r"is not complete \(KeyError\('x'\)\); run its"),
        (
            lambda manifest: manifest["recipe"].update(depth=7),
            r"^the manifest of personagen has an unknown depth",
        ),
        (
            lambda manifest: manifest["shards"][0].update(rows=99),
            r"^the manifest of personagen counts \{'train': 8, .*\} as rows of anger, its files have \{'train': 102",
        ),
        (
            lambda manifest: manifest["shards"].pop(0),
            r"^the manifest of personagen counts .* as rows of anger, its files have .*; run its",
        ),
    ],
)
def test_a_manifest_that_cannot_be_trusted(change: Change, message: str, copy: Path) -> None:
    manifest = manifest_of(copy)
    change(manifest)
    write_manifest(copy, manifest)
    refused(ValueError, message)


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '"x"', "\ufeff{}", "[" * 100_000], ids=range(7))
def test_a_manifest_that_is_no_manifest(content: str, copy: Path) -> None:
    (copy / "manifest.json").write_text(content, encoding="utf-8")
    refused(
        ValueError,
        r"manifest of personagen(:| has format ).*; (run its .* or download it again|name another folder)$",
    )


@pytest.mark.parametrize(
    "path", ["../secret/train-00000-of-00001.parquet", "/etc/passwd", "joy/../../x.parquet", "joy/train.parquet"]
)
def test_a_path_that_leads_out_of_the_release(path: str, copy: Path) -> None:
    manifest = manifest_of(copy)
    manifest["shards"][0]["path"] = path
    write_manifest(copy, manifest)
    refused(
        ValueError,
        rf"^the manifest of personagen lists \{{'path': '{re.escape(path)}', .*, which no release does; run its",
    )


@pytest.mark.parametrize("name", ["../joy", "joy/../..", "/tmp/joy", "Joy", "joy\n", ""])
def test_a_configuration_that_leads_out_of_the_cache(name: str, copy: Path) -> None:
    manifest = manifest_of(copy)
    manifest["configs"][name] = manifest["configs"]["joy"]
    write_manifest(copy, manifest)
    refused(
        ValueError,
        rf"^the manifest of personagen has the name {re.escape(repr(name))}, which no release has; run its `generate`",
    )


@pytest.mark.usefixtures("plain_datasets")
def test_hostile_yaml_is_harmless_with_plain_datasets(copy: Path, tmp_path: Path) -> None:
    """`datasets` refuses a name in the YAML that would lead out of the cache."""
    card = (copy / "README.md").read_text(encoding="utf-8")
    (copy / "README.md").write_text(card.replace("config_name: joy", "config_name: ../../../joy"), encoding="utf-8")
    with pytest.raises(datasets.builder.InvalidConfigName, match=r"Bad characters"):
        load_dataset(str(copy), "../../../joy", cache_dir=str(tmp_path / "a" / "b" / "c" / "d"))
    assert not list(tmp_path.glob("a/**/joy*"))


def test_no_manifest_deletes_a_folder_of_its_choice(copy: Path, tmp_path: Path) -> None:
    """The fingerprint and the version are parts of the path of the cache."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("ten years")
    for key in ("fingerprint", "version"):
        for value in (str(tmp_path / "mine"), f"1.0.0/../../../..{tmp_path}/mine"):
            manifest = manifest_of(copy)
            manifest[key] = value
            write_manifest(copy, manifest)
            refused(ValueError, r"^the manifest of personagen has (the name|columns of version) ", "joy")
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "ten years"


def test_a_release_of_another_program_with_a_manifest(away: Path) -> None:
    (away / "personagen").mkdir()
    (away / "personagen" / "manifest.json").write_text(json.dumps({"name": "app", "icons": []}))
    refused(
        ValueError, r"^the manifest of personagen has format None, wanted 'personagen-release/1'; name another folder$"
    )


def test_a_recipe_at_depth_none_has_no_layers(away: Path, model: Any) -> None:
    make_release(away / "personagen", model.url, "rows: 10\nemotions: [joy]\ndepth: none")
    refused(ValueError, r"^no configuration of .*: 'demographic'; known: joy, all, plain$", "demographic")
    refused(ValueError, r"^no depth of .*: 'situational'; known: none$", depth="situational")
    assert load_dataset("personagen", depth="none", split="train").num_rows == 8
    assert pq.read_table(away / "personagen" / "joy").num_rows == 10
