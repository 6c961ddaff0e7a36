"""Exports: every row in every form, hostile texts unchanged, refusals, and files that are there already."""

import csv
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pandas as pd  # type: ignore[import-untyped]
import pyarrow as pa
import pytest
from datasets import load_dataset

import personagen as pg
from personagen.builder.cli.commands.exporting import FORMS as FORMS_OF_COMMAND
from personagen.builder.core.records import SPLITS
from personagen.builder.export.export import FORMS, NAMES, export
from personagen.builder.export.rows import ExportedSplit
from personagen.builder.planning.taxonomy import named_taxonomy
from personagen.builder.release.texts import read_texts
from tests.helpers.command import Run, names
from tests.helpers.flow import seed_of
from tests.helpers.hostile.texts import HOSTILE, json_lines, with_hostile_texts
from tests.helpers.releasing import EMOTIONS, GOLDEN, RECIPE, make_release, manifest_of, records, rewrite
from tests.helpers.servers.fake_openai import FakeOpenAI, Fault

pytestmark = pytest.mark.usefixtures("plain_datasets")


@pytest.fixture(scope="module")
def hostile(release: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return with_hostile_texts(release, tmp_path_factory.mktemp("hostile") / "personagen")


@pytest.fixture(scope="module")
def refused(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A release with its run folder, in which some replies were rejected; read only."""
    faults = [Fault("refusal", seed=seed_of(f"{name}-000003", 0)) for name in named_taxonomy("ekman").names]
    with FakeOpenAI(faults=faults) as server:
        yield make_release(tmp_path_factory.mktemp("refused") / "personagen", server.url, RECIPE)


def written(release: Path, to: str, out: Path, **options: Any) -> Path:
    return export(release, to, out=out, **options).path


def texts(release: Path, split: str) -> list[str]:
    return [row["text"] for row in records(release, "all", split)]


def test_the_command_has_the_forms_of_the_package() -> None:
    assert (*NAMES, "table") == FORMS_OF_COMMAND
    assert set(NAMES) == {*FORMS, "preference"}


def test_csv_comes_back_from_csv_pandas_and_datasets_as_it_was(hostile: Path, tmp_path: Path) -> None:
    folder = written(hostile, "csv", tmp_path / "out")
    loaded = load_dataset(str(folder), keep_default_na=False)
    for split in SPLITS:
        wanted = texts(hostile, split)
        with (folder / f"{split}.csv").open(newline="", encoding="utf-8") as file:
            assert [row["text"] for row in csv.DictReader(file)] == wanted
        frame = pd.read_csv(folder / f"{split}.csv", keep_default_na=False, dtype={"text": str})
        assert frame["text"].tolist() == list(loaded[split]["text"]) == wanted
        rows = records(hostile, "all", split)
        assert frame["emotion"].tolist() == [row["emotion"] for row in rows]
        assert frame["demographic.age"].tolist() == [row["demographic"]["age"] for row in rows]
        control = [row["situational"]["appraisal"]["control"] for row in rows]
        assert frame["situational.appraisal.control"].tolist() == control
    assert set(HOSTILE) <= set(texts(hostile, "train"))


def test_json_lines_are_the_rows(hostile: Path, tmp_path: Path) -> None:
    folder = written(hostile, "jsonl", tmp_path / "out")
    for split in SPLITS:
        assert json_lines(folder / f"{split}.jsonl") == records(hostile, "all", split)
        assert len((folder / f"{split}.jsonl").read_text(encoding="utf-8").splitlines()) == len(texts(hostile, split))
    loaded = load_dataset(str(folder))
    assert list(loaded["train"]["text"]) == texts(hostile, "train")


@pytest.mark.parametrize("config", ["demographic", "situational", "depth_none", "joy"])
def test_every_configuration_has_tables(config: str, release: Path, tmp_path: Path) -> None:
    lines = written(release, "jsonl", tmp_path / "jsonl", config=config, split="test")
    assert names(lines) == ["test.jsonl"]
    assert json_lines(lines / "test.jsonl") == records(release, config, "test")
    frame = pd.read_csv(written(release, "csv", tmp_path / "csv", config=config) / "train.csv", keep_default_na=False)
    assert len(frame) == len(records(release, config, "train"))


def test_messages_have_the_persona_the_request_and_the_text(hostile: Path, tmp_path: Path) -> None:
    folder = written(hostile, "messages", tmp_path / "out")
    for line, row in zip(json_lines(folder / "train.jsonl"), records(hostile, "all", "train"), strict=True):
        system, user, answer = line["messages"]
        assert [turn["role"] for turn in line["messages"]] == ["system", "user", "assistant"]
        assert answer["content"] == row["text"]
        assert f"Age {row['demographic']['age']}, {row['demographic']['gender']}" in system["content"]
        assert f"Lives in {row['sociocultural']['country']}" in system["content"]
        assert f"What happens: {row['situational']['event']}" in system["content"]
        assert f"expresses {row['emotion']} of {row['intensity']} intensity: " in user["content"]
        assert "none" not in user["content"] and (line["id"], line["emotion"]) == (row["id"], row["emotion"])


@pytest.mark.parametrize(("config", "turns"), [("depth_none", 2), ("depth_demographic", 3)])
def test_messages_of_an_ablation_have_the_layers_of_its_depth(
    config: str, turns: int, release: Path, tmp_path: Path
) -> None:
    folder = written(release, "messages", tmp_path / "out", config=config)
    for line in json_lines(folder / "train.jsonl"):
        assert len(line["messages"]) == turns
        assert not any(part in line["messages"][0]["content"] for part in ("Lives in", "What happens"))


def test_an_unknown_setting_of_a_release_by_others_stands_as_it_is(release: Path, tmp_path: Path) -> None:
    def change(table: pa.Table) -> pa.Table:
        rows = [row | {"situational": row["situational"] | {"place": "on the moon"}} for row in table.to_pylist()]
        return pa.Table.from_pylist(rows, table.schema)

    changed = rewrite(release, tmp_path / "r", "all/", change)
    lines = json_lines(written(changed, "messages", tmp_path / "out") / "train.jsonl")
    assert all("Where and when: on the moon, " in line["messages"][0]["content"] for line in lines)


def test_preference_pairs_accepted_and_rejected_texts_of_a_row(refused: Path, tmp_path: Path) -> None:
    result = export(refused, "preference", out=tmp_path / "out")
    pairs = [pair for path in result.files for pair in json_lines(path)]
    rejects = json_lines(refused.with_name("personagen.run") / "rejects.jsonl")
    rejected = {(reject["id"], reject["text"]) for reject in rejects if reject["stage"] == "expression"}
    accepted = {row["id"]: row["text"] for split in SPLITS for row in records(refused, "all", split)}
    wanted = {(row, text) for row, text in rejected if row in accepted}
    assert {(pair["id"], pair["rejected"][0]["content"]) for pair in pairs} == wanted != set()
    assert all(pair["chosen"][0]["content"] == accepted[pair["id"]] for pair in pairs)
    assert all([turn["role"] for turn in pair["prompt"]] == ["system", "user"] for pair in pairs)
    assert sum(result.rows.values()) == len(pairs)
    assert result.note == f"{len({row for row, _ in wanted})} of 70 rows have a rejected text"


def test_rejected_texts_with_halves_of_surrogates_secrets_or_thoughts(refused: Path, tmp_path: Path) -> None:
    release = tmp_path / "personagen"
    shutil.copytree(refused, release)
    shutil.copytree(refused.with_name("personagen.run"), tmp_path / "personagen.run")
    row = records(release, "all", "train")[0]
    base = {"id": row["id"], "stage": "expression", "attempt": 0, "detail": None}
    rejects = [
        {**base, "reason": "garbled", "text": "half \ud83d of a pair, and \ud83d\ude00"},
        {**base, "reason": "garbled", "text": "half \ud83d of a pair, and \ud83d\ude00"},
        {**base, "reason": "duplicate", "text": row["text"]},
        {**base, "reason": "secret", "text": "a key"},
        {**base, "reason": "thought", "text": "hm"},
        {**base, "reason": "request", "text": None},
        {**base, "stage": "situational", "reason": "schema", "text": "{}"},
    ]
    lines = "".join(json.dumps(reject) + "\n" for reject in rejects)
    (tmp_path / "personagen.run" / "rejects.jsonl").write_text(lines, encoding="utf-8")
    result = export(release, "preference")
    assert [path.name for path in result.files] == ["train.jsonl"], "splits without pairs have no file"
    [pair] = json_lines(result.files[0])
    assert pair["rejected"][0]["content"] == "half \ufffd of a pair, and \U0001f600"
    assert pair["reason"] == "garbled"


def test_setfit_has_texts_and_labels(hostile: Path, tmp_path: Path) -> None:
    folder = written(hostile, "setfit", tmp_path / "out")
    lines, rows = json_lines(folder / "test.jsonl"), records(hostile, "all", "test")
    assert lines == [{"text": row["text"], "label": row["label"], "label_text": row["emotion"]} for row in rows]


def test_label_studio_has_tasks_without_a_label_and_an_interface(hostile: Path, tmp_path: Path) -> None:
    folder = written(hostile, "labelstudio", tmp_path / "out")
    tasks = json.loads((folder / "train.json").read_text(encoding="utf-8"))
    assert [task["data"]["text"] for task in tasks] == texts(hostile, "train")
    assert {tuple(task) for task in tasks} == {("data",)}
    view = ElementTree.parse(folder / "interface.xml").getroot()
    assert [choice.get("value") for choice in view.iter("Choice")] == list(EMOTIONS)


def test_inspect_and_promptfoo_have_texts_and_expected_emotions(hostile: Path, tmp_path: Path) -> None:
    samples = json_lines(written(hostile, "inspect", tmp_path / "inspect") / "test.jsonl")
    folder = written(hostile, "promptfoo", tmp_path / "promptfoo")
    tests = json.loads((folder / "test.json").read_text(encoding="utf-8"))
    rows = records(hostile, "all", "test")
    assert [(sample["input"], sample["target"]) for sample in samples] == [
        (row["text"], row["emotion"]) for row in rows
    ]
    assert [sample["metadata"]["age"] for sample in samples] == [row["demographic"]["age"] for row in rows]
    assert [test["vars"] for test in tests] == [{"row": {"text": row["text"]}} for row in rows]
    assert [test["assert"][0]["value"] for test in tests] == [row["emotion"] for row in rows]
    assert "file://test.json" in (folder / "promptfooconfig.yaml").read_text(encoding="utf-8")


@pytest.mark.parametrize("to", [name for name in FORMS if name != "table"])
def test_a_release_of_an_earlier_version_has_every_form(to: str, tmp_path: Path) -> None:
    result = export(GOLDEN / "release-1.2", to, out=tmp_path / "out")
    assert result.rows == manifest_of(GOLDEN / "release-1.2")["configs"]["all"]["rows"]
    if to == "jsonl":
        rows = json_lines(result.path / "train.jsonl")
        assert {row["emotion"] for row in rows} == {"fear", "joy"}
        assert all(("fear", "joy")[row["label"]] == row["emotion"] for row in rows)


def test_a_form_receives_the_rows_of_a_large_file_in_parts(release: Path, tmp_path: Path) -> None:
    def repeat(table: pa.Table) -> pa.Table:
        return pa.concat_tables([table] * 1000)

    large = rewrite(release, tmp_path / "r", "all/train", repeat)
    sizes = [len(table) for table in ExportedSplit(large, manifest_of(large), "all", "train").tables()]
    assert sum(sizes) == 56_000
    assert max(sizes) <= 2_000


def test_the_command_exports_beside_the_release_and_refuses_to_replace(hostile: Path, run: Run) -> None:
    shutil.copytree(hostile, "personagen")
    done = run("export", "--to", "csv")
    assert (done.code, done.out, done.err) == (0, "personagen-csv\n", "56 train, 7 validation, 7 test\n")
    again = run("export", "--to", "csv", "--split", "train")
    assert again.code == 1
    assert "train.csv exists; replace it with --force, or choose another folder with --out" in again.err
    forced = run("export", "--to", "csv", "--split", "train", "--force", "--json")
    assert json.loads(forced.out)["files"] == ["personagen-csv/train.csv"]
    assert names(Path("personagen-csv")) == ["train.csv"], "no file of another split is left of the earlier export"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--to", "csv", "--config", "joi"], "no configuration 'joi', did you mean 'joy'?; has: anger"),
        (["--to", "csv", "--split", "dev"], "all has no split 'dev'; has: train, validation, test"),
        (
            ["--to", "setfit", "--config", "demographic"],
            "demographic is a table without texts, which --to setfit needs",
        ),
        (["--to", "csv", "--out", "personagen"], "personagen is a release; choose another folder with --out"),
        (["--to", "preference"], "personagen.run/rejects.jsonl is missing: rejected texts are in the run folder"),
        (["--to", "csv", "--out", "file"], "cannot write file: file exists"),
        (["--to", "csv", "--vectors"], "--vectors is for --to table"),
        (["--to", "table", "--split", "train"], "--split is for another form than table"),
    ],
    ids=str,
)
def test_refusals_are_one_line(arguments: list[str], message: str, release: Path, run: Run) -> None:
    shutil.copytree(release, "personagen")
    Path("file").touch()
    done = run("export", *arguments)
    assert done.code in (1, 2)
    assert message in done.err
    assert done.err.count("\n") == 1


def test_the_run_of_another_recipe_is_refused(refused: Path, run: Run) -> None:
    shutil.copytree(refused, "personagen")
    shutil.copytree(refused.with_name("personagen.run"), "personagen.run")
    Path("personagen.run/run.json").write_text('{"fingerprint": "0"}', encoding="utf-8")
    done = run("export", "--to", "preference")
    assert "personagen.run is the run of another recipe than " in done.err


@pytest.mark.parametrize(
    ("log", "message"),
    [
        ("", "no row of all has a rejected text to prefer its own to; use --to messages"),
        ("[]\n", "rejects.jsonl: a line is no rejected reply; run the `generate` command of the release again"),
        ('{"id": 1, "stage": "expression", "reason": "x", "text": null}\n', "a line is no rejected reply"),
        ('{"id": "1", "stage": "expression", "reason": "x", "text": 1}\n', "a line has no text"),
        ('"\\ud800' + "[" * 100_000 + "\n", "rejects.jsonl: "),
        ('["\\ud800",' + "[" * 100_000 + "\n", "a line is nested too deep"),
    ],
)
def test_odd_logs_of_rejects_are_one_line(log: str, message: str, refused: Path, run: Run) -> None:
    shutil.copytree(refused, "personagen")
    shutil.copytree(refused.with_name("personagen.run"), "personagen.run")
    Path("personagen.run/rejects.jsonl").write_text(log, encoding="utf-8")
    done = run("export", "--to", "preference")
    assert (done.code, done.err.count("\n")) == (1, 1)
    assert message in done.err


def test_a_release_object_exports(release: Path, tmp_path: Path) -> None:
    opened = pg.Release(release)
    result = opened.export("messages", tmp_path / "out", split="test")
    assert [path.name for path in result.files] == ["test.jsonl"]
    with pytest.raises(pg.errors.RecipeError, match="no form 'message', did you mean 'messages'\\?; known: csv, "):
        opened.export("message")
    with pytest.raises(TypeError, match="unexpected keyword argument 'seed'"):
        opened.export("csv", tmp_path / "out", seed=1)
    with pytest.raises(pg.errors.RecipeError, match="max_texts: got 0, wanted an integer of 1 or more"):
        opened.export("table", tmp_path / "out", max_texts=0)


def replaced(name: str, value: Any) -> Callable[[pa.Table], pa.Table]:
    """Return a change of a table: the same value in every row of a column."""

    def change(table: pa.Table) -> pa.Table:
        place = table.schema.get_field_index(name)
        return table.set_column(
            place, table.schema.field(place), pa.array([value] * len(table), table.schema.types[place])
        )

    return change


DAMAGES: dict[str, tuple[Callable[[pa.Table], pa.Table], str]] = {
    "no text": (lambda table: table.drop_columns("text"), "it has other columns than its manifest"),
    "no emotion": (lambda table: table.drop_columns("emotion"), "it has other columns than its manifest"),
    "a layer without a part": (
        lambda table: table.set_column(5, "demographic", pa.array([{"age": 3}] * len(table))),
        "it has other columns than its manifest",
    ),
    "another emotion": (replaced("emotion", "envy"), "an emotion is not that of its label"),
    "a label too high": (replaced("label", 99), "a label is not the number of an emotion"),
    "a label below 0": (replaced("label", -1), "a label is not the number of an emotion"),
    "no label": (replaced("label", None), "a label is not the number of an emotion"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_table_that_is_not_that_of_its_manifest_is_one_line(damage: str, release: Path, tmp_path: Path) -> None:
    change, message = DAMAGES[damage]
    changed = rewrite(release, tmp_path / "r", "all/", change)
    for form in sorted({*FORMS} - {"preference"}):
        out = tmp_path / form
        with pytest.raises(pg.errors.ReleaseError, match=f"^cannot read \\S+00012.parquet: {message}; run its "):
            export(changed, form, out=out)
        assert not out.exists() or not list(out.iterdir())
    if "label" in damage:
        with pytest.raises(pg.errors.ReleaseError, match=f"^cannot read \\S+00012.parquet: {message}; run its "):
            pg.Release(changed).to_pandas()


@pytest.mark.parametrize("label", [-1, 2, None])
def test_an_impossible_label_of_an_earlier_form_is_one_line(label: int | None, tmp_path: Path) -> None:
    changed = rewrite(GOLDEN / "release-1.2", tmp_path / "r", ("joy/", "fear/"), replaced("label", label))
    with pytest.raises(
        pg.errors.ReleaseError, match=r"^cannot read \S+parquet: a label is not the number of an emotion; "
    ):
        export(changed, "messages", out=tmp_path / "out")
    with pytest.raises(pg.errors.ReleaseError, match="a label is not the number of an emotion"):
        read_texts(changed, manifest_of(changed))
