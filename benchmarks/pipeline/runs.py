"""Scenarios, runs and goals: what is to be done, what came of it, and what PersonaGen is to reach."""

import math
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.pipeline.behaviour import Behaviour
from benchmarks.pipeline.counters import BUCKET_S
from benchmarks.pipeline.ideal import ideal_seconds
from benchmarks.pipeline.measure import Outcome, Server, run
from benchmarks.pipeline.systems import PACKAGES, PEERS, System

ALL = tuple(PACKAGES)
KILL_AT = 290


@dataclass(frozen=True, slots=True)
class Scenario:
    """One table, or the lines of a table that belong to one variant.

    Attributes:
        title: heading of the table; scenarios of one title, one after the other, share a table.
        rows: rows that each system makes.
        in_flight: requests that each may keep in flight.
        columns: keys of COLUMNS.
        variant: what distinguishes the scenario from the others of its table; "": it has a table of its own.
        systems: names of the systems that take part.
        behaviour: how the server differs from its default.
        calls: calls that make a row, one after the other.
        depth: layers of PersonaGen's rows.
        base: key of the scenario whose span is the measure of `Run.against_base`; "": none.
        bad: whether one prompt, or one seed, of 50 is refused.
        kill: whether the run is killed at reply KILL_AT and then repeated.
        runs: runs of each system, each with another seed of the server; the one with the median span is shown.
        peer_runs: runs of each peer; None: as many.
        limit: seconds after which a run is killed.
        quick: whether `--quick` includes it.
        goals: what PersonaGen is to reach here.

    """

    title: str
    rows: int
    in_flight: int
    columns: tuple[str, ...]
    variant: str = ""
    systems: tuple[str, ...] = ALL
    behaviour: Mapping[str, Any] = field(default_factory=dict)
    calls: int = 1
    depth: str = "none"
    base: str = ""
    bad: bool = False
    kill: bool = False
    runs: int = 3
    peer_runs: int | None = None
    limit: float = 180
    quick: bool = True
    goals: tuple["Goal", ...] = ()

    def runs_of(self, system: str, *, quick: bool) -> int:
        """Return how often a system is run."""
        if quick:
            return 1
        return self.runs if system not in PEERS or self.peer_runs is None else self.peer_runs


@dataclass(frozen=True, slots=True)
class Run:
    """One run of one system in one scenario.

    Attributes:
        scenario: what was to be done.
        system: the system that did it.
        outcome: report and resources of the command; of two commands, the second one.
        stats: the server's counters; of two commands, over both.
        before: replies that had been sent when the first command was killed.
        base_span: span of the same system in the scenario `base`; nan: none.

    """

    scenario: Scenario
    system: System
    outcome: Outcome
    stats: Mapping[str, Any]
    before: int = 0
    base_span: float = math.nan

    @property
    def span(self) -> float:
        """Seconds from the first request to the last reply, by the server's clock."""
        first, last = self.stats["first_request"], self.stats["last_reply"]
        return float(last - first) if first is not None and last is not None else math.nan

    @property
    def ideal(self) -> float:
        """Seconds that a perfect client needs for the same requests with the same latencies and faults."""
        behaviour = Behaviour(**self.scenario.behaviour)
        return ideal_seconds(self.stats["seconds"], self.scenario.in_flight, behaviour)

    @property
    def ratio(self) -> float:
        """Span as a multiple of the ideal."""
        return self.span / self.ideal

    @property
    def against_base(self) -> float:
        """Span as a multiple of that in the scenario `base`."""
        return self.span / self.base_span

    @property
    def rate(self) -> float:
        """Rows per second of the span."""
        return self.scenario.rows / self.span

    @property
    def faults(self) -> int:
        """Count the calls that a fault spoiled; a slow reply is a reply."""
        return sum(number for kind, number in self.stats["faults"].items() if kind != "slow")

    @property
    def further(self) -> float:
        """Calls beyond those that the rows need, per fault."""
        further = self.stats["requests"] - self.scenario.rows * self.scenario.calls
        return further / self.faults if self.faults else math.nan

    @property
    def mean_in_flight(self) -> float:
        """Requests in flight, as a mean over the span."""
        return float(sum(self.stats["buckets"])) / self.span

    @property
    def filled(self) -> float:
        """Requests in flight as a fraction of those allowed, as a mean over the span."""
        return self.mean_in_flight / self._allowed(0.0, self.span)

    @property
    def starved(self) -> float:
        """Seconds with fewer than half of the allowed requests in flight, before the last new request arrived."""
        first, last = self.stats["first_request"], self.stats["last_new"]
        until = int((last - first) / BUCKET_S) if first is not None else 0
        low = [
            number
            for number, seconds in enumerate(self.stats["buckets"][:until])
            if seconds < 0.5 * BUCKET_S * self._allowed(number * BUCKET_S, (number + 1) * BUCKET_S)
        ]
        return len(low) * BUCKET_S

    def _allowed(self, start: float, end: float) -> float:
        """Return the mean number of requests that client and server allow in a part of the run."""
        behaviour = Behaviour(**self.scenario.behaviour)
        times = [start + (end - start) * (part + 0.5) / 100 for part in range(100)]
        return sum(min(self.scenario.in_flight, behaviour.slots(at)) for at in times) / len(times)

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
        """Return whether a figure is within the bound; a missing one (nan) is not."""
        return value >= self.bound if self.at_least else value <= self.bound


def own(scenario: str, figure: Callable[[Run], float]) -> Callable[[Results], float]:
    """Return the figure of PersonaGen's run in a scenario."""
    return lambda results: figure(results[scenario]["personagen"])


def against_best_peer(scenario: str, figure: Callable[[Run], float]) -> Callable[[Results], float]:
    """Return PersonaGen's figure over that of the best peer; nan where none ran."""

    def value(results: Results) -> float:
        runs = results[scenario]
        peers = [figure(runs[name]) for name in PEERS if name in runs]
        return figure(runs["personagen"]) / max(peers) if peers else math.nan

    return value


def ratio_goal(scenario: str, bound: float) -> Goal:
    """Return the goal that bounds span / ideal."""
    return Goal(f"span / ideal at most {bound:g}", own(scenario, lambda run: run.ratio), bound)


def measure(scenario: Scenario, systems: Sequence[System], server: Server, *, quick: bool) -> dict[str, Run]:
    """Run the systems in turn, each as often as the scenario says; return the run of each with the median span."""
    runs: dict[str, list[Run]] = {system.name: [] for system in systems}
    for seed in range(scenario.runs):
        for system in systems:
            if seed < scenario.runs_of(system.name, quick=quick):
                runs[system.name].append(run_once(scenario, system, server, seed))
    return {name: _median(repeated) for name, repeated in runs.items()}


def run_once(scenario: Scenario, system: System, server: Server, seed: int = 0) -> Run:
    """Run one system once in a folder of its own; where it is to be killed, run it a second time in that folder."""
    server.reset(**scenario.behaviour, seed=seed)
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
