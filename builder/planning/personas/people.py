"""The personas of a plan by number: the seam between a plan and the source of its personas."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from personagen.builder.core.errors import RecipeError
from personagen.builder.planning.personas.constraints import PersonaConstraints, make_constraints, tables_for
from personagen.builder.planning.personas.drawing import Design, Persona, draw_persona, make_design, possible_pairs
from personagen.builder.planning.personas.tables import PersonaTables, persona_tables
from personagen.builder.planning.personas.ties import independent_lines, indirect_lines


class People(Protocol):
    """The personas of a plan: pure, each a function of its number alone."""

    def is_ready(self, number: int) -> bool:
        """Return whether a persona can be had at once, without choosing others first."""

    def persona(self, number: int) -> Persona:
        """Return a persona by number."""

    @property
    def tables(self) -> PersonaTables:
        """Tables that decide which attributes a counterfactual of a persona can have."""

    @property
    def attribute_types(self) -> Mapping[str, str]:
        """Type of each further attribute of the personas: "string", "int64" or "float64"; empty: there are none."""

    @property
    def notes(self) -> tuple[str, ...]:
        """Remarks on the personas for the user of the recipe, one line each."""

    @property
    def ties(self) -> Mapping[str, tuple[str, ...]]:
        """Lines on pairs of attributes that are drawn independently, or tied only through others, by kind."""

    @property
    def missing(self) -> frozenset[str]:
        """Columns of the first two layers, as `layer.column`, that no persona has a value for."""

    @property
    def source(self) -> Mapping[str, Any] | None:
        """Facts on the source of the personas, for manifest and card; None: they are drawn from tables."""

    @property
    def pairs_met(self) -> int:
        """Number of distinct pairs of attribute values among the personas."""

    @property
    def pairs_possible(self) -> int:
        """Number of pairs of values of the covered attributes, incoherent pairs included."""


@dataclass(frozen=True, slots=True)
class DrawnPeople:
    """Personas drawn from tables; see `make_design`.

    Attributes:
        tables: tables that the attributes are drawn from.
        design: chosen draw of each persona.
        attribute_types: type of each further attribute.

    """

    tables: PersonaTables
    design: Design
    attribute_types: Mapping[str, str] = field(default_factory=dict)

    @property
    def notes(self) -> tuple[str, ...]:
        """Combinations of attributes that cannot be balanced."""
        return () if self.design.constraints is None else self.design.constraints.notes

    @property
    def ties(self) -> Mapping[str, tuple[str, ...]]:
        """Pairs that no table or rule ties, as `independent`, and those tied only through others, as `indirect`."""
        return {"independent": independent_lines(self.tables), "indirect": indirect_lines(self.tables)}

    def is_ready(self, number: int) -> bool:
        """Return whether the draw of a persona is known without choosing further ones."""
        return self.design.is_chosen(number)

    def persona(self, number: int) -> Persona:
        """Return a persona by number."""
        return draw_persona(self.tables, self.design, number)

    @property
    def missing(self) -> frozenset[str]:
        """Prose, which drawn personas have none of until the model writes it."""
        return frozenset({"demographic.prose", "sociocultural.prose"})

    @property
    def source(self) -> None:
        """None: the personas are drawn from tables."""

    @property
    def pairs_met(self) -> int:
        """Number of distinct pairs of attribute values among the first MAX_DESIGNED personas."""
        return self.design.pairs

    @property
    def pairs_possible(self) -> int:
        """Number of pairs of values of the covered attributes, incoherent pairs included."""
        return possible_pairs(self.tables)


def draw_people(settings: PersonaConstraints | None, seed: int, count: int) -> DrawnPeople:
    """Draw personas from the tables of the package.

    Args:
        settings: section `personas` of the recipe. None: as the tables are.
        seed: seed of the recipe.
        count: number of personas.

    Raises:
        RecipeError: no such personas can be drawn.

    """
    try:
        tables = tables_for(persona_tables(), settings)
        constraints = make_constraints(tables, settings, seed) if count else None
    except ValueError as error:
        raise RecipeError(str(error)) from error
    types = {table.name: "string" for table in tables.own}
    return DrawnPeople(tables, make_design(tables, seed, count, constraints), types)
