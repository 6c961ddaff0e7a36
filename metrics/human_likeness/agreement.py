"""Agreement of judges: weighted kappa, Krippendorff's alpha for ordinal ratings, and Gwet's AC2."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from personagen.metrics.human_likeness.dimensions import SCALE
from personagen.metrics.statistics.intervals import interval
from personagen.metrics.statistics.paired import MIN_GROUPS

Ratings = NDArray[np.float64]
"""Shape (items, judges): whole ratings from 1 to 5, NaN: none."""


def weighted_kappa(ratings: Ratings) -> float | None:
    """Compute Cohen's kappa with quadratic weights (Cohen 1968) over the items that both judges rated.

    1: perfect agreement. 0: chance, or a judge who gives all items the same rating. None: no such item.
    """
    from sklearn.metrics import cohen_kappa_score

    both = ratings[~np.isnan(ratings).any(axis=1)].astype(int)
    if not len(both):
        return None
    if (both == both[0]).all(axis=0).any():
        return 0.0
    return float(cohen_kappa_score(both[:, 0], both[:, 1], labels=list(SCALE), weights="quadratic"))


def krippendorff_alpha(ratings: Ratings) -> float | None:
    """Compute Krippendorff's alpha for ordinal ratings; ratings may be missing (Krippendorff 2004).

    1: perfect agreement. 0: chance. None: no item with two ratings, or all ratings equal.
    """
    counts = (ratings[:, :, None] == np.array(SCALE)).sum(axis=1).astype(float)
    given = counts.sum(axis=1)
    counts, others = counts[given > 1], given[given > 1, None] - 1
    coincidences = (counts / others).T @ counts - np.diag((counts / others).sum(axis=0))
    totals = coincidences.sum(axis=1)
    count = float(totals.sum())
    ranks = np.cumsum(totals) - totals / 2  # mean rank of each rating
    distances = np.square(np.subtract.outer(ranks, ranks))
    expected = float((distances * np.outer(totals, totals)).sum())
    if count < 2 or not expected:
        return None
    return 1 - (count - 1) * float((distances * coincidences).sum()) / expected


def gwet_ac2(ratings: Ratings) -> float | None:
    """Compute Gwet's AC2 with quadratic weights (Gwet 2014), which skewed ratings do not lower as they do kappa.

    None: no item with two ratings.
    """
    size = len(SCALE)
    categories = np.arange(size)
    weights = 1 - np.square(np.subtract.outer(categories, categories)) / (size - 1) ** 2
    counts = np.array(
        [np.bincount(row[~np.isnan(row)].astype(int) - 1, minlength=size) for row in ratings], dtype=float
    )
    given = counts.sum(axis=1)
    several = given > 1
    if not several.any():
        return None
    rated, number = counts[several], given[several]
    pairs = (rated * (rated @ weights - 1)).sum(axis=1) / (number * (number - 1))
    fractions = (counts[given > 0] / given[given > 0, None]).mean(axis=0)
    chance = float(weights.sum()) / (size * (size - 1)) * float((fractions * (1 - fractions)).sum())
    return (float(pairs.mean()) - chance) / (1 - chance)


def agreement_interval(measure: Callable[[Ratings], float | None], ratings: NDArray[np.float64]) -> list[float] | None:
    """Return the 95 % interval of a measure of agreement, by a jackknife that leaves out texts, with a t quantile.

    A text leaves with all its ratings, because they depend on each other. The percentiles of a bootstrap over texts
    held the truth in 93 % of simulated sets.

    Args:
        measure: function of ratings, shape (items, judges).
        ratings: shape (texts, dimensions, judges); NaN: none.

    Returns:
        None: fewer than five texts, or the measure is not defined without one of them, or it does not vary.

    """
    count, _, judges = ratings.shape
    value = measure(ratings.reshape(-1, judges))
    left = [measure(np.delete(ratings, row, axis=0).reshape(-1, judges)) for row in range(count)]
    numbers = np.array([number for number in left if number is not None])
    if value is None or count < MIN_GROUPS or len(numbers) < count:
        return None
    error = float((np.square(numbers - numbers.mean()).sum() * (count - 1) / count) ** 0.5)
    return interval(value, error, (-1.0, 1.0), count - 1)
