"""Uncertainty by parts without replacement, and texts of equal lengths."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from personagen.metrics.statistics.intervals import Rows, disjoint_pairs, interval, mean, parts, rarefied, spread
from personagen.metrics.statistics.matching import same_lengths


def mean_of(numbers: NDArray[np.float64], rows: Rows) -> dict[str, float | None]:
    return {"x": float(numbers[rows].mean())}


def test_the_interval_of_a_mean_covers_it_as_often_as_it_promises() -> None:
    """95 of 100 for a mean of n numbers, within the error of 150 trials, at three sizes of the part."""
    generator = np.random.default_rng(0)
    for count in (50, 100, 200):
        covered = 0
        for trial in range(150):
            numbers = generator.normal(size=200)
            value, error = rarefied(
                lambda rows, numbers=numbers: {"x": float(numbers[rows].mean())}, [200], count, trial
            )
            low, high = interval(value["x"], error["x"]) or (1, 0)
            covered += low <= 0 <= high
        assert 130 <= covered <= 149, count


def test_values_are_those_of_the_requested_number_of_texts() -> None:
    """The largest of 10 numbers out of 1,000 is not that of 1,000."""
    numbers = np.arange(1000.0)
    value, error = rarefied(lambda rows: {"x": float(numbers[rows].max())}, [1000], 10, 0)
    assert 850 < (value["x"] or 0) < 960 and error["x"] is not None
    whole, _ = rarefied(lambda rows: {"x": float(numbers[rows].max())}, [1000], 1000, 0)
    assert whole["x"] == 999
    one, none = rarefied(lambda rows: {"x": float(len(rows))}, [1], 1, 0)
    assert one["x"] == 1 and none["x"] is None


@given(st.lists(st.integers(1, 30), min_size=1, max_size=3), st.integers(0, 9))
def test_parts_repeat_no_row(sizes: list[int], seed: int) -> None:
    counts = [max(1, size // 2) for size in sizes]
    drawn = list(parts(sizes, counts, seed, 3))
    for rows in drawn:
        assert [len(np.unique(part)) for part in rows] == counts
        assert all(part.max() < size for part, size in zip(rows, sizes, strict=True))
    again = list(parts(sizes, counts, seed, 3))
    assert all(
        (one == two).all()
        for left, right in zip(drawn, again, strict=True)
        for one, two in zip(left, right, strict=True)
    )


def test_pairs_have_nothing_in_common() -> None:
    for one, other in disjoint_pairs(21, 10, 0, 5):
        assert len(set(one) | set(other)) == 20
    with pytest.raises(ValueError, match=r"^two parts of 11 need 22 rows, got 21$"):
        next(disjoint_pairs(21, 11, 0))


def test_values_that_are_missing_do_not_count() -> None:
    assert mean([1, None, 3]) == 2 and spread([1, None, 3]) == pytest.approx(2**0.5)
    assert mean([None]) is None and spread([1, None]) is None
    assert interval(None, 1) is None and interval(1, None) is None
    assert interval(0.9, 1, (0.0, 1.0)) == [0.0, 1.0]


@given(st.lists(st.integers(0, 40), min_size=1, max_size=60), st.lists(st.integers(0, 40), min_size=1, max_size=60))
def test_matched_texts_are_as_long(one: list[int], other: list[int]) -> None:
    rows, others = same_lengths(one, other, 0)
    assert len(rows) == len(others) == len(set(rows)) == len(set(others))
    if len(set(one + other)) <= 19:  # as many bins as lengths
        assert sorted(one[row] for row in rows) == sorted(other[row] for row in others)
