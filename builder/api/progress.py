"""Progress bars of the public verbs: `tqdm.auto`, which draws a widget in a notebook and text elsewhere."""

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from personagen.builder.core.progress import SILENT, Progress, RunStatus
from personagen.builder.core.terminal import printable

if TYPE_CHECKING:
    from tqdm import tqdm

REDRAW_S = 0.2
"""Seconds between two drawings of a bar on a terminal or in a notebook."""

TEXTS = "texts"
"""Name of the bar of a generation run; it stays when the run ends."""

LOG_S = 60.0
"""Seconds between two lines of a bar in a log file."""


class ProgressBars:
    """Bars on stderr: one for the texts of a run, and one for the current step of a measurement."""

    def __init__(self) -> None:
        """Draw nothing until the first report."""
        self._texts: tqdm[Any] | None = None
        self._step: tqdm[Any] | None = None

    def update(self, status: RunStatus) -> None:
        """Draw the counts of a generation run."""
        if self._texts is None:
            self._texts = _bar(TEXTS, status.wanted)
        parts = [f"{status.rejected} rejected", f"{status.in_flight} in flight", f"{status.tokens:,} tokens"]
        parts += [] if status.cost is None else [f"cost {status.cost:.4f}"]
        self._texts.set_postfix_str(", ".join(parts), refresh=False)
        self._texts.update(status.accepted - self._texts.n)

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
        from tqdm import tqdm

        tqdm.write(f"personagen: {printable(message)}", file=sys.stderr)

    def close(self) -> None:
        """Leave the bar of the texts as it stands, and remove that of the step."""
        self._close_step()
        if self._texts is not None:
            self._texts.refresh()
            self._texts.close()

    def _close_step(self) -> None:
        if self._step is not None:
            self._step.close()
            self._step = None


def _bar(name: str, total: int | None) -> "tqdm[Any]":
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # without ipywidgets `tqdm.auto` draws text, and warns of it
        from tqdm.auto import tqdm

    watched = sys.stderr.isatty() or "ipykernel" in sys.modules
    return tqdm(
        desc=name,
        total=total,
        bar_format=None if total else "{desc} [{elapsed}]",
        leave=name == TEXTS or not watched,
        file=sys.stderr,
        dynamic_ncols=watched,
        mininterval=REDRAW_S if watched else LOG_S,
    )


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
