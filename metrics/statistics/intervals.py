"""Standard errors of a measure, from parts of the texts drawn without replacement.

An ordinary bootstrap repeats texts, which most measures of diversity or realism count as copies. A random part has each
text once. For a measure whose error falls with the square root of the number of texts, the standard error at n is the
spread of its values on parts of b of the n texts, times the square root of b / (n - b): the delete-d jackknife of Shao
and Wu (1989). With halves the factor is 1. Parts give only the spread, so a measure whose level depends on the number
of texts gets an interval around its own value.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.intp]
"""Row numbers, in order."""

DRAWS = 20
"""Default number of parts; the relative error of a standard error from 20 draws is about 16 %."""

LEVEL_DRAWS = 5
"""Parts over which a value is averaged if other parts give its error."""

Z95 = 1.959963984540054
"""97.5 % quantile of the normal distribution."""

MAX_LOG_REACH = 10.0
"""Upper bound on the logarithm of an interval's upper end over its value: beyond it nothing is known."""

Figures = Mapping[str, float | None]
"""Values of one measurement by name; None: not defined."""


def parts(
    sizes: Sequence[int],
    counts: Sequence[int],
    seed: int,
    draws: int = DRAWS,
    groups: NDArray[np.intp] | None = None,
) -> Iterator[tuple[Rows, ...]]:
    """Yield random parts of one or more samples; rows are in order.

    Args:
        sizes: number of rows of each sample.
        counts: number of rows to draw from each, without replacement.
        seed: seed of the draws.
        draws: number of draws.
        groups: number of the group of each row of the first sample, whose rows are drawn together; None: no groups.

    """
    generator = np.random.default_rng([seed, *sizes, *counts])
    for _ in range(draws):
        pairs = zip(sizes, counts, strict=True)
        rows = [np.sort(generator.choice(size, size=count, replace=False)) for size, count in pairs]
        if groups is not None:
            order = generator.permutation(int(groups.max()) + 1)[groups]
            rows[0] = np.sort(np.argsort(order, kind="stable")[: counts[0]])
        yield tuple(rows)


def disjoint_pairs(size: int, count: int, seed: int, draws: int = DRAWS) -> Iterator[tuple[Rows, Rows]]:
    """Yield pairs of disjoint random parts of one sample, for the null of real texts compared with real texts.

    Args:
        size: number of rows of the sample.
        count: number of rows per part.
        seed: seed of the draws.
        draws: number of pairs.

    Raises:
        ValueError: the sample has fewer than 2 `count` rows.

    """
    if 2 * count > size:
        raise ValueError(f"two parts of {count} need {2 * count} rows, got {size}")
    generator = np.random.default_rng([seed, size, count, 2])
    for _ in range(draws):
        order = generator.permutation(size)
        yield np.sort(order[:count]), np.sort(order[count : 2 * count])


def spread(values: Sequence[float | None]) -> float | None:
    """Return the standard deviation of the values that are not None; None for fewer than two."""
    numbers = [value for value in values if value is not None]
    return float(np.std(numbers, ddof=1)) if len(numbers) > 1 else None


def mean(values: Sequence[float | None]) -> float | None:
    """Return the mean of the values that are not None; None: all are None."""
    numbers = [value for value in values if value is not None]
    return float(np.mean(numbers)) if numbers else None


def interval(
    value: float | None,
    error: float | None,
    bounds: tuple[float, float] = (-np.inf, np.inf),
    freedom: float | None = None,
) -> list[float] | None:
    """Return the 95 % interval of a value, low and high, cut at the bounds of the measure.

    Args:
        value: the value.
        error: its standard error.
        bounds: range of the measure.
        freedom: degrees of freedom of the error, for a t quantile; None: a normal quantile.

    Returns:
        None: the value or its standard error is None, or the error is 0. What does not vary in a sample may vary
        outside it: no interval of no width has a confidence.

    """
    if value is None or error is None or error <= 1e-9 * abs(value):  # what is left of equal values is rounding
        return None
    reach = quantile(freedom) * error
    return [max(bounds[0], value - reach), min(bounds[1], value + reach)]


def bounded_interval(
    value: float | None, error: float | None, bounds: tuple[float, float], freedom: float | None = None
) -> list[float] | None:
    """Return the 95 % interval of a value whose error shrinks towards the bounds of its measure.

    There, a sample with an extreme value has a small error, and symmetric intervals miss the truth on one side. Each
    end is the further one of `interval` and of the interval of the logit of the position between the bounds, or of the
    logarithm of the distance to the lower bound if there is no upper one. For a rate of k events it ends near the
    exact limits of a Poisson rate.

    Args:
        value: the value.
        error: its standard error.
        bounds: range of the measure; without a lower bound, or reached by the value: `interval` alone.
        freedom: degrees of freedom of the error, for a t quantile; None: a normal quantile.

    Returns:
        None: as for `interval`.

    """
    from scipy.special import expit, logit

    ends = interval(value, error, bounds, freedom)
    low, width = bounds[0], bounds[1] - bounds[0]
    if value is None or error is None or ends is None or not np.isfinite(low) or not low < value < bounds[1]:
        return ends
    if np.isfinite(width):
        place = (value - low) / width
        reach = quantile(freedom) * error / (width * place * (1 - place))
        further = [low + width * float(expit(logit(place) + sign * reach)) for sign in (-1, 1)]
    else:
        reach = quantile(freedom) * error / (value - low)
        further = [low + (value - low) * float(np.exp(min(sign * reach, MAX_LOG_REACH))) for sign in (-1, 1)]
    return [min(ends[0], further[0]), max(ends[1], further[1])]


def quantile(freedom: float | None) -> float:
    """Return the 97.5 % quantile of t; None: of the normal distribution."""
    from scipy.stats import t

    return Z95 if freedom is None else float(t.ppf(0.975, freedom))


def spread_freedom(draws: int, units: int) -> float:
    """Return the degrees of freedom of a standard error from parts of a sample (Satterthwaite, 1946).

    Both the number of parts and that of the independent units limit how well a sample shows its variance.

    Args:
        draws: number of parts, two or more.
        units: number of independent units in the sample.

    """
    return 1 / (1 / (draws - 1) + 1 / max(units - 1, 1))


def welch_freedom(variances: Sequence[float], counts: Sequence[int]) -> float | None:
    """Return the degrees of freedom of a difference of means (Welch, 1947).

    Args:
        variances: variance of each side over its count: the squared standard error.
        counts: number of independent values of each side.

    Returns:
        None: a side has fewer than two values, or nothing varies.

    """
    if min(counts) < 2 or not sum(variances):
        return None
    parts = sum(variance**2 / (count - 1) for variance, count in zip(variances, counts, strict=True))
    return float(sum(variances) ** 2 / parts)


def rarefied(  # noqa: PLR0913 - the parts of one estimate
    measure: Callable[..., Figures],
    sizes: Sequence[int],
    count: int,
    seed: int,
    draws: int = DRAWS,
    *,
    kept: float = 0.5,
    groups: NDArray[np.intp] | None = None,
    proportional: Collection[str] = (),
) -> tuple[dict[str, float | None], dict[str, float | None]]:
    """Measure one or more samples at a fixed number of texts; return values and standard errors.

    The value is the mean over random parts, or that of the whole if all samples have exactly `count` texts. If parts of
    `count` hold more than `kept` of the smallest sample, they overlap too much, and parts of that fraction give the
    error. Figures whose level depends on the number of texts need a large fraction.

    Args:
        measure: computes figures from the row numbers of each sample, one array per sample.
        sizes: number of rows of each sample.
        count: number of texts at which to measure, from 1 to the smallest of `sizes`.
        seed: seed of the draws.
        draws: number of parts.
        kept: largest fraction of the smallest sample in the parts that give the error.
        groups: persona of each row of the first sample, from 0, of which the parts that give the error consist.
            None: rows are independent.
        proportional: figures that grow with the number of texts, whose error is scaled to the level of the value.

    Returns:
        Values and standard errors by figure; None: not defined.

    """
    smallest = min(sizes)
    part = max(min(count, int(smallest * kept)), 1)
    drawn = [measure(*rows) for rows in parts(sizes, [part] * len(sizes), seed, draws, groups)]
    if part == count and groups is None:
        level = drawn
    elif max(sizes) == count:
        level = [measure(*map(np.arange, sizes))]
    else:
        level = [measure(*rows) for rows in parts(sizes, [count] * len(sizes), seed, LEVEL_DRAWS)]
    values = {name: mean([figures[name] for figures in level]) for name in level[0]}
    if smallest < 2:  # one text has no different parts
        return values, dict.fromkeys(values)
    factor = part / max(smallest - part, 1) + (1 / draws if level is drawn else 0)  # and the error of a mean of draws
    by_name = {name: [figures[name] for figures in drawn] for name in values}
    return values, {name: _error(values[name], by_name[name], factor, scaled=name in proportional) for name in values}


def _error(value: float | None, drawn: Sequence[float | None], factor: float, *, scaled: bool) -> float | None:
    """Return the standard error of a value from its values on parts; scaled: at the level of the value."""
    error, level = spread(drawn), mean(drawn)
    if error is None:
        return None
    scale = abs(value / level) if scaled and value is not None and level else 1.0
    return float(error * factor**0.5 * scale)
