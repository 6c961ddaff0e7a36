"""Scenarios, each with its table and its goals."""

import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.pipeline.ideal import ideal_seconds
from benchmarks.pipeline.measure import Outcome, Server, run
from benchmarks.pipeline.systems import PACKAGES, PEERS, System

ALL = tuple(PACKAGES)
OWN = ("aiohttp", "personagen")
JOURNALLED = ("personagen", *PEERS)
KILL_AT = 290


@dataclass(frozen=True, slots=True)
class Scenario:
    """One table.

    Attributes:
        title: heading of the table.
        rows: rows that each system makes.
        in_flight: requests that each may keep in flight.
        columns: keys of COLUMNS.
        systems: who takes part.
        behaviour: how the server differs from its default.
        slots: requests that can be in flight in the ideal; None is `in_flight`.
        calls: calls that make a row, one after the other.
        depth: layers of PersonaGen's rows.
        bad: whether one prompt, or one seed, of 50 is refused.
        kill: whether the run is killed at reply KILL_AT and then done again.
        repeats: runs of each system; the one with the median span is shown.
        limit: seconds after which a run is killed.
        goals: what PersonaGen is to reach here.

    """

    title: str
    rows: int
    in_flight: int
    columns: tuple[str, ...]
    systems: tuple[str, ...] = ALL
    behaviour: Mapping[str, Any] = field(default_factory=dict)
    slots: int | None = None
    calls: int = 1
    depth: str = "none"
    bad: bool = False
    kill: bool = False
    repeats: int = 3
    limit: float = 180
    goals: tuple["Goal", ...] = ()


@dataclass(frozen=True, slots=True)
class Run:
    """One run of one system in one scenario.

    Attributes:
        scenario: what was to be done.
        system: who did it.
        outcome: report and resources of the command; of two commands, the second one.
        stats: the server's counters; of two commands, over both.
        before: replies that had been sent when the first command was killed.

    """

    scenario: Scenario
    system: System
    outcome: Outcome
    stats: Mapping[str, Any]
    before: int = 0

    @property
    def span(self) -> float:
        """Return seconds from the first request to the last reply, by the server's clock."""
        first, last = self.stats["first_request"], self.stats["last_reply"]
        return float(last - first) if first is not None and last is not None else float("nan")

    @property
    def ideal(self) -> float:
        """Seconds that a perfect client needs for the same replies in the same order of arrival."""
        scenario = self.scenario
        usual, slow = scenario.behaviour.get("latency", 0.1), scenario.behaviour.get("slow_latency", 2.0)
        late = set(self.stats["slow"])
        jobs = [slow if number in late else usual * scenario.calls for number in range(scenario.rows)]
        return ideal_seconds(jobs, scenario.slots or scenario.in_flight)

    @property
    def ratio(self) -> float:
        """Span as a multiple of the ideal."""
        return self.span / self.ideal

    @property
    def rate(self) -> float:
        """Rows a second of the span."""
        return self.scenario.rows / self.span

    def status(self, code: int) -> int:
        """Count the answers with one status."""
        return int(self.stats["statuses"].get(str(code), 0))

    def reported(self, key: str) -> Any:
        """Return what the driver reported; None where it did not."""
        return (self.outcome.report or {}).get(key)


Results = Mapping[str, Mapping[str, Run]]
"""Runs by scenario and system; those that failed are left out."""


@dataclass(frozen=True, slots=True)
class Goal:
    """What PersonaGen is to reach: a figure over all results, and the bound that it must not pass."""

    text: str
    value: Callable[[Results], float]
    bound: float
    at_least: bool = False

    def met(self, value: float) -> bool:
        """Say whether a figure is within the bound; a missing one (nan) is not."""
        return value >= self.bound if self.at_least else value <= self.bound


def _own(scenario: str, figure: Callable[[Run], float]) -> Callable[[Results], float]:
    return lambda results: figure(results[scenario]["personagen"])


def _against_peers(runs: Mapping[str, Run], figure: Callable[[Run], float]) -> float:
    """Divide PersonaGen's figure by that of the best peer; nan where none ran."""
    peers = [figure(runs[name]) for name in PEERS if name in runs]
    return figure(runs["personagen"]) / max(peers) if peers else float("nan")


COLUMNS: dict[str, Callable[[Run], str]] = {
    "span s": lambda run: f"{run.span:.2f}",
    "ideal s": lambda run: f"{run.ideal:.2f}",
    "span / ideal": lambda run: f"{run.ratio:.2f}",
    "rows/s": lambda run: f"{run.rate:.0f}",
    "call s": lambda run: f"{run.reported('seconds'):.1f}",
    "process s": lambda run: f"{run.outcome.wall:.1f}",
    "CPU s": lambda run: f"{run.outcome.cpu:.1f}",
    "peak MB": lambda run: f"{run.outcome.peak_mb:.0f}",
    "largest process MB": lambda run: f"{run.outcome.largest_mb:.0f}",
    "requests": lambda run: str(run.stats["requests"]),
    "most in flight": lambda run: str(run.stats["most_in_flight"]),
    "wasted calls (429)": lambda run: str(run.status(429)),
    "400s": lambda run: str(run.status(400)),
    "rows kept": lambda run: str(run.reported("kept")),
    "listed with a reason": lambda run: "-" if run.reported("listed") is None else str(run.reported("listed")),
    "replies at the kill": lambda run: str(run.before),
    "replies paid twice": lambda run: str(run.stats["repeated"]),
}

USUAL = ("span s", "span / ideal", "rows/s", "call s", "process s", "CPU s", "peak MB", "requests", "rows kept")
MEMORY = ("largest process MB", "rows/s", "process s", "CPU s", "rows kept")

SCENARIOS: dict[str, Scenario] = {
    "short": Scenario(
        "One call per row, 500 rows, 50 in flight",
        500,
        50,
        USUAL,
        goals=(
            Goal("span / ideal at most 1.3", _own("short", lambda run: run.ratio), 1.3),
            Goal(
                "at least 2 times the rate of the best peer, all of which keep a journal",
                lambda results: _against_peers(results["short"], lambda run: run.rate),
                2,
                at_least=True,
            ),
        ),
    ),
    "middle": Scenario("One call per row, 2,000 rows, 50 in flight", 2000, 50, USUAL, repeats=1),
    "long": Scenario(
        "One call per row, 20,000 rows, 50 in flight",
        20_000,
        50,
        USUAL,
        systems=OWN,
        repeats=1,
        limit=900,
        goals=(Goal("span / ideal at most 1.25", _own("long", lambda run: run.ratio), 1.25),),
    ),
    "wide": Scenario(
        "One call per row, 5,000 rows, 200 in flight",
        5000,
        200,
        USUAL,
        limit=300,
        goals=(
            Goal(
                "at least 0.7 of the rate of aiohttp",
                lambda results: results["wide"]["personagen"].rate / results["wide"]["aiohttp"].rate,
                0.7,
                at_least=True,
            ),
            Goal(
                "at least 2 times the rate of the best peer, all of which keep a journal",
                lambda results: _against_peers(results["wide"], lambda run: run.rate),
                2,
                at_least=True,
            ),
        ),
    ),
    "chain": Scenario(
        "A chain of three calls per row, 500 rows, 50 in flight",
        500,
        50,
        ("span s", "ideal s", *USUAL[1:]),
        systems=("personagen",),
        calls=3,
        depth="situational",
        goals=(Goal("span / ideal at most 1.35", _own("chain", lambda run: run.ratio), 1.35),),
    ),
    "slow": Scenario(
        "2 % of the replies take 2 s, 500 rows, 50 in flight",
        500,
        50,
        ("span s", "ideal s", *USUAL[1:]),
        behaviour={"slow_share": 0.02},
        goals=(Goal("span / ideal at most 1.3", _own("slow", lambda run: run.ratio), 1.3),),
    ),
    "limit": Scenario(
        "429 above 20 in flight, 500 rows, 50 in flight allowed",
        500,
        50,
        ("span s", "span / ideal", "wasted calls (429)", "requests", "most in flight", "process s", "rows kept"),
        systems=JOURNALLED,
        behaviour={"limit": 20},
        slots=20,
        goals=(
            Goal("span / ideal for 20 in flight at most 2", _own("limit", lambda run: run.ratio), 2),
            Goal("fewer than 30 wasted calls", _own("limit", lambda run: run.status(429)), 29),
        ),
    ),
    "refused": Scenario(
        "A 400 for one of 50 prompts, 500 rows, 50 in flight",
        500,
        50,
        ("rows kept", "400s", "listed with a reason", "requests", "span s", "process s"),
        behaviour={"bad_every": 50},
        bad=True,
        repeats=1,
        goals=(
            Goal("all 500 rows kept", _own("refused", lambda run: run.reported("kept")), 500, at_least=True),
            Goal(
                "no 400 that is not listed with a reason",
                _own("refused", lambda run: run.status(400) - run.reported("listed")),
                0,
            ),
        ),
    ),
    "kill": Scenario(
        f"`kill -9` at reply {KILL_AT} of 500, then the same command again",
        500,
        50,
        ("replies at the kill", "replies paid twice", "requests", "process s", "rows kept"),
        systems=JOURNALLED,
        kill=True,
        repeats=1,
        limit=60,
        goals=(Goal("at most the 50 in flight paid twice", _own("kill", lambda run: run.stats["repeated"]), 50),),
    ),
    "memory": Scenario(
        "Memory: 1,000 rows, 100 in flight, 10 ms",
        1000,
        100,
        MEMORY,
        systems=("personagen",),
        behaviour={"latency": 0.01},
        repeats=1,
    ),
    "memory_long": Scenario(
        "Memory: 100,000 rows, 100 in flight, 10 ms",
        100_000,
        100,
        MEMORY,
        systems=("personagen",),
        behaviour={"latency": 0.01},
        repeats=1,
        limit=1800,
        goals=(
            Goal(
                "peak at most 1.3 times that of 1,000 rows",
                lambda results: (
                    results["memory_long"]["personagen"].outcome.largest_mb
                    / results["memory"]["personagen"].outcome.largest_mb
                ),
                1.3,
            ),
            Goal("peak below 200 MB", _own("memory_long", lambda run: run.outcome.largest_mb), 200),
        ),
    ),
}


def measure(scenario: Scenario, systems: Sequence[System], server: Server, repeats: int) -> dict[str, Run]:
    """Run the systems in turn, `repeats` times; return the run of each with the median span."""
    runs: dict[str, list[Run]] = {system.name: [] for system in systems}
    for _ in range(repeats):
        for system in systems:
            runs[system.name].append(run_once(scenario, system, server))
    return {name: _median(each) for name, each in runs.items()}


def run_once(scenario: Scenario, system: System, server: Server) -> Run:
    """Run one system once in a folder of its own; where it is to be killed, run it a second time in that folder."""
    server.reset(**scenario.behaviour)
    with tempfile.TemporaryDirectory(prefix="personagen-bench-") as folder:
        options = ["--bad"] * scenario.bad + ["--depth", scenario.depth]
        words = system.command(server.url, scenario.rows, scenario.in_flight, Path(folder) / "out", *options)
        before = 0
        if scenario.kill:
            run(words, limit=scenario.limit, kill_when=lambda: server.stats()["replies"] >= KILL_AT)
            time.sleep(0.5)  # the server finds the connections gone
            before = server.stats()["replies"]
        outcome = run(words, limit=scenario.limit)
        return Run(scenario, system, outcome, server.stats(), before)


def _median(runs: Sequence[Run]) -> Run:
    """Choose the run with the median span; where one failed, that one: a system that fails at times has failed."""
    failed = [run for run in runs if run.outcome.error]
    if failed:
        return failed[0]
    return sorted(runs, key=lambda run: run.span)[(len(runs) - 1) // 2]
