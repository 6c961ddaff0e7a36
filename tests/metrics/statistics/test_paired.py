"""Paired differences: estimates against what can be worked out by hand, coverage by simulation, correction."""

from itertools import product

import numpy as np
import pytest
from numpy.typing import NDArray

from personagen.metrics.statistics.paired import Blocks, clustered, estimate, holm, sign_flip_p

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


def test_what_does_not_vary_has_no_interval_and_no_p() -> None:
    for blocks in (Blocks(np.ones(3), np.ones((3, 2))), Blocks(np.full(2, 0.01), np.empty((2, 0)))):
        found = estimate(blocks)
        assert (found.low, found.high, found.p, found.detectable(1)) == (None, None, None, None)
        assert found.reason == "the values do not vary"


def test_one_block_without_halves_has_no_interval() -> None:
    found = estimate(Blocks(np.array([0.5]), np.empty((1, 0))))
    assert (found.value, found.low, found.p, found.reason) == (
        0.5, None, None, "one block without halves has no spread",
    )  # fmt: skip


def test_halves_of_few_personas_have_few_degrees_of_freedom() -> None:
    halves, wholes = np.array([[0.9, 1.1, 1.0, 1.0]] * 3), np.array([0.98, 1.0, 1.02])
    free, bound = (estimate(Blocks(wholes, halves, freedom)) for freedom in (None, 3))
    assert (free.freedom, bound.freedom) == (2 + 9, 2 + 3)
    assert estimate(Blocks(wholes, halves, 0)).freedom == 2, "one persona per block: halves say nothing"
    assert Blocks(wholes, halves, 3).minus(Blocks(wholes, halves, 5)).freedom == 3


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
    """Worked out by hand: the deviations from the mean of 5 have the sums -6, -1, 7, -3 and 3."""
    found = clustered(np.array([1.0, 3, 4, 8, 9, 2, 8]), np.array([0, 0, 1, 2, 2, 3, 4]))
    error = ((36 + 1 + 49 + 9 + 9) * 5 / 4) ** 0.5 / 7
    assert found.value == 5 and found.error == pytest.approx(error)
    assert found.high == pytest.approx(5 + 2.776445 * error, abs=1e-5)  # t(0.975, 4) = 2.776445
    assert found.low == 0, "t would exclude 0; of 16 changes of sign one is as large"
    assert found.p == 2 / 2**5


def test_many_groups_of_one_value_have_the_t_test() -> None:
    values = np.random.default_rng(1).normal(0.3, 1, size=20)
    alone, expected = clustered(values, np.arange(20)), estimate(Blocks(values, np.empty((20, 0))))
    assert (alone.low, alone.high, alone.p) == pytest.approx((expected.low, expected.high, expected.p))


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_fewer_than_five_groups_have_no_interval_and_no_p(count: int) -> None:
    for values in (np.ones(count), np.arange(1.0, count + 1)):
        found = clustered(np.append(values, 0.0), np.append(np.arange(count), count))
        assert (found.low, found.high, found.p) == (None, None, None)
        assert found.reason == f"{count} of {count + 1} personas have a difference other than 0, wanted 5"
    assert clustered(np.array([1.0, -1, 2]), np.zeros(3, dtype=np.intp)).p is None


@pytest.mark.parametrize("count", [5, 8, 19])
def test_groups_that_agree_have_the_p_of_the_sign_test_and_no_interval(count: int) -> None:
    found = clustered(np.full(count, -1.0), np.arange(count))
    assert found.p == pytest.approx(2.0 ** (1 - count)) and (found.low, found.high) == (None, None)
    assert found.reason == "the differences do not vary between personas"


def test_the_exact_p_is_that_of_all_changes_of_sign() -> None:
    sums = np.array([0.5, -1.25, 2.0, 0.25, 3.0, -0.5])
    totals = [abs(float(np.dot(signs, sums))) for signs in product((-1, 1), repeat=len(sums))]
    assert sign_flip_p(sums) == pytest.approx(np.mean(np.array(totals) >= abs(sums.sum()) - 1e-9))
    assert clustered(sums, np.arange(6)).p == sign_flip_p(sums)
    assert clustered(-sums, np.arange(6)).p == sign_flip_p(sums), "two-sided"


def test_an_interval_excludes_0_only_if_p_is_small() -> None:
    """Of five personas, all with more: t would call 0 unlikely, and one of 16 changes of sign is as large."""
    found = clustered(np.array([1.0, 1.1, 0.9, 1.2, 1.05]), np.arange(5))
    assert found.p == 0.0625 and found.low == 0.0


NULLS = {
    "rounded": lambda generator, count: np.round(generator.normal(0, 3, count)),
    "rare changes": lambda generator, count: generator.choice([-1.0, 0, 1], count, p=[0.1, 0.8, 0.1]),
    "heavy tails": lambda generator, count: generator.standard_t(2, count),
}


@pytest.mark.parametrize("kind", NULLS)
@pytest.mark.parametrize(("personas", "texts"), [(3, 1), (5, 4), (10, 2), (35, 2)])
def test_no_effect_is_rejected_in_at_most_five_of_a_hundred(kind: str, personas: int, texts: int) -> None:
    """400 data sets: 35 rejections are three standard errors above 5 %."""
    generator = np.random.default_rng([personas, texts])
    rejected = excluded = 0
    for _ in range(400):
        found = clustered(NULLS[kind](generator, personas * texts), np.repeat(np.arange(personas), texts))
        rejected += found.p is not None and found.p < 0.05
        excluded += found.low is not None and found.high is not None and not found.low <= 0 <= found.high
    assert rejected <= 35 and excluded <= 35


@pytest.mark.parametrize("personas", [10, 40])
def test_intervals_by_persona_cover_the_truth(personas: int) -> None:
    """Texts of one persona share half of the variance; 400 data sets, within three standard errors of 95 %."""
    generator = np.random.default_rng(personas)
    groups = np.repeat(np.arange(personas), 4)
    covered = 0
    for _ in range(400):
        values = 1 + generator.normal(size=personas)[groups] + generator.normal(size=len(groups))
        found = clustered(values, groups)
        assert found.low is not None and found.high is not None
        covered += found.low <= 1 <= found.high
    assert 367 <= covered <= 393


def _family(generator: np.random.Generator, size: int) -> NDArray[np.float64]:
    return np.array([clustered(generator.normal(size=30), np.repeat(np.arange(15), 2)).p for _ in range(size)])


def test_a_family_without_effects_has_a_finding_in_at_most_five_of_a_hundred() -> None:
    """20 tests per family, 200 families: uncorrected 64 % have a finding, corrected at most 5 % and 3 errors."""
    generator = np.random.default_rng(3)
    families = [_family(generator, 20) for _ in range(200)]
    assert np.mean([family.min() < 0.05 for family in families]) > 0.5
    assert sum(min(holm(family.tolist())) < 0.05 for family in families) <= 19


def test_the_detectable_mean_is_found_in_about_80_of_100() -> None:
    generator = np.random.default_rng(5)
    groups = np.arange(60)
    size = clustered(generator.normal(size=60), groups).detectable(10)
    assert size is not None and 0.4 < size < 0.6
    true = 0.5
    errors = [clustered(true + generator.normal(size=60), groups) for _ in range(300)]
    power = np.mean([found.p is not None and found.p < 0.05 / 10 for found in errors])
    expected = np.mean([found.detectable(10) for found in errors])
    assert power == pytest.approx(0.85, abs=0.1) and expected == pytest.approx(0.49, abs=0.03)


def test_holm_corrects_as_published() -> None:
    # Step-down: 4 x 0.005, 3 x 0.01, then 2 x 0.03 and never less than before.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([]) == []
