"""Check names in recipes: suggest a known name for a misspelt one, and refuse repeated names."""

import difflib
from collections.abc import Iterable

MIN_SIMILARITY = 0.5
"""Least similarity ratio (`difflib`) of a suggested name, in [0, 1]."""


def require_unique(key: str, values: Iterable[str]) -> None:
    """Raise ValueError if a list names a value twice."""
    seen: set[str] = set()
    for value in values:
        if value in seen:
            raise ValueError(f"{key} names {value!r} twice; name it once")
        seen.add(value)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return a suggestion to append to a message: the known name most similar to `word`; empty if none is similar."""
    similar = difflib.get_close_matches(word, list(known), n=1, cutoff=MIN_SIMILARITY)
    return f", did you mean {similar[0]!r}?" if similar else ""
