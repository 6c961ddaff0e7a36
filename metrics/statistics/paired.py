"""Differences between arms of an experiment with common rows: estimates over blocks, tests, correction.

A block is a part of an arm with its own seed and personas. All arms have the same blocks, so differences are taken
block by block. The spread between blocks gives the standard error of a mean, imprecisely for three seeds. Halves of
each block, the same for all arms, give it too (see `intervals`). Both estimate the same variance unless the seeds
differ by more than their texts explain, which an F test decides.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LEVEL = 0.05
"""Significance level of tests and intervals."""


@dataclass(frozen=True, slots=True)
class Blocks:
    """Values of one measure for one arm.

    Attributes:
        wholes: value of each block, shape (r,).
        halves: values of halves of each block, shape (r, b); b may be 0.

    """

    wholes: NDArray[np.float64]
    halves: NDArray[np.float64]

    def minus(self, other: "Blocks") -> "Blocks":
        """Subtract another arm, block by block and half by half."""
        return Blocks(self.wholes - other.wholes, self.halves - other.halves)


@dataclass(frozen=True, slots=True)
class MeanEstimate:
    """A mean over blocks.

    Attributes:
        value: the mean.
        low: lower end of the 95 % interval; None: the error cannot be estimated.
        high: upper end.
        p: two-sided p of the t test of mean 0; None: the error cannot be estimated.

    """

    value: float
    low: float | None
    high: float | None
    p: float | None


def estimate(blocks: Blocks) -> MeanEstimate:
    """Estimate a mean over blocks, with its 95 % interval and p-value.

    The variance of a block is pooled from the spread between and within blocks, weighted by degrees of freedom. If
    blocks differ by more than their halves explain (F test at 5 %), only the spread between blocks counts.
    """
    from scipy.stats import t

    value = float(blocks.wholes.mean())
    variance, freedom = _variance(blocks)
    if variance is None:
        return MeanEstimate(value, None, None, None)
    error = (variance / len(blocks.wholes)) ** 0.5
    if error == 0:
        return MeanEstimate(value, value, value, 1.0 if value == 0 else 0.0)
    reach = float(t.ppf(1 - LEVEL / 2, freedom)) * error
    return MeanEstimate(value, value - reach, value + reach, float(2 * t.sf(abs(value) / error, freedom)))


def clustered(values: NDArray[np.float64], groups: NDArray[np.intp]) -> MeanEstimate:
    """Estimate a mean of values in independent groups, with a cluster-robust error.

    Args:
        values: shape (n,).
        groups: number of the group of each value, from 0.

    Returns:
        The mean. For one group the error cannot be estimated: p is 1, and the interval is the mean itself.

    """
    from scipy.stats import t

    value, count = float(values.mean()), int(groups.max()) + 1
    if count < 2:
        return MeanEstimate(value, value, value, 1.0)
    sums = np.bincount(groups, values - value, minlength=count)
    error = float(np.square(sums).sum() * count / (count - 1)) ** 0.5 / len(values)
    if error == 0:
        return MeanEstimate(value, value, value, 1.0 if value == 0 else 0.0)
    reach = float(t.ppf(1 - LEVEL / 2, count - 1)) * error
    return MeanEstimate(value, value - reach, value + reach, float(2 * t.sf(abs(value) / error, count - 1)))


def _variance(blocks: Blocks) -> tuple[float | None, int]:
    """Return the variance of the value of a block, and its degrees of freedom; None: not estimable."""
    from scipy.stats import f

    count = len(blocks.wholes)
    draws = blocks.halves.shape[1]
    between = float(blocks.wholes.var(ddof=1)) if count > 1 else None
    if draws < 2 or not np.isfinite(blocks.halves).all():
        return between, count - 1
    within, inner = float(blocks.halves.var(axis=1, ddof=1).mean()), count * (draws - 1)
    if between is None:
        return within, inner
    outer = count - 1
    if within == 0 or between / within > float(f.ppf(1 - LEVEL, outer, inner)):
        return between, outer
    return (between * outer + within * inner) / (outer + inner), outer + inner


def holm(p_values: Sequence[float]) -> list[float]:
    """Correct the p-values of a family of tests for their number (Holm, 1979), in the given order."""
    order = np.argsort(p_values, kind="stable")
    count, largest = len(p_values), 0.0
    corrected = [0.0] * count
    for rank, row in enumerate(order):
        largest = max(largest, min(1.0, (count - rank) * p_values[row]))
        corrected[row] = largest
    return corrected
