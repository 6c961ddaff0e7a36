"""Finalize the rows of a plan in the order of the plan, regardless of the order in which replies arrive.

Each row is written by a task of its own; tasks run ahead of the next row to finalize by a bounded window. A row is
finalized after all rows before it, and only then compared with them for duplicates. The accepted texts thus depend on
the replies alone and not on timing. Nothing here is durable: an interrupted run is repeated and the journal answers.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterator
from dataclasses import dataclass
from functools import partial

from personagen.builder.core.records import Reject, Row
from personagen.builder.llm.engine import Engine
from personagen.builder.llm.requests import Ask
from personagen.builder.llm.trial import DISTINCT_TEXTS
from personagen.builder.planning.plan import Plan, RowPlan
from personagen.builder.writing.duplicates import DuplicateIndex
from personagen.builder.writing.expression import NO_GROUNDING, Grounding
from personagen.builder.writing.label_check import LabelCheck
from personagen.builder.writing.rows import RowOutcome, RowWriter

MAX_ROWS_AHEAD = 2000
"""Upper bound on written rows buffered behind an unfinished one, a few kB each."""

MAX_SPARE_ROWS = 256
"""Upper bound on rows being written beyond the requests in flight, so that one is ready when a request returns."""


MAX_FIRST_ROWS = 16
"""Upper bound on rows begun before the first reply of any stage is used, where replies may cost money."""

MAX_TRIAL_ROWS = 48
"""Upper bound on rows begun before two different texts are written, where replies may cost money."""


@dataclass(frozen=True, slots=True)
class FinalizedRow:
    """A row of the plan with its final outcome.

    Attributes:
        config: configuration of the release that it belongs to.
        planned: its plan.
        row: the accepted row; None: all attempts were rejected.
        rejects: replies that were rejected on the way.

    """

    config: str
    planned: RowPlan
    row: Row | None
    rejects: tuple[Reject, ...]


def write_rows(
    engine: Engine,
    plan: Plan,
    *,
    label_check: LabelCheck | None = None,
    grounding_of: Callable[[RowPlan], Grounding] = lambda row: NO_GROUNDING,
    wrap_ask: Callable[[Ask], Ask] = lambda ask: ask,
) -> AsyncGenerator[FinalizedRow, None]:
    """Write every row of a plan with the model of an engine, and yield them in order; see `finalize_rows`.

    Args:
        engine: answers the requests.
        plan: rows to write.
        label_check: check of the label of every text; None: no check.
        grounding_of: returns the content of a row's prompt beside its layers.
        wrap_ask: wraps the function that sends the requests of a stage.

    """

    def ask_of(priority: int, stage: str) -> Ask:
        return wrap_ask(engine.ask(priority))

    model, paid = engine.backend.model, engine.backend.paid
    writer = RowWriter(plan, ask_of, model=model, label_check=label_check, grounding_of=grounding_of, paid=paid)
    return finalize_rows(writer, engine.concurrency)


async def finalize_rows(writer: RowWriter, concurrency: int) -> AsyncGenerator[FinalizedRow, None]:
    """Yield every row of the writer's plan, in order; once a stage is hopeless, only the rows that were begun.

    Args:
        writer: writes the rows.
        concurrency: upper bound on requests in flight.

    Raises:
        BackendError: the model cannot be reached; its replies so far are in the journal.
        BudgetError: the budget is spent, likewise.

    """
    originals = _original_ids(writer.plan)
    accepted_attempts: dict[str, int] = {}
    with DuplicateIndex(writer.plan.recipe.checks.near_duplicate) as index:
        window = _Window(writer, concurrency)
        try:
            window.fill()
            while window.rows:
                pending = window.rows[0]
                if pending.planned.counterfactual is None:
                    finalized = await _finalize(writer, pending, partial(_retry_of_duplicate, index=index))
                else:
                    first = accepted_attempts.get(pending.planned.counterfactual.original_id, 0)
                    finalized = await _finalize(writer, pending, partial(_retry_from, first_attempt=first))
                if finalized.planned.id in originals and finalized.row is not None:
                    accepted_attempts[finalized.planned.id] = finalized.row.provenance.attempts - 1
                window.rows.popleft()
                window.fill()
                yield finalized
                # Where many rows are ready at once, replies that arrive meanwhile need not wait for all of them.
                await asyncio.sleep(0)
        finally:
            await window.cancel()


class _Window:
    """The rows from the next one to finalize to the last one that was begun."""

    def __init__(self, writer: RowWriter, concurrency: int) -> None:
        self._writer = writer
        self._planned = _planned_rows(writer.plan)
        self._being_written = 0
        self._in_trial = writer.trials.paid
        self._texts: set[str] = set()  # written in the trial
        writer.trials.on_usable = self.fill
        self._max_being_written = concurrency + min(concurrency, MAX_SPARE_ROWS)
        self.rows: deque[_PendingRow] = deque()

    def fill(self) -> None:
        """Begin rows as long as there is room and hope."""
        most, most_begun = self._max_being_written, self._max_being_written + MAX_ROWS_AHEAD
        if self._in_trial:
            most = min(most, MAX_TRIAL_ROWS if self._writer.trials.has_usable_reply else MAX_FIRST_ROWS)
            most_begun = most
        while self._being_written < most and len(self.rows) < most_begun:
            entry = None if self._writer.trials.is_hopeless else next(self._planned, None)
            if entry is None:
                return
            priority, config, row = entry
            task = asyncio.create_task(self._writer.write(row, priority=priority))
            task.add_done_callback(self._on_done)
            self._being_written += 1
            self.rows.append(_PendingRow(priority, config, row, task))

    def _on_done(self, task: "asyncio.Task[RowOutcome]") -> None:
        self._being_written -= 1
        if task.cancelled():
            return
        if self._in_trial and task.exception() is None and (row := task.result().row) is not None:
            self._texts.add(row.text)
            self._in_trial = len(self._texts) < DISTINCT_TEXTS
        self.fill()

    async def cancel(self) -> None:
        """Cancel all rows that are being written."""
        self._planned = iter(())
        for pending in self.rows:
            pending.task.cancel()
        await asyncio.gather(*(pending.task for pending in self.rows), return_exceptions=True)


@dataclass(frozen=True, slots=True)
class _PendingRow:
    """A row of the window and the task that writes it."""

    priority: int
    config: str
    planned: RowPlan
    task: "asyncio.Task[RowOutcome]"


@dataclass(frozen=True, slots=True)
class _Retry:
    """Why and from which attempt a written row is written again; without a reject no reply of it is at fault."""

    first_attempt: int
    reject: Reject | None = None


def _planned_rows(plan: Plan) -> Iterator[tuple[int, str, RowPlan]]:
    """Yield position, configuration and plan of every row."""
    position = 0
    for shard in plan.shards():
        for row in plan.rows(shard):
            yield position, shard.config, row
            position += 1


def _original_ids(plan: Plan) -> frozenset[str]:
    """Return the ids of the rows that a counterfactual repeats."""
    rows = (row for splits in plan.counterfactuals.values() for rows in splits.values() for row in rows)
    return frozenset(row.counterfactual.original_id for row in rows if row.counterfactual)


async def _finalize(writer: RowWriter, pending: _PendingRow, retry_of: Callable[[Row], _Retry | None]) -> FinalizedRow:
    """Wait for a row, and write it again as long as `retry_of` returns a retry for it."""
    outcome = await pending.task
    rejects = list(outcome.rejects)
    while outcome.row is not None and (retry := retry_of(outcome.row)) is not None:
        if retry.reject is not None:
            rejects.append(retry.reject)
            writer.trials.record_text(repeats=True)
        if writer.trials.has_repeats_only:
            outcome = RowOutcome(None, ())
            break
        outcome = await writer.write(pending.planned, priority=pending.priority, first_attempt=retry.first_attempt)
        rejects.extend(outcome.rejects)
    if outcome.row is not None:
        writer.trials.record_text(repeats=False)
    return FinalizedRow(pending.config, pending.planned, outcome.row, tuple(rejects))


def _retry_of_duplicate(row: Row, index: DuplicateIndex) -> _Retry | None:
    """Reject a text that repeats an earlier one; otherwise add it to the index and return None."""
    earlier = index.add(row.id, row.text)
    if earlier is None:
        return None
    attempt = row.provenance.attempts - 1
    return _Retry(attempt + 1, Reject(row.id, "expression", "duplicate", attempt, row.text, earlier))


def _retry_from(row: Row, first_attempt: int) -> _Retry | None:
    """Have a counterfactual accepted at the attempt of its original or later, so that both have the same seed.

    A counterfactual may repeat its original word for word.
    """
    return _Retry(first_attempt) if row.provenance.attempts - 1 < first_attempt else None
