"""Parse and validate recipes, and explain in one line why a recipe is refused."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from personagen.builder.core.errors import RecipeError
from personagen.builder.planning.recipe import FILE_KEYS, Recipe
from personagen.builder.planning.styles import PROFILE_SUFFIX


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
    return parse_recipe(text, str(path), overrides, folder=path.parent)


def parse_recipe(
    text: str, source: str, overrides: Mapping[str, Any] | None = None, *, folder: Path | None = None
) -> Recipe:
    """Parse and validate a recipe.

    Args:
        text: YAML mapping. Empty: every default.
        source: name of the recipe in errors: a path or "command line".
        overrides: values that replace those of the text, by dotted key ("backend.model").
        folder: folder that profiles and examples of the text are relative to. None: the working directory.

    Raises:
        RecipeError: the text is not a YAML mapping, a key is unknown (the nearest known key is suggested), or a value
            is out of bounds.

    """
    data = _load_yaml(text, source)
    if folder is not None:
        _resolve_files(data, folder)
    for key, value in (overrides or {}).items():
        _override(data, key, value)
    try:
        # JSON keeps 70.0 and "70" apart from 70, and has no dates.
        return Recipe.model_validate_json(json.dumps(data, default=str))
    except RecipeError as error:
        raise RecipeError(f"{source}: {error}") from error
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


def _resolve_files(data: Mapping[str, Any], folder: Path) -> None:
    """Take profiles and examples of a recipe file as relative to its folder, so that all can be moved together."""
    text = data.get("text")
    if not isinstance(text, dict):
        return
    for key in FILE_KEYS:
        if isinstance(text.get(key), str):
            text[key] = str(folder.absolute() / text[key])
    style = text.get("style")
    if isinstance(style, str):
        text["style"] = _resolved(style, folder)
    elif isinstance(style, dict):
        text["style"] = {_resolved(name, folder): fraction for name, fraction in style.items()}


def _resolved(name: Any, folder: Path) -> Any:
    is_path = isinstance(name, str) and name.endswith(PROFILE_SUFFIX)
    return str(folder.absolute() / name) if is_path else name
