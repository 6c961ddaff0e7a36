"""Report the counts of a run while its rows are written."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from personagen.builder.core.progress import Progress, RunStatus
from personagen.builder.llm.engine import Engine
from personagen.builder.planning.plan import Plan

REPORT_INTERVAL_S = 0.5
"""Time between two reports while no row is finalized."""


@asynccontextmanager
async def reporting(
    engine: Engine, plan: Plan, counts: Callable[[], tuple[int, int]], progress: Progress
) -> AsyncIterator[Callable[[], None]]:
    """Report regularly within the context, and whenever the function that it returns is called.

    Args:
        engine: engine of the run, for its requests and their cost.
        plan: plan of the rows.
        counts: returns the accepted rows and the rejected replies so far.
        progress: receives the counts.

    """
    wanted = sum(shard.stop - shard.start for shard in plan.shards())

    def report() -> None:
        accepted, rejected = counts()
        progress.update(
            RunStatus(
                accepted=accepted,
                wanted=wanted,
                rejected=rejected,
                in_flight=engine.in_flight,
                tokens=engine.budget.spent.tokens,
                cost=engine.budget.cost,
            )
        )

    async def report_regularly() -> None:
        while True:
            report()
            await asyncio.sleep(REPORT_INTERVAL_S)

    ticker = asyncio.create_task(report_regularly())
    try:
        yield report
    finally:
        ticker.cancel()
