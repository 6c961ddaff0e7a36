"""Replies that repeat one another, word for word or nearly."""

from benchmarks.pipeline.columns import REPEATING
from benchmarks.pipeline.runs import Goal, Scenario, own

BOUND = 1.25
"""Bound on span / ideal."""


def _repeats(in_flight: int, fraction: float) -> Scenario:
    """Return the scenario of one fraction of repeats."""
    name, label = f"repeats_{in_flight}_{fraction:g}", f"{fraction:.0%} repeats"
    goal = Goal(f"{label}: span / ideal at most {BOUND}", own(name, lambda run: run.ratio), BOUND)
    return Scenario(
        f"Replies out of a pool of 20 texts, 2,000 rows, {in_flight} in flight, 0.2 s",
        2000,
        in_flight,
        REPEATING,
        variant=label,
        systems=("personagen",),
        behaviour={"latency": 0.2, "repeats": fraction},
        goals=(goal,),
    )


REPEATING_SERVERS: dict[str, Scenario] = {
    f"repeats_{number}_{fraction:g}": _repeats(number, fraction)
    for number in (50, 200)
    for fraction in (0.0, 0.02, 0.05, 0.1)
}
