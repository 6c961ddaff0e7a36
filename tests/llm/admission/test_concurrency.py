"""The adaptive limit on requests in flight, against endpoints in simulated time: no clock, no network."""

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personagen.builder.llm.admission.concurrency import AdaptiveConcurrency
from tests.helpers.simulated_endpoints import Client, Endpoint

QUICK: dict[str, Any] = {"latency": lambda now: 0.1, "refusal_s": 0.003}


def client_of(start: int = 16, maximum: int = 50, seed: int = 0, **endpoint: Any) -> Client:
    """Build a run with an adaptive limit."""
    limit = AdaptiveConcurrency(start=start, maximum=maximum)
    return Client(limit, Endpoint(**QUICK | endpoint, seed=seed), spare=maximum, seed=seed)


def test_limit_doubles_to_its_maximum_without_refusals() -> None:
    """Each round of replies doubles it."""
    client = client_of()
    client.run(200)
    assert (client.limit.limit, client.most, client.refused) == (50, 50, 0)


def test_fixed_limit_is_kept() -> None:
    """Growing latency starts no experiment with a local backend."""
    limit = AdaptiveConcurrency(start=2, maximum=2, by_latency=False)
    client = Client(limit, Endpoint(latency=lambda now: 0.01 * (1 + now)))
    client.run(500)
    assert (client.limit.limit, client.most) == (2, 2)


@pytest.mark.parametrize("spread", [0.02, 0.1])
@pytest.mark.parametrize("capacity", [3, 10, 20, 40])
def test_refusals_find_the_capacity(capacity: int, spread: float) -> None:
    """Few calls are refused on the way, hardly any afterwards, and the server is kept busy."""
    client = client_of(capacity=lambda now: capacity, spread=spread)
    client.run(500)
    assert client.refused <= 60
    assert capacity * 0.5 <= client.limit.limit <= capacity + 1
    early, began = client.refused, client.now
    client.run(2000)
    assert client.refused - early < 25
    assert 2000 / (client.now - began) >= 0.9 * capacity / 0.1


def test_limit_of_twenty_wastes_few_calls_on_average() -> None:
    """Nor do retries make the run longer than 1.1 times the ideal."""
    clients = [client_of(capacity=lambda now: 20, spread=0.02, seed=seed) for seed in range(9)]
    for client in clients:
        client.run(500)
    assert sorted(client.refused for client in clients)[4] <= 14
    assert sorted(client.now for client in clients)[4] <= 1.1 * 2.5


def test_burst_of_refusals_is_one_event() -> None:
    """Requests that were sent before the limit shrank lower the ceiling, and never below half of it."""
    concurrency = AdaptiveConcurrency(start=40, maximum=40)
    for _ in range(38):
        concurrency.record_refusal(sent=1.0, now=1.2)
    assert concurrency.limit == 20
    concurrency.record_refusal(sent=1.3, now=1.4)
    concurrency.record_refusal(sent=1.3, now=1.4)
    assert 10 <= concurrency.limit < 20


def test_wait_of_a_refusal_by_chance_pauses_no_other_request() -> None:
    """A refusal that speaks of load pauses all of them."""
    concurrency = AdaptiveConcurrency(start=40, maximum=40)
    concurrency.record_refusal(sent=1.0, now=1.1, wait=60.0, limited=False)
    assert concurrency.paused_until < 1.1
    concurrency.record_refusal(sent=1.0, now=1.2, wait=60.0, limited=True)
    assert concurrency.paused_until == 61.2


def test_refused_probe_returns_to_the_ceiling() -> None:
    """And the next probe comes later."""
    client = client_of(capacity=lambda now: 20)
    client.run(3000)
    limits = set()
    for _ in range(100):
        client.run(10)
        limits.add(client.limit.limit)
    assert limits <= {20, 21, 22}


def test_capacity_that_returns_is_used_again() -> None:
    """A ceiling ages: probes above it are answered, and grow."""
    client = client_of(capacity=lambda now: 10 if now < 10 else 1000)
    client.run(until=10)
    assert client.limit.limit <= 11
    client.run(until=90)
    assert client.limit.limit == 50


def test_growing_latency_without_gain_shrinks_the_limit() -> None:
    """The queue of a server stays short, and its rate is kept."""
    client = client_of(maximum=256, slots=16)
    client.run(6000)
    assert 16 <= client.limit.limit <= 64
    began = client.now
    client.run(1000)
    assert 1000 / (client.now - began) >= 0.9 * 160


def test_growing_latency_with_gain_keeps_the_limit() -> None:
    """A server that works in larger batches answers more per second with more requests in flight."""
    client = client_of(maximum=256, batching=50.0)
    client.run(20_000)
    assert client.limit.limit >= 0.75 * 256


def test_few_late_replies_do_not_shrink_the_limit() -> None:
    """The mean of the logarithms hardly changes by a few replies that take twenty times as long."""
    rng = random.Random(1)
    client = client_of(latency=lambda now: 2.0 if rng.random() < 0.02 else 0.1)
    client.run(3000)
    assert client.limit.limit == 50


def test_limit_returns_at_once_after_an_outage() -> None:
    """Refusals without a reply between them say nothing about the number in flight."""
    client = client_of(refused=lambda now: 1.0 if 10 <= now < 40 else 0.0)
    client.run(until=39)
    assert client.limit.limit < 10
    replies = client.answered
    client.run(400)
    assert client.answered == replies + 400
    assert client.limit.limit == 50


@given(
    st.integers(1, 64),
    st.integers(1, 64),
    st.lists(
        st.tuples(st.sampled_from("srfb"), st.floats(0, 10), st.floats(0, 10), st.none() | st.floats(0, 100)),
        max_size=200,
    ),
)
def test_limit_stays_between_one_and_its_maximum(
    start: int, most: int, events: list[tuple[str, float, float, float | None]]
) -> None:
    """After any events in any order, at least one request may be sent, and no pause is longer than the longest wait."""
    concurrency, now = AdaptiveConcurrency(start=start, maximum=most), 0.0
    for kind, took, passed, wait in events:
        now += passed
        if kind in "rb":
            concurrency.record_refusal(now - took, now, wait=wait, limited=kind == "r")
        else:
            concurrency.record_reply(now - took, now, in_flight=concurrency.limit if kind == "f" else 1)
        assert 1 <= concurrency.limit <= most
        assert concurrency.paused_until <= now + 100
