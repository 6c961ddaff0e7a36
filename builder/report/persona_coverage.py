"""Counts of persona attributes: observed and expected fractions of values, and coverage of pairs of values."""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

from personagen.builder.core.errors import RecipeError
from personagen.builder.planning.personas.tables import persona_tables
from personagen.builder.release.composition import attributes_of

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


def expected_fractions(personas: Sequence[Layers]) -> dict[str, dict[str, float]]:
    """Return the mean probability of each value, given the attributes that each persona had when it was drawn.

    An attribute is missing if the tables have no value of it for a persona, such as one of other tables.
    """
    expected: dict[str, dict[str, float]] = {}
    unknown: set[str] = set()
    for layers in personas:
        values = {**layers.get("demographic", {}), **layers.get("sociocultural", {})}
        attributes = attributes_of(layers)
        for table in persona_tables().tables:
            if table.name not in attributes:
                continue
            sums = expected.setdefault(table.name, {})
            try:
                probabilities = table.distribution(values).probabilities
            except RecipeError:
                unknown.add(table.name)
                continue
            for value, probability in probabilities.items():
                sums[value] = sums.get(value, 0.0) + probability / len(personas)
    return {name: fractions for name, fractions in expected.items() if name not in unknown}


def pair_coverage(personas: Sequence[Layers]) -> dict[tuple[str, str], tuple[int, int]]:
    """Count the occurring and the possible pairs of values for every two attributes.

    Possible are all pairs of values that a persona has or that the attribute's table gives, implausible ones included.
    """
    attributes = [attributes_of(layers) for layers in personas]
    names = list(attributes[0]) if attributes else []
    values = {name: {persona[name] for persona in attributes} for name in names}
    for table in persona_tables().tables:
        if table.name in values:
            values[table.name] |= {value for _, row in table.rows for value, percent in row.items() if percent > 0}
    return {
        (first, second): (
            len({(persona[first], persona[second]) for persona in attributes}),
            len(values[first]) * len(values[second]),
        )
        for first, second in combinations(names, 2)
    }
