"""Count the values of each attribute among the texts of a release, row by row.

Memory grows with the number of values, not of rows.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from personagen.builder.core.records import Demographic, Row, Sociocultural
from personagen.builder.planning.personas.tables import persona_tables
from personagen.builder.planning.situations.bank import CUSTOM
from personagen.builder.release.tables.missing import NOT_GIVEN

DEMOGRAPHIC = ("gender", "work")
"""Demographic attributes that are counted, besides bands of ages."""

SOCIOCULTURAL = ("country", "settlement", "education", "religion", "household", "means", "register")
"""Sociocultural attributes that are counted."""

COUNTED = {"demographic": ("age", *DEMOGRAPHIC), "sociocultural": SOCIOCULTURAL}
"""Attributes that are counted, by layer."""


class Composition:
    """Counts over the texts of one depth."""

    def __init__(self, depth: str, *, counts_models: bool = False, attributes: Collection[str] = ()) -> None:
        """Start at zero.

        Args:
            depth: depth of the texts that are counted.
            counts_models: whether the model of a text is one of the attributes.
            attributes: attributes that the recipe defines.

        """
        self._depth = depth
        self._counts_models = counts_models
        self._attributes = attributes
        self._counts: dict[str, Counter[str]] = {}
        self._events: Counter[str] = Counter()
        self._clauses: dict[str, str] = {}

    def add(self, row: Row) -> None:
        """Count an accepted text; texts of other depths are ignored."""
        if row.depth != self._depth:
            return
        for attribute, value in self._values(row):
            self._counts.setdefault(attribute, Counter())[value] += 1
        if row.situational is not None:
            kind, clause = row.situational.event_kind, row.situational.event
            event = clause if kind == CUSTOM else kind
            self._events[event] += 1
            self._clauses.setdefault(event, clause)

    def _values(self, row: Row) -> Iterator[tuple[str, str]]:
        yield from persona_attributes(row.demographic, row.sociocultural).items()
        for name, value in (row.attributes or {}).items():
            if name in self._attributes:
                yield name, str(value)
        if row.situational is not None:
            yield "channel", row.situational.channel
        if row.intensity is not None:
            yield "intensity", row.intensity
        if self._counts_models:
            yield "model", row.provenance.model

    def counts(self) -> Mapping[str, Any]:
        """Return the texts by attribute and value, the number of distinct events, and the most frequent event.

        Values are in alphabetical order. The most frequent event has its clause and its number of texts; of several,
        it is the first in alphabetical order.
        """
        attributes = {name: dict(sorted(values.items())) for name, values in self._counts.items()}
        if not self._events:
            return {"attributes": attributes, "events": 0}
        event = min(self._events, key=lambda name: (-self._events[name], name))
        most = {"event": self._clauses[event], "texts": self._events[event]}
        return {"attributes": attributes, "events": len(self._events), "most_frequent_event": most}


def persona_attributes(demographic: Demographic | None, sociocultural: Sociocultural | None) -> dict[str, str]:
    """Return the counted attributes of a persona by name; without a layer that is None, and without missing values."""
    attributes: dict[str, str] = {}
    if demographic is not None:
        bands = _age_bands()
        if demographic.age is not None:
            attributes["age"] = bands[max(bisect_right(bands, demographic.age, key=_lower_bound) - 1, 0)]
        attributes |= {name: getattr(demographic, name) for name in DEMOGRAPHIC}
    if sociocultural is not None:
        attributes |= {name: getattr(sociocultural, name) for name in SOCIOCULTURAL}
    return {name: value for name, value in attributes.items() if value is not None}


def attributes_of(layers: Mapping[str, Any]) -> dict[str, str]:
    """Return the counted attributes of layers in the form of a data file: a mapping by layer, such as a row."""
    return persona_attributes(*persona_layers(layers))


def persona_layers(layers: Mapping[str, Any]) -> tuple[Demographic | None, Sociocultural | None]:
    """Return the two layers of a persona from layers in the form of a data file; None: the text has none."""
    demographic, sociocultural = layers.get("demographic"), layers.get("sociocultural")
    return (
        Demographic(**demographic) if demographic else None,
        Sociocultural(**sociocultural) if sociocultural else None,
    )


def attributes_of_all(personas: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Return the counted attributes of several personas: all have the same, as far as they have the same layers.

    A value that a source lacks is "not given", as in the tables. An attribute that no persona has is left out.

    Args:
        personas: layers of each persona in the form of a data file.

    """
    attributes = [attributes_of(layers) for layers in personas]
    known = {name for values in attributes for name in values}
    return [
        {
            name: values.get(name, NOT_GIVEN)
            for layer, names in COUNTED.items()
            if layers.get(layer)
            for name in names
            if name in known
        }
        for layers, values in zip(personas, attributes, strict=True)
    ]


@cache
def _age_bands() -> tuple[str, ...]:
    """Return the bands of the table of ages, youngest first."""
    table = next(table for table in persona_tables().tables if table.name == "age")
    return tuple(sorted(table.distribution({}).values, key=_lower_bound))


def _lower_bound(band: str) -> int:
    return int(band.partition("-")[0])
