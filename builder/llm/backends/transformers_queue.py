"""The queue of the `transformers` backend: which waiting candidates share a batch, and how many.

A row of a batch is one candidate of one request; the candidates of a request may be written in different batches.
"""

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from personagen.builder.llm.backends.transformers_sampling import SampledText
from personagen.builder.llm.chat_templates.rendering import NO_CHAT, ChatPrompt
from personagen.builder.llm.requests import Reply, Request, Sampling

START_ROWS = 4
"""Rows of the first batch."""

MIN_GAIN = 1.1
"""Least ratio of tokens per second between a batch and one of half its rows, for the size to be doubled again."""

CONFIRMATIONS = 2
"""Full batches of one size below MIN_GAIN before the size is fixed: one may be slow because the machine was busy."""


@dataclass(eq=False, slots=True)
class QueuedRequest:
    """A request from its arrival to its reply.

    Attributes:
        request: the request.
        reply: future of the reply; done once the request is answered, refused, or cancelled by the caller.
        prompt: tokens of its prompt; empty before it is tokenized.
        chat: its rendered chat; empty before.
        room: tokens that are to be added to the limit of its texts for a thought.
        thinking_tokens: those of them that the context of the model leaves.
        written: texts so far, by number of the candidate.

    """

    request: Request
    reply: "Future[Reply]" = field(default_factory=Future)
    prompt: list[int] = field(default_factory=list)
    chat: ChatPrompt = NO_CHAT
    room: int = 0
    thinking_tokens: int = 0
    written: dict[int, SampledText] = field(default_factory=dict)

    @property
    def group(self) -> tuple[Sampling, tuple[str, ...], int, bool]:
        """Attributes that requests of one batch have in common."""
        return self.request.sampling, self.request.stop, self.thinking_tokens, self.chat.thinks

    @property
    def rows(self) -> int:
        """Texts to write; greedy candidates are identical, so one is written for all."""
        return 1 if self.request.sampling.temperature == 0 else self.request.candidates

    def answer(self, reply: Reply) -> None:
        """Set the reply, unless the caller has cancelled."""
        if not self.reply.done() and self.reply.set_running_or_notify_cancel():
            self.reply.set_result(reply)

    def fail(self, error: Exception) -> None:
        """Set an error in place of the reply, unless the caller has cancelled."""
        if not self.reply.done() and self.reply.set_running_or_notify_cancel():
            self.reply.set_exception(error)


@dataclass(frozen=True, eq=False, slots=True)
class BatchRow:
    """One candidate of a queued request, by its number from 0."""

    queued: QueuedRequest
    candidate: int


def choose_rows(waiting: Sequence[BatchRow], size: int) -> list[BatchRow]:
    """Choose the next batch: the oldest row, and rows of its group with similar prompt lengths.

    Args:
        waiting: rows, the oldest first; at least one.
        size: upper bound on the rows of the batch, 1 or more.

    """
    oldest = waiting[0]
    group = [row for row in waiting if row.queued.group == oldest.queued.group]
    group.sort(key=_length)
    size = min(size, len(group))
    index = group.index(oldest)
    starts = range(max(0, index - size + 1), min(index, len(group) - size) + 1)
    # All rows are padded to the longest one.
    best = min(starts, key=lambda start: _length(group[start + size - 1]) - _length(group[start]))
    return group[best : best + size]


def _length(row: BatchRow) -> int:
    return len(row.queued.prompt)


class BatchSizer:
    """Finds the best number of rows per batch of one group.

    The size starts at START_ROWS and doubles as long as that increases the tokens per second. It is halved if a batch
    exceeds the memory, and never again reaches the size of a batch that did.

    Attributes:
        size: upper bound on the rows of the next batch.

    """

    def __init__(self) -> None:
        """Start small: a first batch that exceeds the memory costs more time than a few small ones."""
        self.size = START_ROWS
        self._limit: int | None = None  # None: not known yet
        self._best_speeds: dict[int, float] = {}  # tokens per second, by rows
        self._full_batches = 0
        self._before_failures: tuple[int, int | None] | None = None  # size and limit

    def record_batch(self, rows: int, speed: float) -> None:
        """Record a batch of `rows` rows that was written with `speed` tokens per second."""
        self._before_failures = None
        if rows < self.size or self._limit == self.size:
            return
        self._full_batches += 1
        speed = self._best_speeds[rows] = max(speed, self._best_speeds.get(rows, 0.0))
        half_speed = self._best_speeds.get(rows // 2)
        if half_speed is None or speed >= MIN_GAIN * half_speed:
            self._resize(2 * rows)
        elif self._full_batches >= CONFIRMATIONS:
            self._limit = rows if speed > half_speed else rows // 2
            self._resize(self._limit)

    def record_out_of_memory(self, rows: int) -> bool:
        """Record that a batch of `rows` rows exceeded the memory; True: a single row did, which cannot be halved."""
        if rows > 1:
            self._before_failures = self._before_failures or (self.size, self._limit)
            self._limit = rows - 1
            self._resize(rows // 2)
        elif self._before_failures is not None:
            # That row made all of the batches fail, so they are no evidence on the others.
            self.size, self._limit = self._before_failures
            self._before_failures = None
        return rows == 1

    def _resize(self, size: int) -> None:
        if self._limit is None or size <= self._limit:
            self.size = size
            self._full_batches = 0
