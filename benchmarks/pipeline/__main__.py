"""The whole pipeline beside its peers: `python -m benchmarks.pipeline`, two hours, with `--quick` half of one.

All systems ask one server on loopback, in turn and each in an environment of its own. The server answers after a fixed
time, or as real ones do: with faults, repeats, limits and a long-tailed latency. `--quick --only personagen` takes less
than ten minutes. It needs Linux for the memory of several processes, and
`pip install -r benchmarks/pipeline/requirements/server.txt` for a server that takes less of the processor. Environments
of the peers (3 GB) are made on first use and kept.
"""

import argparse
import datetime
import math
import os
import platform
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path

from benchmarks.pipeline.columns import COLUMNS
from benchmarks.pipeline.measure import Server
from benchmarks.pipeline.runs import Results, Run, Scenario, measure
from benchmarks.pipeline.scenarios import GROUPS, SCENARIOS
from benchmarks.pipeline.systems import PACKAGES, System, prepare

BEGIN, END = "<!-- pipeline: begin -->", "<!-- pipeline: end -->"
LEGEND = """\
Span: from the first request that the server saw to the last reply that it sent, and the measure of the ratios. Ideal: a
scheduler without overhead that knows the limits and retries at once, for the same requests with the same latencies and
faults. In flight / allowed: mean over the span. Below half: seconds with fewer than half of the allowed requests in
flight while new requests were still to come. Call: the system's own call without imports (PersonaGen: its command).
Process: start to end of the driver, imports and all. Of several runs, the one with the median span."""


def table(variants: Sequence[tuple[Scenario, Mapping[str, Run]]], skipped: Mapping[str, str]) -> list[str]:
    """Format the rows of the scenarios that share a table, with the reason of a system that failed or is missing."""
    first = variants[0][0]
    heads = ["system", *first.columns]
    if first.variant:
        heads.insert(0, "")
    lines = [f"### {first.title}", "", f"| {' | '.join(heads)} |"]
    lines.append("| --- |" + " --- |" * bool(first.variant) + " ---: |" * len(first.columns))
    for scenario, runs in variants:
        label = f"| {scenario.variant} " if scenario.variant else ""
        lines += [f"{label}| {name} | {cells} |" for name, cells in _cells(scenario, runs, skipped)]
    return lines


def _cells(scenario: Scenario, runs: Mapping[str, Run], skipped: Mapping[str, str]) -> Iterable[tuple[str, str]]:
    """Yield the systems of a scenario with the cells of their rows."""
    for name in scenario.systems:
        if name in runs and runs[name].outcome.error:
            yield name, f"failed: {runs[name].outcome.error}{_left(runs[name])}"
        elif name in runs:
            yield name, " | ".join(COLUMNS[key](runs[name]) for key in scenario.columns)
        elif name in skipped:
            yield name, f"skipped: {skipped[name]}"


def _left(run: Run) -> str:
    """Describe how far a failed run got."""
    faults = f", {run.faults} faults" if run.faults else ""
    return f" ({run.stats['replies']} replies, {run.status(429)} 429s, {run.status(400)} 400s{faults})"


def goals(scenario: Scenario, results: Results) -> list[str]:
    """Format the reached and missed goals; goals with a missing run are left out."""
    lines = []
    for goal in scenario.goals:
        try:
            value = goal.value(results)
        except KeyError:
            continue
        lines.append(f"Goal: {goal.text}. Here {value:.4g}: {'met' if goal.met(value) else 'missed'}.")
    return lines


def heading(systems: Sequence[System], words: Sequence[str]) -> list[str]:
    """Format the measurements with machine and command."""
    versions = ", ".join(f"{PACKAGES[system.name]} {system.version}" for system in systems)
    where = f"Python {platform.python_version()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the start"
    command = " ".join(["python -m benchmarks.pipeline", *words])
    return [f"`{command}`, {datetime.date.today()}: {versions}; {where}.", "", LEGEND]


def write(path: Path, text: str) -> None:
    """Write the text between the markers of a file, or at its end without markers."""
    old = path.read_text(encoding="utf-8") if path.exists() else "# Benchmarks\n"
    if BEGIN not in old:
        old = f"{old.rstrip()}\n\n{BEGIN}\n{END}\n"
    before, rest = old.split(BEGIN, 1)
    path.write_text(f"{before}{BEGIN}\n{text}\n{END}{rest.split(END, 1)[1]}", encoding="utf-8")


def arguments(words: Sequence[str]) -> argparse.Namespace:
    """Parse the command line."""

    def some(known: Sequence[str]) -> type:
        def parse(text: str) -> list[str]:
            wrong = set(text.split(",")) - set(known)
            if wrong:
                raise argparse.ArgumentTypeError(f"unknown {sorted(wrong)}, expected some of {','.join(known)}")
            return text.split(",")

        return parse  # type: ignore[return-value]

    parser = argparse.ArgumentParser(prog="python -m benchmarks.pipeline", description=__doc__.split(":")[0])
    parser.add_argument("--only", type=some(list(PACKAGES)), default=list(PACKAGES), help="systems, with commas")
    names = f"groups or names, with commas: {', '.join(GROUPS)}; {', '.join(SCENARIOS)}"
    parser.add_argument("--scenarios", type=some([*GROUPS, *SCENARIOS]), help=names)
    parser.add_argument("--quick", action="store_true", help="leave out what takes minutes, and run all once")
    parser.add_argument("--peers-dir", type=Path, default=Path.home() / ".cache" / "personagen-bench")
    parser.add_argument("--write", type=Path, metavar="FILE", help="put the tables between the markers of a file")
    return parser.parse_args(words)


def chosen(names: Sequence[str] | None, *, quick: bool) -> list[str]:
    """List the names of the scenarios to run, in the order of the tables; None: all."""
    if names is None:
        return [name for name, scenario in SCENARIOS.items() if scenario.quick or not quick]
    wanted = {name for given in names for name in GROUPS.get(given, (given,))}
    return [name for name in SCENARIOS if name in wanted]


def with_base(runs: Mapping[str, Run], scenario: Scenario, results: Results) -> dict[str, Run]:
    """Add to each run the span of the same system in the scenario that it is compared with."""
    bases = results.get(scenario.base, {})
    return {name: replace(run, base_span=bases[name].span if name in bases else math.nan) for name, run in runs.items()}


def main(words: Sequence[str]) -> None:
    """Measure and print."""
    options = arguments(words)
    wanted = chosen(options.scenarios, quick=options.quick)
    ready = {name: prepare(name, options.peers_dir) for name in PACKAGES if name in options.only}
    systems = [system for system in ready.values() if isinstance(system, System)]
    skipped = {name: reason for name, reason in ready.items() if isinstance(reason, str)}
    text = heading(systems, words)
    print("\n".join(text), flush=True)
    results: dict[str, dict[str, Run]] = {}
    with Server() as server:
        for _, names in groupby(wanted, lambda name: SCENARIOS[name].title):
            variants, reached = [], []
            for name in names:
                scenario = SCENARIOS[name]
                print(f"running {name}", file=sys.stderr, flush=True)
                taking_part = [system for system in systems if system.name in scenario.systems]
                runs = with_base(measure(scenario, taking_part, server, quick=options.quick), scenario, results)
                results[name] = {system: run for system, run in runs.items() if not run.outcome.error}
                variants.append((scenario, runs))
                reached += goals(scenario, results)
            lines = ["", *table(variants, skipped), *([""] * bool(reached)), *reached]
            print("\n".join(lines), flush=True)
            text += lines
    if options.write:
        write(options.write, "\n".join(text))


if __name__ == "__main__":
    main(sys.argv[1:])
