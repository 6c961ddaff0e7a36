"""Servers with a limit of their own: at a time, per window, and one that moves."""

from benchmarks.pipeline.columns import LIMITED, WINDOWED
from benchmarks.pipeline.runs import Goal, Scenario, own, ratio_goal
from benchmarks.pipeline.systems import PEERS

JOURNALLED = ("personagen", *PEERS)
WINDOW = {"window": 200, "window_s": 10.0}


def _wasted(name: str, bound: int) -> Goal:
    """Return the goal that bounds the refused calls."""
    return Goal(f"at most {bound} wasted calls", own(name, lambda run: run.status(429)), bound)


def _windowed(name: str, title: str, retry_after: int, goals: tuple[Goal, ...]) -> Scenario:
    """Return the scenario of a server that answers 200 requests per window of ten seconds."""
    return Scenario(
        title,
        600,
        50,
        WINDOWED,
        systems=JOURNALLED,
        behaviour=WINDOW | {"retry_after": retry_after},
        runs=1,
        limit=120,
        goals=goals,
    )


LIMITED_SERVERS: dict[str, Scenario] = {
    "limit": Scenario(
        "429 above 20 in flight, 500 rows, 50 in flight allowed",
        500,
        50,
        LIMITED,
        systems=JOURNALLED,
        behaviour={"limits": [[0, 20]]},
        goals=(ratio_goal("limit", 1.19), _wasted("limit", 14)),
    ),
    "window": _windowed(
        "window",
        "200 requests per ten seconds, then 429 with Retry-After, 600 rows, 50 in flight",
        1,
        (ratio_goal("window", 1.05), _wasted("window", 10)),
    ),
    "window_silent": _windowed(
        "window_silent",
        "200 requests per ten seconds, then 429 without Retry-After, 600 rows, 50 in flight",
        0,
        (ratio_goal("window_silent", 2.5), _wasted("window_silent", 740)),
    ),
    "moving": Scenario(
        "429 above 40 in flight, above 10 from second 5 to 12, then above 40 again, 3,000 rows, 64 in flight allowed",
        3000,
        64,
        LIMITED,
        systems=JOURNALLED,
        behaviour={"limits": [[0, 40], [5, 10], [12, 40]]},
        runs=1,
        limit=120,
        goals=(ratio_goal("moving", 1.5), _wasted("moving", 40)),
    ),
}
