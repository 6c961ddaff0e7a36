"""Counts of persona attributes: observed and expected fractions of values, and coverage of pairs of values."""

import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from personagen.builder.core.errors import RecipeError
from personagen.builder.planning.personas.constraints import Constraints, make_constraints, tables_for
from personagen.builder.planning.personas.drawing import possible_values
from personagen.builder.planning.personas.tables import PersonaTables, persona_tables
from personagen.builder.planning.recipe.sections import PersonaSettings
from personagen.builder.release.composition import COUNTED, attributes_of
from personagen.builder.release.tables.missing import NOT_GIVEN

Layers = Mapping[str, Mapping[str, Any]]
"""Layers of a persona by name, as a row of a release has them."""


MAX_PERSONAS = 20_000
"""Upper bound on the personas whose expected values are computed; of more, as many are drawn."""


@dataclass(frozen=True, slots=True, eq=False)
class CountedPersonas:
    """Counts over personas; the layers of some are kept.

    Attributes:
        total: number of personas.
        observed: number of personas with each value, by attribute.
        pairs: pairs of values that some persona has, for every two attributes; a missing value is "not given".
        drawn: layers of the drawn personas.

    """

    total: int
    observed: Mapping[str, Mapping[str, int]]
    pairs: Mapping[tuple[str, str], set[tuple[str, str]]]
    drawn: Sequence[Layers]


def count_personas(personas: Iterable[Layers], drawn: Collection[int] | None = None) -> CountedPersonas:
    """Count the values of personas one by one.

    Args:
        personas: their layers.
        drawn: positions of those whose layers are kept. None: all.

    """
    total, kept = 0, []
    observed: dict[str, Counter[str]] = {}
    pairs: dict[tuple[str, str], set[tuple[str, str]]] = {}
    for number, layers in enumerate(personas):
        total += 1
        if drawn is None or number in drawn:
            kept.append(layers)
        attributes = attributes_of(layers)
        for attribute, value in attributes.items():
            observed.setdefault(attribute, Counter())[value] += 1
        names = [name for layer, names in COUNTED.items() if layers.get(layer) for name in names]
        values = {name: attributes.get(name, NOT_GIVEN) for name in names}
        for first, second in combinations(names, 2):
            pairs.setdefault((first, second), set()).add((values[first], values[second]))
    known = {names: found for names, found in pairs.items() if observed.keys() >= {*names}}
    return CountedPersonas(total, observed, known, kept)


def observed_fractions(counts: CountedPersonas) -> dict[str, dict[str, float]]:
    """Return the fraction of the personas that have each value, by attribute."""
    return {
        attribute: {value: count / sum(values.values()) for value, count in values.items()}
        for attribute, values in counts.observed.items()
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


def pair_coverage(counts: CountedPersonas, conditioned: ConditionedTables) -> dict[tuple[str, str], tuple[int, int]]:
    """Count the occurring and the possible pairs of values for every two attributes.

    Possible are all pairs of values that a persona has or that the attribute's table gives, implausible ones included;
    with conditions, the values of the personas that meet them.
    """
    values: dict[str, set[str]] = {}
    for names, found in counts.pairs.items():
        for name, side in zip(names, zip(*found, strict=True), strict=True):
            values.setdefault(name, set()).update(side)
    for table in conditioned.tables.tables:
        if table.name not in values:
            continue
        if conditioned.constraints is None:
            values[table.name] |= set(table.known_values())
        else:
            values[table.name] |= possible_values(conditioned.tables, "age_band" if table.name == "age" else table.name)
    return {
        (first, second): (len(found), len(values[first]) * len(values[second]))
        for (first, second), found in counts.pairs.items()
    }
