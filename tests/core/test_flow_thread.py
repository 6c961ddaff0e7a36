"""Flows in a thread beside an event loop: results, errors, cancellation."""

import asyncio
from collections.abc import Callable
from threading import Event

import pytest

from personagen.builder.core.event_loop import Runner
from personagen.builder.core.flow_thread import run_in_thread
from personagen.builder.core.progress import SILENT, Progress


async def answer() -> int:
    await asyncio.sleep(0)
    return 42


def test_a_flow_returns_its_result_and_raises_its_error() -> None:
    def flow(progress: Progress, run: Runner) -> int:
        progress.step("asking")
        return run(answer())

    def failing(progress: Progress, run: Runner) -> int:
        raise ValueError(run(answer()))

    assert asyncio.run(run_in_thread(flow, SILENT)) == 42
    with pytest.raises(ValueError, match=r"^42$"):
        asyncio.run(run_in_thread(failing, SILENT))


def test_coroutines_of_a_flow_run_in_the_loop_of_the_caller() -> None:
    async def loop_of() -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()

    async def caller() -> bool:
        return await run_in_thread(lambda progress, run: run(loop_of()), SILENT) is asyncio.get_running_loop()

    assert asyncio.run(caller())


def test_cancelling_the_call_cancels_its_coroutine_and_waits_for_the_clean_up() -> None:
    history: list[str] = []

    async def ask(begun: asyncio.Event) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            history.append("journal closed")

    async def caller() -> None:
        begun = asyncio.Event()
        call = asyncio.create_task(run_in_thread(lambda progress, run: run(ask(begun)), SILENT))
        await begun.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        history.append("call ended")

    asyncio.run(caller())
    assert history == ["journal closed", "call ended"]


@pytest.mark.parametrize(
    "report", [lambda progress, run: progress.step("writing"), lambda progress, run: run(answer())]
)
def test_a_cancelled_flow_ends_before_it_writes(report: Callable[[Progress, Runner], object]) -> None:
    begun, released, ended, written = Event(), Event(), Event(), Event()

    def flow(progress: Progress, run: Runner) -> None:
        begun.set()
        released.wait()
        try:
            report(progress, run)
            written.set()
        finally:
            ended.set()

    async def caller() -> None:
        call = asyncio.create_task(run_in_thread(flow, SILENT))
        await asyncio.to_thread(begun.wait)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        released.set()
        await asyncio.to_thread(ended.wait)

    asyncio.run(caller())
    assert not written.is_set()
