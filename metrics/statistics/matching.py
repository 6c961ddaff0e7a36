"""Texts of two corpora with the same lengths, so that what differs between them is not length."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

LENGTH_BINS = 20


def same_lengths(one: Sequence[int], other: Sequence[int], seed: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Draw rows of two sets such that both have as many texts of each length, in 20 classes where there are more.

    Args:
        one: words of each text.
        other: the same for the other set.
        seed: of the draw.

    Returns:
        Rows of either set, in order; empty where no length is common.

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
        for found, part in zip(chosen, rows, strict=True):
            found.append(generator.permutation(part)[:count])
    return np.sort(np.concatenate(chosen[0])), np.sort(np.concatenate(chosen[1]))
