"""Run coroutines from synchronous code, also where an event loop is already running, as in a notebook."""

import asyncio
import signal
from collections.abc import Callable, Coroutine, Iterator, Sequence
from concurrent import futures
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from threading import Thread, current_thread, main_thread
from typing import Any, Protocol, TypeVar

Result = TypeVar("Result")

SIGNAL_CHECK_S = 0.5
"""Time after which a waiting main thread runs the handlers of signals that arrived before it began to wait."""


class Runner(Protocol):
    """Runs a coroutine to its end from synchronous code and returns its result."""

    def __call__(self, work: Coroutine[Any, Any, Result], /) -> Result:
        """Run the coroutine."""


class Interrupts(Protocol):
    """Interrupts of a process that exists for one call, such as a command."""

    def run(self, work: Coroutine[Any, Any, Result], /) -> Result:
        """Run a coroutine; an interrupt cancels it, and a second one cancels its clean-up."""

    def grace_s(self, in_flight: int, default_s: float) -> float | None:
        """Return for how many seconds a run that ends waits for its paid requests in flight.

        None: until they are answered. `default_s`: for a run that ends without an interrupt.
        """


INTERRUPTS: ContextVar[Interrupts | None] = ContextVar("interrupts", default=None)
"""Interrupts that calls in this context obey.

None: no handler of signals is installed but Python's own; a cancelled call waits for a short time.
"""


def run_blocking(work: Coroutine[Any, Any, Result]) -> Result:
    """Run a coroutine to its end and return its result.

    Without a running event loop in this thread this is `asyncio.run`. With one (Jupyter), the coroutine runs in the
    loop of a thread of its own while the caller waits. An exception in the waiting thread (KeyboardInterrupt) cancels
    the coroutine, waits until its clean-up has finished, and is raised again.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        interrupts = INTERRUPTS.get()
        return asyncio.run(work) if interrupts is None else interrupts.run(work)
    with _interruptible():
        return _run_in_own_thread(work)


def _run_in_own_thread(work: Coroutine[Any, Any, Result]) -> Result:
    loop = asyncio.new_event_loop()
    begun: list[asyncio.Task[Any]] = []
    thread = Thread(target=loop.run_forever, name="personagen-event-loop", daemon=True)
    thread.start()
    try:
        outcome = asyncio.run_coroutine_threadsafe(_register(work, begun), loop)
        while not outcome.done():
            # A signal that arrives just before the wait does not end it, but runs its handler at the next turn.
            futures.wait([outcome], timeout=SIGNAL_CHECK_S)
        return outcome.result()
    except BaseException:
        asyncio.run_coroutine_threadsafe(_cancel(begun), loop).result()
        raise
    finally:
        asyncio.run_coroutine_threadsafe(loop.shutdown_asyncgens(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@contextmanager
def _interruptible() -> Iterator[None]:
    """Let SIGINT raise KeyboardInterrupt in the waiting main thread.

    `asyncio.run` only cancels its main task at the first SIGINT, which has no effect while this task waits here.
    """
    if current_thread() is not main_thread() or signal.getsignal(signal.SIGINT) in (signal.SIG_IGN, None):
        yield
        return
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)


async def _register(work: Coroutine[Any, Any, Result], begun: list[asyncio.Task[Any]]) -> Result:
    """Run a coroutine, and add its task to a list at its first step: an interrupt can come before a caller has it."""
    task = asyncio.current_task()
    assert task is not None
    begun.append(task)
    return await work


async def _cancel(begun: Sequence[asyncio.Task[Any]]) -> None:
    """Cancel tasks, and wait until every other task of the loop has ended, its clean-up included."""
    for task in begun:
        task.cancel()
    current = asyncio.current_task()
    others = [task for task in asyncio.all_tasks() if task is not current]
    await asyncio.gather(*others, return_exceptions=True)


async def run_to_end(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Await a clean-up to its end although the caller is cancelled meanwhile; the cancellation is raised afterwards."""
    task = asyncio.create_task(work())
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            cancelled = error
    task.result()
    if cancelled is not None:
        raise cancelled


async def compute_in_thread(compute: Callable[[], Result]) -> Result:
    """Run a computation in a thread while the event loop goes on.

    A cancelled call returns at once, and its computation ends in the background without effect on the interpreter's
    exit. `asyncio.to_thread` would make the end of the loop wait for it.
    """
    loop = asyncio.get_running_loop()
    outcome: asyncio.Future[Result] = loop.create_future()

    def finish(result: Result | None, error: BaseException | None) -> None:
        if outcome.done():
            return
        if error is not None:
            outcome.set_exception(error)
        else:
            outcome.set_result(result)  # type: ignore[arg-type]  # a computation without an error has a result

    def body() -> None:
        result, error = None, None
        try:
            result = compute()
        except BaseException as raised:
            error = raised
        with suppress(RuntimeError):  # the loop is closed: the call was cancelled
            loop.call_soon_threadsafe(finish, result, error)

    Thread(target=body, name="personagen-computation", daemon=True).start()
    return await outcome


async def gather_or_cancel(tasks: Sequence[asyncio.Task[Result]]) -> list[Result]:
    """Wait for all tasks and return their results; the first failure cancels the others and is raised."""
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
