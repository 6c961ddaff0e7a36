"""Whether personas cover the space of their attributes, and what emotions and texts have to do with them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from personagen.metrics.diversity.clusters import between_group_variance
from personagen.metrics.texts.inputs import Vectors, brief

PERMUTATIONS = 200
"""The smallest p that so many permutations can give is about 0.005."""

Persona = Mapping[str, str]


def validate_personas(personas: object, count: int) -> list[dict[str, str]]:
    """Read personas, one per text: attributes and their values; the same attributes for all.

    Raises:
        TypeError: one is no mapping of strings to strings.
        ValueError: there are more or fewer than texts, or one has other attributes than the first.

    """
    if isinstance(personas, str | Mapping) or not isinstance(personas, Sequence):
        raise TypeError(f"personas is {brief(personas)}, wanted a list of mappings, one per text")
    if len(personas) != count:
        raise ValueError(f"personas has {len(personas)} entries, wanted {count}: one per text")
    found: list[dict[str, str]] = []
    for number, persona in enumerate(personas):
        if not isinstance(persona, Mapping) or not all(
            isinstance(part, str) for pair in persona.items() for part in pair
        ):
            raise TypeError(f"personas[{number}] is {brief(persona)}, wanted a mapping of strings to strings")
        if found and persona.keys() != found[0].keys():
            odd = sorted(persona.keys() ^ found[0].keys())
            raise ValueError(
                f"personas[{number}] differs from personas[0] in {brief(', '.join(odd))}, wanted the same attributes"
            )
        found.append(dict(persona))
    return found


def pair_coverage(personas: Sequence[Persona]) -> float | None:
    """Return the share of pairs of values of two attributes that some persona has, of all pairs of values that occur.

    In (0, 1]; None for fewer than two attributes.
    """
    names = sorted(personas[0])
    met = possible = 0
    for one, other in combinations(names, 2):
        pairs = {(persona[one], persona[other]) for persona in personas}
        met += len(pairs)
        possible += len({pair[0] for pair in pairs}) * len({pair[1] for pair in pairs})
    return met / possible if possible else None


def evenness(personas: Sequence[Persona]) -> dict[str, float]:
    """Return for each attribute the entropy of its values over that of equal shares; 0 for a single value."""
    found = {}
    for name in sorted(personas[0]):
        counts = np.array(list(Counter(persona[name] for persona in personas).values()), dtype=np.float64)
        shares = counts / counts.sum()
        found[name] = float(-(shares * np.log(shares)).sum() / np.log(len(shares))) if len(shares) > 1 else 0.0
    return found


def cramers_v(one: NDArray[np.intp], other: NDArray[np.intp]) -> float:
    """Return how strongly two attributes go together: Cramer's V, with the bias correction of Bergsma (2013).

    In [0, 1]; 0 where one of them has a single value.

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
    least = max(0.0, phi - (rows - 1) * (columns - 1) / (count - 1))
    sides = (side - (side - 1) ** 2 / (count - 1) for side in (rows, columns))
    smaller = min(sides) - 1
    return float(min(1.0, (least / smaller) ** 0.5)) if smaller > 0 else 0.0


def label_association(personas: Sequence[Persona], labels: Sequence[str]) -> dict[str, float]:
    """Return Cramer's V of each attribute with the label."""
    coded = np.unique(labels, return_inverse=True)[1]
    return {
        name: cramers_v(np.unique([persona[name] for persona in personas], return_inverse=True)[1], coded)
        for name in sorted(personas[0])
    }


def association_p(personas: Sequence[Persona], labels: Sequence[str], seed: int) -> float:
    """Return how often the largest association of an attribute with shuffled labels is as large as it is.

    The largest is taken in each shuffle too, so that many attributes do not make a small one look large.
    """
    columns = [
        np.unique([persona[name] for persona in personas], return_inverse=True)[1] for name in sorted(personas[0])
    ]
    coded = np.unique(labels, return_inverse=True)[1]

    def largest(order: NDArray[np.intp]) -> float:
        return max(cramers_v(column, coded[order]) for column in columns)

    found = largest(np.arange(len(coded)))
    generator = np.random.default_rng([seed, 3])
    shuffled = [largest(generator.permutation(len(coded))) for _ in range(PERMUTATIONS)]
    return (1 + sum(value >= found for value in shuffled)) / (1 + PERMUTATIONS)


def persona_variance(vectors: Vectors, personas: Sequence[Persona], seed: int) -> tuple[float | None, float | None]:
    """Return the share of variance of the vectors between personas, and how often shuffled personas have as much.

    Both None unless two personas or more have two texts or more between them. Texts of one persona in situations of
    their own differ, so that the share alone says little: the p does.
    """
    keys = ["\x1f".join(f"{name}\x1e{value}" for name, value in sorted(persona.items())) for persona in personas]
    groups = np.unique(keys, return_inverse=True)[1]
    if not 2 <= groups.max(initial=0) + 1 < len(groups):
        return None, None
    found = between_group_variance(vectors, groups)
    if found is None:
        return None, None
    generator = np.random.default_rng([seed, 4])
    shuffled = [between_group_variance(vectors, generator.permutation(groups)) or 0.0 for _ in range(PERMUTATIONS)]
    return found, (1 + sum(value >= found for value in shuffled)) / (1 + PERMUTATIONS)
