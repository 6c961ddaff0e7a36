"""The rows from the next one to finalize to the last one that was begun, each written by a task of its own.

A row waits for all rows before it, but neither its retries nor the requests of later rows do.
"""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field

from personagen.builder.core.records import Reject, Row
from personagen.builder.llm.trial import DISTINCT_TEXTS
from personagen.builder.planning.batches import rows_in_order
from personagen.builder.planning.parts import Part
from personagen.builder.planning.plan import Plan, RowPlan
from personagen.builder.writing.finalization.certain_retries import CertainRetries, Retry
from personagen.builder.writing.finalization.duplicate_index import DuplicateIndex
from personagen.builder.writing.rows import RowWriter

MAX_ROWS_AHEAD = 2000
"""Upper bound on written rows buffered behind an unfinished one, of 3 kB, or 6 kB with the prose of three layers.

At 200 requests in flight, a row may take ten times as long as the others before they wait for it. Replies of 10 ms fill
it, since rows are finalized more slowly than that: 8,000 rows took 60 MB."""

MAX_SPARE_ROWS = 256
"""Upper bound on rows being written beyond the requests in flight, so that one is ready when a request returns."""

MAX_FIRST_ROWS = 16
"""Upper bound on rows begun before the first reply of any stage is used, where replies may cost money."""

MAX_TRIAL_ROWS = 48
"""Upper bound on rows begun before two different texts are written, where replies may cost money."""


@dataclass(slots=True)
class PendingRow:
    """A row of the window.

    Attributes:
        position: position in the plan, and priority of its requests.
        config: configuration of the release that it belongs to.
        planned: its plan.
        row: the written row; None: it is not written yet, or all attempts were rejected.
        rejects: replies that were rejected so far.
        retry: retry that is certain and not begun; None: there is none.

    """

    position: int
    config: str
    planned: RowPlan
    row: Row | None = None
    rejects: list[Reject] = field(default_factory=list)
    retry: Retry | None = None


class Window:
    """The rows that are begun and not finalized."""

    def __init__(
        self,
        writer: RowWriter,
        index: DuplicateIndex,
        concurrency: int,
        part: Part | None = None,
        *,
        rows_ahead: int = MAX_ROWS_AHEAD,
    ) -> None:
        """Begin without rows.

        Args:
            writer: writes the rows.
            index: index of the accepted texts, empty.
            concurrency: upper bound on requests in flight.
            part: part of the plan whose rows are written. None: all of them.
            rows_ahead: upper bound on written rows behind an unfinished one.

        """
        self._writer = writer
        self._planned = _planned_rows(writer.plan, part)
        self._retries = CertainRetries(index, _original_ids(writer.plan))
        self._max_being_written = concurrency + min(concurrency, MAX_SPARE_ROWS)
        self._max_begun = self._max_being_written + rows_ahead
        if writer.plan.model_quotas:  # rows that wait for a slow model must not keep rows of another from beginning
            self._max_being_written = self._max_begun
        self._rows: dict[int, PendingRow] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._next = 0  # position of the next row to finalize
        self._being_written = 0
        self._in_trial = writer.trials.paid
        self._texts: set[str] = set()  # written in the trial
        self._runs_ahead = False
        writer.trials.on_usable = self.fill

    def fill(self) -> None:
        """Begin rows as long as there is room and hope."""
        most, most_begun = self._max_being_written, self._max_begun
        if self._in_trial:
            most = min(most, MAX_TRIAL_ROWS if self._writer.trials.has_usable_reply else MAX_FIRST_ROWS)
            most_begun = most
        while self._being_written < most and len(self._rows) < most_begun:
            pending = None if self._writer.trials.is_hopeless else next(self._planned, None)
            if pending is None:
                return
            self._rows[pending.position] = pending
            self._start(pending, first_attempt=0)

    async def finalize_next(self) -> PendingRow | None:
        """Remove the first row once its outcome is final, and begin the retries that it makes certain; None: no rows.

        Raises:
            Exception: the error that ended the writing of the row.

        """
        pending = self._rows.get(self._next)
        if pending is None:
            return None
        await self._tasks[self._next]
        while pending.retry is not None:  # only until the retries run ahead
            first_attempt = self._record_retry(pending, pending.retry)
            if self._writer.trials.has_repeats_only:
                pending.row = None
                break
            self._start(pending, first_attempt)
            await self._tasks[self._next]
        if pending.row is not None:
            self._writer.trials.record_text(repeats=False)
            self._retry_ahead(self._retries.accept(pending.position, pending.planned, pending.row))
        del self._rows[self._next], self._tasks[self._next]
        self._next += 1
        return pending

    async def cancel(self) -> None:
        """Cancel all rows that are being written."""
        self._planned = iter(())
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    def _start(self, pending: PendingRow, first_attempt: int) -> None:
        task = asyncio.create_task(self._write(pending, first_attempt))
        task.add_done_callback(self._on_done)
        self._tasks[pending.position] = task
        self._being_written += 1

    async def _write(self, pending: PendingRow, first_attempt: int) -> None:
        """Write a row, and write it again as long as the rows finalized so far make a retry certain."""
        while True:
            outcome = await self._writer.write(pending.planned, priority=pending.position, first_attempt=first_attempt)
            pending.rejects.extend(outcome.rejects)
            pending.row = outcome.row
            if outcome.row is None:
                return
            self._record_text(outcome.row.text)
            pending.retry = self._retries.compare(pending.position, pending.planned, outcome.row)
            if pending.retry is None or not self._runs_ahead:
                return
            first_attempt = self._record_retry(pending, pending.retry)

    def _record_retry(self, pending: PendingRow, retry: Retry) -> int:
        """Record the reject of a retry that begins now, and return its first attempt."""
        pending.retry = None
        if retry.reject is not None:
            pending.rejects.append(retry.reject)
            self._writer.trials.record_text(repeats=True)
        return retry.first_attempt

    def _retry_ahead(self, retries: dict[int, Retry]) -> None:
        """Begin certain retries before their turn, once the model is known not to repeat one text only.

        Until then each retry might be paid for in vain, so they begin one after the other.
        """
        for position, retry in retries.items():
            self._rows[position].retry = retry
        if not self._writer.trials.has_distinct_texts:
            return
        positions = retries if self._runs_ahead else list(self._rows)
        self._runs_ahead = True
        for pending in [self._rows[position] for position in positions]:
            if pending.retry is not None:
                self._start(pending, self._record_retry(pending, pending.retry))

    def _record_text(self, text: str) -> None:
        """End the trial once two different texts are written."""
        if self._in_trial:
            self._texts.add(text)
            self._in_trial = len(self._texts) < DISTINCT_TEXTS

    def _on_done(self, task: "asyncio.Task[None]") -> None:
        self._being_written -= 1
        if not task.cancelled():
            self.fill()


def _planned_rows(plan: Plan, part: Part | None) -> Iterator[PendingRow]:
    """Yield the rows of a plan, or of a part of it, in order."""
    position = 0
    for config, planned in rows_in_order(plan):
        if part is None or part.has(planned.persona):
            yield PendingRow(position, config, planned)
            position += 1


def _original_ids(plan: Plan) -> frozenset[str]:
    """Return the ids of the rows that a counterfactual repeats."""
    rows = (row for splits in plan.counterfactuals.values() for rows in splits.values() for row in rows)
    return frozenset(row.counterfactual.original_id for row in rows if row.counterfactual)
