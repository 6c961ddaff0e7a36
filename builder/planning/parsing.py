"""Parse and validate recipes, and explain in one line why a recipe is refused."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError

from personagen.builder.core.errors import RecipeError
from personagen.builder.planning.recipe import Recipe
from personagen.builder.planning.suggestions import did_you_mean

MAX_INPUT_CHARS = 80
"""Characters of a refused value that a message quotes."""


def read_recipe(path: Path | None, overrides: Mapping[str, Any] | None = None) -> Recipe:
    """Read, parse and validate a recipe file.

    Args:
        path: YAML file in UTF-8. None: every default.
        overrides: see `parse_recipe`.

    Raises:
        RecipeError: the file cannot be read, or `parse_recipe` refuses it.

    """
    if path is None:
        return parse_recipe("", "command line", overrides)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"cannot read recipe {path}: {error}; give the path of a YAML file") from error
    return parse_recipe(text, str(path), overrides)


def parse_recipe(text: str, source: str, overrides: Mapping[str, Any] | None = None) -> Recipe:
    """Parse and validate a recipe.

    Args:
        text: YAML mapping. Empty: every default.
        source: name of the recipe in errors: a path or "command line".
        overrides: values that replace those of the text, by dotted key ("backend.model").

    Raises:
        RecipeError: the text is not a YAML mapping, a key is unknown (the nearest known key is suggested), or a value
            is out of bounds.

    """
    data = _load_yaml(text, source)
    for key, value in (overrides or {}).items():
        _override(data, key, value)
    try:
        # JSON mode accepts lists for tuples, and still refuses 70.0 and "70" as integers.
        return Recipe.model_validate_json(json.dumps(data, default=str))
    except ValidationError as error:
        raise RecipeError(f"{source}: {_explain(error)}") from error
    except (TypeError, ValueError, RecursionError) as error:  # a key that is a date; an alias that contains itself
        raise RecipeError(f"{source}: not a plain mapping ({error}); see docs/recipe.md") from error


def _load_yaml(text: str, source: str) -> dict[str, Any]:
    try:
        data = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        problem = " ".join(str(getattr(error, "problem", None) or error).split())
        raise RecipeError(f"{source}{line}: not YAML ({problem}); see docs/recipe.md") from error
    if data is None:
        data = {}
    if not isinstance(data, dict):
        raise RecipeError(f"{source}: got a {type(data).__name__}, wanted a mapping of keys; see docs/recipe.md")
    return data


def _override(data: dict[str, Any], key: str, value: Any) -> None:
    """Set the value of a dotted key. A section that is not a mapping stays as it is; validation refuses it."""
    *parents, last = key.split(".")
    section = data
    for parent in parents:
        if section.get(parent) is None:
            section[parent] = {}
        section = section[parent]
        if not isinstance(section, dict):
            return
    section[last] = value


def _explain(error: ValidationError) -> str:
    """Return the most specific problem as one line: key, value, wanted value."""
    # The deepest location is the union member that fits best; an unknown key explains a missing one beside it.
    problem = max(
        error.errors(include_url=False), key=lambda entry: (len(entry["loc"]), entry["type"] == "extra_forbidden")
    )
    path = [str(part) for part in problem["loc"] if not str(part).startswith("literal[") and part != "CustomTaxonomy"]
    key = ".".join(path)
    if problem["type"] == "extra_forbidden":
        known = _known_keys(path[:-1])
        return f"unknown key {key!r}{did_you_mean(path[-1], known)}; known: {', '.join(sorted(known))}"
    if problem["type"] == "missing":
        return f"{key}: missing; add it, see docs/recipe.md"
    if problem["type"] == "value_error":
        message = str(problem["ctx"]["error"])
        return f"{key}: {message}" if key else message
    value = json.dumps(problem["input"], default=str, ensure_ascii=False)[:MAX_INPUT_CHARS]
    wanted = problem["msg"].removeprefix("Input should be ").replace("a valid array", "a list, such as [joy, anger]")
    wanted = wanted.replace("String should match pattern", "text that matches")
    return f"{key}: got {value}, wanted {wanted[0].lower()}{wanted[1:]}"


def _known_keys(path: list[str]) -> tuple[str, ...]:
    """Return the keys of the section at a path. Positions in lists and keys of free mappings are passed over."""
    section: type[BaseModel] = Recipe
    for part in path:
        field = section.model_fields.get(part)
        section = next(_sections_in(field.annotation), section) if field else section
    return tuple(section.model_fields)


def _sections_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """Yield the sections in a type: those of unions, tuples and mappings too."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _sections_in(argument)
