"""What a release is made of: how often each attribute has each value among the texts, counted as they settle.

Counts take the memory of the values that there are, not of the rows.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from personagen.builder.core.records import Demographic, Row, Sociocultural
from personagen.builder.planning.attribute_tables import persona_tables

DEMOGRAPHIC = ("gender", "work")
SOCIOCULTURAL = ("country", "settlement", "education", "religion", "household", "means", "register")
CUSTOM = "custom"
"""Kind of all events of a recipe's own: they are told apart by what they say."""


class Composition:
    """Counts over the texts of one depth."""

    def __init__(self, depth: str) -> None:
        """Count texts of this depth only."""
        self._depth = depth
        self._counts: dict[str, Counter[str]] = {}
        self._events: set[str] = set()

    def add(self, row: Row) -> None:
        """Count an accepted text, if it is of the depth."""
        if row.depth != self._depth:
            return
        for attribute, value in self._values(row):
            self._counts.setdefault(attribute, Counter())[value] += 1
        if row.situational is not None:
            kind = row.situational.event_kind
            self._events.add(row.situational.event if kind == CUSTOM else kind)

    def _values(self, row: Row) -> Iterator[tuple[str, str]]:
        yield from persona_attributes(row.demographic, row.sociocultural).items()
        if row.situational is not None:
            yield "channel", row.situational.channel
        if row.intensity is not None:
            yield "intensity", row.intensity

    def counts(self) -> Mapping[str, Any]:
        """Give the counts: texts by attribute and value, values in alphabetical order, and how many events there are.

        The texts of each emotion and split are the rows of the configurations.
        """
        attributes = {name: dict(sorted(values.items())) for name, values in self._counts.items()}
        return {"attributes": attributes, "events": len(self._events)}


def persona_attributes(demographic: Demographic | None, sociocultural: Sociocultural | None) -> dict[str, str]:
    """Give the attributes of a persona by which texts are counted; a layer that is None has none."""
    found: dict[str, str] = {}
    if demographic is not None:
        bands = _age_bands()
        found["age"] = bands[max(bisect_right(bands, demographic.age, key=_least) - 1, 0)]
        found |= {name: getattr(demographic, name) for name in DEMOGRAPHIC}
    if sociocultural is not None:
        found |= {name: getattr(sociocultural, name) for name in SOCIOCULTURAL}
    return found


def attributes_of(layers: Mapping[str, Any]) -> dict[str, str]:
    """Give the same of layers as they are in a file, by name; of a row of a release too."""
    demographic, sociocultural = layers.get("demographic"), layers.get("sociocultural")
    return persona_attributes(
        Demographic(**demographic) if demographic else None, Sociocultural(**sociocultural) if sociocultural else None
    )


@cache
def _age_bands() -> tuple[str, ...]:
    """List the bands of the table of ages, which are what personas are drawn from."""
    table = next(table for table in persona_tables().tables if table.name == "age")
    return tuple(sorted(table.distribution({}).values, key=_least))


def _least(band: str) -> int:
    return int(band.partition("-")[0])
