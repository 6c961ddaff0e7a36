"""Run a command of Python in a fork of a process that has its imports: 0.2 s of processor time, not 1.8 s.

For commands whose imports are not what is tested. `ForkedProcess` has the part of `subprocess.Popen` that tests use.
"""

import json
import os
import selectors
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Self

ROOT = Path(__file__).parents[3]


@cache
def server() -> socket.socket:
    """Start the process that forks; it ends with this one."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    words = [sys.executable, "-m", "tests.helpers.processes.fork_server", str(theirs.fileno())]
    process = subprocess.Popen(
        words, cwd=ROOT, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )
    process.returncode = 0  # it is not waited for: no warning when this object is deleted
    theirs.close()
    return ours


class ForkedProcess:
    """A process that runs `python -c CODE ...` or `python -m MODULE ...`.

    Attributes:
        pid: its process id.
        returncode: exit code, negative for a signal; None: it runs, or nothing has waited for it.
        stdout: its output, as text.
        stderr: its errors, as text.

    """

    def __init__(self, words: Sequence[str], env: Mapping[str, str] | None = None, cwd: Path | None = None) -> None:
        """Start the process of a command, in the environment and folder of this process by default."""
        python, option, code, *arguments = words
        assert python == sys.executable and option in ("-c", "-m"), words
        if option == "-m":
            code = f"import runpy; runpy.run_module({code!r}, run_name='__main__', alter_sys=True)"
        request = {"code": code, "argv": [option, *arguments], "cwd": str(cwd or Path.cwd())}
        message = json.dumps(request | {"env": dict(os.environ if env is None else env)})
        pipes = [os.pipe() for _ in range(3)]
        passed = [os.open(os.devnull, os.O_RDONLY), *(write for _, write in pipes)]
        socket.send_fds(server(), [message.encode()], passed)
        for descriptor in passed:
            os.close(descriptor)
        self.stdout, self.stderr = (os.fdopen(read, encoding="utf-8") for read, _ in pipes[:2])
        self._reports = os.fdopen(pipes[2][0], "rb", buffering=0)  # a buffer would hide the exit code from `poll`
        self.pid = int(self._reports.readline())
        self.returncode: int | None = None

    def __enter__(self) -> Self:
        """Return the process."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Wait for the process; kill it after an error."""
        if kind is not None:
            self.kill()
        self.stdout.close()
        self.stderr.close()
        self.wait()
        self._reports.close()

    def poll(self) -> int | None:
        """Return the exit code; None: it runs."""
        if self.returncode is None:
            with selectors.DefaultSelector() as selector:
                selector.register(self._reports, selectors.EVENT_READ)
                if not selector.select(0):
                    return None
        return self.wait()

    def send_signal(self, number: int) -> None:
        """Send a signal, unless the process has ended."""
        if self.poll() is None:
            with suppress(ProcessLookupError):  # it has ended, and its exit code is not reported yet
                os.kill(self.pid, number)

    def kill(self) -> None:
        """Send SIGKILL, unless the process has ended."""
        self.send_signal(signal.SIGKILL)

    def wait(self) -> int:
        """Wait for the end; return the exit code."""
        if self.returncode is None:
            self.returncode = int(self._reports.readline())
        return self.returncode

    def communicate(self, timeout: float = 120) -> tuple[str, str]:
        """Wait for the end; return the rest of stdout and stderr.

        Raises:
            subprocess.TimeoutExpired: the process ran for longer, and was killed.

        """
        with ThreadPoolExecutor(2) as readers:
            out, err = readers.submit(self.stdout.read), readers.submit(self.stderr.read)
            if wait([out, err], timeout).not_done:
                self.kill()
                raise subprocess.TimeoutExpired([str(self.pid)], timeout)
            self.wait()
            return out.result(), err.result()


def run_forked(words: Sequence[str], env: Mapping[str, str] | None = None) -> "subprocess.CompletedProcess[str]":
    """Run a command until it exits."""
    with ForkedProcess(words, env) as process:
        out, err = process.communicate()
    return subprocess.CompletedProcess(words, process.wait(), out, err)
