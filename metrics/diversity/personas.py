"""Coverage of the attribute space by personas, and their association with labels and texts."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from personagen.metrics.diversity.clusters import between_group_variance
from personagen.metrics.statistics.paired import MIN_GROUPS
from personagen.metrics.statistics.shuffles import upper_p
from personagen.metrics.texts.inputs import Vectors, brief

PERMUTATIONS = 200
"""Shuffles per test; the smallest possible p is about 0.005."""

Attributes = Mapping[str, str]
"""Names and values of the attributes of one persona."""


def validate_personas(personas: object, count: int) -> list[dict[str, str]]:
    """Return personas, one per text, all with the same attributes.

    Raises:
        TypeError: a persona is not a mapping of strings to strings.
        ValueError: their number is not `count`, or a persona has other attributes than the first.

    """
    if isinstance(personas, str | Mapping) or not isinstance(personas, Sequence):
        raise TypeError(f"personas is {brief(personas)}, wanted a list of mappings, one per text")
    if len(personas) != count:
        raise ValueError(f"personas has {len(personas)} entries, wanted {count}: one per text")
    validated: list[dict[str, str]] = []
    for number, persona in enumerate(personas):
        if not isinstance(persona, Mapping) or not all(
            isinstance(part, str) for pair in persona.items() for part in pair
        ):
            raise TypeError(f"personas[{number}] is {brief(persona)}, wanted a mapping of strings to strings")
        if validated and persona.keys() != validated[0].keys():
            different = ", ".join(sorted(persona.keys() ^ validated[0].keys()))
            raise ValueError(
                f"personas[{number}] differs from personas[0] in {brief(different)}, wanted the same attributes"
            )
        validated.append(dict(persona))
    return validated


def pair_coverage(personas: Sequence[Attributes]) -> float | None:
    """Return the fraction of pairs of values of two attributes that some persona has, of all pairs of occurring values.

    In (0, 1]; None for fewer than two attributes.
    """
    names = sorted(personas[0])
    pairs = ({(persona[one], persona[other]) for persona in personas} for one, other in combinations(names, 2))
    return _coverage(pairs)


def coverage_of(pairs: Mapping[tuple[str, str], Collection[tuple[str, str]]]) -> float | None:
    """Return the figure of `pair_coverage` for the pairs of values that occur, by the names of their attributes."""
    return _coverage(pairs.values())


def _coverage(pairs: Iterable[Collection[tuple[str, str]]]) -> float | None:
    covered = possible = 0
    for found in pairs:
        covered += len(found)
        possible += len({pair[0] for pair in found}) * len({pair[1] for pair in found})
    return covered / possible if possible else None


def evenness(personas: Sequence[Attributes]) -> dict[str, float]:
    """Return for each attribute the entropy of its values over that of equal fractions; 0 for a single value."""
    return evenness_of({name: Counter(persona[name] for persona in personas) for name in personas[0]})


def evenness_of(counts: Mapping[str, Mapping[str, int]]) -> dict[str, float]:
    """Return the figure of `evenness` for the number of texts of each value, by attribute."""
    by_attribute = {}
    for name in sorted(counts):
        numbers = np.array(list(counts[name].values()), dtype=np.float64)
        fractions = numbers / numbers.sum()
        entropy = float(-(fractions * np.log(fractions)).sum())
        by_attribute[name] = entropy / float(np.log(len(fractions))) if len(fractions) > 1 else 0.0
    return by_attribute


def cramers_v(one: NDArray[np.intp], other: NDArray[np.intp]) -> float:
    """Compute the association of two attributes: Cramer's V with the bias correction of Bergsma (2013).

    In [0, 1]; 0 for an attribute with a single value.

    Args:
        one: number of the value of each text, from 0.
        other: the same for the other attribute.

    """
    table = np.zeros((one.max() + 1, other.max() + 1))
    np.add.at(table, (one, other), 1)
    count = table.sum()
    rows, columns = table.shape
    if min(rows, columns) < 2 or count < 2:
        return 0.0
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / count
    phi = float((np.square(table - expected) / expected).sum() / count)
    corrected = max(0.0, phi - (rows - 1) * (columns - 1) / (count - 1))
    sides = (side - (side - 1) ** 2 / (count - 1) for side in (rows, columns))
    smaller = min(sides) - 1
    return float(min(1.0, (corrected / smaller) ** 0.5)) if smaller > 0 else 0.0


def label_association(personas: Sequence[Attributes], labels: Sequence[str]) -> dict[str, float]:
    """Return Cramer's V of each attribute with the label."""
    label_codes = np.unique(labels, return_inverse=True)[1]
    return {name: cramers_v(codes, label_codes) for name, codes in _codes_by_attribute(personas).items()}


def association_p(personas: Sequence[Attributes], labels: Sequence[str], seed: int) -> float | None:
    """Return the p-value of the largest association of an attribute with the label, from shuffled personas.

    Attributes are shuffled among whole personas, because a persona may favour a label without its attributes having to
    do with it. Personas with equal attributes count as one. Every shuffle contributes its largest association, which
    corrects for the number of attributes.

    Returns:
        None for fewer than five different personas.

    """
    groups = groups_of_personas(personas)
    first = np.unique(groups, return_index=True)[1]
    if len(first) < MIN_GROUPS:
        return None
    columns = [codes[first] for codes in _codes_by_attribute(personas).values()]
    label_codes = np.unique(labels, return_inverse=True)[1]

    def largest(order: NDArray[np.intp]) -> float:
        return max(cramers_v(column[order][groups], label_codes) for column in columns)

    observed = largest(np.arange(len(first)))
    generator = np.random.default_rng([seed, 3])
    return upper_p(observed, np.array([largest(generator.permutation(len(first))) for _ in range(PERMUTATIONS)]))


def groups_of_personas(personas: Sequence[Attributes]) -> NDArray[np.intp]:
    """Return the number of the persona of each text; personas with equal attributes are one."""
    keys = ["\x1f".join(f"{name}\x1e{value}" for name, value in sorted(persona.items())) for persona in personas]
    return np.unique(keys, return_inverse=True)[1]


def _codes_by_attribute(personas: Sequence[Attributes]) -> dict[str, NDArray[np.intp]]:
    return {
        name: np.unique([persona[name] for persona in personas], return_inverse=True)[1] for name in sorted(personas[0])
    }


def persona_variance(vectors: Vectors, personas: Sequence[Attributes], seed: int) -> tuple[float | None, float | None]:
    """Return the fraction of variance of the vectors between personas, and its p-value from shuffled personas.

    Texts of one persona differ by situation too, so the fraction means little without the p-value. Both None unless
    there are two personas or more, and fewer personas than texts.
    """
    groups = groups_of_personas(personas)
    if not 2 <= groups.max(initial=0) + 1 < len(groups):
        return None, None
    observed = between_group_variance(vectors, groups)
    if observed is None:
        return None, None
    generator = np.random.default_rng([seed, 4])
    shuffled = [between_group_variance(vectors, generator.permutation(groups)) or 0.0 for _ in range(PERMUTATIONS)]
    return observed, (1 + sum(value >= observed for value in shuffled)) / (1 + PERMUTATIONS)
