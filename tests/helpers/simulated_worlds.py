"""Worlds that the adaptive limit is tried in, and the best fixed limit of each."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.helpers.simulated_endpoints import Client, Endpoint, FixedLimit, Limit

FIXED = (1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24, 32, 40, 50, 64, 96, 128, 200, 256)
"""Fixed limits that the best one is chosen from."""


@dataclass(frozen=True, slots=True)
class World:
    """An endpoint and a run against it.

    Attributes:
        rows: rows of the run.
        maximum: upper bound on the requests in flight.
        endpoint: arguments of the endpoint.
        regret: upper bound on the regret of the adaptive limit.
        wasted: upper bound on the refused requests of the adaptive limit; None: refusals do not depend on it.

    """

    rows: int
    maximum: int
    endpoint: dict[str, Any] = field(default_factory=dict)
    wasted: int | None = None
    regret: float = 0.15


def between(start: float, end: float, inside: float, outside: float) -> Callable[[float], float]:
    """Return a quantity that has one value between two times and another one before and after."""
    return lambda now: inside if start <= now < end else outside


WORLDS = {
    "calm": World(10_000, 64),
    "0.5 % refused at random": World(10_000, 64, {"refused": lambda now: 0.005}),
    "3 % refused at random": World(10_000, 64, {"refused": lambda now: 0.03}),
    "8 % refused at random, 200 in flight": World(20_000, 200, {"refused": lambda now: 0.08}),
    "2 % refused at random with 429": World(10_000, 64, {"refused": lambda now: 0.02, "refused_as_limited": True}),
    "25 % refused at random": World(5_000, 64, {"refused": lambda now: 0.25}, regret=0.9),
    "3 % refused at random with a wait of 5 s": World(5_000, 64, {"refused": lambda now: 0.03, "refused_wait": 5.0}),
    "a second of refusals every 20 s": World(
        5_000, 64, {"refused": lambda now: float(10 <= now % 20 < 11)}, regret=0.3
    ),
    "0.2 s of 429 every 2 s": World(
        5_000, 64, {"refused": lambda now: float(now % 2 < 0.2), "refused_as_limited": True}, regret=1.0
    ),
    "a second of 429 every 10 s": World(
        5_000, 64, {"refused": lambda now: float(now % 10 < 1), "refused_as_limited": True}, regret=1.0
    ),
    "10 % hang": World(5_000, 64, {"hanging": 0.1}),
    "20 at a time": World(5_000, 64, {"capacity": lambda now: 20}, 60),
    "20 at a time, 3 % refused at random": World(5_000, 64, {"capacity": lambda now: 20, "refused": lambda now: 0.03}),
    "30 at a time, refused late": World(5_000, 64, {"capacity": lambda now: 30, "refusal_s": 0.4}, 400),
    "3 at a time, 5 s a reply": World(300, 64, {"capacity": lambda now: 3, "latency": lambda now: 5.0}, 60),
    "capacity 60, 10, 40": World(
        10_000, 64, {"capacity": lambda now: 60 if now < 60 else 10 if now < 120 else 40}, 100
    ),
    "16 slots and a queue": World(10_000, 256, {"slots": 16}),
    "batches": World(20_000, 256, {"batching": 50.0}),
    "600 per minute": World(2_000, 64, {"per_minute": 600}, 200),
    "600 per minute, wait named": World(2_000, 64, {"per_minute": 600, "names_wait": True}, 250),
    "200 per ten seconds": World(1_200, 50, {"per_window": (200, 10.0), "latency": lambda now: 0.1}, 800),
    "200 per ten seconds, wait named": World(
        1_200, 50, {"per_window": (200, 10.0), "names_wait": True, "latency": lambda now: 0.1}, 100
    ),
    "outage of a minute": World(10_000, 64, {"refused": between(40, 100, 1.0, 0.0)}, 400),
    "long tail, slow minutes": World(
        10_000, 64, {"spread": 1.0, "latency": lambda now: 2.5 if now % 240 > 180 else 0.5}
    ),
    "latency doubles every minute": World(14_000, 64, {"latency": lambda now: 0.5 * 2 ** min(6.0, now // 60)}),
}


def run(world: World, limit: Limit, seed: int = 0) -> Client:
    """Run a world to its last reply."""
    client = Client(limit, Endpoint(**world.endpoint, seed=seed), spare=world.maximum, seed=seed)
    client.run(world.rows)
    return client


def best_fixed(world: World, seed: int = 0) -> tuple[float, int]:
    """Return the least time of a fixed limit, and that limit."""
    limits = [limit for limit in FIXED if limit <= world.maximum]
    return min((run(world, FixedLimit(limit), seed).now, limit) for limit in limits)
