"""p-values from shuffles: their fraction, or a fitted tail where few shuffles reach the value."""

import numpy as np
import pytest
from scipy.stats import gamma

from personagen.metrics.statistics.groups import codes_of, without_group_means
from personagen.metrics.statistics.shuffles import MIN_EXCEEDING, Tail, gamma_tail, pearson_tail, upper_p

SHUFFLES = np.arange(100.0)


@pytest.mark.parametrize("tail", [None, gamma_tail, pearson_tail])
def test_p_is_the_fraction_of_shuffles_if_enough_reach_the_value(tail: Tail | None) -> None:
    """A shuffle that differs by a rounding error reaches it."""
    assert upper_p(100.0 - MIN_EXCEEDING + 1e-12, SHUFFLES, tail) == pytest.approx((1 + MIN_EXCEEDING) / 101)


def test_of_few_shuffles_p_is_the_fraction_without_a_tail() -> None:
    assert upper_p(99.0, SHUFFLES) == pytest.approx(2 / 101)
    assert upper_p(1.0, np.zeros(100), pearson_tail) == pytest.approx(1 / 101)


@pytest.mark.parametrize("tail", [gamma_tail, pearson_tail])
def test_tails_are_those_of_the_distribution_of_the_shuffles(tail: Tail) -> None:
    shuffles = np.random.default_rng(3).gamma(4.0, size=100_000)
    value = float(gamma.isf(1e-4, 4.0))
    assert upper_p(value, shuffles[shuffles < value], tail) == pytest.approx(1e-4, rel=0.2)


def test_deviations_are_from_the_mean_of_the_own_group() -> None:
    groups = codes_of(["joy", "fear", "joy"])
    assert groups.tolist() == [1, 0, 1]
    rows = np.array([[1.0, 0], [5, 5], [3, 4]], dtype=np.float32)
    assert without_group_means(rows, groups).tolist() == [[-1, -2], [0, 0], [1, 2]]
