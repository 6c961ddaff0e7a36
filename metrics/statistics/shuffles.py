"""p-values from the values of shuffled data."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

MIN_EXCEEDING = 10
"""Shuffles at least as large as the value, from which on their fraction is p; below, p is that of a fitted tail."""

TOLERANCE = 1e-9
"""Largest difference of equal values: a rounding error."""

Tail = Callable[[float, NDArray[np.float64]], float]
"""Returns the probability of at least a value, from a distribution fitted to the shuffles."""


def upper_p(value: float, shuffles: NDArray[np.float64], tail: Tail | None = None) -> float:
    """Return the one-sided p that a value is one of those of shuffled data.

    It is the fraction of shuffles with at least the value, which counts as one of them; if fewer than `MIN_EXCEEDING`
    are and the shuffles differ, it is that of a fitted tail.

    Args:
        value: the observed value.
        shuffles: values of shuffled data, shape (k,).
        tail: distribution of the shuffles. None: always their fraction.

    """
    exceeding = int((shuffles >= value - TOLERANCE).sum())
    if tail is None or exceeding >= MIN_EXCEEDING or np.ptp(shuffles) < TOLERANCE:
        return (1 + exceeding) / (1 + len(shuffles))
    return tail(value, shuffles)


def gamma_tail(value: float, shuffles: NDArray[np.float64]) -> float:
    """Return the tail of a gamma distribution with mean and variance of the shuffles: of sums of squares."""
    from scipy.stats import gamma

    level, spread = float(shuffles.mean()), float(shuffles.var(ddof=1))
    return float(gamma.sf(value, level**2 / spread, scale=spread / level))


def pearson_tail(value: float, shuffles: NDArray[np.float64]) -> float:
    """Return the tail of a Pearson III with mean, variance and skewness of the shuffles: of means."""
    from scipy.stats import pearson3, skew

    return float(pearson3.sf(value, float(skew(shuffles)), float(shuffles.mean()), float(shuffles.std(ddof=1))))
