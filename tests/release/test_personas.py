"""Releases of recipes with `personas:`: their columns, card and counterfactuals."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from personagen.builder.core.errors import RecipeError
from personagen.builder.export.rows import flattened, persona_columns
from personagen.builder.generate import generate
from personagen.builder.hub.verify import verify_folder
from personagen.builder.planning.counterfactuals import add_counterfactuals
from personagen.builder.planning.plan import make_plan
from personagen_dataset import PersonaGen
from tests.helpers.flow import Recorder, make, recipe_for
from tests.helpers.servers.fake_openai import FakeOpenAI

PERSONAS = {
    "where": {"country": ["Brazil", "Japan"], "age": {"min": 20, "max": 40}},
    "balance": ["country"],
    "attributes": {"home_accent": {"values": {"soft": 1, "hard": 1}}},
}


def test_a_release_has_the_attributes_of_its_recipe_in_texts_and_personas(tmp_path: Path) -> None:
    with FakeOpenAI() as server:
        changes = {"personas": PERSONAS, "depth": "sociocultural", "ablations": ["none"]}
        make(recipe_for(server.url, changes), tmp_path / "out")
        assert any("- Home accent: " in request["messages"][-1]["content"] for request in server.requests)
    out = tmp_path / "out"
    manifest = json.loads((out / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["version"] == "1.4.0" and manifest["attributes"] == {"home_accent": "string"}
    assert verify_folder(out).problems == ()
    texts, personas = (
        [row for path in out.glob(f"{config}/*.parquet") for row in pq.read_table(path).to_pylist()]
        for config in ("all", "demographic")
    )
    by_id = {row["persona_id"]: row["attributes"] for row in personas}
    for row in texts:
        assert row["attributes"] == by_id[row["persona_id"]] and row["attributes"]["home_accent"] in ("soft", "hard")
        assert row["sociocultural"]["country"] in ("Brazil", "Japan") and 20 <= row["demographic"]["age"] <= 40
    builder = PersonaGen(cache_dir=str(tmp_path / "cache"), data_dir=str(out))
    assert list(builder.info.features["attributes"]) == ["home_accent"]
    bare = PersonaGen(cache_dir=str(tmp_path / "cache"), config_name="depth_none", data_dir=str(out))
    assert "attributes" not in bare.info.features
    card = (out / "README.md").read_text(encoding="utf-8")
    assert "| `attributes.home_accent` | string | attribute of the recipe" in card
    counts = manifest["composition"]["attributes"]["home_accent"]
    assert set(counts) == {"soft", "hard"} and sum(counts.values()) == len(texts)
    flat = [persona_columns(row) for row in flattened(pq.read_table(next(out.glob("all/train-*")))).to_pylist()]
    assert {row["attributes_home_accent"] for row in flat} == {"soft", "hard"}
    assert "(the conditions of the recipe may)" in card and "home\\_accent" in card


def test_a_recipe_without_attributes_keeps_the_version_of_its_columns(tmp_path: Path) -> None:
    with FakeOpenAI() as server:
        recipe = recipe_for(server.url, {"personas": {"where": {"gender": "woman"}}, "depth": "demographic"})
        make(recipe, tmp_path / "out")
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["version"] == "1.3.0" and "attributes" not in manifest
    assert manifest["recipe"]["personas"] == {"where": {"gender": "woman"}}


def test_counterfactuals_meet_the_conditions() -> None:
    changes = {
        "personas": {"where": {"age": {"min": 20, "max": 40}, "country": {"not": "India"}}},
        "counterfactual": {"attributes": {"age": ["20-24", "35-44"]}},
        "depth": "sociocultural",
        "rows": 70,
    }
    plan = add_counterfactuals(make_plan(recipe_for("http://x", changes)))
    rows = [row for parts in plan.counterfactuals["counterfactual_age"].values() for row in parts]
    assert rows and {row.counterfactual.value for row in rows if row.counterfactual} == {"20-24", "35-44"}


def test_a_counterfactual_that_the_conditions_exclude_is_refused() -> None:
    changes = {
        "personas": {"where": {"country": {"not": "India"}}},
        "counterfactual": {"attributes": {"country": ["India", "Japan"]}},
        "depth": "sociocultural",
    }
    message = r"^counterfactual\.attributes\.country: personas\.where excludes 'India'; leave it out of one of them$"
    with pytest.raises(RecipeError, match=message):
        add_counterfactuals(make_plan(recipe_for("http://x", changes)))


def test_combinations_that_cannot_be_balanced_are_a_warning(tmp_path: Path) -> None:
    recorder = Recorder()
    with FakeOpenAI() as server:
        recipe = recipe_for(server.url, {"personas": {"balance": ["age", "work"]}, "depth": "demographic"})
        generate(recipe, tmp_path / "out", progress=recorder)
    assert any("no persona is 16-19 and retired" in warning for warning in recorder.warnings)
