"""The recipe as it is published: the same release, and nothing secret or of one machine."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personagen.builder.core.errors import RecipeError
from personagen.builder.planning.recipe import Recipe
from personagen.builder.planning.recipe.parsing import parse_recipe, read_recipe
from personagen.builder.planning.recipe.public import files_of, public_recipe, republished
from personagen.builder.planning.recipe.recipe_files import with_copies
from tests.helpers.releasing import ROOT

CHOICES: dict[str, list[Any]] = {
    "name": ["personagen", "other"],
    "seed": [0, 7],
    "rows": [70, 700],
    "taxonomy": [
        "plutchik",
        {"name": "own", "emotions": [{"name": "calm", "definition": "peace", "like": "joy"}]},
    ],
    "intensities": [["low", "high"]],
    "expression": ["shown", {"named": 0.5, "shown": 0.5}, None],
    "depth": ["none", "demographic"],
    "personas": [
        {"where": {"age": {"min": 20, "max": 40}}, "balance": ["gender"]},
        {"attributes": {"team": {"values": {"red": 1, "blue": 2.5}}}},
        {"source": "hf://datasets/a/b@v1", "columns": {"age": "years"}},
    ],
    "situations_per_persona": [3],
    "splits": [{"train": 0.5, "validation": 0.25, "test": 0.25}],
    "text": [{"language": None}, {"style": {"dialogue": 0.5, "mail": 0.5}}, {"min_words": 3, "max_words": 30}],
    "checks": [{"label": "flag"}, {"attempts": 3, "near_duplicate": 0.5}],
    "backend": [
        {"kind": "openai", "model": "m", "base_url": "http://host.internal:1/v1", "headers": {"x-key": "${SECRET}"}},
        {"kind": "openai", "model": "m", "body": {"top_k": 5, "min_p": None}, "rpm": 3, "reasoning_effort": "low"},
        [{"kind": "openai", "model": "a", "share": 3}, {"kind": "transformers", "model": "b", "share": 1}],
    ],
    "draw": [{"temperature": 0.5, "candidates": 2}],
    "channels": [{"chat": "a message", "mail": {"text": "an e-mail", "share": 2, "fit": {"age": {"min": 30}}}}],
    "events": [{"bank": {}}, {"bank": {"not": ["death"]}}, {"invent": {"per_emotion": 3}, "bank": {}}],
    "prices": [{"m": {"input": 0.1, "output": 0.2}}],
    "budget": [{"max_tokens": 10_000}],
    "license": ["cc-by-4.0"],
}
"""Values of keys, of which some exclude each other."""

RECIPES = st.fixed_dictionaries({}, optional={key: st.sampled_from(values) for key, values in CHOICES.items()})


def facts(recipe: Recipe) -> tuple[Any, ...]:
    """Return what the manifest of a release takes from its recipe."""
    return recipe.fingerprint(), recipe.identity(), recipe.licence(), recipe.model_prices(), recipe.name, recipe.seed


def through_json(recipe: Recipe) -> Any:
    return json.loads(json.dumps(public_recipe(recipe)))


@given(RECIPES)
def test_a_published_recipe_makes_the_same_release(settings: dict[str, Any]) -> None:
    try:
        recipe = parse_recipe(json.dumps(settings), "r")
    except RecipeError:  # two of the values exclude each other
        return
    settings = through_json(recipe)
    again = republished(settings, "r")
    assert facts(again) == facts(recipe) and through_json(again) == settings
    assert "host.internal" not in str(settings) and "SECRET" not in str(settings) and "budget" not in settings


@pytest.mark.parametrize("path", sorted((ROOT / "recipes").glob("*.yaml")), ids=lambda path: path.name)
def test_the_recipes_of_the_package_are_published_and_read_again(path: Path, tmp_path: Path) -> None:
    recipe = read_recipe(path)
    copied = with_copies(recipe, tmp_path)
    assert through_json(copied) == through_json(recipe)
    assert facts(republished(through_json(recipe), "r", tmp_path)) == facts(recipe)


def test_files_are_named_without_their_folders(tmp_path: Path) -> None:
    folder = tmp_path / "secret_folder"
    folder.mkdir()
    (folder / "own.tsv").write_text((Path(__file__).parent / "examples.tsv").read_text(encoding="utf-8"), "utf-8")
    (folder / "events.yaml").write_text("- they found their keys", encoding="utf-8")
    (folder / "people.csv").write_text("age\n30", encoding="utf-8")
    (folder / "recipe.yaml").write_text(
        "emotions: [joy, anger]\ntext: {label_words: own.tsv}\nevents: {file: events.yaml}\n"
        "personas: {source: people.csv}\ngrounding: {examples: {source: own.tsv, count: 1}}",
        encoding="utf-8",
    )
    recipe = read_recipe(folder / "recipe.yaml")
    settings = through_json(recipe)
    assert "secret_folder" not in json.dumps(settings)
    assert files_of(settings) == ("own.tsv", "events.yaml", "people.csv")
    with pytest.raises(
        RecipeError,
        match=r"^the recipe in x names 'own.tsv', 'events.yaml', 'people.csv', which is not published with it; give "
        r"the recipe, with its files, by --recipe FILE$",
    ):
        republished(settings, "x")


@pytest.mark.parametrize(
    ("settings", "file"),
    [
        ({"events": {"file": "/etc/passwd"}}, "passwd"),
        ({"text": {"style": {"../x.tsv": 1}}}, "x.tsv"),
        ({"prompts": "/home"}, "home"),
        ({"prompts": {"styled": ["../a.md"]}}, "a.md"),
        ({"personas": {"source": "/data"}}, "data"),
        ({"grounding": {"examples": {"source": "/data/x.csv"}}}, "x.csv"),
        ({"grounding": {"examples": {"source": "./x.csv"}}}, "x.csv"),
        ({"checks": {"label": "flag", "label_reference": "ref.tsv"}}, "ref.tsv"),
        ({"checks": {"label": "flag", "label_reference": "./ref.tsv"}}, "ref.tsv"),
    ],
)
def test_no_file_of_this_machine_is_read_for_the_recipe_of_another(settings: dict[str, Any], file: str) -> None:
    with pytest.raises(RecipeError, match=f"names '{file}', which is not published"):
        republished(settings, "x")


@pytest.mark.parametrize(
    "settings",
    [{"rows": "many"}, {"unknown": 1}, {"rows": float("nan")}, {"text": 3}, {"backend": [1]}, {"prompts": 5}],
)
def test_a_recipe_that_is_none_is_refused_on_one_line(settings: dict[str, Any]) -> None:
    with pytest.raises(RecipeError, match=r"^the recipe in x: [^\n]+; give the recipe by --recipe FILE$"):
        republished(settings, "x")
