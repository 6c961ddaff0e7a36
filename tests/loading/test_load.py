"""Loading a release with `datasets` alone, by name and by path, and with pandas."""

import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import datasets
import pandas as pd  # type: ignore[import-untyped]
import pytest
from datasets import ClassLabel, DatasetDict, load_dataset, load_dataset_builder

from personagen.builder.core.records import LAYERS, SPLITS
from tests.helpers.releasing import (
    CONFIGS,
    EMOTIONS,
    NAMES,
    features_of,
    make_release,
    manifest_of,
    records,
    run_python,
)
from tests.helpers.servers.fake_openai import FakeOpenAI

pytestmark = pytest.mark.usefixtures("plain_datasets")


def plain(config: str, **options: Any) -> DatasetDict:
    """Load every split of a configuration by the name of the folder."""
    loaded = load_dataset("personagen", config, **options)
    assert isinstance(loaded, DatasetDict)
    return loaded


def named(record: dict[str, Any]) -> dict[str, Any]:
    """Return a row with the name of its label."""
    return record | {"label": EMOTIONS[record["label"]]}


@pytest.mark.parametrize("config", EMOTIONS)
def test_every_emotion_loads_by_name(config: str, beside: Path) -> None:
    loaded = plain(config)
    assert loaded.num_rows == {"train": 8, "validation": 1, "test": 1}
    for split, rows in loaded.items():
        assert rows.to_list() == records(beside, config, str(split))
        assert {EMOTIONS[label] for label in rows["label"]} == {config}


def test_the_default_has_the_rows_of_every_emotion_mixed(beside: Path) -> None:
    loaded = load_dataset("personagen")
    assert isinstance(loaded, DatasetDict)
    assert loaded.num_rows == {"train": 56, "validation": 7, "test": 7}
    for split in SPLITS:
        rows = loaded[split].to_list()
        wanted = [record for emotion in EMOTIONS for record in records(beside, emotion, split)]
        assert rows == records(beside, "all", split) == plain("all")[split].to_list()
        assert sorted(rows, key=lambda row: row["id"]) == sorted(wanted, key=lambda row: row["id"])
        assert [EMOTIONS[row["label"]] for row in rows] == [row["emotion"] for row in rows]
    assert {row["emotion"] for row in load_dataset("personagen", split="train[:14]")} == set(EMOTIONS)


@pytest.mark.parametrize(
    ("config", "key"), [(layer, "persona_id") for layer in LAYERS[:2]] + [(LAYERS[2], "situation_id")]
)
def test_every_layer_loads_by_name(config: str, key: str, beside: Path) -> None:
    loaded = plain(config)
    for split, rows in loaded.items():
        assert rows.to_list() == records(beside, config, str(split))
    keys = [value for rows in loaded.values() for value in rows[key]]
    assert len(keys) == len(set(keys)) == (70 if config == "situational" else 36)


@pytest.mark.parametrize("depth", ["none", "demographic"])
def test_every_ablation_loads_by_name_with_its_layers_and_no_deeper_one(depth: str, beside: Path) -> None:
    loaded = plain(f"depth_{depth}")
    assert loaded.num_rows == {"train": 56, "validation": 7, "test": 7}
    for row in (row for rows in loaded.values() for row in rows):
        assert row["depth"] == depth
        assert ("demographic" in row) == ("persona_id" in row) == (depth == "demographic")
        assert not {"sociocultural", "situational", "situation_id"} & set(row)


@pytest.mark.parametrize("config", ["joy", "all", "depth_none", "situational"])
def test_columns_licence_and_citation_are_known_before_a_file_is_read(config: str, beside: Path) -> None:
    info = load_dataset_builder("personagen", config).info
    assert info.features == features_of(beside, config)
    assert info.license == "terms-of-the-model" and info.citation.startswith("@misc{inoshita2025personagen,")
    assert f"personagen_{manifest_of(beside)['configs']['all']['digest']}" in info.citation


def test_conditions_and_columns_are_pushed_down(beside: Path) -> None:
    """The card states no number of rows, with which `datasets` would refuse conditions."""
    joy = load_dataset("personagen", split="train", filters=[("emotion", "==", "joy")], columns=["text", "emotion"])
    assert len(joy) == 8 and set(joy["emotion"]) == {"joy"} and joy.column_names == ["text", "emotion"]


def test_the_configurations_and_splits_are_those_of_the_manifest(beside: Path) -> None:
    assert tuple(datasets.get_dataset_config_names("personagen")) == NAMES
    assert tuple(manifest_of(beside)["configs"]) == CONFIGS
    for config in CONFIGS:
        assert tuple(datasets.get_dataset_split_names("personagen", config)) == SPLITS


def test_texts_and_labels_are_read_from_the_files_of_all(beside: Path) -> None:
    wanted = {"text", "label"}
    rows = [{key: row[key] for key in row if key in wanted} for row in records(beside, "all", "train")]
    loaded = load_dataset("personagen", "plain", split="train")
    assert loaded.to_list() == rows and isinstance(loaded.features["label"], ClassLabel)
    assert list(load_dataset("personagen", "plain", split="train", streaming=True)) == rows
    assert load_dataset_builder("personagen", "plain").info.features == loaded.features
    assert len(load_dataset("personagen", "plain", split="train", filters=[("emotion", "==", "joy")])) == 8
    assert not (beside / "plain").exists()


@pytest.mark.parametrize("argument", [{"emotions": ["joy"]}, {"depth": "none"}, {"min_confidence": 0.5}])
def test_the_error_about_an_argument_of_our_module_names_the_module(argument: dict[str, Any], beside: Path) -> None:
    """`datasets` prints the description of the configuration, which is in the YAML of the card."""
    with pytest.raises(ValueError, match=r"need `import personagen_dataset`.* doesn't have a '\w+' key") as caught:
        load_dataset("personagen", "joy" if "depth" in argument else None, **argument)
    assert "\n" not in str(caught.value)


def test_an_unknown_configuration_is_refused(beside: Path) -> None:
    with pytest.raises(ValueError, match=r"BuilderConfig 'joi' not found\. Available: \['anger', 'disgust'"):
        load_dataset("personagen", "joi")


def test_a_configuration_streams(beside: Path) -> None:
    streamed = load_dataset("personagen", "joy", streaming=True)
    for split in SPLITS:
        assert list(streamed[split]) == plain("joy")[split].to_list()


@pytest.mark.parametrize(
    ("split", "rows"), [("train[:3]", slice(0, 3)), ("train[50%:]", slice(4, 8)), ("train[-1:]", slice(7, 8))]
)
def test_a_slice_is_a_slice(split: str, rows: slice, beside: Path) -> None:
    assert load_dataset("personagen", "joy", split=split).to_list() == records(beside, "joy", "train")[rows]


def test_columns_filters_and_processes_are_those_of_parquet(beside: Path) -> None:
    train = records(beside, "joy", "train")
    low = [row for row in train if row["intensity"] == "low"]
    loaded = load_dataset("personagen", "joy", split="train", filters=[("intensity", "==", "low")])
    assert loaded.to_list() == low and len(low) == 4
    columns = load_dataset("personagen", "joy", split="train", columns=["id", "text"])
    assert columns.to_list() == [{"id": row["id"], "text": row["text"]} for row in train]
    assert load_dataset("personagen", "joy", split="train", num_proc=2).to_list() == train


def test_splits_can_be_joined(beside: Path) -> None:
    joined = load_dataset("personagen", "joy", split="train+test")
    assert joined.to_list() == records(beside, "joy", "train") + records(beside, "joy", "test")


def test_the_label_is_a_class_by_the_names_of_the_taxonomy(beside: Path) -> None:
    for config in ("all", "joy", "situational", "depth_none"):
        label = plain(config)["train"].features["label"]
        assert isinstance(label, ClassLabel)
        assert tuple(label.names) == EMOTIONS
    counts = Counter(label.int2str(row["label"]) for rows in plain("depth_none").values() for row in rows)
    assert counts == dict.fromkeys(EMOTIONS, 10)


def test_no_column_is_a_list_since_old_versions_of_datasets_cannot_read_one(beside: Path) -> None:
    for config in CONFIGS:
        assert "list" not in str(plain(config)["train"].features.arrow_schema).lower()


def test_ids_are_unique_over_the_whole_release(beside: Path) -> None:
    ids = [
        row["id"]
        for config in ("all", "depth_none", "depth_demographic")
        for rows in plain(config).values()
        for row in rows
    ]
    assert len(ids) == len(set(ids)) == 210


def test_no_persona_is_in_two_splits(beside: Path) -> None:
    texts = {split: {row["persona_id"] for row in rows} for split, rows in plain("all").items()}
    for config in ("demographic", "sociocultural", "situational", "depth_demographic"):
        assert {split: set(rows["persona_id"]) for split, rows in plain(config).items()} == texts
    assert sum(len(personas) for personas in texts.values()) == len(set.union(*texts.values())) == 36


def test_the_layers_of_a_text_are_the_rows_that_its_ids_name(beside: Path) -> None:
    for split, rows in plain("all").items():
        people = {row["persona_id"]: row for row in plain("demographic")[split]}
        backgrounds = {row["persona_id"]: row for row in plain("sociocultural")[split]}
        situations = {row["situation_id"]: row for row in plain("situational")[split]}
        for row in rows:
            who, what = row["persona_id"], row["situation_id"]
            assert people[who] == {"persona_id": who, **row["demographic"]}
            assert backgrounds[who] == {"persona_id": who, **row["sociocultural"]}
            assert situations[what] == {
                "situation_id": what,
                "persona_id": who,
                "label": row["label"],
                "emotion": row["emotion"],
                **row["situational"],
            }
            assert row["demographic"]["prose"] and row["sociocultural"]["prose"] and row["situational"]["prose"]


def test_an_ablation_repeats_the_personas_of_its_rows(beside: Path) -> None:
    whole = {row["id"]: row for rows in plain("all").values() for row in rows}
    for rows in plain("depth_demographic").values():
        for row in rows:
            full = whole[row["id"].removesuffix("-demographic")]
            for column in ("persona_id", "demographic", "label", "intensity"):
                assert row[column] == full[column]


def test_every_text_has_its_provenance(beside: Path) -> None:
    prompts = manifest_of(beside)["prompts"]["version"]
    seeds = []
    for row in (row for rows in plain("all").values() for row in rows):
        provenance = row["provenance"]
        assert (provenance["model"], provenance["prompt_version"]) == ("fake-1", prompts)
        assert provenance["attempts"] >= 1 and provenance["leaked"] is False
        assert not {"checker_label", "checker_confidence"} & set(provenance), "no classifier ran"
        seeds.append(provenance["seed"])
    assert len(set(seeds)) == len(seeds)


def test_pandas_reads_a_shard_and_a_split(beside: Path) -> None:
    shards = sorted((beside / "joy").glob("train-*.parquet"))
    assert [path.name for path in shards] == ["train-00000-of-00002.parquet", "train-00001-of-00002.parquet"]
    frame = pd.concat([pd.read_parquet(path) for path in shards])
    assert list(frame["text"]) == [record["text"] for record in records(beside, "joy", "train")]
    assert set(frame["label"]) == {EMOTIONS.index("joy")}
    assert frame["demographic"].iloc[0]["age"] >= 0


LOAD_JOY = (
    "from datasets import load_dataset; print('|'.join(load_dataset('personagen', 'joy', split='train')['text']))"
)


@pytest.mark.slow
def test_a_release_made_again_is_never_served_stale(model: FakeOpenAI, tmp_path: Path) -> None:
    """`datasets` caches a local folder by the YAML of its card and not by its files."""
    made, loaded = [], []
    for seed in (0, 1):
        folder = make_release(tmp_path / "personagen", model.url, rows=10, emotions=["joy"], seed=seed, fresh=seed > 0)
        made.append("|".join(record["text"] for record in records(folder, "joy", "train")))
        loaded.append(run_python(LOAD_JOY, tmp_path).strip())
    assert loaded == made
    assert made[0] != made[1]


@pytest.mark.parametrize(
    "code", ["import personagen.builder", "import personagen.builder.cli.main, personagen.metrics"]
)
def test_a_release_in_the_working_directory_does_not_hide_the_package(code: str, release: Path) -> None:
    printed = run_python(f"{code}; print(personagen.builder.__version__)", release.parent)
    assert re.fullmatch(r"\d+\.\d+\.\d+\n", printed)


def test_the_command_runs_beside_a_release(release: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "personagen.builder", "inspect"],
        cwd=release.parent,
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    assert done.stdout.startswith("personagen  recipe ")


def test_a_release_with_emotions_named_as_packages_hides_nothing(model: FakeOpenAI, tmp_path: Path) -> None:
    """Their folders are personagen/builder and personagen/metrics."""
    names = ("builder", "metrics", "datasets")
    emotions = ", ".join(f"{{name: {name}, definition: any, like: joy}}" for name in names)
    make_release(
        tmp_path / "personagen", model.url, f"rows: 6\ntaxonomy: {{name: mine, emotions: [{emotions}]}}\ndepth: none"
    )
    code = "import personagen.builder, personagen.metrics; from datasets import load_dataset as load"
    printed = run_python(f"{code}; print(load('personagen', 'builder', split='train').num_rows)", tmp_path)
    assert printed == "2\n"


def test_a_release_loads_by_its_path_too(release: Path) -> None:
    assert load_dataset(str(release), "joy", split="test").to_list() == records(release, "joy", "test")
