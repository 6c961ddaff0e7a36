"""Count the texts of a release that show their personas by words, row by row."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from personagen.builder.core.records import Demographic, Row, Sociocultural
from personagen.builder.release.composition import SOCIOCULTURAL, persona_layers
from personagen.metrics.persona.shown import ANY, shown_and_chance
from personagen.metrics.persona.words import WORD_ATTRIBUTES, shown_attributes, signs_of

MAX_SAMPLE = 200
"""Texts per emotion whose personas are exchanged to measure chance: the first ones."""

DEMOGRAPHIC = ("age", "gender", "work", "occupation", "occupation_group")
"""Attributes of the first layer that texts can show; of the second they can show all that compositions count."""


class PersonaWords:
    """Counts over the English texts of one depth that have a persona."""

    def __init__(self, depth: str) -> None:
        """Start at zero; only texts of `depth` are counted."""
        self._depth = depth
        self._checked = self._any = 0
        self._shown: Counter[str] = Counter()
        self._possible: set[str] = set()
        self._sample: dict[str, list[tuple[str, str, dict[str, str]]]] = {}

    def add(self, row: Row) -> None:
        """Count a text; those of other depths, of other languages and without a persona are ignored."""
        values = persona_values(row.demographic, row.sociocultural)
        if row.depth != self._depth or not is_checked(row) or not values:
            return
        shown = shown_attributes(row.text, values)
        self._checked += 1
        self._any += bool(shown)
        self._shown.update(shown)
        self._possible.update(name for name in WORD_ATTRIBUTES if name in values and signs_of(name, values[name]))
        sample = self._sample.setdefault(row.label, [])
        if len(sample) < MAX_SAMPLE:
            sample.append((row.text, row.persona_id or row.id, values))

    def counts(self) -> Mapping[str, Any] | None:
        """Return the texts that show their persona, in all and by attribute, with chance; None: none was checked."""
        if not self._possible:
            return None
        sample = [(label, *entry) for label, entries in self._sample.items() for entry in entries]
        labels, texts, personas, values = zip(*sample, strict=True)
        chances = shown_and_chance(texts, labels, values, personas)
        return {
            "checked": self._checked,
            "texts": self._any,
            "chance": _rounded(chances[ANY]),
            "attributes": {
                name: {"texts": self._shown[name], "chance": _rounded(chances[name])}
                for name in WORD_ATTRIBUTES
                if name in self._possible
            },
        }


def is_checked(row: Row) -> bool:
    """Return whether a text is one that the English word lists apply to."""
    return row.provenance.leaked is not None  # the check of emotion words has lists for the same language


def shown_of(row: Row) -> tuple[str, ...] | None:
    """Return the attributes that a text shows by words; None: it has no persona, or is in another language."""
    values = persona_values(row.demographic, row.sociocultural)
    return shown_attributes(row.text, values) if values and is_checked(row) else None


def persona_values(demographic: Demographic | None, sociocultural: Sociocultural | None) -> dict[str, str]:
    """Return the attributes of a persona that texts can show, by name; the age in years, no missing values."""
    values = [(name, getattr(demographic, name)) for name in DEMOGRAPHIC] if demographic is not None else []
    if sociocultural is not None:
        values += [(name, getattr(sociocultural, name)) for name in SOCIOCULTURAL]
    return {name: str(value) for name, value in values if value is not None}


def values_of(layers: Mapping[str, Any]) -> dict[str, str]:
    """Return the attributes that texts can show from layers in the form of a data file, such as a row."""
    return persona_values(*persona_layers(layers))


def _rounded(fraction: float | None) -> float | None:
    return None if fraction is None else round(fraction, 4)
