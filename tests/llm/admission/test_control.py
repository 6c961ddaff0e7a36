"""Admission control: order, rates, pauses and budget, with a clock that the test sets."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from personagen.builder.core.errors import BudgetError, TransientError
from personagen.builder.core.prices import Amount
from personagen.builder.llm.admission.concurrency import AdaptiveConcurrency
from personagen.builder.llm.admission.control import AdmissionControl, Slot, make_admission_control
from personagen.builder.llm.admission.rate_limits import RateLimiter
from personagen.builder.llm.budget import Budget
from personagen.builder.llm.requests import Reply

SMALL = Amount(10, 10)


def in_loop(test: Callable[[], Awaitable[None]]) -> None:
    """Run a coroutine function to its end."""

    async def run() -> None:
        await asyncio.wait_for(test(), 20)

    asyncio.run(run())


async def run_ready_tasks() -> None:
    """Let every task that is ready run."""
    for _ in range(5):
        await asyncio.sleep(0)


def reply(prompt: int = 1, completion: int = 1) -> Reply:
    """Build a reply of so many tokens."""
    return Reply((), prompt, completion)


def test_waiting_requests_are_admitted_by_priority_then_by_arrival() -> None:
    """A retried early row does not queue behind late ones."""

    async def run() -> None:
        admission, order = make_admission_control(Budget(), concurrency=1, adaptive=False), []

        async def use(priority: int, name: str) -> None:
            slot = await admission.acquire(priority, SMALL)
            order.append(name)
            await asyncio.sleep(0)
            admission.record_reply(slot, reply())

        await asyncio.gather(*[use(*row) for row in ((5, "e"), (9, "i"), (2, "b"), (2, "c"), (0, "a"))])
        assert order == ["e", "a", "b", "c", "i"]
        assert admission.in_flight == 0

    in_loop(run)


def test_cancelled_request_frees_its_place() -> None:
    """Whether it was waiting or had just been admitted."""

    async def run() -> None:
        admission = make_admission_control(Budget(), concurrency=1, adaptive=False)
        first = await admission.acquire(0, SMALL)
        waiting = [asyncio.ensure_future(admission.acquire(priority, SMALL)) for priority in (1, 2, 3)]
        await run_ready_tasks()
        waiting[0].cancel()
        await run_ready_tasks()
        admission.record_reply(first, reply())  # admits the second, which is cancelled before it runs
        waiting[1].cancel()
        await run_ready_tasks()
        assert waiting[1].cancelled()
        assert isinstance(await waiting[2], Slot)
        assert admission.in_flight == 1

    in_loop(run)


def test_closed_admission_control_admits_no_request() -> None:
    """Waiting requests and later ones are cancelled."""

    async def run() -> None:
        admission = make_admission_control(Budget(), concurrency=1, adaptive=False)
        slot = await admission.acquire(0, SMALL)
        waiting = asyncio.ensure_future(admission.acquire(1, SMALL))
        await run_ready_tasks()
        admission.close()
        admission.record_reply(slot, reply())
        with pytest.raises(asyncio.CancelledError):
            await waiting
        with pytest.raises(asyncio.CancelledError):
            await admission.acquire(2, SMALL)

    in_loop(run)


def test_pause_that_the_server_asks_for_stops_all_requests() -> None:
    """No request is admitted until it is over; the longest of several pauses counts."""
    now = [100.0]

    async def run() -> None:
        admission = AdmissionControl(AdaptiveConcurrency(start=4, maximum=4), Budget(), clock=lambda: now[0])
        slots = [await admission.acquire(0, SMALL) for _ in range(2)]
        admission.record_failure(slots[0], TransientError("busy", overload=True, limited=True, wait=0.05))
        admission.record_failure(slots[1], TransientError("busy", overload=True, limited=True, wait=0.02))
        assert admission.asked_pause_until == 100.05
        waiting = asyncio.ensure_future(admission.acquire(0, SMALL))
        await asyncio.sleep(0.1)
        assert not waiting.done(), "the clock has not moved"
        now[0] = 100.06
        assert (await waiting).sent == 100.06

    in_loop(run)


@settings(deadline=None)
@given(st.integers(1, 600), st.lists(st.floats(0.1, 40), min_size=1, max_size=60))
def test_rate_is_bounded_over_any_minute(per_minute: int, amounts: list[float]) -> None:
    """For any sizes, one minute takes at most a minute's refill, a second's, and the last amount."""
    limiter, now = RateLimiter(per_minute), 0.0
    taken: list[tuple[float, float]] = []
    for amount in amounts:
        now += limiter.delay(amount, now)
        assert limiter.delay(amount, now) == 0
        limiter.take(amount)
        taken.append((now, amount))
        last_minute = sum(size for at, size in taken if at > now - 60)
        assert last_minute <= per_minute + per_minute / 60 + amount + 1e-3


def test_requests_and_tokens_per_minute_are_bounded() -> None:
    """The tighter of the two bounds decides."""

    async def times(**rates: RateLimiter) -> list[float]:
        now = [0.0]
        admission = AdmissionControl(AdaptiveConcurrency(start=50, maximum=50), Budget(), clock=lambda: now[0], **rates)
        admitted = []
        for _ in range(4):
            task = asyncio.ensure_future(admission.acquire(0, Amount(30, 70)))
            await run_ready_tasks()
            while not task.done():
                now[0] += 0.25
                await asyncio.sleep(0.3)
            admitted.append((await task).sent)
        admission.close()
        return admitted

    async def run() -> None:
        assert await times(requests=RateLimiter(120)) == [0.0, 0.0, 0.5, 1.0]
        assert await times(tokens=RateLimiter(12_000), requests=RateLimiter(6000)) == [0.0, 0.0, 0.5, 1.0]

    in_loop(run)


def test_request_beyond_the_budget_waits_for_requests_in_flight() -> None:
    """They may use less than their reservations; without any in flight, all waiting requests are refused."""

    async def run() -> None:
        budget = Budget(max_tokens=100)
        admission = make_admission_control(budget, concurrency=9, adaptive=False)
        first = await admission.acquire(0, Amount(20, 40))
        second = asyncio.ensure_future(admission.acquire(1, Amount(20, 40)))
        third = asyncio.ensure_future(admission.acquire(2, Amount(1, 1)))
        await run_ready_tasks()
        assert not second.done() and not third.done(), "in order: a small one does not overtake"
        admission.record_reply(first, reply(20, 5))
        slot = await second
        admission.record_reply(slot, reply(20, 40))
        admission.record_reply(await third, reply(1, 1))
        assert budget.spent == Amount(41, 46)
        with pytest.raises(
            BudgetError, match=r"^the budget is spent: 87 of 100 tokens, and the next request might exc"
        ):
            await admission.acquire(3, Amount(20, 40))
        assert admission.in_flight == 0

    in_loop(run)


def test_failed_requests_cost_nothing() -> None:
    """Their reservation is freed."""

    async def run() -> None:
        budget = Budget(max_tokens=20)
        admission = make_admission_control(budget, concurrency=2, adaptive=True)
        admission.record_failure(await admission.acquire(0, SMALL), TransientError("cut"))
        admission.record_abort(await admission.acquire(0, SMALL))
        admission.record_reply(await admission.acquire(0, SMALL), reply(10, 10))
        assert budget.spent == SMALL

    in_loop(run)
