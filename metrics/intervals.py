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


def interval(value: float | None, error: float | None) -> list[float] | None:
    """Return the 95 % interval of a value with a standard error: low and high; None where one of them is None."""
    return None if value is None or error is None else [value - Z95 * error, value + Z95 * error]


def rarefied(
    measure: Callable[[Rows], Figures], size: int, count: int, seed: int, draws: int = DRAWS
) -> tuple[dict[str, float | None], dict[str, float | None]]:
    """Measure a sample at a fixed number of texts: the mean over random parts, and its standard error.

    With `count` equal to `size` the value is that of the whole sample, measured once, and the error comes from halves.

    Args:
        measure: gives figures for some rows; it is called with rows in order.
        size: number of rows.
        count: number of texts at which to measure, from 1 to `size`.
        seed: of the draws.
        draws: how many parts.

    Returns:
        Value and standard error of each figure; None where there is no number.

    """
    most = max(size // 2, 1)
    drawn = [measure(rows) for (rows,) in parts([size], [min(count, most)], seed, draws)] if size > 1 else []
    if count > most or size == 1:
        level = [measure(np.arange(size))]
        if count < size:
            level = [measure(rows) for (rows,) in parts([size], [count], seed, draws)]
    else:
        level = drawn
    part = min(count, most)
    factor = part / max(size - part, 1) + (1 / draws if len(level) > 1 else 0)  # and the error of a mean over draws
    values = {name: mean([figures[name] for figures in level]) for name in level[0]}
    errors = {name: spread([figures[name] for figures in drawn]) for name in level[0]}
    return values, {name: None if error is None else error * factor**0.5 for name, error in errors.items()}
