"""Fill the parts of a run by processes of this machine.

The first interrupt lets the workers ship their replies, a second one ends them. A worker that is killed, as by the
system when memory is short, is started again: its replies are on the disk, and only those in flight are lost.
"""

import asyncio
import os
import re
import signal
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from personagen.builder.core.event_loop import run_blocking
from personagen.builder.launch.processes import prepare_worker

MAX_LINE_CHARS = 2_000
"""Characters of a worker's line that are shown."""

LAST_LINES_S = 5.0
"""Seconds after the end of a worker for which its last lines are awaited: a process it started may keep stderr open."""

Report = Callable[[str], None]


@dataclass(slots=True)
class _Workers:
    """Exit codes and running processes by part, and whether no more are to be started."""

    codes: list[int | None]
    running: dict[int, Process] = field(default_factory=dict)
    is_stopping: bool = False

    def send(self, number: int) -> None:
        for process in self.running.values():
            with suppress(ProcessLookupError):  # it has ended
                process.send_signal(number)


def run_local(commands: Sequence[Sequence[str]], *, retries: int, report: Report) -> list[int | None]:
    """Run one process per part; return the exit code of each, negative for a signal. None: it was not started.

    Args:
        commands: words of the process of each part.
        retries: further starts of a part whose process is killed.
        report: receives each line of the workers' stderr, with its part.

    """
    return run_blocking(_run_all(commands, retries, report))


async def _run_all(commands: Sequence[Sequence[str]], retries: int, report: Report) -> list[int | None]:
    workers = _Workers([None] * len(commands))
    tasks = [
        asyncio.create_task(_run_part(workers, part, words, retries, report)) for part, words in enumerate(commands)
    ]
    with _forwarded_request_to_ship(workers):
        while pending := [task for task in tasks if not task.done()]:
            try:
                await asyncio.wait(pending)
            except asyncio.CancelledError:  # by the first signal, and by a second one
                if not workers.is_stopping:
                    report(f"stopping: {len(workers.running)} workers ship their replies; interrupt again to end them")
                workers.is_stopping = True
                workers.send(signal.SIGTERM)
    for task in tasks:
        task.result()
    if workers.is_stopping:
        complete = sum(code == 0 for code in workers.codes)
        report(f"stopped: {complete} of {len(commands)} parts are complete; run the same command to continue")
        raise asyncio.CancelledError
    return workers.codes


async def _run_part(workers: _Workers, part: int, words: Sequence[str], retries: int, report: Report) -> None:
    name = f"part {part}/{len(workers.codes)}: "

    def report_part(line: str) -> None:
        report(name + line.removeprefix(name))  # the last line of `fill` has it

    for left in range(retries, -1, -1):
        if workers.is_stopping:
            return
        workers.codes[part] = code = await _run_once(workers, part, words, report_part)
        if code >= 0:
            return
        again = left and not workers.is_stopping
        report_part(f"killed by signal {-code}; {'started again' if again else 'not started again'}")


async def _run_once(workers: _Workers, part: int, words: Sequence[str], report: Report) -> int:
    """Run a process to its end. A pipe of our own: asyncio waits for all who hold a pipe that it made."""
    read, write = os.pipe()
    loop, reader = asyncio.get_running_loop(), asyncio.StreamReader()
    pipe, _ = await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(read, "rb", buffering=0)
    )
    lines = asyncio.create_task(_report_lines(reader, report))
    try:
        process = await _start(words, write)
        workers.running[part] = process
        if workers.is_stopping:
            workers.send(signal.SIGTERM)
        code = await process.wait()
        del workers.running[part]
        await asyncio.wait([lines], timeout=LAST_LINES_S)
        return code
    finally:
        lines.cancel()
        pipe.close()


async def _start(words: Sequence[str], stderr: int) -> Process:
    """Start a process; `stderr` is closed here."""
    try:
        # A process group of its own: a terminal would send its Ctrl-C to the worker too, beside the signal from here.
        return await asyncio.create_subprocess_exec(
            *words,
            stdin=DEVNULL,
            stdout=DEVNULL,
            stderr=stderr,
            process_group=0,
            preexec_fn=prepare_worker(signal.SIGTERM),
        )
    finally:
        os.close(stderr)


async def _report_lines(stream: asyncio.StreamReader, report: Report) -> None:
    """Report each line, also one that is longer than the buffer of the stream, which its own `readline` refuses."""
    rest = b""
    while chunk := await stream.read(65_536):
        *lines, rest = re.split(rb"[\r\n]+", rest + chunk)
        for line in lines:
            _report_line(line, report)
        if len(rest) > 4 * MAX_LINE_CHARS:
            _report_line(rest, report)
            rest = b""
    _report_line(rest, report)


def _report_line(line: bytes, report: Report) -> None:
    if text := line.decode("utf-8", "backslashreplace").strip():
        report(text[:MAX_LINE_CHARS])


@contextmanager
def _forwarded_request_to_ship(workers: _Workers) -> Iterator[None]:
    """Forward SIGUSR1, which asks a worker to ship what it has; outside of the main thread no signal arrives."""
    loop = asyncio.get_running_loop()
    try:
        loop.add_signal_handler(signal.SIGUSR1, workers.send, signal.SIGUSR1)
    except (NotImplementedError, RuntimeError, ValueError):
        yield
        return
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGUSR1)
