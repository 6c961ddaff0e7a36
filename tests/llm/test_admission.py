"""Who may send when: order, rates, pauses and budget, in a time that the test turns by hand."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from personagen.builder.core.errors import BudgetError, TransientError
from personagen.builder.core.prices import NOTHING, Amount, Price
from personagen.builder.llm.admission import Gate, Rate, Ticket, open_gate
from personagen.builder.llm.budget import Budget, token_upper_bound
from personagen.builder.llm.concurrency import Pace
from personagen.builder.llm.requests import Message, Reply, Request, Sampling

SMALL = Amount(10, 10)


def in_loop(test: Callable[[], Awaitable[None]]) -> None:
    """Run a coroutine function to its end."""

    async def run() -> None:
        await asyncio.wait_for(test(), 20)

    asyncio.run(run())


async def breathe() -> None:
    """Let every task that can go on do so."""
    for _ in range(5):
        await asyncio.sleep(0)


def reply(prompt: int = 1, completion: int = 1) -> Reply:
    """Make a reply that took so many tokens."""
    return Reply((), prompt, completion)


def test_those_who_wait_enter_by_turn_then_by_time() -> None:
    """An early row does not queue behind late ones."""

    async def run() -> None:
        gate, order = open_gate(Budget(), concurrency=1, adaptive=False), []

        async def use(turn: int, name: str) -> None:
            ticket = await gate.enter(turn, SMALL)
            order.append(name)
            await asyncio.sleep(0)
            gate.succeeded(ticket, reply())

        await asyncio.gather(*[use(*each) for each in ((5, "e"), (9, "i"), (2, "b"), (2, "c"), (0, "a"))])
        assert order == ["e", "a", "b", "c", "i"]
        assert gate.in_flight == 0

    in_loop(run)


def test_one_who_gives_up_holds_nobody_up() -> None:
    """Neither while waiting nor right after it was let in."""

    async def run() -> None:
        gate = open_gate(Budget(), concurrency=1, adaptive=False)
        first = await gate.enter(0, SMALL)
        waiting = [asyncio.ensure_future(gate.enter(turn, SMALL)) for turn in (1, 2, 3)]
        await breathe()
        waiting[0].cancel()
        await breathe()
        gate.succeeded(first, reply())  # lets in the second, which gives up before it goes on
        waiting[1].cancel()
        await breathe()
        assert waiting[1].cancelled()
        assert isinstance(await waiting[2], Ticket)
        assert gate.in_flight == 1

    in_loop(run)


def test_closed_gate_lets_nobody_in() -> None:
    """Those who wait and those who come are cancelled; a run that stops asks for nothing more."""

    async def run() -> None:
        gate = open_gate(Budget(), concurrency=1, adaptive=False)
        ticket = await gate.enter(0, SMALL)
        waiting = asyncio.ensure_future(gate.enter(1, SMALL))
        await breathe()
        gate.close()
        gate.succeeded(ticket, reply())
        with pytest.raises(asyncio.CancelledError):
            await waiting
        with pytest.raises(asyncio.CancelledError):
            await gate.enter(2, SMALL)

    in_loop(run)


def test_pause_that_the_server_asks_for_holds_everybody() -> None:
    """Nobody enters until it is over; the longest of several counts."""
    now = [100.0]

    async def run() -> None:
        gate = Gate(Pace(start=4, most=4), Budget(), clock=lambda: now[0])
        tickets = [await gate.enter(0, SMALL) for _ in range(2)]
        gate.failed(tickets[0], TransientError("busy", overload=True, wait=0.05))
        gate.failed(tickets[1], TransientError("busy", overload=True, wait=0.02))
        assert gate.closed_until == 100.05
        waiting = asyncio.ensure_future(gate.enter(0, SMALL))
        await asyncio.sleep(0.1)
        assert not waiting.done(), "the clock has not moved"
        now[0] = 100.06
        assert (await waiting).sent == 100.06

    in_loop(run)


@settings(deadline=None)
@given(st.integers(1, 600), st.lists(st.floats(0.1, 40), min_size=1, max_size=60))
def test_rate_is_kept_over_any_minute(per_minute: int, amounts: list[float]) -> None:
    """Whatever the sizes: what was taken in a minute is at most a minute's worth, a second's, and the last taken."""
    rate, now = Rate(per_minute), 0.0
    taken: list[tuple[float, float]] = []
    for amount in amounts:
        now += rate.wait(amount, now)
        assert rate.wait(amount, now) == 0
        rate.take(amount)
        taken.append((now, amount))
        last_minute = sum(size for at, size in taken if at > now - 60)
        assert last_minute <= per_minute + per_minute / 60 + amount + 1e-3


def test_requests_and_tokens_a_minute_are_bounded() -> None:
    """The tighter of the two decides."""

    async def times(**rates: Rate) -> list[float]:
        now = [0.0]
        gate = Gate(Pace(start=50, most=50), Budget(), clock=lambda: now[0], **rates)
        entered = []
        for _ in range(4):
            task = asyncio.ensure_future(gate.enter(0, Amount(30, 70)))
            await breathe()
            while not task.done():
                now[0] += 0.25
                await asyncio.sleep(0.3)
            entered.append((await task).sent)
        gate.close()
        return entered

    async def run() -> None:
        assert await times(requests=Rate(120)) == [0.0, 0.0, 0.5, 1.0]
        assert await times(tokens=Rate(24_000), requests=Rate(6000)) == [0.0, 0.0, 0.0, 0.0]

    in_loop(run)


def test_budget_waits_for_what_may_turn_out_cheaper_and_then_stops() -> None:
    """A request that might exceed the budget waits while others are under way; alone, it is refused for all."""

    async def run() -> None:
        budget = Budget(max_tokens=100)
        gate = open_gate(budget, concurrency=9, adaptive=False)
        first = await gate.enter(0, Amount(20, 40))
        second = asyncio.ensure_future(gate.enter(1, Amount(20, 40)))
        third = asyncio.ensure_future(gate.enter(2, Amount(1, 1)))
        await breathe()
        assert not second.done() and not third.done(), "in order: a small one does not overtake"
        gate.succeeded(first, reply(20, 5))
        ticket = await second
        gate.succeeded(ticket, reply(20, 40))
        gate.succeeded(await third, reply(1, 1))
        assert budget.spent == Amount(41, 46)
        with pytest.raises(
            BudgetError, match=r"^the budget is spent: 87 of 100 tokens, and the next request might exc"
        ):
            await gate.enter(3, Amount(20, 40))
        assert gate.in_flight == 0

    in_loop(run)


def test_budget_of_cost_counts_both_kinds_at_their_prices() -> None:
    """The message names what was spent, what was allowed, and the way on."""
    budget = Budget(price=Price(1.0, 2.0), max_cost=0.5, spent=Amount(100_000, 100_000))
    assert budget.cost == pytest.approx(0.3)
    assert budget.has_room(Amount(0, 100_000)) and not budget.has_room(Amount(1, 100_000))
    budget.reserve(Amount(0, 50_000))
    assert not budget.has_room(Amount(0, 60_000))
    budget.charge(Amount(0, 50_000), NOTHING)
    assert budget.has_room(Amount(0, 60_000))
    assert str(budget.exhausted_error()) == (
        "the budget is spent: 0.3000 of 0.5 in cost, and the next request might exceed it; what was paid for is kept: "
        "raise --max-tokens or --max-cost and run the same command to go on"
    )


def test_failed_requests_cost_nothing() -> None:
    """What was set aside for them is free again."""

    async def run() -> None:
        budget = Budget(max_tokens=20)
        gate = open_gate(budget, concurrency=2, adaptive=True)
        gate.failed(await gate.enter(0, SMALL), TransientError("cut"))
        gate.dropped(await gate.enter(0, SMALL))
        gate.succeeded(await gate.enter(0, SMALL), reply(10, 10))
        assert budget.spent == SMALL

    in_loop(run)


@pytest.mark.parametrize("text", ["word " * 50, "wórd ", "漢字かな交じり文。" * 20, "", "a"])
def test_bound_on_tokens_holds_for_common_tokenizers(text: str) -> None:
    """A token has three bytes or more on average; the chat template is counted as well."""
    request = Request((Message("system", "You write."), Message("user", text)), Sampling(30), 1, candidates=4)
    most = token_upper_bound(request)
    assert most.completion == 120
    assert most.prompt >= (len(text.encode()) + 10) // 3 + 2
