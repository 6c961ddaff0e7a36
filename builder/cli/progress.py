"""How far a run is: a bar where stderr is a terminal, a line a minute where it is not. stdout stays data."""

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, TextIO

from tqdm import tqdm

from personagen.builder.core.progress import RunStatus

INTERVAL = 60.0
"""Seconds between two lines where stderr is no terminal."""


Status = RunStatus


class Progress:
    """A context manager that is called with where the run is."""

    def __init__(self, stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        """Show nothing until the first call: a run that fails before shows none. None is stderr."""
        self._stream = stream or sys.stderr
        self._clock = clock
        self._bar: tqdm[Any] | None = None
        self._last: tuple[float, int] | None = None

    def __enter__(self) -> "Progress":
        """Start."""
        return self

    def __call__(self, status: Status) -> None:
        """Show where the run is."""
        if self._stream.isatty():
            self._draw(status)
            return
        now = self._clock()
        if self._last is None:
            self._last = (now, status.accepted)
        elif now - self._last[0] >= INTERVAL:
            speed = (status.accepted - self._last[1]) / (now - self._last[0])
            self._last = (now, status.accepted)
            print(line(status, speed), file=self._stream, flush=True)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the bar as it stands."""
        if self._bar is not None:
            self._bar.close()

    def _draw(self, status: Status) -> None:
        if self._bar is None:
            self._bar = tqdm(total=status.wanted, unit="text", file=self._stream, dynamic_ncols=True, mininterval=0.2)
        self._bar.set_postfix_str(details(status), refresh=False)
        self._bar.update(status.accepted - self._bar.n)
        if self._clock() - (self._last or (0.0, 0))[0] >= 1:  # alive, also while no row is done
            self._last = (self._clock(), status.accepted)
            self._bar.refresh()


class Sending:
    """A context manager that is called with how many bytes of how many were sent."""

    def __init__(self, stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        """Show nothing until the first call. None is stderr."""
        self._stream = stream or sys.stderr
        self._clock = clock
        self._bar: tqdm[Any] | None = None
        self._last = clock()

    def __enter__(self) -> "Sending":
        """Start."""
        return self

    def update(self, status: RunStatus) -> None:
        """Ignore the counts of a generation run: a push has none."""

    def step(self, name: str) -> None:
        """Ignore the name of a step: a push has one."""

    def warn(self, message: str) -> None:
        """Print a line on stderr."""
        print(message, file=self._stream, flush=True)

    def advance(self, done: int, total: int) -> None:
        """Display the bytes that are uploaded."""
        if self._stream.isatty():
            if self._bar is None:
                self._bar = tqdm(total=total, unit="B", unit_scale=True, file=self._stream, dynamic_ncols=True)
            self._bar.update(done - self._bar.n)
        elif self._clock() - self._last >= INTERVAL:
            self._last = self._clock()
            print(f"{short(done)}B of {short(total)}B sent", file=self._stream, flush=True)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the bar as it stands."""
        if self._bar is not None:
            self._bar.close()


def details(status: Status) -> str:
    """Tell all but the rows."""
    replies = status.accepted + status.refused
    share = f" ({100 * status.refused / replies:.1f} %)" if replies else ""
    parts = [f"{status.refused} refused{share}", f"{status.in_flight} in flight", f"{short(status.tokens)} tokens"]
    if status.cost is not None:
        parts.append(f"cost {status.cost:.4f}")
    return ", ".join(parts)


def line(status: Status, speed: float) -> str:
    """Tell everything in one line; `speed` is in rows a second."""
    left = f"{duration((status.wanted - status.accepted) / speed)} left" if speed > 0 else "no row in the last minute"
    return f"{status.accepted} of {status.wanted} texts, {speed:.2f} a second, {left}, {details(status)}"


def duration(seconds: float) -> str:
    """Write a time as h:mm:ss."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"


def short(number: float) -> str:
    """Write a count with a unit: 950, 12.3k, 4.5M."""
    for unit in ("", "k", "M", "G"):
        if abs(number) < 1000 or unit == "G":
            break
        number /= 1000
    return f"{number:.0f}{unit}" if unit == "" else f"{number:.1f}{unit}"
