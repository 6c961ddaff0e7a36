"""Parse and validate recipes, and explain in one line why a recipe is refused."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from personagen.builder.core.errors import RecipeError
from personagen.builder.core.foreign_text import printable, quote
from personagen.builder.planning.plain_yaml import load_plain_yaml
from personagen.builder.planning.recipe.model import Recipe
from personagen.builder.planning.recipe.recipe_files import resolve_files

KEYS_OF_ALL_MODELS = ("concurrency", "rpm", "tpm", "timeout")
"""Keys of a model that an option sets for each model of a list: limits that change no text."""

MAX_MESSAGE_CHARS = 1_000
"""Upper bound on the reason why a recipe is refused."""


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
        folder: folder that the files named in the text are relative to. None: the working directory.

    Raises:
        RecipeError: the text is not a YAML mapping, a key is unknown (the nearest known key is suggested), or a value
            is out of bounds.

    """
    data = _load_yaml(text, source)
    if folder is not None:
        resolve_files(data, folder)
    try:
        for key, value in (overrides or {}).items():
            _override(data, key, value)
        # JSON keeps 70.0 and "70" apart from 70, but not the keys 1 and "1".
        content = json.dumps(data)
        json.loads(content, object_pairs_hook=_require_unique_texts)
        return Recipe.model_validate_json(content)
    except RecipeError as error:
        raise RecipeError(f"{source}: {printable(_bounded(str(error)))}") from error
    except (TypeError, ValueError, RecursionError) as error:  # overrides of a caller that are no plain data
        problem = printable(" ".join(str(error).split()))[:300]
        raise RecipeError(f"{source}: not a plain mapping ({problem}); see docs/recipe.md") from error


def _require_unique_texts(pairs: list[tuple[str, Any]]) -> None:
    keys = [key for key, _ in pairs]
    if len({*keys}) < len(keys):
        double = next(key for number, key in enumerate(keys) if key in keys[:number])
        raise ValueError(f"the key {quote(double, limit=40)} stands twice, as text and as a number or a truth value")


def _bounded(message: str) -> str:
    """Cut the middle out of a message that quotes a very long name."""
    half = MAX_MESSAGE_CHARS // 2
    return message if len(message) <= 2 * half else f"{message[:half]} ... {message[-half:]}"


def _load_yaml(text: str, source: str) -> dict[str, Any]:
    try:
        data = load_plain_yaml(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        problem = " ".join(str(getattr(error, "problem", None) or error).split())
        raise RecipeError(f"{source}{line}: not YAML ({printable(problem)[:300]}); see docs/recipe.md") from error
    if data is None:
        data = {}
    if not isinstance(data, dict):
        raise RecipeError(f"{source}: got a {type(data).__name__}, wanted a mapping of keys; see docs/recipe.md")
    return data


def _override(data: dict[str, Any], key: str, value: Any) -> None:
    """Set the value of a dotted key. A section that is not a mapping stays as it is; validation refuses it.

    Raises:
        RecipeError: the key is of one model, and the recipe lists several.

    """
    *parents, last = key.split(".")
    section = data
    if parents == ["backend"] and isinstance(models := data.get("backend"), list):
        if last not in KEYS_OF_ALL_MODELS:
            raise RecipeError(
                f"backend is a list of {len(models)} models, so {key} cannot be set for one of them from outside; "
                f"wanted {', '.join(KEYS_OF_ALL_MODELS)}, which apply to each; change the list in the recipe"
            )
        for model in models:
            if isinstance(model, dict):
                model[last] = value
        return
    for parent in parents:
        if section.get(parent) is None:
            section[parent] = {}
        section = section[parent]
        if not isinstance(section, dict):
            return
    section[last] = value
