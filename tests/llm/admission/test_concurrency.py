"""The adaptive limit on requests in flight, against modelled servers of known capacity: no clock, no network."""

import heapq
import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personagen.builder.llm.admission.concurrency import AdaptiveConcurrency

Latency = Callable[[int], float]
"""Seconds per reply, by the number of requests in flight."""


class Model:
    """A server and a client that keeps as many requests in flight as the limit allows, in simulated time."""

    def __init__(
        self, concurrency: AdaptiveConcurrency, latency: Latency, *, refuses_above: int = 10**9, seed: int = 0
    ) -> None:
        self.concurrency, self.latency, self.refuses_above = concurrency, latency, refuses_above
        self.now, self.answered, self.refused, self.most = 0.0, 0, 0, 0
        self._events: list[tuple[float, int, float, bool]] = []
        self._count = 0
        self._rng = random.Random(0)

    def run(self, replies: int) -> None:
        """Run until so many further replies have arrived."""
        target = self.answered + replies
        while self.answered < target:
            while len(self._events) < self.concurrency.limit:
                self._send()
            self.most = max(self.most, len(self._events))
            self.now, _, sent, accepted = heapq.heappop(self._events)
            if accepted:
                self.answered += 1
                self.concurrency.record_reply(sent, self.now, full=len(self._events) + 1 >= self.concurrency.limit)
            else:
                self.refused += 1
                self.concurrency.record_overload(sent, self.now)

    def _send(self) -> None:
        self._count += 1
        busy = sum(accepted for *_, accepted in self._events)
        accepted = busy < self.refuses_above
        took = self.latency(busy + 1) * self._rng.uniform(0.9, 1.1) if accepted else 0.001
        heapq.heappush(self._events, (self.now + took, self._count, self.now, accepted))


def flat(_: int) -> float:
    """Return a constant latency, as of a hosted endpoint."""
    return 0.1


def queueing(slots: int) -> Latency:
    """Build the latency of a small server that answers `slots` requests at a time and queues the others."""
    return lambda busy: 0.1 * max(1.0, busy / slots)


def batching(busy: int) -> float:
    """Return the latency of a GPU server, whose rate grows with the load although each reply takes longer."""
    return 0.1 * (1 + busy / 50)


def test_limit_doubles_to_its_maximum_without_refusals() -> None:
    """Each round of replies doubles it."""
    model = Model(AdaptiveConcurrency(start=16, maximum=50), flat)
    model.run(200)
    assert (model.concurrency.limit, model.most, model.refused) == (50, 50, 0)


def test_fixed_limit_is_kept() -> None:
    """Growing latency starts no experiment with a local backend."""
    started: list[int] = []

    def slower(_: int) -> float:
        started.append(1)
        return 0.01 * len(started)

    model = Model(AdaptiveConcurrency(start=2, maximum=2, by_latency=False), slower)
    model.run(500)
    assert (model.concurrency.limit, model.most) == (2, 2)


@pytest.mark.parametrize(("capacity", "wasted"), [(3, 25), (10, 25), (20, 30), (40, 25)])
def test_refusals_find_the_capacity(capacity: int, wasted: int) -> None:
    """Few calls are refused on the way, hardly any afterwards, and the server is kept busy."""
    model = Model(AdaptiveConcurrency(start=16, maximum=50), flat, refuses_above=capacity)
    model.run(500)
    assert model.refused < wasted
    assert capacity * 0.5 <= model.concurrency.limit <= capacity + 1
    early, began = model.refused, model.now
    model.run(2000)
    assert model.refused - early < 20
    assert 2000 / (model.now - began) >= 0.85 * capacity / 0.1


def test_burst_of_refusals_shrinks_the_limit_once() -> None:
    """Refusals of requests that were sent before the limit shrank are ignored."""
    concurrency = AdaptiveConcurrency(start=40, maximum=40)
    for _ in range(30):
        concurrency.record_overload(sent=1.0, now=1.2)
    assert concurrency.limit == 30
    concurrency.record_overload(sent=1.3, now=1.4)
    assert concurrency.limit == 22


def test_refused_probe_returns_to_the_ceiling() -> None:
    """And the next probe comes later."""
    model = Model(AdaptiveConcurrency(start=16, maximum=50), flat, refuses_above=20)
    model.run(3000)
    limits = set()
    for _ in range(100):
        model.run(10)
        limits.add(model.concurrency.limit)
    assert limits <= {20, 21}


def test_capacity_that_returns_is_used_again() -> None:
    """Additive increase continues without signs of overload."""
    model = Model(AdaptiveConcurrency(start=16, maximum=50), flat, refuses_above=10)
    model.run(500)
    assert model.concurrency.limit <= 11
    model.refuses_above = 10**9
    model.run(15_000)
    assert model.concurrency.limit == 50


def test_growing_latency_without_gain_shrinks_the_limit() -> None:
    """The queue of a server stays short, and its rate is kept."""
    model = Model(AdaptiveConcurrency(start=16, maximum=256), queueing(16))
    model.run(6000)
    assert 16 <= model.concurrency.limit <= 48
    began = model.now
    model.run(1000)
    assert 1000 / (model.now - began) >= 0.9 * 160


def test_growing_latency_with_gain_keeps_the_limit() -> None:
    """A server that works in larger batches answers more per second with more requests in flight."""
    model = Model(AdaptiveConcurrency(start=16, maximum=256), batching)
    model.run(20_000)
    assert model.concurrency.limit >= 0.75 * 256


def test_few_late_replies_do_not_shrink_the_limit() -> None:
    """The median ignores a few replies that take twenty times as long."""
    rng = random.Random(1)
    model = Model(AdaptiveConcurrency(start=16, maximum=50), lambda _: 2.0 if rng.random() < 0.02 else 0.1)
    model.run(3000)
    assert model.concurrency.limit == 50


@given(
    st.integers(1, 64),
    st.integers(1, 64),
    st.lists(st.tuples(st.sampled_from("srf"), st.floats(0, 10), st.floats(0, 10)), max_size=200),
)
def test_limit_stays_between_one_and_its_maximum(start: int, most: int, events: list[tuple[str, float, float]]) -> None:
    """After any events in any order, at least one request may be sent."""
    concurrency, now = AdaptiveConcurrency(start=start, maximum=most), 0.0
    for kind, took, passed in events:
        now += passed
        if kind == "r":
            concurrency.record_overload(now - took, now)
        else:
            concurrency.record_reply(now - took, now, full=kind == "f")
        assert 1 <= concurrency.limit <= most
