"""Report the counts of a run while its rows are written."""

import asyncio
from collections.abc import AsyncIterator, Callable, Hashable
from contextlib import asynccontextmanager

from personagen.builder.core.progress import ModelLoad, Progress, RunStatus
from personagen.builder.core.records import Row
from personagen.builder.llm.engine import Engine
from personagen.builder.planning.plan import Plan
from personagen.builder.writing.pipeline import FinalizedRow

REPORT_INTERVAL_S = 0.5
"""Time between two reports while no row is finalized."""


class RunReport:
    """Counts of a run, reported to a receiver.

    The rows of several plans may have equal ids; `part` distinguishes them.
    """

    def __init__(self, engine: Engine, wanted: int, counts: Callable[[], tuple[int, int]], progress: Progress) -> None:
        """Begin without texts; for the arguments see `reporting`."""
        self._engine = engine
        self._wanted = wanted
        self._counts = counts
        self._progress = progress
        self._waiting: set[tuple[Hashable, str]] = set()
        self._first_text: str | None = None

    def add_written(self, row: Row, part: Hashable = None) -> None:
        """Count a text that has passed its checks and is not final."""
        self._first_text = self._first_text or row.text
        self._waiting.add((part, row.id))

    def add_finalized(self, finalized: FinalizedRow, part: Hashable = None) -> None:
        """Count a final row, and report."""
        self._waiting.discard((part, finalized.planned.id))
        self.report()

    def report(self) -> None:
        """Report the counts now."""
        accepted, rejected = self._counts()
        engine, loads = self._engine, self._engine.loads()
        self._progress.update(
            RunStatus(
                accepted=accepted,
                wanted=self._wanted,
                rejected=rejected,
                in_flight=engine.in_flight,
                tokens=engine.budget.tokens,
                cost=engine.budget.cost,
                estimated=engine.has_estimates,
                replies=engine.replies,
                waiting=len(self._waiting),
                limit=sum(load.limit for load in loads),
                maximum=sum(load.maximum for load in loads),
                refused=max((load.refused for load in loads if load.refused is not None), default=None),
                paused_s=min(load.paused_s for load in loads),
                retrying=sum(load.retrying for load in loads),
                first_text=self._first_text,
                models=_model_loads(engine),
            )
        )


def _model_loads(engine: Engine) -> tuple[ModelLoad, ...]:
    """Return the load of each of several models; empty: there is one."""
    if len(engine.models) == 1:
        return ()
    return tuple(
        ModelLoad(model.backend.model, load.in_flight, load.refused, load.paused_s)
        for model, load in zip(engine.models, engine.loads(), strict=True)
    )


def planned_rows(plan: Plan) -> int:
    """Count the rows of a plan, ablations and counterfactuals included."""
    return sum(shard.stop - shard.start for shard in plan.shards())


@asynccontextmanager
async def reporting(
    engine: Engine, wanted: int, counts: Callable[[], tuple[int, int]], progress: Progress
) -> AsyncIterator[RunReport]:
    """Report regularly within the context, and whenever a row is finalized.

    Args:
        engine: engine of the run, for its requests and their cost.
        wanted: rows of the run.
        counts: returns the accepted rows and the rejected replies so far.
        progress: receives the counts.

    """
    run = RunReport(engine, wanted, counts, progress)

    async def report_regularly() -> None:
        while True:
            run.report()
            await asyncio.sleep(REPORT_INTERVAL_S)

    ticker = asyncio.create_task(report_regularly())
    try:
        yield run
    finally:
        ticker.cancel()
