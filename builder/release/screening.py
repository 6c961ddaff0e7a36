"""Count the texts of a release that have personal information or slurs, row by row."""

from collections import Counter
from typing import Any

from personagen.metrics.texts.screening import KINDS, screen

MAX_HITS = 100
"""Texts that the manifest lists by id."""


class Screening:
    """Counts over accepted texts, and the first of those with a finding."""

    def __init__(self) -> None:
        """Start at zero."""
        self._checked = 0
        self._texts: Counter[str] = Counter()
        self._hits: list[dict[str, Any]] = []

    def add(self, id_: str, text: str) -> None:
        """Search a text."""
        self._checked += 1
        kinds = screen(text)
        self._texts.update(kinds)
        if kinds and len(self._hits) < MAX_HITS:
            self._hits.append({"id": id_, "kinds": list(kinds)})

    def counts(self) -> dict[str, Any]:
        """Return the number of texts searched, the texts with a finding by kind, and up to `MAX_HITS` of them."""
        counts: dict[str, Any] = {
            "checked": self._checked,
            "texts": {kind: self._texts[kind] for kind in KINDS if self._texts[kind]},
        }
        return {**counts, "hits": self._hits} if self._hits else counts
