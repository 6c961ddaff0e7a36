"""Regret of the adaptive limit on requests in flight: `python -m benchmarks.concurrency`, half a minute.

Each world is an endpoint in simulated time. Regret: how much longer a run takes than with the best fixed limit.
"""

import argparse
from statistics import median

from personagen.builder.llm.admission.concurrency import AdaptiveConcurrency
from tests.helpers.simulated_worlds import WORLDS, World, best_fixed, run

SEEDS = range(10)


def main() -> None:
    """Print the table."""
    argparse.ArgumentParser(prog="python -m benchmarks.concurrency", description=__doc__).parse_args()
    columns = ["best fixed limit", "s", "adaptive s", "regret", "largest regret", "refused", "limit at the end"]
    print("| world | " + " | ".join(columns) + " |")
    print("| --- |" + " ---: |" * len(columns))
    for name, world in WORLDS.items():
        print(row(name, world), flush=True)


def row(name: str, world: World) -> str:
    """Format the row of a world: its best fixed limit, and medians over the seeds."""
    best, limit = best_fixed(world)
    runs = [run(world, AdaptiveConcurrency(start=16, maximum=world.maximum), seed) for seed in SEEDS]
    span = median(client.now for client in runs)
    cells = [
        f"{limit}",
        f"{best:.0f}",
        f"{span:.0f}",
        _percent(span / best - 1),
        _percent(max(client.now for client in runs) / best - 1),
        f"{median(client.refused for client in runs):.0f}",
        f"{median(client.limit.limit for client in runs):.0f}",
    ]
    return f"| {name} | {' | '.join(cells)} |"


def _percent(fraction: float) -> str:
    return f"{round(100 * fraction)} %"


if __name__ == "__main__":
    main()
