"""Seconds to the first request of a run, and processor time per row: `python -m benchmarks.start`, three minutes.

The server is that of `benchmarks.pipeline`. The command is stopped at its first request for the time, and runs to its
end for the processor time, which a busy machine changes less: two runs of different length, of which the difference is
that of their rows alone.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from benchmarks.pipeline.drivers.common import Job
from benchmarks.pipeline.drivers.personagen import command
from benchmarks.pipeline.measure import QUIET, Server
from benchmarks.pipeline.systems import ROOT

PLANNED_ROWS = (70, 2_000, 20_000, 100_000)
"""Sizes of the plans of which the first request is timed."""

WRITTEN_ROWS = (200, 2_200)
"""Rows of the two runs whose processor time is compared."""

IN_FLIGHT = 200
"""Requests in flight of those runs."""

CALLS = {"none": 1, "situational": 3}
"""Calls per row by depth."""


@contextmanager
def started(server: Server, rows: int, depth: str) -> Iterator[subprocess.Popen[bytes]]:
    """Start the command for a plan in a folder of its own; it is killed at the end if it still runs."""
    server.reset()
    with tempfile.TemporaryDirectory(prefix="personagen-bench-") as folder:
        job = Job(server.url, rows, IN_FLIGHT, Path(folder), bad=False, depth=depth)
        process = subprocess.Popen(
            command(job), cwd=ROOT, env=os.environ | QUIET, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            yield process
        finally:
            if process.returncode is None:
                process.send_signal(signal.SIGKILL)
                process.wait()


def first_request_s(server: Server, rows: int, depth: str) -> float:
    """Return the seconds from the start of the command to its first request at the server; both read one clock."""
    began = time.monotonic()
    with started(server, rows, depth) as process:
        while (arrived := server.stats()["first_request"]) is None:
            if process.poll() is not None:
                sys.exit(f"the command ended with {process.returncode} before a request")
            time.sleep(0.05)
    return float(arrived) - began


def cpu_s(server: Server, rows: int, depth: str) -> float:
    """Return the processor time of a whole run."""
    with started(server, rows, depth) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            sys.exit(f"the command ended with {process.returncode}")
    return usage.ru_utime + usage.ru_stime


def cpu_per_row_ms(server: Server, depth: str) -> float:
    """Return the processor time per row without that of the start, in ms."""
    few, many = WRITTEN_ROWS
    return (cpu_s(server, many, depth) - cpu_s(server, few, depth)) / (many - few) * 1000


def main() -> None:
    """Measure and print both tables as Markdown."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.start", description=__doc__)
    parser.add_argument("--runs", type=int, default=3, help="runs of each measurement, of which the median is shown")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to a file")
    options = parser.parse_args()
    figures: dict[str, float] = {}
    with Server() as server:
        print(f"| depth | {' | '.join(f'{rows:,} rows' for rows in PLANNED_ROWS)} | CPU ms per row | per call |")
        print("| --- |" + " ---: |" * (len(PLANNED_ROWS) + 2))
        for depth, calls in CALLS.items():
            cells = []
            for rows in PLANNED_ROWS:
                seconds = median(first_request_s(server, rows, depth) for _ in range(options.runs))
                figures[f"{depth}, {rows} rows: first request, s"] = seconds
                cells.append(f"{seconds:.2f} s")
            cpu = median(cpu_per_row_ms(server, depth) for _ in range(options.runs))
            figures[f"{depth}: CPU per row, ms"] = cpu
            print(f"| {depth} | {' | '.join(cells)} | {cpu:.2f} | {cpu / calls:.2f} |", flush=True)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
