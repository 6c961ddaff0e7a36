"""Parse and validate recipes, and explain in one line why a recipe is refused."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from personagen.builder.core.errors import RecipeError
from personagen.builder.core.foreign_text import printable, quote
from personagen.builder.planning.recipe.model import Recipe
from personagen.builder.planning.recipe.recipe_files import resolve_files

TAG_PREFIX = "tag:yaml.org,2002:"
PLAIN_KINDS = frozenset({"str", "int", "float", "bool", "null", "seq", "map", "merge"})
"""Types of values that a recipe can have, by the last part of their tag."""

ODD_NUMBER = re.compile(r"[-+]?(\d+(:\d+)+|0[0-7_]+$)")
"""Numbers of base 60 and 8, which people do not write on purpose."""

KEYS_OF_ALL_MODELS = ("concurrency", "rpm", "tpm", "timeout")
"""Keys of a model that an option sets for each model of a list: limits that change no text."""

MAX_MESSAGE_CHARS = 1_000
"""Upper bound on the reason why a recipe is refused."""

MAX_YAML_CHARS = 2_000_000
"""Upper bound on a text, which is parsed at 100,000 characters per second."""

MAX_REPEATED_VALUES = 10_000
"""Upper bound on the values that aliases add."""


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


def load_plain_yaml(text: str) -> Any:
    """Parse YAML of text, numbers, truth values, null, lists and mappings; dates are text.

    Raises:
        yaml.YAMLError, ValueError, RecursionError: the text is not YAML; it names a key twice, repeats values by
            aliases without bound, or has values of other types.

    """
    if len(text) > MAX_YAML_CHARS:
        raise ValueError(f"more than {MAX_YAML_CHARS:,} characters")
    loader = yaml.SafeLoader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        sizes: dict[int, int] = {}
        if _validate_node(node, sizes) > len(sizes) + MAX_REPEATED_VALUES:
            raise ValueError(f"aliases repeat more than {MAX_REPEATED_VALUES:,} values; write them out")
        try:
            return loader.construct_document(node)
        except LookupError as error:  # a value that its tag does not have: !!bool maybe
            raise ValueError(f"no such value: {quote(str(error), limit=40)}") from None
    finally:
        loader.dispose()


def _validate_node(node: yaml.Node, sizes: dict[int, int]) -> int:
    """Validate a node and return the number of values in it with aliases written out; `sizes`: by node, known ones."""
    if id(node) in sizes:
        if not sizes[id(node)]:
            raise yaml.MarkedYAMLError(problem="an alias contains itself", problem_mark=node.start_mark)
        return sizes[id(node)]
    sizes[id(node)] = 0
    _validate_tag(node)
    children: list[yaml.Node] = []
    if isinstance(node, yaml.MappingNode):
        _require_unique_keys(node)
        children = [child for pair in node.value for child in pair]
    elif isinstance(node, yaml.SequenceNode):
        children = node.value
    sizes[id(node)] = 1 + sum(_validate_node(child, sizes) for child in children)
    return sizes[id(node)]


def _validate_tag(node: yaml.Node) -> None:
    if isinstance(node, yaml.ScalarNode) and not node.value.isascii():  # JSON escapes an emoji as two halves
        node.value = node.value.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
    kind = node.tag.removeprefix(TAG_PREFIX)
    if kind == "timestamp":
        node.tag = f"{TAG_PREFIX}str"
    elif kind not in PLAIN_KINDS:
        problem = (
            f"a value of type {quote(kind.removeprefix('!'), limit=40)}; wanted text, a number, a list or a mapping"
        )
        raise yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)
    elif (
        isinstance(node, yaml.ScalarNode)
        and not node.style
        and kind in ("int", "float")
        and ODD_NUMBER.match(node.value)
    ):
        problem = f"got {quote(node.value, limit=40)}, a number of base 60 or 8; put it in quotes"
        raise yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)
    elif isinstance(node, yaml.ScalarNode) and any("\ud800" <= char <= "\udfff" for char in node.value):
        raise yaml.MarkedYAMLError(
            problem="half of a surrogate pair, which is no character", problem_mark=node.start_mark
        )


def _require_unique_keys(node: yaml.MappingNode) -> None:
    lines: dict[tuple[str, str], int] = {}
    for position, (key, _) in enumerate(node.value, 1):
        if not isinstance(key, yaml.ScalarNode):
            continue  # refused by the constructor, with its line
        line = key.start_mark.line + 1
        if (first := lines.setdefault((key.tag, key.value), line)) != line or len(lines) < position:
            problem = f"the key {quote(key.value, limit=40)} stands twice, in lines {first} and {line}; name it once"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=key.start_mark)


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
