"""The adaptive limit in many worlds: how much longer a run takes than with the best fixed limit."""

from statistics import median

import pytest

from personagen.builder.llm.admission.concurrency import AdaptiveConcurrency
from tests.helpers.simulated_endpoints import Client
from tests.helpers.simulated_worlds import WORLDS, World, best_fixed, run


def adaptive(world: World, seed: int) -> Client:
    """Run a world with the adaptive limit."""
    return run(world, AdaptiveConcurrency(start=16, maximum=world.maximum), seed)


@pytest.mark.parametrize("name", WORLDS)
def test_run_is_hardly_longer_than_with_the_best_fixed_limit(name: str) -> None:
    """The median of five seeds; nor are many more requests refused than the world makes inevitable."""
    world = WORLDS[name]
    best, _ = best_fixed(world)
    clients = [adaptive(world, seed) for seed in range(5)]
    assert median(client.now for client in clients) <= (1 + world.regret) * best
    if world.wasted is not None:
        assert median(client.refused for client in clients) <= world.wasted


@pytest.mark.parametrize("in_flight", [64, 200])
@pytest.mark.parametrize(("fraction", "longer"), [(0.005, 1.1), (0.01, 1.15), (0.03, 1.3), (0.08, 1.6)])
def test_refusals_at_random_hardly_slow_a_run(fraction: float, longer: float, in_flight: int) -> None:
    """2,000 rows at 0.5 s; only refused requests are sent again."""
    calm = adaptive(World(2000, in_flight), 0).now
    clients = [adaptive(World(2000, in_flight, {"refused": lambda now: fraction}), seed) for seed in range(5)]
    assert median(client.now for client in clients) <= longer * calm


@pytest.mark.parametrize("per_minute", [600, 6000])
@pytest.mark.parametrize("names_wait", [False, True])
def test_rate_limit_wastes_few_calls(per_minute: int, names_wait: bool) -> None:
    """At most one call in five is refused, and the limit is used to the full."""
    endpoint = {"per_minute": per_minute, "names_wait": names_wait, "latency": lambda now: 0.1}
    clients = [adaptive(World(1000, 64, endpoint), seed) for seed in range(5)]
    assert median(client.refused for client in clients) <= 200
    assert median(client.now for client in clients) <= 1.1 * 1000 / per_minute * 60


@pytest.mark.parametrize("limited", [False, True])
@pytest.mark.parametrize("seconds", [0.2, 0.6, 1.2, 3.0, 10.0])
def test_a_burst_of_refusals_costs_little_more_than_its_length(seconds: float, limited: bool) -> None:
    """All requests of that time are refused; however many they are, it is one event."""
    burst = {"refused": lambda now: float(15 <= now < 15 + seconds), "refused_as_limited": limited}
    calm = adaptive(World(5000, 64), 0).now
    clients = [adaptive(World(5000, 64, burst), seed) for seed in range(5)]
    assert max(client.now for client in clients) <= calm + seconds + 10
