"""What names of a recipe are held against: names that are known, and one another."""

import difflib
from collections.abc import Iterable


def unique(key: str, values: Iterable[str]) -> None:
    """Refuse a list that names something twice, with a ValueError."""
    seen: set[str] = set()
    for value in values:
        if value in seen:
            raise ValueError(f"{key} names {value!r} twice; name it once")
        seen.add(value)


def nearest(word: str, known: Iterable[str]) -> str:
    """Ask for the known name that a word is close to; empty where none is."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f", did you mean {close[0]!r}?" if close else ""
