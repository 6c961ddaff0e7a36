"""Run commands and the server, and measure both from outside."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from benchmarks.pipeline.systems import ROOT, last_line

QUIET = {
    "OPENAI_API_KEY": "none",
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
}
"""No telemetry and no network but loopback; settings of one system are in its driver."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """Result and resources of a command, with all its child processes.

    Attributes:
        wall: seconds from its start to its end.
        cpu: seconds of processor time.
        largest_mb: peak of the resident set of its largest process, in MB of 10^6 bytes; the system counts it.
        peak_mb: peak memory of all processes together; shared pages count once. It is sampled, so a short peak may
            be missed, but it is never below `largest_mb`.
        report: the line that the driver printed; None: it failed.
        error: why it did not, "" where it did.

    """

    wall: float
    cpu: float
    largest_mb: float
    peak_mb: float
    report: dict[str, Any] | None
    error: str


class Server:
    """The chat server in a separate process during a `with` block."""

    def __enter__(self) -> Self:
        """Start it; returns when it accepts requests."""
        words = [sys.executable, "-m", "benchmarks.pipeline.server"]
        self._process = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.url = self._process.stdout.readline().strip()
        if not self.url:
            self._process.wait()
            raise RuntimeError("the server did not start; see its message above")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Stop it."""
        self._process.terminate()
        with self._process:  # waits, and closes the pipe
            pass

    def reset(self, **behaviour: Any) -> None:
        """Reset the counters and set the behaviour; defaults unless named."""
        self._call(json.dumps(behaviour).encode())

    def stats(self) -> dict[str, Any]:
        """Return the counters since the last reset."""
        return self._call(None)

    def _call(self, body: bytes | None) -> dict[str, Any]:
        with urllib.request.urlopen(f"{self.url.removesuffix('/v1')}/stats", body, timeout=30) as reply:
            stats: dict[str, Any] = json.load(reply)
        return stats


def run(words: Sequence[str], *, limit: float, kill_when: Callable[[], bool] | None = None) -> Outcome:
    """Run a command to its end.

    Args:
        words: the command; its last line on standard output is JSON.
        limit: seconds after which it is killed.
        kill_when: asked all the time; it and all its processes get SIGKILL once this holds.

    """
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        started = time.perf_counter()
        process = subprocess.Popen(
            words, cwd=ROOT, env=os.environ | QUIET, stdout=out, stderr=err, start_new_session=True
        )
        killed, peak, next_sample = "", 0.0, 0.0
        try:
            while (ended := os.wait4(process.pid, os.WNOHANG))[0] == 0:
                now = time.perf_counter() - started
                if now > next_sample:
                    peak, next_sample = max(peak, _memory_of(process.pid)), now + 0.25
                if not killed and (now > limit or (kill_when is not None and kill_when())):
                    killed = f"no end after {limit:g} s" if now > limit else "killed"
                    _kill(process.pid)
                time.sleep(0.01)
        finally:
            _kill(process.pid)
        wall = time.perf_counter() - started
        _, status, usage = ended
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        error = killed or (last_line(err.read()) if process.returncode else "")
        report = None if error else json.loads(out.read().splitlines()[-1])
    largest = usage.ru_maxrss / (1e6 if sys.platform == "darwin" else 1e6 / 1024)
    return Outcome(wall, usage.ru_utime + usage.ru_stime, largest, max(largest, peak), report, error)


def _kill(session: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(session, signal.SIGKILL)


def _memory_of(session: int) -> float:
    """Return the sum of proportional set sizes of a session's processes in MB; 0 if the system does not report them."""
    total = 0
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            # The name of a process may hold spaces; the session is the fourth word after it.
            if int((process / "stat").read_text().rpartition(")")[2].split()[3]) == session:
                found = re.search(r"^Pss:\s+(\d+)", (process / "smaps_rollup").read_text(), re.MULTILINE)
                total += int(found[1]) if found else 0
    return total * 1024 / 1e6
