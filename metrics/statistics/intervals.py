"""Uncertainty of a measure, by parts of the texts drawn without replacement.

An ordinary bootstrap repeats texts, and nearly every measure of diversity or realism takes a repeated text for what it
is: a copy. A random part holds each text once. For a measure whose error falls with the square root of the number of
texts, the spread of its values on parts of b out of n texts, times the square root of b / (n - b), is the standard
error at n: the delete-d jackknife of Shao and Wu (1989). With halves the factor is 1. Only the spread is taken from the
parts, so a measure whose level depends on the number of texts gets an interval around its own value.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.intp]

DRAWS = 20
"""Parts that are drawn where nothing is said; the error of a standard error from 20 draws is about 16 %."""

LEVEL_DRAWS = 5
"""Parts over which a value is averaged where they do not tell its error too."""

Z95 = 1.959963984540054
"""97.5 % quantile of the normal distribution."""

Figures = Mapping[str, float | None]
"""What was measured once, by name; None where there is no number."""


def parts(sizes: Sequence[int], counts: Sequence[int], seed: int, draws: int = DRAWS) -> Iterator[tuple[Rows, ...]]:
    """Draw a random part of each of one or more samples, again and again; rows are in order.

    Args:
        sizes: number of rows of each sample.
        counts: how many to draw of each, without replacement.
        seed: of the draws.
        draws: how many times.

    """
    generator = np.random.default_rng([seed, *sizes, *counts])
    for _ in range(draws):
        pairs = zip(sizes, counts, strict=True)
        yield tuple(np.sort(generator.choice(size, size=count, replace=False)) for size, count in pairs)


def disjoint_pairs(size: int, count: int, seed: int, draws: int = DRAWS) -> Iterator[tuple[Rows, Rows]]:
    """Draw two disjoint parts of one sample, `count` rows each, again and again: what real text gets against real text.

    Raises:
        ValueError: the sample has fewer than twice as many rows.

    """
    if 2 * count > size:
        raise ValueError(f"two parts of {count} need {2 * count} rows, got {size}")
    generator = np.random.default_rng([seed, size, count, 2])
    for _ in range(draws):
        order = generator.permutation(size)
        yield np.sort(order[:count]), np.sort(order[count : 2 * count])


def spread(values: Sequence[float | None]) -> float | None:
    """Return the standard deviation of the numbers among values; None where there are fewer than two."""
    numbers = [value for value in values if value is not None]
    return float(np.std(numbers, ddof=1)) if len(numbers) > 1 else None


def mean(values: Sequence[float | None]) -> float | None:
    """Return the mean of the numbers among values; None where there are none."""
    numbers = [value for value in values if value is not None]
    return float(np.mean(numbers)) if numbers else None


def interval(
    value: float | None, error: float | None, bounds: tuple[float, float] = (-np.inf, np.inf)
) -> list[float] | None:
    """Return the 95 % interval of a value with a standard error: low and high; None where one of them is None.

    It is cut at the bounds of what the measure can be.
    """
    if value is None or error is None:
        return None
    return [max(bounds[0], value - Z95 * error), min(bounds[1], value + Z95 * error)]


def rarefied(
    measure: Callable[..., Figures], sizes: Sequence[int], count: int, seed: int, draws: int = DRAWS
) -> tuple[dict[str, float | None], dict[str, float | None]]:
    """Measure one sample, or several against each other, at a fixed number of texts: value and standard error.

    The value is the mean over random parts, or that of the whole where all samples have just so many texts. Where the
    smallest has fewer than twice as many, its parts overlap too much to tell the error, which comes from halves then.

    Args:
        measure: gives figures for some rows of each sample; it is called with an array of rows, in order, for each.
        sizes: number of rows of each sample, two or more.
        count: number of texts at which to measure, from 1 to the smallest of `sizes`.
        seed: of the draws.
        draws: how many parts.

    Returns:
        Value and standard error of each figure; None where there is no number.

    """
    smallest = min(sizes)
    part = max(min(count, smallest // 2), 1)
    drawn = [measure(*rows) for rows in parts(sizes, [part] * len(sizes), seed, draws)]
    if part == count:
        level = drawn
    elif max(sizes) == count:
        level = [measure(*map(np.arange, sizes))]
    else:
        level = [measure(*rows) for rows in parts(sizes, [count] * len(sizes), seed, LEVEL_DRAWS)]
    if smallest < 2:  # one text has no parts that differ
        return {name: mean([figures[name] for figures in level]) for name in level[0]}, dict.fromkeys(level[0])
    factor = part / max(smallest - part, 1) + (1 / draws if level is drawn else 0)  # and the error of a mean over draws
    values = {name: mean([figures[name] for figures in level]) for name in level[0]}
    errors = {name: spread([figures[name] for figures in drawn]) for name in level[0]}
    return values, {name: None if error is None else error * factor**0.5 for name, error in errors.items()}
