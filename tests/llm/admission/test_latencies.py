"""Statistics of latencies, and the gain from a higher limit."""

import statistics
from math import inf, log, sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personagen.builder.llm.admission.latencies import (
    LEAST_GAIN,
    Latencies,
    LimitSample,
    gains_from_limit,
    has_grown,
    upper_bound,
)


def latencies_of(*seconds: float) -> Latencies:
    """Collect latencies."""
    latencies = Latencies()
    for value in seconds:
        latencies.add(value)
    return latencies


def around(seconds: float) -> Latencies:
    """Collect latencies close to a mean."""
    return latencies_of(*[seconds * factor for factor in (0.99, 1.0, 1.01)] * 20)


@given(st.lists(st.floats(1e-6, 1e4), min_size=2, max_size=50))
def test_mean_and_error_are_those_of_the_logarithms(seconds: list[float]) -> None:
    latencies, logs = latencies_of(*seconds), [log(value) for value in seconds]
    assert latencies.count == len(seconds)
    assert latencies.mean == pytest.approx(statistics.fmean(logs), abs=1e-9)
    assert latencies.error == pytest.approx(statistics.stdev(logs) / sqrt(len(logs)), abs=1e-6)


def test_one_latency_decides_nothing() -> None:
    one = latencies_of(9.0)
    assert one.error == upper_bound(one) == inf
    assert not has_grown(one, log(0.1), 2.0)
    assert gains_from_limit(10, around(0.1), 20, one) is None


@pytest.mark.parametrize(
    ("at_higher", "gains"),
    [
        (0.1, True),  # no queue: twice the requests have twice the replies
        (0.19, False),  # below `LEAST_GAIN`
        (0.2, False),  # a queue: the rate is the same
        (0.3, False),
    ],
)
def test_a_higher_limit_gains_unless_requests_queue(at_higher: float, gains: bool) -> None:
    assert gains_from_limit(10, around(0.1), 20, around(at_higher)) is gains


def test_a_gain_at_its_bound_is_undecided() -> None:
    bound = 0.1 * 2 ** (1 - LEAST_GAIN)
    assert gains_from_limit(10, around(0.1), 20, around(bound)) is None


def test_latency_has_grown_only_beyond_the_factor() -> None:
    assert has_grown(around(0.25), log(0.1), 2.0)
    assert not has_grown(around(0.19), log(0.1), 2.0)


def test_sample_leaves_out_its_first_latencies_and_counts_all_replies() -> None:
    sample = LimitSample(skipped=2)
    for number in range(4):
        sample.add_reply(sent=float(number), now=number + 0.5)
    sample.refused += 1
    assert (sample.replied, sample.latencies.count, sample.ended, sample.rate) == (4, 2, 5, 1.0)
