"""Personas that are the chosen rows of a source."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from personagen.builder.core.records import AttributeValue, Demographic, Sociocultural
from personagen.builder.planning.personas.drawing import Persona
from personagen.builder.planning.personas.sources.columns.mapping import ATTRIBUTES
from personagen.builder.planning.personas.sources.columns.presets import BACKGROUND, PROSE
from personagen.builder.planning.personas.sources.licences import source_warning
from personagen.builder.planning.personas.sources.stored import StoredChoice
from personagen.builder.planning.personas.tables import PersonaTables

MAX_CACHED_PERSONAS = 1024
"""Personas in memory: more than the rows in flight have."""


@dataclass(frozen=True, slots=True)
class SourcedPeople:
    """Personas from a source; see `choose_personas`.

    Attributes:
        tables: tables with the coherence rules, for counterfactuals.
        stored: the chosen rows.

    """

    tables: PersonaTables
    stored: StoredChoice

    def is_ready(self, number: int) -> bool:
        """Return True: all personas are chosen."""
        return True

    def persona(self, number: int) -> Persona:
        """Return a persona by number."""
        return _persona(self.stored, number)

    @property
    def attribute_types(self) -> Mapping[str, str]:
        """Type of each column of the source that the personas keep."""
        types: Mapping[str, str] = self.stored.facts["attribute_types"]
        return types

    @property
    def missing(self) -> frozenset[str]:
        """Columns of the first two layers, as `layer.column`, that no persona has a value for."""
        return frozenset(self.stored.facts["missing"])

    @property
    def source(self) -> Mapping[str, Any]:
        """Facts on the source, for manifest and card."""
        facts: Mapping[str, Any] = self.stored.facts["source"]
        return facts

    @property
    def notes(self) -> tuple[str, ...]:
        """Warning that the licence of the source is unknown."""
        warning = source_warning(self.source)
        return () if warning is None else (warning,)

    @property
    def ties(self) -> Mapping[str, tuple[str, ...]]:
        """Nothing: the tables do not draw these personas."""
        return {}

    @property
    def pairs_met(self) -> int:
        """Number of distinct pairs of attribute values among the first MAX_DESIGNED personas."""
        return int(self.stored.facts["pairs_met"])

    @property
    def pairs_possible(self) -> int:
        """Number of pairs of values that occur in the source, whether together or not."""
        return int(self.stored.facts["pairs_possible"])


@lru_cache(maxsize=MAX_CACHED_PERSONAS)
def _persona(stored: StoredChoice, number: int) -> Persona:
    row = json.loads(stored.line(number))
    values: dict[str, Any] = row["values"]
    types: Mapping[str, str] = stored.facts["attribute_types"]
    ours = {name: values.get(name) for name in ATTRIBUTES}
    return Persona(
        f"p{number:06d}",
        Demographic(**_fields(Demographic, ours), prose=row.get(PROSE)),
        Sociocultural(**_fields(Sociocultural, ours), prose=row.get(BACKGROUND)),
        values,
        {name: _typed(values.get(name), dtype) for name, dtype in types.items()},
    )


def _fields(layer: type[Demographic] | type[Sociocultural], values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: values[name] for name in layer.__dataclass_fields__ if name != "prose"}


def _typed(value: Any, dtype: str) -> AttributeValue:
    """Return the value of a further attribute in the type of its column."""
    if value is None:
        return None
    return str(value) if dtype == "string" else float(value) if dtype == "float64" else int(value)
