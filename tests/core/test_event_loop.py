"""Coroutines from synchronous code, and computations beside an event loop."""

import asyncio
import os
import signal
import threading
from collections.abc import AsyncIterator

import pytest

from personagen.builder.core.event_loop import compute_in_thread, gather_or_cancel, run_blocking, run_to_end


async def in_loop_of(result: str) -> tuple[str, str]:
    await asyncio.sleep(0)
    return result, threading.current_thread().name


def test_a_coroutine_runs_in_this_thread_without_a_loop_and_in_its_own_with_one() -> None:
    async def cell() -> tuple[str, str]:
        return run_blocking(in_loop_of("b"))

    here = threading.current_thread().name
    assert run_blocking(in_loop_of("a")) == ("a", here)
    result, thread = asyncio.run(cell())
    assert result == "b" and thread != here
    assert thread not in {each.name for each in threading.enumerate()}, "the thread has ended"


def test_an_exception_is_raised_with_and_without_a_loop() -> None:
    async def fail() -> None:
        raise ValueError("as it is")

    async def cell() -> None:
        run_blocking(fail())

    with pytest.raises(ValueError, match=r"^as it is$"):
        run_blocking(fail())
    with pytest.raises(ValueError, match=r"^as it is$"):
        asyncio.run(cell())


def test_an_async_generator_that_is_left_open_is_closed() -> None:
    closed, generators = [], []

    async def numbers() -> AsyncIterator[int]:
        try:
            yield 1
            yield 2
        finally:
            closed.append(True)

    async def first() -> int:
        generators.append(numbers())
        return await anext(generators[0])

    async def cell() -> int:
        return run_blocking(first())

    assert asyncio.run(cell()) == 1
    assert closed == [True]


def test_one_interrupt_ends_a_call_inside_asyncio_run() -> None:
    """`asyncio.run` only cancels its task at the first interrupt, while the call keeps the task from running.

    The clean-up of the call is awaited, and the handler of `asyncio.run` is there again after the call.
    """
    before, begun = signal.getsignal(signal.SIGINT), threading.Event()
    cleaned_up, handlers = [], []

    async def wait_for_ever() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.1)
            cleaned_up.append(True)

    async def cell() -> None:
        handlers.append(signal.getsignal(signal.SIGINT))
        try:
            run_blocking(wait_for_ever())
        finally:
            handlers.append(signal.getsignal(signal.SIGINT))

    def interrupt() -> None:
        begun.wait()
        os.kill(os.getpid(), signal.SIGINT)

    signal.signal(signal.SIGINT, signal.default_int_handler)
    thread = threading.Thread(target=interrupt)
    thread.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            asyncio.run(cell())
        assert cleaned_up == [True]
        assert handlers[0] == handlers[1] != signal.default_int_handler
    finally:
        thread.join()
        signal.signal(signal.SIGINT, before)


def test_a_cancelled_clean_up_goes_on_to_its_end() -> None:
    """However often it is cancelled; the cancellation is raised afterwards."""

    async def run() -> None:
        begun, may_end, ended = asyncio.Event(), asyncio.Event(), []

        async def clean_up() -> None:
            begun.set()
            await may_end.wait()
            ended.append(True)

        task = asyncio.create_task(run_to_end(clean_up))
        await begun.wait()
        for _ in range(2):
            task.cancel()
            await asyncio.sleep(0)
        assert not task.done()
        may_end.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert ended == [True]

    asyncio.run(asyncio.wait_for(run(), timeout=60))


def test_a_clean_up_that_fails_raises_its_error() -> None:
    async def fail() -> None:
        raise ValueError("as it is")

    with pytest.raises(ValueError, match=r"^as it is$"):
        asyncio.run(run_to_end(fail))


def test_a_computation_returns_its_result_or_raises_its_error() -> None:
    assert asyncio.run(compute_in_thread(lambda: 3)) == 3
    with pytest.raises(ZeroDivisionError):
        asyncio.run(compute_in_thread(lambda: 1 // 0))


def test_a_cancelled_computation_is_left_behind() -> None:
    """It ends after the loop is closed; waiting for it would block this test for ever."""
    begun, may_end, ended = threading.Event(), threading.Event(), threading.Event()

    def compute() -> None:
        begun.set()
        may_end.wait()
        ended.set()

    async def cancel() -> None:
        task = asyncio.create_task(compute_in_thread(compute))
        await asyncio.to_thread(begun.wait)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancel())
    assert not ended.is_set()
    may_end.set()
    assert ended.wait(timeout=60)


def test_the_first_failure_cancels_the_other_tasks_and_awaits_their_clean_up() -> None:
    cleaned_up = []

    async def wait_for_ever() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            cleaned_up.append(True)

    async def fail() -> None:
        raise ValueError("the first")

    async def run() -> None:
        with pytest.raises(ValueError, match="the first"):
            await gather_or_cancel([asyncio.create_task(work) for work in (wait_for_ever(), fail())])
        assert cleaned_up == [True]

    asyncio.run(asyncio.wait_for(run(), timeout=60))
