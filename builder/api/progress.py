"""Progress bars of the public verbs: `tqdm.auto`, which draws a widget in a notebook and text elsewhere."""

import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from personagen.builder.core.foreign_text import printable
from personagen.builder.core.progress import (
    FIRST_LOG_S,
    LOG_INTERVAL_S,
    REDRAW_S,
    SILENT,
    Progress,
    RateMeter,
    RunStatus,
    first_text_line,
    run_bar_format,
)

if TYPE_CHECKING:
    from tqdm import tqdm

TEXTS = "texts"
"""Name of the bar of a generation run; it stays when the run ends."""


class ProgressBars:
    """Bars on stderr: one for the texts of a run, and one for the current step of a measurement."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Draw nothing until the first report; `clock`: time in seconds."""
        self._texts: tqdm[Any] | None = None
        self._step: tqdm[Any] | None = None
        self._clock = clock
        self._run: RunStatus | None = None
        self._meter = RateMeter()
        self._draw_at = 0.0
        self._has_first_text = False

    def update(self, status: RunStatus) -> None:
        """Draw the counts of a generation run."""
        self._run, now, is_watched = status, self._clock(), _is_watched()
        self._meter.add(status, now)
        if self._texts is None:
            self._texts = _bar(TEXTS, status.wanted)
            self._draw_at = now + (REDRAW_S if is_watched else FIRST_LOG_S)
            self._draw_run()
        elif now >= self._draw_at:
            self._draw_at = now + (REDRAW_S if is_watched else LOG_INTERVAL_S)
            self._draw_run()
        if status.first_text is not None and not self._has_first_text and is_watched:
            self._has_first_text = True
            self._write(first_text_line(status.first_text, self._texts.format_dict["ncols"]))

    def step(self, name: str) -> None:
        """Draw the name of a step."""
        self._close_step()
        self._step = _bar(printable(name), None)

    def advance(self, done: int, total: int) -> None:
        """Draw the progress of the step."""
        if self._step is None:
            self._step = _bar("", total)
        self._step.total, self._step.bar_format = total, None
        self._step.update(done - self._step.n)

    def warn(self, message: str) -> None:
        """Write a line above the bars."""
        self._write(f"personagen: {printable(message)}")

    def close(self) -> None:
        """Leave the bar of the texts as it stands, and remove that of the step."""
        self._close_step()
        if self._texts is not None:
            self._draw_run()
            self._texts.close()

    def _draw_run(self) -> None:
        assert self._texts is not None
        assert self._run is not None
        self._texts.n = self._run.accepted
        self._texts.bar_format = run_bar_format(self._run, self._meter.rate(self._run.wanted))
        self._texts.refresh()

    def _write(self, line: str) -> None:
        from tqdm import tqdm

        tqdm.write(line, file=sys.stderr)

    def _close_step(self) -> None:
        if self._step is not None:
            self._step.close()
            self._step = None


def _bar(name: str, total: int | None) -> "tqdm[Any]":
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # without ipywidgets `tqdm.auto` draws text, and warns of it
        from tqdm.auto import tqdm

    watched = _is_watched()
    return tqdm(
        desc=name,
        total=total,
        bar_format=None if total else "{desc} [{elapsed}]",
        leave=name == TEXTS or not watched,
        delay=1e-9 if name == TEXTS else 0,  # the bar of a run is drawn with its counts only
        file=sys.stderr,
        dynamic_ncols=watched,
        mininterval=REDRAW_S if watched else LOG_INTERVAL_S,
    )


def _is_watched() -> bool:
    """Return whether bars are drawn on a terminal or in a notebook, and not in a log file."""
    return sys.stderr.isatty() or "ipykernel" in sys.modules


@contextmanager
def shown_progress(progress: Progress | bool) -> Iterator[Progress]:
    """Yield the receiver that a caller chose.

    Raises TypeError if it is none.

    Args:
        progress: True: bars, closed at the end. False: nothing is shown. Else the receiver itself.

    """
    if isinstance(progress, bool):
        if not progress:
            yield SILENT
            return
        bars = ProgressBars()
        try:
            yield bars
        finally:
            bars.close()
    else:
        if missing := [name for name in ("update", "step", "advance", "warn") if not hasattr(progress, name)]:
            methods = ", ".join(missing)
            raise TypeError(f"progress: got {progress!r:.80}, wanted True, False or a receiver; it lacks {methods}")
        yield progress
