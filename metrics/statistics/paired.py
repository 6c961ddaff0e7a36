"""Differences between arms of an experiment that share their rows: estimates over blocks, tests, correction.

A block is a part of an arm that was written apart from the others: another seed, other personas. Every arm has the same
blocks, so differences are taken block by block. The spread between blocks tells the error of a mean; with three seeds
it tells it badly. Halves of each block, drawn alike for all arms, tell it too (see `intervals`), and both are estimates
of the same variance unless the seeds differ by more than their texts explain. An F test decides that.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LEVEL = 0.05


@dataclass(frozen=True, slots=True)
class Blocks:
    """One measure of one arm.

    Attributes:
        wholes: value of each block, shape (r,).
        halves: values of halves of each block, shape (r, b); b may be 0.

    """

    wholes: NDArray[np.float64]
    halves: NDArray[np.float64]

    def minus(self, other: "Blocks") -> "Blocks":
        """Take the differences to another arm, block by block and half by half."""
        return Blocks(self.wholes - other.wholes, self.halves - other.halves)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over blocks.

    Attributes:
        value: the mean.
        low: lower end of the 95 % interval; None where its error cannot be told.
        high: upper end.
        p: two-sided p of the t test that the mean is 0; None where its error cannot be told.

    """

    value: float
    low: float | None
    high: float | None
    p: float | None


def estimate(blocks: Blocks) -> Estimate:
    """Estimate a mean over blocks, with its 95 % interval and the p of being 0.

    The variance of a block is pooled from the spread between blocks and that within them, by degrees of freedom; where
    blocks differ by more than halves explain (F test at 5 %), the spread between blocks counts alone.
    """
    from scipy.stats import t

    value = float(blocks.wholes.mean())
    variance, freedom = _variance(blocks)
    if variance is None:
        return Estimate(value, None, None, None)
    error = (variance / len(blocks.wholes)) ** 0.5
    if error == 0:
        return Estimate(value, value, value, 1.0 if value == 0 else 0.0)
    reach = float(t.ppf(1 - LEVEL / 2, freedom)) * error
    return Estimate(value, value - reach, value + reach, float(2 * t.sf(abs(value) / error, freedom)))


def clustered(values: NDArray[np.float64], groups: NDArray[np.intp]) -> Estimate:
    """Estimate a mean of values that come in groups, which alone are independent of each other.

    Args:
        values: shape (n,).
        groups: number of each value's group, from 0.

    Returns:
        The mean; of one group alone there is no error to tell: its p is 1, and its interval the mean itself.

    """
    from scipy.stats import t

    value, count = float(values.mean()), int(groups.max()) + 1
    if count < 2:
        return Estimate(value, value, value, 1.0)
    sums = np.bincount(groups, values - value, minlength=count)
    error = float(np.square(sums).sum() * count / (count - 1)) ** 0.5 / len(values)
    if error == 0:
        return Estimate(value, value, value, 1.0 if value == 0 else 0.0)
    reach = float(t.ppf(1 - LEVEL / 2, count - 1)) * error
    return Estimate(value, value - reach, value + reach, float(2 * t.sf(abs(value) / error, count - 1)))


def _variance(blocks: Blocks) -> tuple[float | None, int]:
    """Return the variance of one block's value, and its degrees of freedom."""
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


def holm(chances: Sequence[float]) -> list[float]:
    """Correct p values of a family of tests for their number (Holm, 1979); in the order given."""
    order = np.argsort(chances, kind="stable")
    count, worst = len(chances), 0.0
    found = [0.0] * count
    for place, row in enumerate(order):
        worst = max(worst, min(1.0, (count - place) * chances[row]))
        found[row] = worst
    return found
