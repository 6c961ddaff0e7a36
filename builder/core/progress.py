"""Progress of long calls: one protocol for every verb and every display.

A verb (generate, evaluate, audit, compare, report) reports to a `Progress`. The command line draws bars and log lines
on stderr, a notebook draws `tqdm.auto` bars, and `SILENT` displays nothing.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol, TypeVar

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class RunStatus:
    """Counts of a generation run at one moment.

    Attributes:
        accepted: rows accepted so far.
        wanted: rows of the release, ablations and counterfactuals included.
        rejected: replies that a check rejected.
        in_flight: requests sent and not answered yet.
        tokens: tokens of all replies in the journal, earlier runs of the folder included.
        cost: their cost in the currency of the recipe's prices; None: the recipe has no price for the model.

    """

    accepted: int
    wanted: int
    rejected: int
    in_flight: int
    tokens: int
    cost: float | None


class Progress(Protocol):
    """Receiver of the progress of one call."""

    def update(self, status: RunStatus) -> None:
        """Receive the counts of a generation run: after every finalized row, and twice per second."""

    def step(self, name: str) -> None:
        """Receive the name of the step that begins, in the present participle: "computing realism"."""

    def advance(self, done: int, total: int) -> None:
        """Receive the finished and the total number of units of the current step."""

    def warn(self, message: str) -> None:
        """Receive one line on something that the caller should know and that does not end the call."""


class _Silent:
    def update(self, status: RunStatus) -> None:
        pass

    def step(self, name: str) -> None:
        pass

    def advance(self, done: int, total: int) -> None:
        pass

    def warn(self, message: str) -> None:
        pass


SILENT: Progress = _Silent()
"""Display nothing."""


def track(items: Iterable[Item], total: int, progress: Progress) -> Iterator[Item]:
    """Yield the items of a step and report how many are finished."""
    for done, item in enumerate(items):
        progress.advance(done, total)
        yield item
    progress.advance(total, total)
