"""Progress on stderr: bars on a terminal, one line per minute elsewhere. stdout is left to results."""

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self, TextIO

from tqdm import tqdm

from personagen.builder.core.progress import RunStatus
from personagen.builder.core.terminal import printable

LOG_INTERVAL_S = 60.0
"""Seconds between two lines if stderr is no terminal."""

REDRAW_S = 0.2
"""Seconds between two drawings of a bar that moves."""

REFRESH_S = 1.0
"""Seconds between two drawings of a bar that stands still, so that its clock runs on."""


class TerminalProgress:
    """Receiver of progress (see `core.progress.Progress`) that writes to stderr; a context manager.

    Nothing is written before the first report, so that a call that fails at once leaves one line.
    """

    def __init__(
        self,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
        *,
        unit: str = "",
    ) -> None:
        """Create a receiver.

        Args:
            stream: None: stderr.
            clock: time in seconds.
            unit: unit of `advance`: "B" for bytes.

        """
        self._stream = stream or sys.stderr
        self._clock = clock
        self._unit = unit
        self._bar: tqdm[Any] | None = None
        self._logged_at = clock()
        self._logged_rows: int | None = None

    def __enter__(self) -> Self:
        """Return the receiver."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the bar."""
        self._end_bar()

    def update(self, status: RunStatus) -> None:
        """Show the counts of a generation run."""
        if self._stream.isatty():
            bar = self._bar_of(status.wanted, unit="text", leave=True)
            bar.set_postfix_str(details(status), refresh=False)
            bar.update(status.accepted - bar.n)
            if self._is_due(REFRESH_S):
                bar.refresh()
            return
        if self._logged_rows is None:
            self._logged_at, self._logged_rows = self._clock(), status.accepted
        elapsed_s = self._clock() - self._logged_at
        if self._is_due(LOG_INTERVAL_S):
            rows_per_second = (status.accepted - self._logged_rows) / elapsed_s
            self._logged_rows = status.accepted
            self._write(status_line(status, rows_per_second))

    def step(self, name: str) -> None:
        """Write the name of the step that begins."""
        self._end_bar()
        self._logged_at = self._clock()
        self._write(printable(name))

    def advance(self, done: int, total: int) -> None:
        """Show how much of the step is finished."""
        if self._stream.isatty():
            bar = self._bar_of(total, unit=self._unit or "it", leave=bool(self._unit))
            bar.update(done - bar.n)
        elif self._is_due(LOG_INTERVAL_S):
            self._write(f"{short_number(done)}{self._unit} of {short_number(total)}{self._unit}")

    def warn(self, message: str) -> None:
        """Write a warning above the bar."""
        line = f"warning: {printable(message)}"
        if self._bar is None:
            self._write(line)
        else:
            self._bar.write(line, file=self._stream)

    def _bar_of(self, total: int, *, unit: str, leave: bool) -> "tqdm[Any]":
        if self._bar is None:
            self._bar = tqdm(
                total=total,
                unit=unit,
                unit_scale=unit == "B",
                leave=leave,
                file=self._stream,
                dynamic_ncols=True,
                mininterval=REDRAW_S,
            )
        return self._bar

    def _end_bar(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _is_due(self, interval_s: float) -> bool:
        """Return whether the interval since the last line or drawing has passed, and begin the next one if so."""
        now = self._clock()
        due = now - self._logged_at >= interval_s
        if due:
            self._logged_at = now
        return due

    def _write(self, line: str) -> None:
        print(line, file=self._stream, flush=True)


def details(status: RunStatus) -> str:
    """Return all counts but the rows, as a comma-separated text."""
    replies = status.accepted + status.rejected
    fraction = f" ({status.rejected / replies:.1%})" if replies else ""
    parts = [f"{status.rejected} rejected{fraction}", f"{status.in_flight} in flight"]
    parts.append(f"{short_number(status.tokens)} tokens")
    if status.cost is not None:
        parts.append(f"cost {status.cost:.4f}")
    return ", ".join(parts)


def status_line(status: RunStatus, rows_per_second: float) -> str:
    """Return rows, speed, remaining time and the other counts in one line."""
    remaining = "no text in the last minute"
    if rows_per_second > 0:
        remaining = f"{duration((status.wanted - status.accepted) / rows_per_second)} left"
    return (
        f"{status.accepted} of {status.wanted} texts, {rows_per_second:.2f} per second, {remaining}, {details(status)}"
    )


def duration(seconds: float) -> str:
    """Format a time as h:mm:ss."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"


def short_number(number: float) -> str:
    """Format a count with a metric prefix: 950, 12.3k, 4.5M."""
    for prefix in ("", "k", "M", "G"):
        if abs(number) < 1000 or prefix == "G":
            break
        number /= 1000
    return f"{number:.0f}" if prefix == "" else f"{number:.1f}{prefix}"
