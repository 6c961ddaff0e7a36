"""Differences between arms of an experiment with common rows: estimates over blocks, tests, correction.

A block is a part of an arm with its own seed and personas. All arms have the same blocks, so differences are taken
block by block. The spread between blocks gives the standard error of a mean, imprecisely for three seeds. Halves of
each block, the same for all arms, give it too (see `intervals`). Both estimate the same variance unless the seeds
differ by more than their texts explain, which an F test decides.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from personagen.metrics.statistics.crossed import cell_means, crossed_error

LEVEL = 0.05
"""Significance level of tests and intervals."""

POWER = 0.8
"""Probability with which a difference of the detectable size is found."""

MIN_GROUPS = 5
"""Least independent groups for an interval or a p-value: with four, the exact test has no p below 0.125."""

MAX_EXACT_GROUPS = 19
"""Most groups of the exact test, which sums their values under 2^18 changes of sign."""


@dataclass(frozen=True, slots=True)
class Blocks:
    """Values of one measure for one arm.

    Attributes:
        wholes: value of each block, shape (r,).
        halves: values of halves of each block, shape (r, b); b may be 0.
        freedom: upper bound on the degrees of freedom of the halves: the personas of all blocks less one per block.
            None: no bound.
        cells: number of the seed and of the wording of each block, from 0, shape (r, 2). None: the prompt has one
            wording.

    """

    wholes: NDArray[np.float64]
    halves: NDArray[np.float64]
    freedom: int | None = None
    cells: NDArray[np.intp] | None = None

    def minus(self, other: "Blocks") -> "Blocks":
        """Subtract another arm, block by block and half by half."""
        bounds = [side.freedom for side in (self, other) if side.freedom is not None]
        return Blocks(self.wholes - other.wholes, self.halves - other.halves, min(bounds, default=None), self.cells)

    def less(self, null: float) -> "Blocks":
        """Subtract a number from every value."""
        return replace(self, wholes=self.wholes - null, halves=self.halves - null)


@dataclass(frozen=True, slots=True)
class MeanEstimate:
    """A mean over blocks or groups.

    Attributes:
        value: the mean.
        low: lower end of the 95 % interval; None: see `reason`.
        high: upper end.
        p: two-sided p of mean 0; None: see `reason`.
        error: standard error; None: see `reason`.
        freedom: its degrees of freedom.
        reason: why there is no interval or no p; None: both are there.

    """

    value: float
    low: float | None
    high: float | None
    p: float | None
    error: float | None = None
    freedom: int = 0
    reason: str | None = None

    def detectable(self, tests: int) -> float | None:
        """Return the mean that is found in 80 % of cases by the strictest of so many tests (Holm); None: no error."""
        from scipy.stats import t

        if self.error is None:
            return None
        reach = t.isf(LEVEL / (2 * max(tests, 1)), self.freedom) + t.isf(1 - POWER, self.freedom)
        return float(reach * self.error)


def estimate(blocks: Blocks) -> MeanEstimate:
    """Estimate a mean over blocks, with its 95 % interval and p-value.

    The variance of a block is pooled from the spread between and within blocks, weighted by degrees of freedom. If
    blocks differ by more than their halves explain (F test at 5 %), only the spread between blocks counts. Blocks of
    several wordings have seeds and wordings as crossed random factors; see `crossed_error`.
    """
    if blocks.cells is not None:
        return _over_wordings(blocks.wholes, blocks.cells)
    value = float(blocks.wholes.mean())
    variance, freedom = _variance(blocks)
    if variance is None:
        return _without_error(value, "one block without halves has no spread")
    return _with_error(value, (variance / len(blocks.wholes)) ** 0.5, freedom)


def _over_wordings(values: NDArray[np.float64], cells: NDArray[np.intp]) -> MeanEstimate:
    means = cell_means(values, cells[:, 0], cells[:, 1])
    value, spread = float(np.nanmean(means)), crossed_error(means)
    if spread.error is None:
        return _without_error(value, str(spread.reason))
    return _with_error(value, spread.error, spread.freedom)


def _with_error(value: float, error: float, freedom: int) -> MeanEstimate:
    from scipy.stats import t

    if error <= 1e-9 * abs(value):  # what is left of equal values is a rounding error
        return _without_error(value, "the values do not vary")
    reach = float(t.ppf(1 - LEVEL / 2, freedom)) * error
    p = float(2 * t.sf(abs(value) / error, freedom))
    return MeanEstimate(value, value - reach, value + reach, p, error, freedom)


def clustered(values: NDArray[np.float64], groups: NDArray[np.intp]) -> MeanEstimate:
    """Estimate a mean of values in independent groups, with a cluster-robust error.

    If fewer than 20 groups have a sum other than 0, p comes from the exact test that changes the signs of whole groups
    (Fisher, 1935), else from the t test with one degree of freedom less than groups. An interval excludes 0 only if p
    is below 5 %.

    Args:
        values: shape (n,).
        groups: number of the group of each value, from 0.

    Returns:
        The mean; without p and interval if fewer than five groups have a sum other than 0, and without interval if all
        groups agree.

    """
    from scipy.stats import t

    value, count = float(values.mean()), int(groups.max()) + 1
    totals = np.bincount(groups, values, minlength=count).astype(np.float64)
    changed = totals[np.abs(totals) > 1e-12 * max(float(np.abs(values).max()), 1e-300)]
    if len(changed) < MIN_GROUPS:
        return _without_error(
            value, f"{len(changed)} of {count} personas have a difference other than 0, wanted {MIN_GROUPS}"
        )
    sums = np.bincount(groups, values - value, minlength=count)
    error = float(np.square(sums).sum() * count / (count - 1)) ** 0.5 / len(values)
    exact = sign_flip_p(changed) if len(changed) <= MAX_EXACT_GROUPS else None
    if error <= 1e-9 * abs(value):
        p = 0.5 ** (count - 1) if exact is None else exact
        return MeanEstimate(value, None, None, p, reason="the differences do not vary between personas")
    p = float(2 * t.sf(abs(value) / error, count - 1)) if exact is None else exact
    reach = float(t.ppf(1 - LEVEL / 2, count - 1)) * error
    low, high = value - reach, value + reach
    if p >= LEVEL:
        low, high = min(low, 0.0), max(high, 0.0)
    return MeanEstimate(value, low, high, p, error, count - 1)


def sign_flip_p(sums: NDArray[np.float64]) -> float:
    """Return the exact two-sided p that independent sums are symmetric about 0: at least 2^(1 - k) for k sums."""
    totals = sums[:1]
    for value in sums[1:]:  # by symmetry the first keeps its sign
        totals = np.concatenate([totals + value, totals - value])
    bound = abs(float(sums.sum())) - 1e-9 * float(np.abs(sums).sum())
    return float((np.abs(totals) >= bound).mean())


def _without_error(value: float, reason: str) -> MeanEstimate:
    return MeanEstimate(value, None, None, None, reason=reason)


def _variance(blocks: Blocks) -> tuple[float | None, int]:
    """Return the variance of the value of a block, and its degrees of freedom; None: not estimable."""
    from scipy.stats import f

    count = len(blocks.wholes)
    draws = blocks.halves.shape[1]
    between = float(blocks.wholes.var(ddof=1)) if count > 1 else None
    if draws < 2 or not np.isfinite(blocks.halves).all():
        return between, count - 1
    within, inner = float(blocks.halves.var(axis=1, ddof=1).mean()), count * (draws - 1)
    if blocks.freedom is not None:
        inner = min(inner, blocks.freedom)
    if inner < 1:
        return between, count - 1
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
