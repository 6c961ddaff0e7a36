"""A mean over two crossed random factors: seeds, and wordings of a prompt.

Each seed has texts in each wording. The wordings are a sample of those that could have been written, and the seeds of
all seeds, so a mean is to hold for others of both. Its variance is estimated from the mean squares of a two-way
analysis without replicates (Searle, Casella and McCulloch, 1992, chapter 4), its degrees of freedom after Satterthwaite
(1946).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MIN_WORDINGS = 3
"""Least wordings for an interval: the spread of two has one degree of freedom, and intervals six times as wide."""

MIN_SEEDS = 2
"""Least seeds for an interval: with one, personas and texts cannot be separated."""


@dataclass(frozen=True, slots=True)
class CrossedError:
    """Standard error of a mean over crossed factors.

    Attributes:
        error: the standard error; None: see `reason`.
        freedom: its degrees of freedom, rounded down, 1 or more.
        reason: why there is no error; None: there is one.

    """

    error: float | None
    freedom: int = 0
    reason: str | None = None


def cell_means(values: NDArray[np.float64], seeds: NDArray[np.intp], wordings: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return the mean of the values in each cell, shape (seeds, wordings); NaN: a cell has none.

    Args:
        values: shape (n,).
        seeds: number of the seed of each value, from 0.
        wordings: number of the wording of each value, from 0.

    """
    shape = (int(seeds.max()) + 1, int(wordings.max()) + 1)
    sums, counts = np.zeros(shape), np.zeros(shape)
    np.add.at(sums, (seeds, wordings), values)
    np.add.at(counts, (seeds, wordings), 1)
    with np.errstate(invalid="ignore"):
        return sums / counts


def crossed_error(cells: NDArray[np.float64]) -> CrossedError:
    """Estimate the standard error of the mean of all cells, shape (seeds, wordings).

    The variance is (MS_wordings + max(0, MS_seeds - MS_rest)) / cells, so that the spread of texts counts once.
    """
    seeds, wordings = cells.shape
    if not np.isfinite(cells).all():
        return CrossedError(None, reason="a wording has no texts in a seed")
    if wordings < MIN_WORDINGS:
        return CrossedError(
            None, reason=f"{wordings} wordings show too little of how wordings differ, wanted {MIN_WORDINGS} or more"
        )
    if seeds < MIN_SEEDS:
        return CrossedError(
            None, reason=f"{seeds} seed cannot separate wordings from texts, wanted {MIN_SEEDS} or more"
        )
    rest = cells - cells.mean(axis=0) - cells.mean(axis=1, keepdims=True) + cells.mean()
    squares = {
        "wordings": (seeds * float(cells.mean(axis=0).var(ddof=1)), wordings - 1),
        "seeds": (wordings * float(cells.mean(axis=1).var(ddof=1)), seeds - 1),
        "rest": (float(np.square(rest).sum()) / ((seeds - 1) * (wordings - 1)), (seeds - 1) * (wordings - 1)),
    }
    differs = squares["seeds"][0] > squares["rest"][0]
    parts = [squares["wordings"], *([squares["seeds"], squares["rest"]] if differs else [])]
    variance = squares["wordings"][0] + (squares["seeds"][0] - squares["rest"][0] if differs else 0.0)
    if variance <= 0:
        return CrossedError(None, reason="the values do not vary")
    freedom = variance**2 / sum(square**2 / degrees for square, degrees in parts)
    return CrossedError((variance / cells.size) ** 0.5, max(1, int(freedom)))
