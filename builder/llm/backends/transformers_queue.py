"""The queue of the `transformers` backend: which waiting rows share a batch, and how many of them.

A row is one candidate of one request; the candidates of a request may be written in different batches.
"""

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from personagen.builder.llm.backends.transformers_sampling import Written
from personagen.builder.llm.requests import Reply, Request, Sampling

START = 4
"""Rows of the first batch."""

GAIN = 1.1
"""What twice the rows must bring in tokens a second, so that they are doubled once more."""

TRIES = 2
"""Full batches of one size that must fall short of GAIN before it is believed: the machine may have been busy."""


@dataclass(eq=False, slots=True)
class Job:
    """One request on its way.

    Attributes:
        request: what was asked.
        reply: where the answer goes; done when it is answered, refused, or cancelled by the caller.
        prompt: tokens of its prompt; empty until it is looked at.
        written: texts so far, by number of the candidate.

    """

    request: Request
    reply: "Future[Reply]" = field(default_factory=Future)
    prompt: list[int] = field(default_factory=list)
    written: dict[int, Written] = field(default_factory=dict)

    @property
    def group(self) -> tuple[Sampling, tuple[str, ...]]:
        """What requests must have in common to share a batch."""
        return self.request.sampling, self.request.stop

    @property
    def rows(self) -> int:
        """Texts to be written: greedy candidates are all the same."""
        return 1 if self.request.sampling.temperature == 0 else self.request.candidates

    def answer(self, reply: Reply) -> None:
        """Give the reply to whoever waits for it; a caller that has gone away misses nothing."""
        if not self.reply.done() and self.reply.set_running_or_notify_cancel():
            self.reply.set_result(reply)

    def fail(self, error: Exception) -> None:
        """Tell whoever waits for the reply that there is none."""
        if not self.reply.done() and self.reply.set_running_or_notify_cancel():
            self.reply.set_exception(error)


@dataclass(frozen=True, eq=False, slots=True)
class Row:
    """One candidate of a job, by its number from 0 on."""

    job: Job
    candidate: int


def choose_rows(waiting: Sequence[Row], size: int) -> list[Row]:
    """Choose the next batch: rows that go together with the oldest one, it among them, and of similar length.

    Args:
        waiting: rows, the oldest first, one at least.
        size: rows of a batch at most, 1 or more.

    """
    oldest = waiting[0]
    group = [row for row in waiting if row.job.group == oldest.job.group]
    group.sort(key=_length)
    size = min(size, len(group))
    place = group.index(oldest)
    starts = range(max(0, place - size + 1), min(place, len(group) - size) + 1)
    # All rows are padded to the longest one.
    best = min(starts, key=lambda start: _length(group[start + size - 1]) - _length(group[start]))
    return group[best : best + size]


def _length(row: Row) -> int:
    return len(row.job.prompt)


class Pace:
    """Finds out how many rows a batch of one group should have.

    The size starts at START and is doubled as long as that brings more tokens a second. Where a batch does not fit
    into the memory it is halved, and never again becomes as large as one that did not fit.

    Attributes:
        size: rows that the next batch should have, at most.

    """

    def __init__(self) -> None:
        """Start small: a first batch that is too large for the memory costs more time than some that are too small."""
        self.size = START
        self._limit: int | None = None  # no batch may be larger; None: not known yet
        self._best: dict[int, float] = {}
        self._tries = 0
        self._before: tuple[int, int | None] | None = None  # size and limit before batches began to fail

    def succeeded(self, rows: int, speed: float) -> None:
        """Learn from a batch of so many rows that was written with `speed` tokens a second."""
        self._before = None
        if rows < self.size or self._limit == self.size:
            return
        self._tries += 1
        speed = self._best[rows] = max(speed, self._best.get(rows, 0.0))
        smaller = self._best.get(rows // 2)
        if smaller is None or speed >= GAIN * smaller:
            self._resize(2 * rows)
        elif self._tries >= TRIES:
            self._limit = rows if speed > smaller else rows // 2
            self._resize(self._limit)

    def failed(self, rows: int) -> bool:
        """Learn that a batch of so many rows did not fit; True: a single row did not, so there is nothing to halve."""
        if rows > 1:
            self._before = self._before or (self.size, self._limit)
            self._limit = rows - 1
            self._resize(rows // 2)
        elif self._before is not None:
            # That one row made all of them fail: nothing was learnt about the others.
            self.size, self._limit = self._before
            self._before = None
        return rows == 1

    def _resize(self, size: int) -> None:
        if self._limit is None or size <= self._limit:
            self.size = size
            self._tries = 0
