"""The whole pipeline beside its peers: `python -m benchmarks.pipeline`, 30 minutes, with `--quick` ten.

All systems ask one server on loopback that answers after a fixed time, in turn and each in an environment of its own.
It needs Linux for the memory of several processes, and `pip install -r benchmarks/pipeline/requirements/server.txt`
for a server that takes less of the processor. Environments of the peers (3 GB) are made on first use and kept.
"""

import argparse
import datetime
import os
import platform
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.pipeline.measure import Server
from benchmarks.pipeline.scenarios import COLUMNS, SCENARIOS, Results, Run, Scenario, measure
from benchmarks.pipeline.systems import PACKAGES, System, prepare

BEGIN, END = "<!-- pipeline: begin -->", "<!-- pipeline: end -->"
SLOW = ("long", "wide", "memory", "memory_long")
READING = """\
Span: from the first request that the server saw to the last reply that it sent, and the measure of the ratios. Ideal: a
scheduler without overhead for the same replies in their order of arrival. Call: the system's own call without imports
(PersonaGen: its command). Process: start to end of the driver, imports and all. Of several runs, the one with the
median span."""


def table(scenario: Scenario, runs: Mapping[str, Run], skipped: Mapping[str, str]) -> list[str]:
    """Format the rows of one scenario, with the reason of a system that failed or is missing."""
    lines = [f"### {scenario.title}", "", "| system | " + " | ".join(scenario.columns) + " |"]
    lines.append("| --- |" + " ---: |" * len(scenario.columns))
    for name in scenario.systems:
        if name in runs and runs[name].outcome.error:
            lines.append(f"| {name} | failed: {runs[name].outcome.error}{_left(runs[name])} |")
        elif name in runs:
            lines.append(f"| {name} | " + " | ".join(COLUMNS[key](runs[name]) for key in scenario.columns) + " |")
        elif name in skipped:
            lines.append(f"| {name} | skipped: {skipped[name]} |")
    return lines


def _left(run: Run) -> str:
    """Describe how far a failed run got."""
    return f" ({run.stats['replies']} replies, {run.status(429)} 429s, {run.status(400)} 400s)"


def goals(scenario: Scenario, results: Results) -> list[str]:
    """Format the reached and missed goals; goals with a missing run are left out."""
    lines = []
    for goal in scenario.goals:
        try:
            value = goal.value(results)
        except KeyError:
            continue
        lines.append(f"Goal: {goal.text}. Here {value:.4g}: {'met' if goal.met(value) else 'missed'}.")
    return ["", *lines] if lines else []


def heading(systems: Sequence[System], words: Sequence[str]) -> list[str]:
    """Format the measurements with machine and command."""
    versions = ", ".join(f"{PACKAGES[system.name]} {system.version}" for system in systems)
    where = f"Python {platform.python_version()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the start"
    command = " ".join(["python -m benchmarks.pipeline", *words])
    return [f"`{command}`, {datetime.date.today()}: {versions}; {where}.", "", READING]


def write(path: Path, text: str) -> None:
    """Write the text between the markers of a file, or at its end without markers."""
    old = path.read_text(encoding="utf-8") if path.exists() else "# Benchmarks\n"
    if BEGIN not in old:
        old = f"{old.rstrip()}\n\n{BEGIN}\n{END}\n"
    before, rest = old.split(BEGIN, 1)
    path.write_text(f"{before}{BEGIN}\n{text}\n{END}{rest.split(END, 1)[1]}", encoding="utf-8")


def arguments(words: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""

    def some(known: Sequence[str]) -> type:
        def parse(text: str) -> list[str]:
            wrong = set(text.split(",")) - set(known)
            if wrong:
                raise argparse.ArgumentTypeError(f"unknown {sorted(wrong)}, expected some of {','.join(known)}")
            return text.split(",")

        return parse  # type: ignore[return-value]

    parser = argparse.ArgumentParser(prog="python -m benchmarks.pipeline", description=__doc__.split(":")[0])
    parser.add_argument("--only", type=some(list(PACKAGES)), default=list(PACKAGES), help="systems, with commas")
    parser.add_argument("--scenarios", type=some(list(SCENARIOS)), help=f"some of {','.join(SCENARIOS)}")
    parser.add_argument("--quick", action="store_true", help=f"leave out {', '.join(SLOW)}, and run all once")
    parser.add_argument("--peers-dir", type=Path, default=Path.home() / ".cache" / "personagen-bench")
    parser.add_argument("--write", type=Path, metavar="FILE", help="put the tables between the markers of a file")
    return parser.parse_args(words)


def main(words: Sequence[str]) -> None:
    """Measure and print."""
    options = arguments(words)
    wanted = options.scenarios or [key for key in SCENARIOS if not (options.quick and key in SLOW)]
    ready = {name: prepare(name, options.peers_dir) for name in PACKAGES if name in options.only}
    systems = [each for each in ready.values() if isinstance(each, System)]
    skipped = {name: each for name, each in ready.items() if isinstance(each, str)}
    text = heading(systems, words)
    print("\n".join(text), flush=True)
    results: dict[str, dict[str, Run]] = {}
    with Server() as server:
        for key in wanted:
            scenario = SCENARIOS[key]
            taking_part = [system for system in systems if system.name in scenario.systems]
            runs = measure(scenario, taking_part, server, 1 if options.quick else scenario.repeats)
            results[key] = {name: run for name, run in runs.items() if not run.outcome.error}
            lines = ["", *table(scenario, runs, skipped), *goals(scenario, results)]
            print("\n".join(lines), flush=True)
            text += lines
    if options.write:
        write(options.write, "\n".join(text))


if __name__ == "__main__":
    main(sys.argv[1:])
