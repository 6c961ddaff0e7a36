"""Write what a new recipe begins with: every key with its meaning and default, and the JSON schema for editors."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from personagen.builder.planning.recipe.model import Recipe
from personagen.builder.planning.suggestions import sections_in

SCHEMA_ID = "urn:personagen:recipe"
"""Identifier of the JSON schema of recipes, whichever file or server it is read from."""

HEADER = """\
# yaml-language-server: $schema={schema}
#
# A recipe of PersonaGen. The lines behind a # show the other keys with their defaults: remove "# " to change one.
# Estimate its cost:  personagen plan {recipe}
# Look at some texts: personagen preview {recipe}
# Write the release:  personagen generate {recipe}
"""
"""First lines of a recipe."""


def recipe_schema() -> dict[str, Any]:
    """Return the JSON schema of recipes (draft 2020-12)."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": SCHEMA_ID,
        **Recipe.model_json_schema(),
    }


def starter_recipe(settings: Mapping[str, Any], *, name: str, schema: str) -> str:
    """Return the YAML of a recipe with some settings, and with every other key as a comment.

    Args:
        settings: values by key; those of a section are a mapping.
        name: name of the file, for the commands in its header.
        schema: path of the JSON schema, relative to the file.

    """
    lines = list(_lines(Recipe, settings, Recipe().model_dump(mode="json"), ""))
    return HEADER.format(schema=schema, recipe=name) + "\n" + "\n".join(lines) + "\n"


def _lines(
    section: type[BaseModel], settings: Mapping[str, Any], defaults: Mapping[str, Any], indent: str
) -> Iterator[str]:
    """Yield a line per key of a section: the value that is set, else the default behind a #."""
    for key, field in section.model_fields.items():
        mark, default = "" if key in settings else "# ", defaults[key]
        inner = next((one for one in sections_in(field.annotation) if {*one.model_fields} == {*(default or ())}), None)
        if inner is not None:
            yield f"{mark}{indent}{key}:  # {_meaning(inner)}"
            inner_lines = _lines(inner, settings.get(key, {}), default, indent + "  ")
            yield from inner_lines if key in settings else _commented(inner_lines)
        else:
            yield f"{mark}{indent}{key}: {_flow(settings.get(key, default))}{_comment(field)}"


def _commented(lines: Iterator[str]) -> Iterator[str]:
    """Put each line behind a #, once."""
    return (line if line.startswith("# ") else f"# {line}" for line in lines)


def _meaning(section: type[BaseModel]) -> str:
    return (section.__doc__ or "").partition("\n")[0]


def _comment(field: FieldInfo) -> str:
    return f"  # {field.description}" if field.description else ""


def _flow(value: Any) -> str:
    """Return a value as YAML on one line: JSON is, and words need no quotes."""
    if isinstance(value, str) and yaml.safe_load(yaml.safe_dump(value)) == value and value.isidentifier():
        return yaml.safe_dump(value).partition("\n")[0]
    return json.dumps(value, ensure_ascii=False)
