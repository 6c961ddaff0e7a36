"""Run a synchronous flow in a thread beside an event loop.

A flow that computes for minutes and calls models in between is one synchronous function that receives its `Runner`.
The synchronous verb hands in `run_blocking`; the asynchronous verb runs the flow by `run_in_thread`.
"""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from threading import Event
from typing import Any, TypeVar

from personagen.builder.core.event_loop import Runner, compute_in_thread
from personagen.builder.core.progress import Progress, RunStatus

Result = TypeVar("Result")


async def run_in_thread(flow: Callable[[Progress, Runner], Result], progress: Progress) -> Result:
    """Run a flow in a thread; the coroutines that it runs run in this event loop.

    Cancelling the call cancels the coroutine that the flow waits for, clean-up included, and returns. A computation
    cannot be cancelled: the thread ends when the flow next reports progress or runs a coroutine.

    Args:
        flow: the flow; it must report a step before it writes results.
        progress: receiver of the flow's progress, called from the thread.

    """
    loop = asyncio.get_running_loop()
    ended = Event()
    running: set[asyncio.Task[Any]] = set()

    def run(work: Coroutine[Any, Any, Any], /) -> Any:
        return asyncio.run_coroutine_threadsafe(_tracked(work, running, ended), loop).result()

    try:
        return await compute_in_thread(lambda: flow(_StoppingProgress(progress, ended), run))
    finally:
        ended.set()
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def _tracked(work: Coroutine[Any, Any, Result], running: "set[asyncio.Task[Any]]", ended: Event) -> Result:
    if ended.is_set():
        work.close()
        raise asyncio.CancelledError
    task = asyncio.current_task()
    assert task is not None
    running.add(task)
    try:
        return await work
    finally:
        running.discard(task)


@dataclass(frozen=True, slots=True)
class _StoppingProgress:
    """Progress that raises CancelledError in the flow once its call was cancelled."""

    progress: Progress
    ended: Event

    def update(self, status: RunStatus) -> None:
        self._receiver().update(status)

    def step(self, name: str) -> None:
        self._receiver().step(name)

    def advance(self, done: int, total: int) -> None:
        self._receiver().advance(done, total)

    def warn(self, message: str) -> None:
        self._receiver().warn(message)

    def _receiver(self) -> Progress:
        if self.ended.is_set():
            raise asyncio.CancelledError
        return self.progress
