"""Statistics of refusals: evidence of load, and the comparison of two limits."""

import random
from math import exp, sqrt

import pytest

from personagen.builder.llm.admission.refusals import (
    DECISIVE,
    MAX_BACKGROUND,
    RELIEF,
    Background,
    OverloadEvidence,
    has_fewer_refusals,
)


def refusals_until_overload(*, limited: bool, replies_before: int = 0, refused_before: int = 0) -> int:
    """Count the refusals in a row that are overload, after so many replies and refusals of the same kind by chance."""
    background, evidence = Background(), OverloadEvidence()
    for number in range(replies_before + refused_before):
        if number < refused_before:
            background.record_refusal(limited=limited)
        else:
            background.record_reply()
    count = 0
    while not evidence.is_overload:
        evidence.record_refusal(background, limited=limited)
        background.record_refusal(limited=limited)
        count += 1
    return count


def test_at_the_start_one_429_or_four_503_in_a_row_are_overload() -> None:
    assert (refusals_until_overload(limited=True), refusals_until_overload(limited=False)) == (1, 4)


def test_refusals_that_were_frequent_before_are_weaker_evidence() -> None:
    usual = refusals_until_overload(limited=True, replies_before=190, refused_before=10)
    rare = refusals_until_overload(limited=True, replies_before=1000)
    assert rare == 1 < usual


def test_replies_between_refusals_remove_the_evidence() -> None:
    background, evidence = Background(), OverloadEvidence()
    for _ in range(50):
        evidence.record_refusal(background, limited=False)
        for _ in range(10):
            evidence.record_reply(background)
        assert not evidence.is_overload
        assert evidence.refusals == {True: 0, False: 0}, "the sum has started over"


def test_background_follows_the_fraction_of_the_recent_requests() -> None:
    background, rng = Background(), random.Random(1)
    for fraction in (0.02, 0.3, 0.0):
        for _ in range(5000):
            if rng.random() < fraction:
                background.record_refusal(limited=False)
            else:
                background.record_reply()
        assert background.fraction(limited=False) == pytest.approx(fraction, abs=0.03)
        assert background.fraction(limited=True) < 0.001


def test_refusals_due_to_load_can_be_removed_from_the_background() -> None:
    background = Background()
    before = background.fraction(limited=True)
    background.record_refusal(limited=True)
    background.remove_refusals({True: 1, False: 5})
    assert 0 < background.fraction(limited=True) <= before
    assert background.fraction(limited=False) > 0, "never negative"


def decide(fraction: float, true_fraction: float, rng: random.Random) -> bool:
    """Decide about a lower limit under which requests are refused with a probability."""
    ended = refused = 0
    while True:
        ended += 1
        refused += rng.random() < true_fraction
        if (fewer := has_fewer_refusals(fraction, ended, refused)) is not None:
            return fewer


@pytest.mark.parametrize("fraction", [0.02, 0.1, 0.5])
def test_wrong_decisions_about_a_lower_limit_are_rarer_than_walds_bound(fraction: float) -> None:
    """At most exp(-DECISIVE), on both sides, within three standard errors of so many runs."""
    rng, runs, rate = random.Random(7), 1000, exp(-DECISIVE)
    bound = runs * rate + 3 * sqrt(runs * rate * (1 - rate))
    assert sum(decide(fraction, fraction, rng) for _ in range(runs)) <= bound
    assert sum(not decide(fraction, fraction / RELIEF, rng) for _ in range(runs)) <= bound


def test_extreme_fractions_decide_without_an_error() -> None:
    assert has_fewer_refusals(0.0, 0, 0) is None
    assert has_fewer_refusals(1.0, 50, 0) is True
    assert has_fewer_refusals(1.0, 50, 50) is False


def test_background_above_its_bound_is_compared_by_experiments_only() -> None:
    """More than `MAX_BACKGROUND` of refusals stays evidence of overload."""
    background = Background()
    for _ in range(1000):
        background.record_refusal(limited=False)
    assert background.fraction(limited=False) > MAX_BACKGROUND[False]
    evidence = OverloadEvidence()
    for _ in range(7):
        evidence.record_refusal(background, limited=False)
    assert evidence.is_overload
