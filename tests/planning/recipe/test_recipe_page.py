"""The documents of the recipe: JSON schema, default recipe, page and examples agree with the model."""

import json
import re
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from personagen.builder.planning.recipe import Recipe
from personagen.builder.planning.recipe.parsing import parse_recipe, read_recipe
from personagen.builder.planning.recipe.starter import recipe_schema
from tests.helpers.releasing import ROOT

SCHEMA = ROOT / "docs" / "recipe.schema.json"
PAGE = ROOT / "docs" / "recipe.md"
RECIPES = sorted((ROOT / "recipes").glob("*.yaml"))


def schema_text() -> str:
    """Return the content of docs/recipe.schema.json."""
    return json.dumps(recipe_schema(), indent=2) + "\n"


def test_the_schema_in_docs_is_that_of_the_recipe() -> None:
    """After an intended change: python -m tests.update_golden."""
    assert SCHEMA.read_text(encoding="utf-8") == schema_text()


def test_the_schema_describes_every_key() -> None:
    schema = Recipe.model_json_schema()
    sections = [schema, *schema["$defs"].values()]
    keys = [(name, spec) for section in sections for name, spec in section["properties"].items()]
    assert [name for name, spec in keys if "description" not in spec and "$ref" not in spec] == []
    assert all(section["description"] and "\n" not in section["description"] for section in sections)


def test_the_default_recipe_is_every_default() -> None:
    path = ROOT / "recipes" / "default.yaml"
    assert read_recipe(path) == Recipe()
    lines = path.read_text(encoding="utf-8").splitlines()
    assert [line.split(":")[0] for line in lines if re.match(r"\w", line)] == list(Recipe.model_fields)
    listed = yaml.safe_load(path.read_text(encoding="utf-8"))
    sections = {key: value for key, value in Recipe().model_dump(mode="json").items() if isinstance(value, dict)}
    assert {
        key: set(value) - set(listed[key]) for key, value in sections.items() if set(value) - set(listed[key])
    } == {}


@pytest.mark.parametrize("key", Recipe.model_fields)
def test_the_page_explains_every_key(key: str) -> None:
    assert re.search(rf"^\| `{key}[`.]", PAGE.read_text(encoding="utf-8"), re.MULTILINE)


def test_the_examples_on_the_page_are_recipes() -> None:
    examples = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert examples
    for example in examples:
        assert parse_recipe(example, "docs/recipe.md", folder=ROOT / "recipes").rows > 0


@pytest.mark.parametrize("path", RECIPES, ids=[path.name for path in RECIPES])
def test_the_recipes_of_the_project_are_valid_by_model_and_schema(path: Path) -> None:
    assert len(RECIPES) >= 2
    recipe = read_recipe(path)
    assert recipe.rows > 0
    validator = Draft202012Validator(json.loads(SCHEMA.read_text(encoding="utf-8")))
    assert not list(validator.iter_errors(yaml.safe_load((path).read_text(encoding="utf-8"))))
    assert list(validator.iter_errors({"rows": "many"}))
