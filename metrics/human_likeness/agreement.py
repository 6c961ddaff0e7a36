"""How far judges agree: weighted kappa, Krippendorff's alpha for ordinal ratings, and Gwet's AC2."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from personagen.metrics.human_likeness.dimensions import SCALE

RESAMPLES = 500

Ratings = NDArray[np.float64]
"""Shape (items, judges): whole ratings from 1 to 5, NaN where there is none."""


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
    """Return Krippendorff's alpha for ordinal ratings, missing ones allowed (Krippendorff 2004).

    1 for perfect agreement, 0 for chance. None where no item has two ratings, or all ratings are the same.
    """
    size = len(SCALE)
    met = np.zeros((size, size))
    for row in ratings:
        given = row[~np.isnan(row)].astype(int) - 1
        if len(given) < 2:
            continue
        counts = np.bincount(given, minlength=size).astype(float)
        met += (np.outer(counts, counts) - np.diag(counts)) / (len(given) - 1)
    totals = met.sum(axis=1)
    count = float(totals.sum())
    below = np.cumsum(totals) - totals / 2  # the middle of each rating's place in the order of all
    apart = np.square(np.subtract.outer(below, below))
    expected = float((apart * np.outer(totals, totals)).sum())
    if count < 2 or not expected:
        return None
    return 1 - (count - 1) * float((apart * met).sum()) / expected


def gwet_ac2(ratings: Ratings) -> float | None:
    """Return Gwet's AC2 with quadratic weights (Gwet 2014), which skewed ratings do not pull to 0 as they do kappa.

    None where no item has two ratings.
    """
    size = len(SCALE)
    places = np.arange(size)
    weights = 1 - np.square(np.subtract.outer(places, places)) / (size - 1) ** 2
    counts = np.array(
        [np.bincount(row[~np.isnan(row)].astype(int) - 1, minlength=size) for row in ratings], dtype=float
    )
    given = counts.sum(axis=1)
    several = given > 1
    if not several.any():
        return None
    mine, number = counts[several], given[several]
    pairs = (mine * (mine @ weights - 1)).sum(axis=1) / (number * (number - 1))
    shares = (counts[given > 0] / given[given > 0, None]).mean(axis=0)
    chance = float(weights.sum()) / (size * (size - 1)) * float((shares * (1 - shares)).sum())
    return (float(pairs.mean()) - chance) / (1 - chance)


def resampled(
    measure: Callable[[Ratings], float | None], ratings: NDArray[np.float64], seed: int
) -> list[float] | None:
    """Return the 95 % interval of a measure of agreement; None where too little is left.

    By a bootstrap over texts, each with all of its ratings: those of one text hang together.

    Args:
        measure: of ratings, shape (items, judges).
        ratings: shape (texts, dimensions, judges), NaN where there is none.
        seed: of the draws.

    """
    generator = np.random.default_rng([seed, 15])
    count, _, judges = ratings.shape
    draws = (ratings[generator.integers(count, size=count)].reshape(-1, judges) for _ in range(RESAMPLES))
    values = [measure(draw) for draw in draws]
    numbers = [value for value in values if value is not None]
    if len(numbers) < RESAMPLES / 2:
        return None
    return [float(value) for value in np.percentile(numbers, [2.5, 97.5])]
