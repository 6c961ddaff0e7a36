"""Counts of persona attributes: observed and expected fractions of values, and coverage of pairs of values."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from personagen.builder.core.errors import RecipeError
from personagen.builder.planning.personas.constraints import Constraints, make_constraints, tables_for
from personagen.builder.planning.personas.drawing import possible_values
from personagen.builder.planning.personas.tables import PersonaTables, persona_tables
from personagen.builder.planning.recipe.sections import PersonaSettings
from personagen.builder.release.composition import attributes_of, attributes_of_all

Layers = Mapping[str, Mapping[str, Any]]
"""Layers of a persona by name, as a row of a release has them."""


def observed_fractions(personas: Sequence[Layers]) -> dict[str, dict[str, float]]:
    """Return the fraction of the personas that have each value, by attribute."""
    counts: dict[str, Counter[str]] = {}
    for layers in personas:
        for attribute, value in attributes_of(layers).items():
            counts.setdefault(attribute, Counter())[value] += 1
    return {
        attribute: {value: count / values.total() for value, count in values.items()}
        for attribute, values in counts.items()
    }


@dataclass(frozen=True, slots=True)
class ConditionedTables:
    """The tables that the personas of a release were drawn from, with the conditions of its recipe.

    Attributes:
        tables: tables, with the condition that every persona meets.
        constraints: conditions and cells. None: there are none.

    """

    tables: PersonaTables
    constraints: Constraints | None

    def distribution(self, name: str, values: Mapping[str, Any]) -> Mapping[Any, float] | None:
        """Return the distribution that an attribute of a persona was drawn from; None: none of these tables'."""
        constraints, step = self.constraints, "age_band" if name == "age" else name
        try:
            if constraints is None:
                table = next(table for table in self.tables.tables if table.name == name)
                return table.distribution(values).probabilities
            cell = constraints.chances.cell_of(values)
            if cell is None:
                return None
            return constraints.chances.distribution(constraints.steps[step], values, cell).probabilities
        except (RecipeError, KeyError, ZeroDivisionError):  # values of other tables
            return None


def package_tables() -> ConditionedTables:
    """Return the tables of the package, without conditions."""
    return ConditionedTables(persona_tables(), None)


def conditioned_tables(manifest: Mapping[str, Any]) -> ConditionedTables:
    """Return the tables of a release; those of the package if its conditions are those of another version."""
    try:
        data = manifest["recipe"].get("personas")
        settings = None if data is None else PersonaSettings.model_validate_json(json.dumps(data))
        tables = tables_for(persona_tables(), settings)
        return ConditionedTables(tables, make_constraints(tables, settings, manifest["seed"]))
    except ValueError:
        return package_tables()


def expected_fractions(personas: Sequence[Layers], conditioned: ConditionedTables) -> dict[str, dict[str, float]]:
    """Return the mean probability of each value, given the attributes that each persona had when it was drawn.

    An attribute is missing if the tables have no value of it for a persona, such as one of other tables.
    """
    expected: dict[str, dict[str, float]] = {}
    unknown: set[str] = set()
    for layers in personas:
        attributes = attributes_of(layers)
        values = {**layers.get("demographic", {}), **layers.get("sociocultural", {}), "age_band": attributes.get("age")}
        for table in conditioned.tables.tables:
            if table.name not in attributes:
                continue
            sums = expected.setdefault(table.name, {})
            probabilities = conditioned.distribution(table.name, values)
            if probabilities is None:
                unknown.add(table.name)
                continue
            for value, probability in probabilities.items():
                sums[value] = sums.get(value, 0.0) + probability / len(personas)
    return {name: fractions for name, fractions in expected.items() if name not in unknown}


def pair_coverage(personas: Sequence[Layers], conditioned: ConditionedTables) -> dict[tuple[str, str], tuple[int, int]]:
    """Count the occurring and the possible pairs of values for every two attributes.

    Possible are all pairs of values that a persona has or that the attribute's table gives, implausible ones included;
    with conditions, the values of the personas that meet them.
    """
    attributes = attributes_of_all(personas)
    names = list(attributes[0]) if attributes else []
    values = {name: {persona[name] for persona in attributes} for name in names}
    for table in conditioned.tables.tables:
        if table.name not in values:
            continue
        if conditioned.constraints is None:
            values[table.name] |= set(table.known_values())
        else:
            values[table.name] |= possible_values(conditioned.tables, "age_band" if table.name == "age" else table.name)
    return {
        (first, second): (
            len({(persona[first], persona[second]) for persona in attributes}),
            len(values[first]) * len(values[second]),
        )
        for first, second in combinations(names, 2)
    }
