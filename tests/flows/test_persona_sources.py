"""Releases whose personas come from a table: they load, verify and resume like others."""

import json
import random
import shutil
import time
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from personagen.builder.core.errors import RecipeError
from personagen.builder.estimate import estimate
from personagen.builder.hub.verify import verify_folder
from personagen.builder.planning.recipe.parsing import read_recipe
from personagen.builder.prompts import export_prompts
from personagen.builder.release.cards.card import render_card
from tests.helpers.flow import LAYERED, bytes_of, command, make, run_command, write_recipe
from tests.helpers.processes.forked import ForkedProcess
from tests.helpers.releasing import manifest_of, records
from tests.helpers.servers.fake_openai import FakeOpenAI

HOSTILE = "likes {{ 7*7 }} and <script> | pipes"


def write_table(path: Path, rows: int = 60) -> Path:
    """Write a table like Nemotron-Personas, with its licence beside it."""
    columns: dict[str, list[Any]] = {
        "uuid": [f"u{number}" for number in range(rows)],
        "professional_persona": ["long"] * rows,
        "persona": [f"Person {number} {HOSTILE}" for number in range(rows)],
        "sex": ["Female", "Male"] * (rows // 2),
        "age": [number + 20 if number % 7 else None for number in range(rows)],
        "occupation": ["nurse", "welder", "retired"] * (rows // 3),
        "state": ["CA", "TX", None] * (rows // 3),
    }
    pq.write_table(pa.table(columns), path)
    (path.parent / "README.md").write_text("---\nlicense: cc-by-4.0\n---\n")
    return path


def recipe_with(folder: Path, source: str, **keys: Any) -> Path:
    """Write a recipe whose personas come from a source."""
    settings = {f"personas.{key}": value for key, value in {"source": source, **keys}.items()}
    return write_recipe(folder, LAYERED, {"situations_per_persona": 1, "license": "cc-by-4.0", **settings})


def test_a_killed_run_without_its_source_resumes_to_the_same_bytes(tmp_path: Path) -> None:
    table = write_table(tmp_path / "people.parquet")
    path, rng = (
        recipe_with(tmp_path, "people.parquet", where={"age": {"min": 21}}, balance=["gender"]),
        random.Random(4),
    )
    with FakeOpenAI() as server:
        make(read_recipe(path, {"backend.base_url": server.url}), tmp_path / "calm")
    with FakeOpenAI(latency=0.01) as server:
        for number in range(3):
            target = len(server.requests) + rng.randrange(2, 8)
            with ForkedProcess(command(server.url, tmp_path / "out", path)) as process:
                while len(server.requests) < target and process.poll() is None:
                    time.sleep(0.002)
                process.kill()
            if number == 0:
                table.unlink()
        done = run_command(command(server.url, tmp_path / "out", path))
        assert done.returncode == 0, done.stderr
    assert bytes_of(tmp_path / "out") == bytes_of(tmp_path / "calm")


def test_a_run_with_templates_of_its_own_does_not_need_its_source_again(tmp_path: Path) -> None:
    table = write_table(tmp_path / "people.parquet")
    path = recipe_with(tmp_path, "people.parquet", columns={"prose": None})
    export_prompts(read_recipe(path), tmp_path / "prompts")
    with FakeOpenAI() as server:
        recipe = read_recipe(path, {"backend.base_url": server.url, "prompts": str(tmp_path / "prompts")})
        release = make(recipe, tmp_path / "out").folder
        before = bytes_of(release)
        table.unlink()
        shutil.rmtree(release)
        assert make(recipe, tmp_path / "out").created
    assert bytes_of(release) == before


def test_a_release_states_its_source_and_keeps_its_columns(tmp_path: Path) -> None:
    write_table(tmp_path / "people.parquet")
    path = recipe_with(tmp_path, "people.parquet", source_citation="NVIDIA, Nemotron-Personas")
    with FakeOpenAI() as server:
        recipe = read_recipe(path, {"backend.base_url": server.url})
        release = make(recipe, tmp_path / "out").folder
        prompts = "\n".join(turn["content"] for body in server.requests for turn in body["messages"])
        assert not make(recipe, tmp_path / "out").created, "the release is recognised"
    assert HOSTILE in prompts and "None" not in prompts and "not given" not in prompts
    manifest = manifest_of(release)
    source = manifest["personas"]["source"]
    assert (source["name"], source["rows"], source["license"]) == ("people.parquet", 60, "cc-by-4.0")
    assert str(tmp_path) not in json.dumps(manifest)
    assert manifest["attributes"] == {"source_id": "string", "state": "string"}
    assert {"demographic.mbti", "sociocultural.country"} <= set(manifest["left_out"])
    card = render_card(manifest)
    assert "Cite as: NVIDIA, Nemotron-Personas" in card and "The personas are invented" not in card
    assert "under cc-by-4.0, as its README states" in card and "approximate tables" not in card
    assert verify_folder(release).problems == ()
    rows = datasets.load_dataset(str(release), "demographic", split="train", cache_dir=str(tmp_path / "cache"))
    people = {row["attributes"]["source_id"]: row for row in rows}
    assert all(row["prose"] == f"Person {id_[1:]} {HOSTILE}" for id_, row in people.items())
    assert {row["gender"] for row in people.values()} <= {"woman", "man"}
    assert all(row["age"] is None or row["age"] == int(id_[1:]) + 20 for id_, row in people.items())


def test_personas_of_one_sentence_get_events_and_texts(tmp_path: Path) -> None:
    sentences = [json.dumps({"persona": f"A person with {number} cats"}) for number in range(40)]
    (tmp_path / "hub.jsonl").write_text("\n".join(sentences))
    path = recipe_with(tmp_path, "hub.jsonl", source_license="cc0-1.0")
    with FakeOpenAI() as server:
        sampled = {"backend.base_url": server.url, "elaborate.sociocultural": "sampled"}
        release = make(read_recipe(path, sampled), tmp_path / "out").folder
    rows = records(release, "all")
    assert len(rows) == 14 and all(row["situational"]["event"] for row in rows)
    assert all(set(row["demographic"]) == {"prose"} for row in rows)
    assert "attributes" not in rows[0]
    assert {row["sociocultural"]["prose"] for row in rows} == {"not given"}, "a layer has a column, if only one"
    assert verify_folder(release).problems == ()


def test_a_release_is_a_source_of_personas(tmp_path: Path) -> None:
    with FakeOpenAI() as server:
        first = write_recipe(tmp_path, LAYERED, {"rows": 28, "license": "cc-by-4.0"})
        release = make(read_recipe(first, {"backend.base_url": server.url}), tmp_path / "first").folder
        path = recipe_with(tmp_path, "first")
        again = make(read_recipe(path, {"backend.base_url": server.url}), tmp_path / "again").folder
    people = {row["persona_id"]: row for row in records(release, "demographic")}
    for row in records(again, "demographic"):
        expected = people[row["attributes"]["source_id"]]
        assert {name: row[name] for name in ("age", "gender", "mbti", "openness")} == {
            name: expected[name] for name in ("age", "gender", "mbti", "openness")
        }
    assert all(row["country"] for row in records(again, "sociocultural"))
    facts = manifest_of(again)["personas"]["source"]
    assert (facts["license"], facts["license_from"]) == ("cc-by-4.0", "manifest")


def test_a_plan_names_what_is_wrong_with_a_source_and_pays_nothing(tmp_path: Path) -> None:
    write_table(tmp_path / "people.parquet")
    recipe = read_recipe(recipe_with(tmp_path, "people.parquet"))
    assert estimate(recipe).personas == 14
    with pytest.raises(
        RecipeError, match=r"60 of the 60 rows of 'people.parquet' fit, wanted 700 personas, one row each"
    ):
        estimate(recipe.model_copy(update={"rows": 700}))
    with pytest.raises(RecipeError, match=r"license: got cc0-1.0 for personas under cc-by-4.0: it asks for attrib"):
        estimate(recipe.model_copy(update={"license": "cc0-1.0"}))


def test_counterfactuals_need_personas_without_texts_that_state_the_attribute(tmp_path: Path) -> None:
    write_table(tmp_path / "people.parquet")
    path = recipe_with(tmp_path, "people.parquet", columns={"prose": None})
    pairs = {"counterfactual": {"attributes": {"gender": ["woman", "man"]}}}
    with FakeOpenAI() as server:
        recipe = read_recipe(path, {"backend.base_url": server.url, **pairs})
        release = make(recipe, tmp_path / "out").folder
    rows = records(release, "counterfactual_gender")
    originals = {row["id"]: row for row in records(release, "all")}
    assert rows
    for row in rows:
        original = originals[row["counterfactual_of"]]["demographic"]
        assert row["demographic"]["gender"] != original["gender"]
        assert row["demographic"] | {"gender": ""} == original | {"gender": ""}
    stated = read_recipe(recipe_with(tmp_path, "people.parquet"), pairs)
    with pytest.raises(
        RecipeError, match=r"counterfactual: the personas of people.parquet have texts that may state the"
    ):
        estimate(stated)
