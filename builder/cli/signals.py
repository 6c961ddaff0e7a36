"""End a command by SIGINT, SIGTERM or SIGHUP: after its clean-up by the first signal, at once by a second one.

A running event loop is cancelled, and requests in flight are awaited, since they are paid for (see `Dispatcher.drain`).
Other work ends by SystemExit.
"""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from threading import Timer, current_thread, main_thread
from types import FrameType
from typing import Any, NoReturn, TypeVar

from personagen.builder.core.event_loop import INTERRUPTS

Result = TypeVar("Result")

SIGNAL_NAMES = ("SIGINT", "SIGTERM", "SIGHUP")
"""Signals that end a command, as far as the platform has them."""

SAME_EVENT_S = 0.5
"""Seconds after the first signal in which further ones count as the same: `timeout` and closed terminals send two."""

CLEAN_UP_S = 5.0
"""Upper bound on the clean-up after a second signal, in seconds: a slow disk needs some for the journal."""


class CommandSignals:
    """Signals that a command has received, and the coroutine that the first one cancels.

    Implements `core.event_loop.Interrupts`.

    Attributes:
        received: numbers of the signals in order of arrival, without those that repeat the first.

    """

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        *,
        same_event_s: float = SAME_EVENT_S,
        clean_up_s: float = CLEAN_UP_S,
    ) -> None:
        """Begin without a signal; for the times see the constants."""
        self.received: list[int] = []
        self._clock = clock
        self._same_event_s = same_event_s
        self._clean_up_s = clean_up_s
        self._first_at = 0.0
        self._has_loop = False
        self._cancel: Callable[[], object] | None = None

    @property
    def exit_code(self) -> int:
        """128 plus the number of the last signal, as shells report it; 0: none was received."""
        return 128 + self.received[-1] if self.received else 0

    def on_signal(self, number: int, frame: FrameType | None = None) -> None:
        """Handle a signal; runs in the main thread, between two steps of the interpreter."""
        if len(self.received) == 1 and self._clock() - self._first_at < self._same_event_s:
            return
        self.received.append(number)
        if len(self.received) > 2 or (len(self.received) == 2 and not self._has_loop):
            os._exit(self.exit_code)
        if len(self.received) == 1:
            self._first_at = self._clock()
        else:
            watchdog = Timer(self._clean_up_s, os._exit, [self.exit_code])
            watchdog.daemon = True
            watchdog.start()
        if not self._has_loop:
            raise SystemExit(self.exit_code)
        if self._cancel is not None:
            self._cancel()

    def run(self, work: Coroutine[Any, Any, Result], /) -> Result:
        """Run a coroutine; a signal cancels it, and SystemExit is raised after its clean-up."""
        self._has_loop = True
        try:
            result = asyncio.run(self._cancellable(work))
        except asyncio.CancelledError:
            if not self.received:
                raise
            raise SystemExit(self.exit_code) from None
        finally:
            self._has_loop = False
        if self.received:
            raise SystemExit(self.exit_code)
        return result

    async def _cancellable(self, work: Coroutine[Any, Any, Result]) -> Result:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None
        if self.received:
            work.close()
            raise asyncio.CancelledError
        self._cancel = lambda: loop.call_soon_threadsafe(task.cancel)  # also wakes the loop, which waits for sockets
        try:
            return await work
        finally:
            self._cancel = None

    def grace_s(self, in_flight: int, default_s: float) -> float | None:
        """Return the grace period of paid requests; see `Interrupts`.

        There is no bound but the timeout of a request: a scheduler that waits less kills the process, and loses no more
        replies by that than by a shorter grace period.
        """
        if not self.received:
            return default_s
        if len(self.received) > 1:
            return 0.0
        if in_flight:
            replies = "1 reply that is" if in_flight == 1 else f"{in_flight} replies that are"
            self._write(f"{self.cause}: waiting for {replies} paid for; interrupt again to stop at once")
        return None

    @property
    def cause(self) -> str:
        """Short description of the signals received, for the user."""
        name = signal.Signals(self.received[0]).name
        cause = "interrupted" if name == "SIGINT" else f"interrupted by {name}"
        return cause if len(self.received) == 1 else f"{cause}, then stopped at once"

    def end(self, *, keeps_replies: bool, continues: bool) -> NoReturn:
        """Write the last line of the command and exit with the code of the signal.

        Args:
            keeps_replies: whether the command journals paid replies.
            continues: whether the same command continues it.

        """
        kept = "paid replies" if len(self.received) == 1 else "replies that arrived"
        line = f"{self.cause}; {kept} are kept" if keeps_replies else self.cause
        self._write(f"{line}: run the same command to continue" if continues else line)
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):  # a closed terminal
                stream.flush()
        # The interpreter's own exit restores the default handlers, so that a further signal would change the exit code.
        os._exit(self.exit_code)

    def _write(self, message: str) -> None:
        """Write a line to stderr, above a bar if there is one."""
        from tqdm import tqdm

        with suppress(OSError, ValueError):  # SIGHUP: the terminal is closed
            start = "\r" if sys.stderr.isatty() else ""  # overwrites the ^C that a terminal shows
            tqdm.write(f"{start}personagen: {message}", file=sys.stderr)
            sys.stderr.flush()


def _numbers() -> list[signal.Signals]:
    return [signal.Signals[name] for name in SIGNAL_NAMES if hasattr(signal, name)]


@contextmanager
def handled(signals: CommandSignals) -> Iterator[None]:
    """Handle the signals within the context, except those that the parent process has had ignored, as `nohup` does."""
    if current_thread() is not main_thread():  # Python delivers signals to the main thread only
        yield
        return
    before = {number: signal.getsignal(number) for number in _numbers()}
    caught = [number for number in before if before[number] not in (signal.SIG_IGN, None)]
    token = INTERRUPTS.set(signals)
    for number in caught:
        signal.signal(number, signals.on_signal)
    try:
        yield
    finally:
        INTERRUPTS.reset(token)
        if not signals.received:  # else a further signal must not interrupt the exit by a traceback
            for number in caught:
                signal.signal(number, before[number])
