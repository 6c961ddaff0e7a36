"""Columns of the tables."""

from collections.abc import Callable

from benchmarks.pipeline.runs import Run


def _by_kind(run: Run) -> str:
    """Format the wasted calls by kind: faults, refusals by a limit, 400s."""
    limited = run.status(429) - run.stats["faults"].get("429", 0)
    kinds = {kind: number for kind, number in run.stats["faults"].items() if kind != "slow"}
    kinds |= {"limit": limited, "400": run.status(400)}
    return ", ".join(f"{number} {kind}" for kind, number in kinds.items() if number) or "0"


COLUMNS: dict[str, Callable[[Run], str]] = {
    "span s": lambda run: f"{run.span:.2f}",
    "ideal s": lambda run: f"{run.ideal:.2f}",
    "span / ideal": lambda run: f"{run.ratio:.2f}",
    "span / without": lambda run: "" if run.base_span != run.base_span else f"{run.against_base:.2f}",
    "rows/s": lambda run: f"{run.rate:.0f}",
    "call s": lambda run: f"{run.reported('seconds'):.1f}",
    "process s": lambda run: f"{run.outcome.wall:.1f}",
    "CPU s": lambda run: f"{run.outcome.cpu:.1f}",
    "peak MB": lambda run: f"{run.outcome.peak_mb:.0f}",
    "largest process MB": lambda run: f"{run.outcome.largest_mb:.0f}",
    "requests": lambda run: str(run.stats["requests"]),
    "most in flight": lambda run: str(run.stats["most_in_flight"]),
    "in flight": lambda run: f"{run.mean_in_flight:.1f}",
    "in flight / allowed": lambda run: f"{run.filled:.2f}",
    "s below half": lambda run: f"{run.starved:g}",
    "faults": lambda run: str(run.faults),
    "further calls / faults": lambda run: f"{run.further:.2f}" if run.faults else "",
    "wasted calls": _by_kind,
    "400s": lambda run: str(run.status(400)),
    "rows kept": lambda run: str(run.reported("kept")),
    "listed with a reason": lambda run: "-" if run.reported("listed") is None else str(run.reported("listed")),
    "replies at the kill": lambda run: str(run.before),
    "paid twice": lambda run: str(run.stats["repeated"]),
}
"""Text of a column by its heading.

"in flight" is a mean over the span. "s below half": seconds with fewer than half of the allowed requests in flight
while new requests were still to come. "span / without": over the span of the first variant of the table.
"""

USUAL = ("span s", "span / ideal", "rows/s", "call s", "process s", "CPU s", "peak MB", "requests", "rows kept")
FLIGHT = ("in flight / allowed", "s below half")
MEMORY = ("largest process MB", "rows/s", "process s", "CPU s", "rows kept")
FAULTY = ("span s", "span / without", "span / ideal", *FLIGHT, "wasted calls", "further calls / faults", "paid twice",
          "rows kept")  # fmt: skip
LIMITED = ("span s", "span / ideal", *FLIGHT, "wasted calls", "most in flight", "process s", "rows kept")
WINDOWED = ("span s", "span / ideal", "wasted calls", "most in flight", "process s", "rows kept")
REPEATING = ("span s", "span / ideal", *FLIGHT, "requests", "CPU s", "paid twice", "rows kept")
