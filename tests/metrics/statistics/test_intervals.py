"""Uncertainty by parts without replacement, and texts of equal lengths."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from personagen.metrics.diversity.measure import diversity
from personagen.metrics.statistics.intervals import Rows, disjoint_pairs, interval, mean, parts, rarefied, spread
from personagen.metrics.statistics.matching import same_lengths
from tests.helpers.real_texts import real


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


def test_parts_of_groups_hold_whole_groups_but_for_the_last() -> None:
    groups = np.arange(60) // 6
    for (rows,) in parts([60], [21], 0, 5, groups):
        counts = np.bincount(groups[rows], minlength=10)
        assert sorted(counts[counts > 0].tolist()) == [3, 6, 6, 6] and (np.diff(rows) > 0).all()


def test_groups_that_are_alike_make_the_interval_of_a_mean_wider() -> None:
    """Ten texts per persona: the standard error is that of 20 personas, three times that of 200 texts."""
    generator = np.random.default_rng(0)
    groups = np.arange(200) // 10
    numbers = generator.normal(size=20)[groups] + 0.1 * generator.normal(size=200)
    errors = [
        rarefied(lambda rows: {"mean": float(numbers[rows].mean())}, [200], 200, 0, 200, groups=owners)[1]["mean"]
        for owners in (None, groups)
    ]
    expected = numbers.reshape(20, 10).mean(axis=1).std(ddof=1) / 20**0.5
    assert errors[1] == pytest.approx(expected, rel=0.2) and errors[0] is not None and errors[0] < expected / 2


def test_a_figure_in_proportion_to_the_texts_has_the_error_of_the_whole() -> None:
    numbers = np.random.default_rng(1).normal(5, 1, size=100)
    plain, scaled = (
        rarefied(lambda rows: {"sum": float(numbers[rows].sum())}, [100], 100, 0, 100, kept=0.8, proportional=names)
        for names in ((), ("sum",))
    )
    assert plain[0]["sum"] == pytest.approx(numbers.sum()) and scaled[0] == plain[0]
    assert plain[1]["sum"] is not None and scaled[1]["sum"] == pytest.approx(plain[1]["sum"] / 0.8, rel=0.01)
    assert scaled[1]["sum"] == pytest.approx(10 * numbers.std(), rel=0.2)


@pytest.mark.parametrize("texts", [20, 70])
def test_intervals_of_diversity_hold_the_mean_over_independent_sets(texts: int) -> None:
    """40 sets of real texts. With halves and normal quantiles 52 to 82 of 100 intervals held it, now about 90."""
    corpus = real(2800)
    found = [
        diversity(corpus.take(np.random.default_rng([seed, texts]).permutation(2800)[:texts]), seed=seed)
        for seed in range(40)
    ]
    for name in ("vendi_score", "rke", "mean_cosine"):
        mean = np.mean([one[name] for one in found])
        assert sum(one[f"{name}_ci"][0] <= mean <= one[f"{name}_ci"][1] for one in found) >= 32, name
