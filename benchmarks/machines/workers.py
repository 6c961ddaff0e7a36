"""Several workers of `fill` beside one, at a server that is not the limit: `python -m benchmarks.machines.workers`.

Two figures, both as ratios within one run. *Rate*: each worker has the same number of requests in flight at a server
that takes `LATENCY_S` per reply, so that N workers allow N times the rate of one. *Processor*: processor time of all
workers per row, against that of one worker for the same rows; on a full machine the rates are to each other as that.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks.pipeline.drivers.common import Job
from benchmarks.pipeline.drivers.personagen import write_recipe
from benchmarks.pipeline.measure import QUIET, Server
from benchmarks.pipeline.systems import ROOT

LATENCY_S = 0.25
"""Seconds per reply, far above the processor time that a reply takes."""

IN_FLIGHT = 16
"""Requests in flight of each worker."""


@dataclass(frozen=True, slots=True)
class Measured:
    """Replies per second between the first request and the last reply, and processor time of all workers per row."""

    rate: float
    cpu_s: float


def fill(server: Server, rows: int, workers: int, in_flight: int, **behaviour: float) -> Measured:
    """Fill all parts of a recipe with as many workers at once."""
    server.reset(**behaviour)
    with tempfile.TemporaryDirectory(prefix="personagen-bench-") as folder:
        recipe = write_recipe(Job(server.url, rows, in_flight, Path(folder), bad=False, depth="none"))
        started = [_start(server, recipe, number, workers, in_flight) for number in range(workers)]
        cpu_s = sum(map(_processor_time, started))
    stats = server.stats()
    return Measured(stats["replies"] / (stats["last_reply"] - stats["first_request"]), cpu_s / rows)


def _start(server: Server, recipe: Path, number: int, workers: int, in_flight: int) -> "subprocess.Popen[bytes]":
    words = [sys.executable, "-m", "personagen.builder", "fill", str(recipe), "--base-url", server.url, "--per-worker"]
    words += ["--part", f"{number}/{workers}", "--concurrency", str(in_flight)]
    words += ["--journals", str(recipe.parent / "journals"), "--work", str(recipe.parent / f"work-{number}")]
    return subprocess.Popen(words, cwd=ROOT, env=os.environ | QUIET, stdout=subprocess.DEVNULL)


def _processor_time(process: "subprocess.Popen[bytes]") -> float:
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"a worker ended with {process.returncode}")
    return usage.ru_utime + usage.ru_stime


def report(workers: int, runs: Sequence[tuple[Measured, Measured]], what: str) -> None:
    """Print medians and their ratio."""
    one, many = (median(run[side].rate for run in runs) for side in (0, 1))
    cpu = median(run[0].cpu_s / run[1].cpu_s for run in runs)
    rates = (
        f"1 worker {one:,.0f} replies/s, {workers} workers {many:,.0f}, {many / one:.2f} x on {os.cpu_count()} cores"
    )
    print(f"{what}: {rates}; processor time per row of 1 worker / that of {workers}: {cpu:.2f}", flush=True)


def main() -> None:
    """Measure one worker and several in turn, and print the ratios."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.machines.workers", description=__doc__)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--rows", type=int, default=4_000, help="rows per worker")
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    workers = options.workers
    began = time.monotonic()
    with Server() as server:
        slow = [
            (
                fill(server, options.rows // 4, 1, IN_FLIGHT, latency=LATENCY_S),
                fill(server, options.rows // 4 * workers, workers, IN_FLIGHT, latency=LATENCY_S),
            )
            for _ in range(options.runs)
        ]
        report(workers, slow, f"server of {LATENCY_S} s per reply, {IN_FLIGHT} in flight per worker")
        fast = [
            (fill(server, options.rows, 1, 64), fill(server, options.rows, workers, 64)) for _ in range(options.runs)
        ]
        report(workers, fast, "server without latency, the same rows")
    print(f"{time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
