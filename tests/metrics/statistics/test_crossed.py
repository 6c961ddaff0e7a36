"""Means over seeds and wordings: coverage of the intervals, and what is said where there is none."""

import numpy as np
import pytest
from numpy.typing import NDArray

from personagen.metrics.statistics.crossed import cell_means, crossed_error
from personagen.metrics.statistics.paired import Blocks, MeanEstimate, estimate


def estimated(cells: NDArray[np.float64]) -> MeanEstimate:
    """Estimate the mean of values by seed and wording, one block each."""
    places = np.array([(seed, wording) for seed in range(cells.shape[0]) for wording in range(cells.shape[1])])
    return estimate(Blocks(cells.ravel(), np.empty((cells.size, 0)), cells=places))


@pytest.mark.parametrize(
    ("seeds", "wordings", "spread"), [(3, 3, (1, 0, 1)), (3, 3, (0, 0, 1)), (3, 6, (1, 0.3, 0.5)), (5, 4, (1, 1, 1))]
)
def test_intervals_cover_the_mean_of_all_wordings(seeds: int, wordings: int, spread: tuple[float, ...]) -> None:
    rng = np.random.default_rng(7)
    covered = 0
    for _ in range(1000):
        of_wordings, of_seeds, rest = (
            rng.normal(size=shape) for shape in ((1, wordings), (seeds, 1), (seeds, wordings))
        )
        found = estimated(spread[0] * of_wordings + spread[1] * of_seeds + spread[2] * rest)
        assert found.low is not None and found.high is not None
        covered += found.low <= 0 <= found.high
    assert 0.93 <= covered / 1000 <= 1


def test_blocks_that_ignore_wordings_do_not() -> None:
    """The mutant: with a spread of wordings as large as that of texts, every fifth interval misses the mean."""
    rng = np.random.default_rng(7)
    covered = 0
    for _ in range(1000):
        cells = rng.normal(size=(1, 3)) + rng.normal(size=(3, 3))
        found = estimate(Blocks(cells.ravel(), np.empty((9, 0))))
        assert found.low is not None and found.high is not None
        covered += found.low <= 0 <= found.high
    assert covered / 1000 < 0.87


def test_the_error_is_that_of_the_mean_squares() -> None:
    cells = np.array([[1.0, 2, 6], [3, 4, 8]])  # no rest: wordings and seeds add up
    found = crossed_error(cells)
    of_wordings, of_seeds = 2 * cells.mean(axis=0).var(ddof=1), 3 * cells.mean(axis=1).var(ddof=1)
    assert found.error == pytest.approx(((of_wordings + of_seeds) / 6) ** 0.5)
    assert found.freedom == int((of_wordings + of_seeds) ** 2 / (of_wordings**2 / 2 + of_seeds**2 / 1))
    alike = crossed_error(cells - np.array([[0.0], [2]]))  # seeds that do not differ
    assert alike.error == pytest.approx((of_wordings / 6) ** 0.5) and alike.freedom == 2


@pytest.mark.parametrize(
    ("shape", "reason"),
    [
        ((3, 2), "2 wordings show too little of how wordings differ, wanted 3 or more"),
        ((1, 3), "1 seed cannot separate wordings from texts, wanted 2 or more"),
    ],
)
def test_a_factor_that_cannot_be_estimated_has_a_reason(shape: tuple[int, int], reason: str) -> None:
    found = estimated(np.arange(shape[0] * shape[1], dtype=float).reshape(shape))
    assert (found.low, found.high, found.p, found.error, found.reason) == (None, None, None, None, reason)


def test_values_that_do_not_vary_and_cells_without_texts_have_a_reason() -> None:
    assert estimated(np.ones((3, 3))).reason == "the values do not vary"
    cells = cell_means(np.ones(3), np.array([0, 0, 1]), np.array([0, 2, 1]))
    assert crossed_error(cells).reason == "a wording has no texts in a seed"


def test_blocks_of_one_cell_count_once() -> None:
    values, seeds, wordings = np.array([1.0, 3, 5, 7, 9]), np.array([0, 0, 0, 1, 1]), np.array([0, 0, 1, 0, 1])
    assert cell_means(values, seeds, wordings).tolist() == [[2, 5], [7, 9]]


def test_differences_and_nulls_keep_the_cells() -> None:
    cells = np.array([(seed, wording) for seed in range(2) for wording in range(3)])
    one = Blocks(np.arange(6.0), np.empty((6, 0)), cells=cells)
    change = one.minus(Blocks(np.ones(6), np.empty((6, 0)), cells=cells)).less(2)
    assert change.cells is cells and change.wholes.tolist() == [-3, -2, -1, 0, 1, 2]
