"""Memory of long runs."""

from benchmarks.pipeline.columns import MEMORY
from benchmarks.pipeline.runs import Goal, Results, Scenario, own

FAST = {"latency": 0.01}


def _growth(results: Results) -> float:
    """Return the peak of the long run over that of the short one."""
    long, short = results["memory_long"]["personagen"], results["memory"]["personagen"]
    return long.outcome.largest_mb / short.outcome.largest_mb


MEMORIES: dict[str, Scenario] = {
    "memory": Scenario(
        "Memory: 1,000 rows, 100 in flight, 10 ms",
        1000,
        100,
        MEMORY,
        systems=("personagen",),
        behaviour=FAST,
        runs=1,
        quick=False,
    ),
    "memory_long": Scenario(
        "Memory: 100,000 rows, 100 in flight, 10 ms",
        100_000,
        100,
        MEMORY,
        systems=("personagen",),
        behaviour=FAST,
        runs=1,
        limit=1800,
        quick=False,
        goals=(
            Goal("peak at most 1.3 times that of 1,000 rows", _growth, 1.3),
            Goal("peak below 200 MB", own("memory_long", lambda run: run.outcome.largest_mb), 200),
        ),
    ),
}
