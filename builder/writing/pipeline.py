"""Finalize the rows of a plan in the order of the plan, regardless of the order in which replies arrive.

Each row is written by a task of its own; tasks run ahead of the next row to finalize by a bounded window. A row is
finalized after all rows before it, and is accepted if its text repeats none of theirs. The accepted texts thus depend
on the replies alone and not on timing. A row that repeats a finalized one is retried at once, not when its turn comes.
Nothing here is durable: an interrupted run is repeated and the journal answers.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass

from personagen.builder.core.records import Reject, Row
from personagen.builder.llm.engine import Engine
from personagen.builder.llm.requests import Ask
from personagen.builder.planning.parts import Part
from personagen.builder.planning.plan import Plan, RowPlan
from personagen.builder.writing.expression import Grounding
from personagen.builder.writing.finalization.duplicate_index import DuplicateIndex
from personagen.builder.writing.finalization.window import Window
from personagen.builder.writing.label_check import LabelCheck
from personagen.builder.writing.rows import RowWriter


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


def write_rows(  # noqa: PLR0913 - what the callers observe of the rows
    engine: Engine,
    plan: Plan,
    *,
    label_check: LabelCheck | None = None,
    grounding_of: Callable[[RowPlan], Grounding] | None = None,
    wrap_ask: Callable[[Ask], Ask] = lambda ask: ask,
    on_written: Callable[[Row], None] = lambda row: None,
    on_missing: Callable[[RowPlan], None] | None = None,
    part: Part | None = None,
) -> AsyncGenerator[FinalizedRow, None]:
    """Write every row of a plan with the models of an engine, and yield them in order; see `finalize_rows`.

    Args:
        engine: answers the requests.
        plan: rows to write.
        label_check: check of the label of every text; None: no check.
        grounding_of: returns the content of a row's prompt beside its layers. None: that of the recipe.
        wrap_ask: wraps the function that sends the requests of a stage.
        on_written: called with each text that has passed its checks, before it is final.
        on_missing: called with each row that lacks a reply where no request may be sent; the row is given up. None: the
            error is raised.
        part: part of the plan whose rows are written; see `finalize_rows`.

    """

    def ask_of(priority: int, stage: str, model: int) -> Ask:
        return wrap_ask(engine.ask(priority, model))

    models, paid = [model.backend.model for model in engine.models], engine.is_paid
    writer = RowWriter(plan, ask_of, models=models, label_check=label_check, grounding_of=grounding_of, paid=paid)
    writer.on_written, writer.on_missing = on_written, on_missing
    return finalize_rows(writer, engine.concurrency, part)


async def finalize_rows(
    writer: RowWriter, concurrency: int, part: Part | None = None
) -> AsyncGenerator[FinalizedRow, None]:
    """Yield every row of the writer's plan, in order; once a stage is hopeless, only the rows that were begun.

    Args:
        writer: writes the rows.
        concurrency: upper bound on requests in flight.
        part: part of the plan whose rows are written; they are compared with each other alone. None: all rows.

    Raises:
        BackendError: the model cannot be reached; its replies so far are in the journal.
        BudgetError: the budget is spent, likewise.

    """
    with DuplicateIndex(writer.plan.recipe.checks.near_duplicate) as index:
        window = Window(writer, index, concurrency, part)
        try:
            window.fill()
            while (final := await window.finalize_next()) is not None:
                window.fill()
                yield FinalizedRow(final.config, final.planned, final.row, tuple(final.rejects))
                # Where many rows are ready at once, replies that arrive meanwhile need not wait for all of them.
                await asyncio.sleep(0)
        finally:
            await window.cancel()
