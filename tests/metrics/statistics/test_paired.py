"""Paired differences: estimates against what can be worked out by hand, coverage by simulation, correction."""

import numpy as np
import pytest

from personagen.metrics.statistics.paired import Blocks, MeanEstimate, clustered, estimate, holm

NO_HALVES = np.empty((3, 0))


def test_without_halves_the_interval_is_that_of_the_t_test() -> None:
    found = estimate(Blocks(np.array([1.0, 2.0, 3.0]), NO_HALVES))
    # mean 2, standard error 1/sqrt(3), t(0.975, 2) = 4.302653
    assert found.value == 2
    assert found.low == pytest.approx(2 - 4.302653 / 3**0.5, abs=1e-5)
    assert found.high == pytest.approx(2 + 4.302653 / 3**0.5, abs=1e-5)
    assert found.p == pytest.approx(0.074180, abs=1e-5)


def test_halves_narrow_the_interval_where_blocks_agree() -> None:
    halves = np.array([[0.9, 1.1], [1.9, 2.1], [2.9, 3.1]])
    wholes = np.array([1.95, 2.0, 2.05])
    pooled = (2 * wholes.var(ddof=1) + 3 * 0.02) / 5
    found = estimate(Blocks(wholes, halves))
    # t(0.975, 5) = 2.570582
    assert found.high == pytest.approx(2 + 2.570582 * (pooled / 3) ** 0.5, abs=1e-5)
    alone = estimate(Blocks(wholes, NO_HALVES))
    assert found.p is not None and alone.p is not None and found.p < alone.p


def test_blocks_that_differ_by_more_than_their_halves_explain_count_alone() -> None:
    halves = np.array([[0.99, 1.01], [1.99, 2.01], [2.99, 3.01]])
    wholes = np.array([1.0, 2.0, 3.0])
    assert estimate(Blocks(wholes, halves)) == estimate(Blocks(wholes, NO_HALVES))


def test_what_does_not_vary_has_an_interval_of_no_width() -> None:
    same = Blocks(np.ones(3), np.ones((3, 2)))
    assert estimate(same) == MeanEstimate(1.0, 1.0, 1.0, 0.0)
    assert estimate(same.minus(same)) == MeanEstimate(0.0, 0.0, 0.0, 1.0)


def test_one_block_without_halves_has_no_interval() -> None:
    assert estimate(Blocks(np.array([0.5]), np.empty((1, 0)))) == MeanEstimate(0.5, None, None, None)


def test_one_block_with_halves_has_one() -> None:
    found = estimate(Blocks(np.array([0.5]), np.array([[0.4, 0.6, 0.5]])))
    assert found.low is not None and found.low < 0.5


def test_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    generator = np.random.default_rng(0)
    held = 0
    for _ in range(300):
        texts = generator.normal(size=(3, 60))
        halves = np.array([[generator.choice(block, 30, replace=False).mean() for _ in range(10)] for block in texts])
        found = estimate(Blocks(texts.mean(axis=1), halves))
        assert found.low is not None and found.high is not None
        held += found.low <= 0 <= found.high
    assert 0.91 <= held / 300 <= 0.99


def test_the_error_of_groups_is_that_of_their_sums() -> None:
    """Worked out by hand: the deviations from the mean of 6 have the sums -8, -1 and 9."""
    found = clustered(np.array([1.0, 3, 5, 9, 12]), np.array([0, 0, 1, 2, 2]))
    error = ((64 + 1 + 81) * 3 / 2) ** 0.5 / 5
    assert found.value == 6
    assert found.high == pytest.approx(6 + 4.302653 * error, abs=1e-5)  # t(0.975, 2) = 4.302653
    assert found.low == pytest.approx(6 - 4.302653 * error, abs=1e-5)
    squared = (6 / error) ** 2
    assert found.p == pytest.approx(1 - (squared / (squared + 2)) ** 0.5), "t with 2 degrees of freedom"


def test_groups_of_one_value_have_the_t_test_and_one_group_has_no_error() -> None:
    values = np.array([1.0, 2.0, 3.0])
    alone, expected = clustered(values, np.arange(3)), estimate(Blocks(values, NO_HALVES))
    assert (alone.low, alone.high, alone.p) == pytest.approx((expected.low, expected.high, expected.p))
    assert clustered(values, np.zeros(3, dtype=np.intp)) == MeanEstimate(2.0, 2.0, 2.0, 1.0)


def test_holm_corrects_as_published() -> None:
    # Step-down: 4 x 0.005, 3 x 0.01, then 2 x 0.03 and never less than before.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([]) == []
