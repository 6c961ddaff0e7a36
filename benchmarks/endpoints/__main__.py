"""Behaviours of servers and what each system makes of them: `python -m benchmarks.endpoints`, an hour with the peers.

Every run is a process of its own with a timeout, against a server on loopback that behaves as one row of the table in
`tests/helpers/servers/behaviours`. PersonaGen writes by calls, by batches, and rates as a judge; each peer answers
seven plain prompts. Environments of the peers (3 GB) are made on first use and kept.
"""

import argparse
import datetime
import json
import os
import platform
import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

from benchmarks.endpoints.runs import OURS, PEERS, Cell, is_tried, run_ours, run_peer
from benchmarks.endpoints.tables import matrix, summary
from benchmarks.pipeline.systems import PACKAGES, System, prepare
from tests.helpers.servers.behaviours.records import Behaviour
from tests.helpers.servers.behaviours.table import BEHAVIOURS


def arguments(words: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.endpoints", description=__doc__.split(":")[0])
    parser.add_argument("--only", help=f"some of {','.join((*OURS, *PEERS))}; defaults to all")
    parser.add_argument("--groups", help="some groups of behaviours, with commas; defaults to all")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="every N-th behaviour of each group")
    parser.add_argument("--timeout", type=float, default=90, help="seconds after which a run is ended")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1, help="runs at a time")
    parser.add_argument("--peers-dir", type=Path, default=Path.home() / ".cache" / "personagen-bench")
    parser.add_argument("--keep", type=Path, metavar="FILE", help="JSON of an earlier run; its cells of peers are kept")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the cells as JSON too")
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the tables to a file")
    return parser.parse_args(words)


def chosen_behaviours(groups: str | None, every: int) -> list[Behaviour]:
    """Return every N-th behaviour of the groups."""
    known = list(dict.fromkeys(row.group for row in BEHAVIOURS))
    wanted = known if groups is None else groups.split(",")
    if wrong := set(wanted) - set(known):
        raise SystemExit(f"unknown {sorted(wrong)}, expected some of {','.join(known)}")
    return [row for group in wanted for row in [row for row in BEHAVIOURS if row.group == group][::every]]


def measure(options: argparse.Namespace, behaviours: Sequence[Behaviour]) -> tuple[list[Cell], dict[str, str]]:
    """Run every system against every behaviour; also return the version of each system, or why it is missing."""
    wanted = options.only.split(",") if options.only else [*OURS, *PEERS]
    if wrong := set(wanted) - {*OURS, *PEERS}:
        raise SystemExit(f"unknown {sorted(wrong)}, expected some of {','.join((*OURS, *PEERS))}")
    notes: dict[str, str] = {}
    systems: dict[str, System] = {}
    for name in wanted:
        ready = prepare("personagen" if name in OURS else name, options.peers_dir)
        if isinstance(ready, System):
            systems[name] = ready
        notes[name] = f"{PACKAGES[ready.name]} {ready.version}" if isinstance(ready, System) else f"skipped: {ready}"

    def run(name: str, behaviour: Behaviour) -> Cell:
        if name in OURS:
            return run_ours(behaviour, name, timeout_s=options.timeout)
        return run_peer(behaviour, systems[name], timeout_s=options.timeout)

    cells = kept_cells(options.keep, systems, behaviours)
    kept = {(cell.system, cell.behaviour) for cell in cells}
    jobs = [(name, row) for row in behaviours for name in systems if is_tried(name, row)]
    jobs = [(name, row) for name, row in jobs if (name, row.name) not in kept]
    with ThreadPoolExecutor(options.processes) as pool:
        for cell in pool.map(lambda job: run(*job), jobs):
            cells.append(cell)
            print(f"\r{len(cells) - len(kept)} of {len(jobs)} runs", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return cells, notes


def kept_cells(path: Path | None, systems: Iterable[str], behaviours: Sequence[Behaviour]) -> list[Cell]:
    """Read the cells of peers from an earlier run; None: none."""
    if path is None:
        return []
    names = {row.name for row in behaviours}
    cells = [Cell(**cell) for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]]
    return [cell for cell in cells if cell.system in PEERS and cell.system in systems and cell.behaviour in names]


def repeatable(options: argparse.Namespace) -> list[str]:
    """Return the options that decide the result, without the folders of this machine."""
    chosen = {"--only": options.only, "--groups": options.groups, "--every": options.every}
    defaults = {"--every": 1}
    return [f"{name} {value}" for name, value in chosen.items() if value != defaults.get(name)]


def main(words: Sequence[str]) -> None:
    """Measure, print, and write."""
    options = arguments(words)
    behaviours = chosen_behaviours(options.groups, options.every)
    cells, notes = measure(options, behaviours)
    command = " ".join(["python -m benchmarks.endpoints", *repeatable(options)])
    where = f"Python {platform.python_version()}, {os.cpu_count()} cores"
    heading = f"`{command}`, {datetime.date.today()}: {', '.join(dict.fromkeys(notes.values()))}; {where}."
    if options.keep:
        heading += " Cells of peers are kept from an earlier run where the behaviour is the same."
    names = [name for name in notes if not notes[name].startswith("skipped")]
    text = "\n".join(
        ["# What systems make of the behaviours of servers", "", heading, "", *summary(behaviours, cells, names)]
    )
    text += "\n" + "\n".join(matrix(behaviours, cells, names)) + "\n"
    print(text)
    if options.write:
        options.write.write_text(text, encoding="utf-8")
    if options.json:
        data = {"command": command, "systems": notes, "cells": [asdict(cell) for cell in cells]}
        options.json.write_text(json.dumps(data, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
