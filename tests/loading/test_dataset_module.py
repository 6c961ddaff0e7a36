"""`personagen_dataset`: the builder, the names that it resolves, and parts of a release."""

import json
import pickle
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from datasets import load_dataset, load_dataset_builder

import personagen_dataset
from personagen.builder.core.records import LAYERS, PLAIN_VERSION, SPLITS
from personagen_dataset import PersonaGen
from tests.helpers.releasing import (
    CONFIGS,
    EMOTIONS,
    NAMES,
    ROOT,
    features_of,
    make_release,
    manifest_of,
    records,
    rewrite,
    run_python,
)
from tests.helpers.servers.fake_openai import FakeOpenAI

IS_SCRIPT_AGE = int(datasets.__version__.split(".")[0]) < 4


def built(release: Path, config: str | None, cache: Path, **options: Any) -> PersonaGen:
    """Read a release with the builder."""
    builder = PersonaGen(cache_dir=str(cache), config_name=config, data_dir=str(release), **options)
    builder.download_and_prepare()
    return builder


# The builder, without `load_dataset`.


@pytest.mark.parametrize("config", CONFIGS)
def test_the_builder_reads_every_configuration(config: str, release: Path, tmp_path: Path) -> None:
    builder = built(release, config, tmp_path)
    assert builder.info.features == features_of(release, config)
    for split in SPLITS:
        assert builder.as_dataset(split=split).to_list() == records(release, config, split)


def test_the_default_configuration_is_all(release: Path, tmp_path: Path) -> None:
    builder = built(release, None, tmp_path)
    assert builder.config.name == "all"
    assert builder.as_dataset(split="train").num_rows == 56


def test_the_builder_knows_rows_and_columns_before_it_reads(release: Path, tmp_path: Path) -> None:
    info = PersonaGen(cache_dir=str(tmp_path), config_name="joy", data_dir=str(release)).info
    assert {name: split.num_examples for name, split in info.splits.items()} == {"train": 8, "validation": 1, "test": 1}
    assert info.features == features_of(release, "joy")
    assert str(info.version) == PLAIN_VERSION == "1.3.0"
    assert info.license == "terms-of-the-model" and info.citation == manifest_of(release)["citation"]


def test_the_builder_streams(release: Path, tmp_path: Path) -> None:
    builder = PersonaGen(cache_dir=str(tmp_path), config_name="joy", data_dir=str(release))
    assert list(builder.as_streaming_dataset(split="validation")) == records(release, "joy", "validation")


def test_the_builder_writes_parquet(release: Path, tmp_path: Path) -> None:
    builder = PersonaGen(cache_dir=str(tmp_path), config_name="joy", data_dir=str(release))
    builder.download_and_prepare(str(tmp_path / "out"), file_format="parquet")
    (path,) = (tmp_path / "out").glob("*train*.parquet")
    assert pq.read_table(path).to_pylist() == records(release, "joy", "train")


def test_a_builder_can_be_sent_to_another_process(release: Path, tmp_path: Path) -> None:
    builder = pickle.loads(pickle.dumps(built(release, "all", tmp_path, emotions=["joy"], depth="none")))
    assert builder.as_dataset(split="test").num_rows == 1


def test_the_builder_never_serves_a_release_made_again_stale(model: FakeOpenAI, tmp_path: Path) -> None:
    for seed in (0, 1):
        folder = make_release(tmp_path / "personagen", model.url, rows=10, emotions=["joy"], seed=seed, fresh=seed > 0)
        rows = built(folder, "joy", tmp_path / "cache").as_dataset(split="train").to_list()
        assert rows == records(folder, "joy", "train")


def test_the_builder_never_serves_the_release_of_another_working_directory(
    model: FakeOpenAI, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed in (0, 1):
        here = tmp_path / f"place{seed}"
        folder = make_release(here / "personagen", model.url, rows=10, emotions=["joy"], seed=seed)
        monkeypatch.chdir(here)
        rows = built(Path("personagen"), "joy", tmp_path / "cache").as_dataset(split="train").to_list()
        assert rows == records(folder, "joy", "train")


# The name "personagen", for a release in any place.


@pytest.mark.parametrize("config", ["all", "joy", "depth_none", *LAYERS])
def test_the_bare_name_finds_the_folder_here(config: str, beside: Path) -> None:
    loaded = load_dataset("personagen", config)
    for split in SPLITS:
        assert loaded[split].to_list() == records(beside, config, split)


def test_the_bare_name_finds_the_folder_that_the_environment_names(
    release: Path, away: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PERSONAGEN_RELEASE", str(release))
    assert load_dataset("personagen", "joy", split="train").to_list() == records(release, "joy", "train")


def test_a_folder_here_goes_before_the_environment(
    model: FakeOpenAI, beside: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = make_release(tmp_path / "other", model.url, rows=10, emotions=["joy"], seed=5)
    monkeypatch.setenv("PERSONAGEN_RELEASE", str(other))
    assert load_dataset("personagen", "joy", split="train").to_list() == records(beside, "joy", "train")
    named = load_dataset("personagen", "joy", split="train", data_dir=str(other))
    assert named.to_list() == records(other, "joy", "train")


def test_a_folder_here_that_is_no_release_gives_way_to_the_environment(
    release: Path, away: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (away / "personagen").mkdir()
    (away / "personagen" / "manifest.json").write_text('{"name": "an app", "icons": []}')
    monkeypatch.setenv("PERSONAGEN_RELEASE", str(release))
    assert load_dataset("personagen", "joy", split="test").to_list() == records(release, "joy", "test")


def test_the_look_ups_of_datasets_know_the_bare_name(beside: Path) -> None:
    assert tuple(datasets.get_dataset_config_names("personagen")) == NAMES
    assert datasets.get_dataset_default_config_name("personagen") == "all"
    assert datasets.get_dataset_split_names("personagen", "joy") == list(SPLITS)
    assert load_dataset_builder("personagen", "joy").info.features == features_of(beside, "joy")


def test_the_bare_name_takes_what_load_dataset_takes(beside: Path) -> None:
    train = records(beside, "joy", "train")
    assert load_dataset("personagen", "joy", split="train[:3]").to_list() == train[:3]
    assert list(load_dataset("personagen", "joy", split="train", streaming=True)) == train
    two = load_dataset("personagen", "joy", split="train", columns=["label", "text"])
    assert two.to_list() == [{"text": row["text"], "label": row["label"]} for row in train]
    assert two.column_names == ["text", "label"]  # in the order of the release, as in the parquet builder
    low = load_dataset("personagen", "joy", split="train", filters=[("intensity", "==", "low")])
    assert low.to_list() == [row for row in train if row["intensity"] == "low"] and len(low) == 4
    apart = load_dataset("personagen", split="train", num_proc=2)
    assert apart.to_list() == records(beside, "all", "train")
    everything = load_dataset("personagen", "joy", verification_mode="all_checks")
    assert everything.num_rows == {"train": 8, "validation": 1, "test": 1}


def test_data_files_are_still_those_of_the_folder(beside: Path) -> None:
    loaded = load_dataset("personagen", data_files={"train": "joy/train-*.parquet"}, split="train")
    assert loaded.to_list() == records(beside, "joy", "train")


def test_the_builder_has_no_files_but_those_of_the_release(release: Path) -> None:
    with pytest.raises(ValueError, match=r"^data_files: the files of a release are those of its manifest; choose by"):
        PersonaGen(data_dir=str(release), data_files={"train": "x.parquet"})


@pytest.mark.parametrize("path", ["personagen", "./personagen", "{release}"])
def test_the_path_of_a_release_takes_the_arguments_of_the_builder(path: str, beside: Path) -> None:
    loaded = load_dataset(path.format(release=beside), emotions=["joy"], depth="none", split="train")
    assert loaded.to_list() == [row for row in records(beside, "depth_none", "train") if row["label"] == 3]
    assert datasets.get_dataset_config_names(path.format(release=beside)) == list(NAMES)


def test_other_folders_are_unaffected(release: Path, away: Path) -> None:
    (away / "texts").mkdir()
    (away / "texts" / "train.jsonl").write_text('{"text": "x"}\n')
    assert load_dataset("texts", split="train").to_list() == [{"text": "x"}]
    joy = load_dataset(str(release), data_dir="joy", split="test")  # a folder of the release, with no configurations
    assert joy.to_list() == records(release, "joy", "test")


def test_a_star_import_brings_the_public_names_only() -> None:
    names: dict[str, Any] = {}
    exec("from personagen_dataset import *", names)
    assert sorted(set(names) - {"__builtins__"}) == ["PersonaGen", "features", "open_release", "resolve_names"]
    assert names["PersonaGen"] is PersonaGen


def test_the_name_is_wrapped_once() -> None:
    once = datasets.load.dataset_module_factory
    personagen_dataset.resolve_names()
    assert datasets.load.dataset_module_factory is once


@pytest.mark.skipif(not IS_SCRIPT_AGE, reason="datasets 4 removed loading scripts")
def test_the_file_is_a_loading_script(beside: Path) -> None:
    script = str(ROOT / "personagen_dataset.py")
    loaded = load_dataset(script, "joy", trust_remote_code=True)
    assert loaded["train"].to_list() == records(beside, "joy", "train")
    part = load_dataset(script, emotions=["joy"], depth="none", split="train", trust_remote_code=True)
    assert [row["id"] for row in part] == [
        row["id"] for row in records(beside, "depth_none", "train") if row["label"] == 3
    ]
    streamed = load_dataset(script, "joy", split="train", streaming=True, trust_remote_code=True)
    assert list(streamed) == loaded["train"].to_list()
    plain = load_dataset(script, "plain", split="test", trust_remote_code=True)
    assert plain.to_list() == [{key: row[key] for key in ("text", "label")} for row in records(beside, "all", "test")]
    elsewhere = load_dataset(script, "joy", data_dir=str(beside), split="test", trust_remote_code=True)
    assert elsewhere.to_list() == records(beside, "joy", "test")
    assert tuple(datasets.get_dataset_config_names(script, trust_remote_code=True)) == NAMES


@pytest.mark.skipif(not IS_SCRIPT_AGE, reason="datasets 5 writes no infos")
def test_nothing_is_written_beside_the_module(beside: Path) -> None:
    with pytest.raises(ValueError, match=r"^save_infos would write a README beside this module; a release has"):
        load_dataset("personagen", "joy", save_infos=True)


@pytest.mark.skipif(IS_SCRIPT_AGE, reason="datasets 3 runs loading scripts")
def test_newer_versions_refuse_the_file_as_a_script(beside: Path) -> None:
    with pytest.raises(RuntimeError, match=r"scripts are no longer supported, but found personagen_dataset\.py"):
        load_dataset(str(ROOT / "personagen_dataset.py"), "joy")


# Parts of a release.


@pytest.mark.parametrize(
    ("config", "options", "folder", "labels"),
    [
        (None, {"emotions": ["joy", "anger"]}, "all", {0, 3}),
        (None, {"emotions": "fear"}, "fear", {2}),
        (None, {"depth": "situational"}, "all", set(range(7))),
        (None, {"depth": "none"}, "depth_none", set(range(7))),
        (None, {"emotions": ["joy", "neutral"], "depth": "demographic"}, "depth_demographic", {3, 6}),
        ("joy", {"depth": "none"}, "depth_none", {3}),
        ("joy", {"emotions": ["joy"], "depth": "situational"}, "joy", {3}),
        ("depth_none", {"depth": "none", "emotions": list(EMOTIONS)}, "depth_none", set(range(7))),
        ("situational", {"emotions": ["joy"]}, "situational", {3}),
    ],
)
def test_emotions_and_depth_choose_rows(
    config: str | None, options: dict[str, Any], folder: str, labels: set[int], beside: Path
) -> None:
    loaded = load_dataset("personagen", config, **options)
    for split in SPLITS:
        wanted = [row for row in records(beside, folder, split) if row["label"] in labels]
        assert loaded[split].to_list() == wanted and wanted
    streamed = load_dataset("personagen", config, split="train", streaming=True, **options)
    assert list(streamed) == loaded["train"].to_list()


def test_a_selection_without_rows_is_empty_and_no_error(beside: Path) -> None:
    nothing = load_dataset("personagen", "joy", filters=[("intensity", "==", "none")])
    assert nothing.num_rows == {"train": 0, "validation": 0, "test": 0}
    assert nothing["train"].features == features_of(beside, "joy")
    assert list(load_dataset("personagen", "joy", split="train[:0]")) == []


def test_conditions_add_up(beside: Path) -> None:
    for filters in ([("intensity", "==", "low")], pc.field("intensity") == "low"):
        options = {"emotions": ["joy"], "depth": "none", "filters": filters}
        loaded = load_dataset("personagen", split="train", columns=["id"], **options)
        rows = records(beside, "depth_none", "train")
        assert loaded["id"] == [row["id"] for row in rows if row["label"] == 3 and row["intensity"] == "low"]
        assert len(loaded) == 4


def with_confidences(release: Path, out: Path, groups: list[list[float | None]]) -> Path:
    """Copy a release of joy with these confidences in the training split, one row group per list."""

    def confident(table: pa.Table) -> pa.Table:
        confidences = [number for group in groups for number in group]
        is_train = table.num_rows == len(confidences)
        numbers = pa.array(confidences if is_train else [None] * table.num_rows, pa.float32())
        rows = table
        column = rows["provenance"].combine_chunks()
        parts = {field.name: column.field(field.name) for field in column.type}
        fields = list(parts)
        parts |= {"checker_label": pa.array(["joy"] * len(numbers)), "checker_confidence": numbers}
        fields[fields.index("leaked") + 1 : fields.index("leaked") + 1] = ["checker_label", "checker_confidence"]
        struct = pa.StructArray.from_arrays([parts[name] for name in fields], names=fields)
        place = rows.schema.get_field_index("provenance")
        return rows.set_column(place, "provenance", struct).replace_schema_metadata(None)

    kept = [name for name in manifest_of(release)["left_out"] if "checker" not in name]
    keys: dict[str, Any] = {"classifier": {"name": "a test"}, "left_out": kept}
    return rewrite(release, out, ("joy/", "all/"), confident, row_group=len(groups[0]), **keys)


@pytest.fixture
def sure(model: FakeOpenAI, tmp_path: Path) -> Path:
    """A release of 24 training texts of joy: high confidence for 12, low for 6, no prediction for 6."""
    release = make_release(tmp_path / "plain", model.url, rows=30, emotions=["joy"])
    return with_confidences(release, tmp_path / "personagen", [[0.9] * 6, [0.5] * 6, [None] * 6, [0.8] * 6])


def test_confidence_selects_rows_and_drops_those_without_a_prediction(sure: Path) -> None:
    loaded = load_dataset("personagen", min_confidence=0.6, split="train", data_dir=str(sure))
    assert len(loaded) == 12 and {round(row["provenance"]["checker_confidence"], 6) for row in loaded} == {0.9, 0.8}
    assert len(load_dataset("personagen", min_confidence=0, split="train", data_dir=sure)) == 18
    at = load_dataset("personagen", min_confidence=0.9, split="train", data_dir=sure)
    assert len(at) == 6  # 0.9 as a float is less than 0.9 as a double
    none = load_dataset("personagen", min_confidence=1, split="train", data_dir=str(sure))
    assert len(none) == 0 and none.features == features_of(sure, "all")
    every = load_dataset("personagen", min_confidence=0.6, data_dir=str(sure))
    assert every.num_rows == {"train": 12, "validation": 0, "test": 0}


def test_row_groups_that_no_condition_needs_are_not_read(sure: Path, tmp_path: Path) -> None:
    """Their bytes are overwritten, so that reading them fails."""
    (path,) = (sure / "all").glob("train-*.parquet")
    content = bytearray(path.read_bytes())
    metadata = pq.read_metadata(path)
    for group in (1, 2):
        columns = [metadata.row_group(group).column(index) for index in range(metadata.num_columns)]
        starts = [each.dictionary_page_offset or each.data_page_offset for each in columns]
        for start, column in zip(starts, columns, strict=True):
            content[start : start + column.total_compressed_size] = b"\xff" * column.total_compressed_size
    path.write_bytes(content)
    options: dict[str, Any] = {"split": "train", "data_dir": str(sure), "cache_dir": str(tmp_path / "cache")}
    assert len(load_dataset("personagen", min_confidence=0.6, **options)) == 12
    with pytest.raises(datasets.exceptions.DatasetGenerationError):
        load_dataset("personagen", **options)


# Other taxonomies.


@pytest.mark.parametrize(
    ("recipe", "emotions"),
    [
        (
            "taxonomy: plutchik\nrows: 16",
            ("joy", "trust", "fear", "surprise", "sadness", "disgust", "anger", "anticipation"),
        ),
        ("taxonomy: goemotions\nemotions: [grief, pride]\nrows: 10", ("grief", "pride")),
        (
            "taxonomy: {name: mine, emotions: [{name: awe, definition: wonder, like: surprise}, "
            "{name: builder, definition: none, like: joy}]}\nrows: 10",
            ("awe", "builder"),
        ),
    ],
    ids=["plutchik", "goemotions", "custom"],
)
def test_a_release_has_the_emotions_of_its_own_taxonomy(
    recipe: str, emotions: tuple[str, ...], model: FakeOpenAI, away: Path
) -> None:
    folder = make_release(away / "personagen", model.url, recipe)
    names = [emotion["name"] for emotion in manifest_of(folder)["taxonomy"]["emotions"]]
    assert sorted(names) == sorted(emotions)
    assert datasets.get_dataset_config_names("personagen") == [*names, "all", *LAYERS, "plain"]
    for number, emotion in enumerate(names):
        loaded = load_dataset("personagen", emotion, split="train")
        assert loaded.to_list() == records(folder, emotion, "train")
        assert loaded.features["label"].names == names and set(loaded["label"]) == {number}
    part = load_dataset("personagen", emotions=[names[1]], split="train")
    assert set(part["label"]) == {1}


# In processes of their own.

OFFLINE = """
import json
from datasets import load_dataset
print(json.dumps({config: load_dataset("personagen", config).num_rows["train"] for config in ("all", "joy")}))
print(json.dumps(load_dataset("personagen", "joy", split="train", streaming=True).features["label"].names))
"""


@pytest.mark.slow
@pytest.mark.parametrize("ours", ["", "import personagen_dataset"], ids=["plain", "ours"])
def test_a_local_release_needs_no_network(ours: str, release: Path, tmp_path: Path) -> None:
    """The Hub is a socket without a server: a request would arrive there."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(0.01)
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        env = {"HF_ENDPOINT": address, "HF_HUB_OFFLINE": "0", "HF_HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
        rows, names = run_python(ours + OFFLINE, release.parent, **env).splitlines()
        with pytest.raises(TimeoutError):
            silent.accept()
    assert json.loads(rows) == {"all": 56, "joy": 8} and json.loads(names) == list(EMOTIONS)


def test_the_module_imports_no_other_of_ours() -> None:
    code = (
        "import sys, personagen_dataset; print([n for n in sys.modules if n == 'torch' or n.startswith('personagen.')])"
    )
    assert run_python(code, ROOT) == "[]\n"
