"""The limit on requests in flight, against servers that are modelled by their capacity: no clock, no network."""

import heapq
import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personagen.builder.llm.concurrency import Pace

Latency = Callable[[int], float]
"""Seconds that a reply takes while so many requests are in flight."""


class Model:
    """A server and its client in a time of their own: as many requests in flight as the pace allows."""

    def __init__(self, pace: Pace, latency: Latency, *, refuses_above: int = 10**9, seed: int = 0) -> None:
        self.pace, self.latency, self.refuses_above = pace, latency, refuses_above
        self.now, self.answered, self.refused, self.most = 0.0, 0, 0, 0
        self._events: list[tuple[float, int, float, bool]] = []
        self._count = 0
        self._rng = random.Random(seed)

    def run(self, replies: int) -> None:
        """Go on until so many more replies have come."""
        target = self.answered + replies
        while self.answered < target:
            while len(self._events) < self.pace.limit:
                self._send()
            self.most = max(self.most, len(self._events))
            self.now, _, sent, accepted = heapq.heappop(self._events)
            if accepted:
                self.answered += 1
                self.pace.succeeded(sent, self.now, full=len(self._events) + 1 >= self.pace.limit)
            else:
                self.refused += 1
                self.pace.refused(sent, self.now)

    def _send(self) -> None:
        self._count += 1
        busy = sum(accepted for *_, accepted in self._events)
        accepted = busy < self.refuses_above
        took = self.latency(busy + 1) * self._rng.uniform(0.9, 1.1) if accepted else 0.001
        heapq.heappush(self._events, (self.now + took, self._count, self.now, accepted))


def flat(_: int) -> float:
    """Take the same time whatever the load: a hosted endpoint."""
    return 0.1


def queueing(slots: int) -> Latency:
    """Answer `slots` at a time and queue the others: a small server that refuses nothing."""
    return lambda busy: 0.1 * max(1.0, busy / slots)


def batching(busy: int) -> float:
    """Answer more at a time and each a bit later: a GPU server, whose rate grows with the load all the same."""
    return 0.1 * (1 + busy / 50)


def test_a_server_that_takes_all_gets_all() -> None:
    """The limit doubles each round until nothing more is wanted."""
    model = Model(Pace(start=16, most=50), flat)
    model.run(200)
    assert (model.pace.limit, model.most, model.refused) == (50, 50, 0)


def test_a_number_that_is_known_is_kept() -> None:
    """A local backend is not experimented with, however its latency grows."""
    started: list[int] = []

    def slower(_: int) -> float:
        started.append(1)
        return 0.01 * len(started)

    model = Model(Pace(start=2, most=2, by_latency=False), slower)
    model.run(500)
    assert (model.pace.limit, model.most) == (2, 2)


@pytest.mark.parametrize(("capacity", "wasted"), [(3, 25), (10, 25), (20, 30), (40, 25)])
def test_refusals_find_the_capacity(capacity: int, wasted: int) -> None:
    """Few calls are wasted on the way, hardly any afterwards, and the server is kept busy."""
    model = Model(Pace(start=16, most=50), flat, refuses_above=capacity)
    model.run(500)
    assert model.refused < wasted
    assert capacity * 0.5 <= model.pace.limit <= capacity + 1
    early, began = model.refused, model.now
    model.run(2000)
    assert model.refused - early < 20
    assert 2000 / (model.now - began) >= 0.85 * capacity / 0.1


def test_one_burst_of_refusals_shrinks_the_limit_once() -> None:
    """What was sent before the limit shrank tells nothing new."""
    pace = Pace(start=40, most=40)
    for _ in range(30):
        pace.refused(sent=1.0, now=1.2)
    assert pace.limit == 30
    pace.refused(sent=1.3, now=1.4)
    assert pace.limit == 22


def test_a_refused_try_above_the_ceiling_costs_no_more_than_the_try() -> None:
    """The limit goes back to what was answered, and the next try comes later."""
    model = Model(Pace(start=16, most=50), flat, refuses_above=20)
    model.run(3000)
    limits = set()
    for _ in range(100):
        model.run(10)
        limits.add(model.pace.limit)
    assert limits <= {20, 21}


def test_a_capacity_that_comes_back_is_used_again() -> None:
    """Additive increase goes on as long as nothing speaks against it."""
    model = Model(Pace(start=16, most=50), flat, refuses_above=10)
    model.run(500)
    assert model.pace.limit <= 11
    model.refuses_above = 10**9
    model.run(15_000)
    assert model.pace.limit == 50


def test_growing_latency_without_use_shrinks_the_limit() -> None:
    """A server that queues is not filled with requests that only wait, and loses nothing by it."""
    model = Model(Pace(start=16, most=256), queueing(16))
    model.run(6000)
    assert 16 <= model.pace.limit <= 48
    began = model.now
    model.run(1000)
    assert 1000 / (model.now - began) >= 0.9 * 160


def test_growing_latency_with_use_is_let_be() -> None:
    """More in flight is a gain where the server works in larger batches."""
    model = Model(Pace(start=16, most=256), batching)
    model.run(20_000)
    assert model.pace.limit >= 0.75 * 256


def test_late_replies_do_not_pass_for_a_slow_server() -> None:
    """A few that take twenty times as long leave the median alone."""
    rng = random.Random(1)
    model = Model(Pace(start=16, most=50), lambda _: 2.0 if rng.random() < 0.02 else 0.1)
    model.run(3000)
    assert model.pace.limit == 50


@given(
    st.integers(1, 64),
    st.integers(1, 64),
    st.lists(st.tuples(st.sampled_from("srf"), st.floats(0, 10), st.floats(0, 10)), max_size=200),
)
def test_the_limit_stays_in_its_bounds(start: int, most: int, events: list[tuple[str, float, float]]) -> None:
    """Whatever happens, and in whatever order, at least one request may go."""
    pace, now = Pace(start=start, most=most), 0.0
    for kind, took, passed in events:
        now += passed
        if kind == "r":
            pace.refused(now - took, now)
        else:
            pace.succeeded(now - took, now, full=kind == "f")
        assert 1 <= pace.limit <= most
