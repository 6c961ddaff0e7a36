"""A command in a process that stops at chosen moments, so that its disk can be copied: nothing is written meanwhile."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path

START = """
import atexit, os, signal, sys
calls, stops, count = 0, {stops!r}, {count!r}
def stopping(function):
    def call(*arguments, **options):
        global calls
        calls += 1
        if calls in stops:
            os.kill(os.getpid(), signal.SIGSTOP)
        return function(*arguments, **options)
    return call
for name in ("fsync", "replace", "rename", "mkdir"):
    setattr(os, name, stopping(getattr(os, name)))
atexit.register(lambda: open(count, "w").write(str(calls)))
from personagen.builder.cli.main import main
main()
"""

POLL_S = 0.005


def start(words: Sequence[str], count: Path, stops: Collection[int] = (), **environment: str) -> subprocess.Popen[str]:
    """Start `personagen WORDS`.

    Args:
        words: arguments.
        count: file for the number of calls that change or flush the disk, written at the end.
        stops: numbers of those calls, from 1, before which the process stops itself.
        environment: further variables.

    """
    code = START.format(stops=set(stops), count=str(count))
    return subprocess.Popen(
        [sys.executable, "-c", code, *words],
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def stopped(process: subprocess.Popen[str], due: Callable[[], bool]) -> Iterator[None]:
    """Yield whenever the process has stopped, by itself or because `due` holds; it goes on afterwards."""
    while process.poll() is None:
        if not _is_stopped(process.pid):
            if not due():
                time.sleep(POLL_S)
                continue
            process.send_signal(signal.SIGSTOP)
            while process.poll() is None and not _is_stopped(process.pid):
                time.sleep(POLL_S / 5)
        if process.poll() is None:
            yield
            process.send_signal(signal.SIGCONT)


def _is_stopped(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state == "T"
