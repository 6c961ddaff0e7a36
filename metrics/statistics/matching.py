"""Selection of texts from two corpora with equal distributions of length."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

LENGTH_BINS = 20
"""Largest number of classes of length."""


def same_lengths(one: Sequence[int], other: Sequence[int], seed: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Draw rows of two sets with equal numbers of texts per length; above 20 lengths, per class of length.

    Args:
        one: length of each text.
        other: the same for the other set.
        seed: seed of the draw.

    Returns:
        Rows of both sets, in order; empty: no common length.

    """
    both = np.concatenate([one, other])
    edges = np.unique(both)
    if len(edges) > LENGTH_BINS:
        edges = np.unique(np.quantile(both, np.linspace(0, 1, LENGTH_BINS + 1)[1:-1], method="nearest"))
    bins = [np.searchsorted(edges, np.asarray(lengths)) for lengths in (one, other)]
    generator = np.random.default_rng([seed, 8])
    chosen: tuple[list[NDArray[np.intp]], list[NDArray[np.intp]]] = ([], [])
    for number in range(len(edges) + 1):
        rows = [np.flatnonzero(side == number) for side in bins]
        count = min(map(len, rows))
        for selected, part in zip(chosen, rows, strict=True):
            selected.append(generator.permutation(part)[:count])
    return np.sort(np.concatenate(chosen[0])), np.sort(np.concatenate(chosen[1]))
