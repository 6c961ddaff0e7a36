"""Progress on stderr: bars on a terminal, log lines elsewhere. stdout is left to results."""

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self, TextIO

from tqdm import tqdm

from personagen.builder.core.foreign_text import printable
from personagen.builder.core.progress import (
    FIRST_LOG_S,
    LOG_INTERVAL_S,
    REDRAW_S,
    RateMeter,
    RunRate,
    RunStatus,
    count_texts,
    duration,
    first_text_line,
    run_bar_format,
    short_number,
    waiting_text,
)

REFRESH_S = 1.0
"""Seconds between two drawings of the bar of a run while no text is accepted, so that its clock runs on."""


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
        self._log_interval_s = LOG_INTERVAL_S
        self._run: RunStatus | None = None
        self._meter = RateMeter()
        self._has_first_text = False

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
        is_first, self._run = self._run is None, status
        self._meter.add(status, self._clock())
        if self._stream.isatty():
            self._update_bar(status, is_first=is_first)
            return
        if is_first:
            self._logged_at, self._log_interval_s = self._clock(), FIRST_LOG_S
        if self._is_due(self._log_interval_s):
            self._log_interval_s = LOG_INTERVAL_S
            self._write(status_line(status, self._meter.rate(status.wanted)))
        if self._log_interval_s == LOG_INTERVAL_S:  # runs of less than `FIRST_LOG_S` leave no line
            self._show_first_text(status)

    def step(self, name: str) -> None:
        """Write the name of the step that begins."""
        self._end_bar()
        self._logged_at = self._clock()
        self._write(name)

    def advance(self, done: int, total: int) -> None:
        """Show how much of the step is finished."""
        if self._stream.isatty():
            bar = self._bar_of(total, unit=self._unit or "it", leave=bool(self._unit))
            bar.update(done - bar.n)
        elif self._is_due(LOG_INTERVAL_S):
            self._write(f"{short_number(done)}{self._unit} of {short_number(total)}{self._unit}")

    def warn(self, message: str) -> None:
        """Write a warning above the bar."""
        self._write_above(f"warning: {message}")

    def _update_bar(self, status: RunStatus, *, is_first: bool) -> None:
        bar = self._bar_of(status.wanted, unit="text", leave=True)
        self._show_first_text(status)
        if is_first or self._is_due(REDRAW_S if status.accepted > bar.n else REFRESH_S):
            self._draw_run(bar, status)

    def _draw_run(self, bar: "tqdm[Any]", status: RunStatus) -> None:
        bar.n = status.accepted
        bar.bar_format = run_bar_format(status, self._meter.rate(status.wanted))
        bar.refresh()

    def _show_first_text(self, status: RunStatus) -> None:
        """Show the first text once: it shows early whether the model does as the recipe asks."""
        if status.first_text is None or self._has_first_text:
            return
        self._has_first_text = True
        columns = None if self._bar is None else self._bar.format_dict["ncols"]
        self._write_above(first_text_line(status.first_text, columns))

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
                delay=0 if unit != "text" else 1e-9,  # the bar of a run is drawn with its counts only
            )
        return self._bar

    def _end_bar(self) -> None:
        if self._bar is not None:
            if self._run is not None:
                self._draw_run(self._bar, self._run)
            self._bar.close()
        self._bar = self._run = None

    def _is_due(self, interval_s: float) -> bool:
        """Return whether the interval since the last line or drawing has passed, and begin the next one if so."""
        now = self._clock()
        due = now - self._logged_at >= interval_s
        if due:
            self._logged_at = now
        return due

    def _write_above(self, line: str) -> None:
        if self._bar is None:
            self._write(line)
        else:
            self._bar.write(printable(line), file=self._stream)

    def _write(self, line: str) -> None:
        print(printable(line), file=self._stream, flush=True)


def status_line(status: RunStatus, rate: RunRate) -> str:
    """Return the counts of a run and its remaining time in one line."""
    left = "time left unknown" if rate.left_s is None else f"{duration(rate.left_s)} left"
    texts = f"{status.accepted} of {status.wanted} texts{waiting_text(status)}"
    return ", ".join([texts, left, *count_texts(status, rate)])
