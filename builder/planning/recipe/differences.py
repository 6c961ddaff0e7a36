"""Differences between two recipes, by dotted key."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

ROW_KEYS = ("rows", "quotas", "batches")
"""Keys of the number of rows, which `--append` changes."""

MAX_NAMED = 3
"""Most differences that a message names."""

MAX_VALUE_CHARS = 60
"""Most characters of a value in a message."""


@dataclass(frozen=True, slots=True)
class RecipeDifference:
    """A setting that differs between two recipes.

    Attributes:
        key: dotted key of the setting.
        one: its value in one recipe; None: not set.
        other: its value in the other recipe; None: not set.

    """

    key: str
    one: Any
    other: Any


def recipe_differences(
    one: Mapping[str, Any], other: Mapping[str, Any], prefix: str = ""
) -> Iterator[RecipeDifference]:
    """Yield the settings that differ, in the order of the keys of `one`, then those of `other` alone.

    Args:
        one: plain data of a recipe; see `Recipe.identity`.
        other: plain data of another recipe.
        prefix: beginning of every key.

    """
    for key in [*one, *(key for key in other if key not in one)]:
        left, right = _by_position(one.get(key)), _by_position(other.get(key))
        if isinstance(left, Mapping) and isinstance(right, Mapping):
            yield from recipe_differences(left, right, f"{prefix}{key}.")
        elif _plain(left) != _plain(right):
            yield RecipeDifference(prefix + str(key), one.get(key), other.get(key))


def differ_in_rows_alone(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Return whether two recipes ask for the same but for the number of rows."""
    return all(found.key.partition(".")[0] in ROW_KEYS for found in recipe_differences(one, other))


def _by_position(value: Any) -> Any:
    """Return a list of mappings, such as that of several models, as a mapping by position; else the value."""
    is_list = isinstance(value, list | tuple) and value and all(isinstance(part, Mapping) for part in value)
    return {str(position): part for position, part in enumerate(value)} if is_list else value


def describe_differences(there: Mapping[str, Any], here: Mapping[str, Any]) -> str:
    """Describe on one line what differs between the recipe of a folder and the recipe at hand; "": nothing does."""
    differences = sorted(recipe_differences(there, here), key=lambda found: found.key.count("."))
    named = [
        f"{found.key} is {short_value(found.one)} there and {short_value(found.other)} here" for found in differences
    ]
    further = len(named) - MAX_NAMED
    return ", ".join(named[:MAX_NAMED]) + (f", and {further} more differ" if further > 0 else "")


def _plain(value: Any) -> str:
    """Return JSON of a value: that of tuples and lists, and of any order of keys, is equal."""
    return json.dumps(value, sort_keys=True, default=list)


def short_value(value: Any) -> str:
    """Return a value on one line of at most MAX_VALUE_CHARS characters; None: "not set"."""
    text = "not set" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= MAX_VALUE_CHARS else f"{text[: MAX_VALUE_CHARS - 4]} ..."
