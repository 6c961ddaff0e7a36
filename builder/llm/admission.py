"""The gate that every request passes: how many are in flight, how many a minute, and what they may cost.

Those who wait enter in the order of their turns, so that an early row that was refused does not queue behind late ones.
"""

import asyncio
import heapq
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from personagen.builder.core.errors import BudgetError, TransientError
from personagen.builder.core.prices import NOTHING, Amount
from personagen.builder.llm.budget import Budget
from personagen.builder.llm.concurrency import Pace
from personagen.builder.llm.requests import Reply

START = 16
"""Requests in flight to begin with where the number is to be found: most servers take that many."""


class Rate:
    """So much a minute, spread evenly: a token bucket that holds a second's worth (both units are the caller's)."""

    def __init__(self, per_minute: float) -> None:
        """Start full."""
        self._speed = per_minute / 60
        self._level = self._speed
        self._at: float | None = None

    def wait(self, amount: float, now: float) -> float:
        """Tell how many seconds until `amount` may be taken; what is more than a second's worth runs into debt."""
        passed = 0.0 if self._at is None else now - self._at
        self._level, self._at = min(self._speed, self._level + passed * self._speed), now
        lacking = min(amount, self._speed) - self._level
        return lacking / self._speed if lacking > 1e-6 else 0.0  # rounding would make a last wait of no length

    def take(self, amount: float) -> None:
        """Take it."""
        self._level -= amount


@dataclass(frozen=True, slots=True)
class Ticket:
    """A request in flight: when it was sent, and what it may cost at most."""

    sent: float
    most: Amount


@dataclass(order=True, slots=True)
class _Waiter:
    turn: int
    order: int
    most: Amount = field(compare=False)
    future: "asyncio.Future[Ticket]" = field(compare=False)


class Gate:
    """Lets requests pass; use it from one event loop.

    Attributes:
        in_flight: requests that have entered and not left.
        answered_at: when the last reply came, by the gate's clock; None before the first.
        closed_until: until when the server asked to be left alone.

    """

    def __init__(
        self,
        pace: Pace,
        budget: Budget,
        *,
        requests: Rate | None = None,
        tokens: Rate | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take what limits requests; None does not."""
        self._pace = pace
        self._budget = budget
        self._requests = requests
        self._tokens = tokens
        self.clock = clock
        self.in_flight = 0
        self.answered_at: float | None = None
        self.closed_until = float("-inf")
        self._waiting: list[_Waiter] = []
        self._entered = 0
        self._closed = False
        self._timer: asyncio.TimerHandle | None = None

    async def enter(self, turn: int, most: Amount) -> Ticket:
        """Wait for leave to send a request.

        Args:
            turn: who goes first: the lowest number.
            most: tokens that the request may take at most.

        Raises:
            BudgetError: nothing is in flight, and the request might exceed the budget.
            CancelledError: the gate was closed.

        """
        if self._closed:
            raise asyncio.CancelledError
        waiter = _Waiter(turn, self._entered, most, asyncio.get_running_loop().create_future())
        self._entered += 1
        heapq.heappush(self._waiting, waiter)
        self._admit()
        try:
            return await waiter.future
        except asyncio.CancelledError:
            if waiter.future.done() and not waiter.future.cancelled() and waiter.future.exception() is None:
                self.dropped(waiter.future.result())  # admitted, but no longer wanted
            raise

    def succeeded(self, ticket: Ticket, reply: Reply) -> None:
        """Let the next ones pass: a reply came."""
        now = self.clock()
        self.answered_at = now
        self._pace.succeeded(ticket.sent, now, full=self.in_flight >= self._pace.limit)
        self._leave(ticket, Amount(reply.prompt_tokens, reply.completion_tokens))

    def failed(self, ticket: Ticket, error: TransientError) -> None:
        """Let the next ones pass, fewer where the server had too much to do, and later where it asked for a pause."""
        now = self.clock()
        if error.overload:
            self._pace.refused(ticket.sent, now)
        if error.wait:
            self.closed_until = max(self.closed_until, now + error.wait)
        self._leave(ticket, NOTHING)

    def dropped(self, ticket: Ticket) -> None:
        """Let the next ones pass: the request ended in a way that tells nothing of the server."""
        self._leave(ticket, NOTHING)

    def close(self) -> None:
        """Let nobody pass any more; those who wait are cancelled."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        for waiter in self._waiting:
            waiter.future.cancel()
        self._waiting.clear()

    def _leave(self, ticket: Ticket, spent: Amount) -> None:
        self.in_flight -= 1
        self._budget.charge(ticket.most, spent)
        self._admit()

    def _admit(self) -> None:
        """Let pass who may, in order."""
        while self._waiting and self.in_flight < self._pace.limit and not self._closed:
            first = self._waiting[0]
            if first.future.done():  # given up meanwhile
                heapq.heappop(self._waiting)
                continue
            now = self.clock()
            if (delay := self._delay(first.most, now)) > 0:
                self._wake(delay)
                return
            if not self._budget.has_room(first.most):
                if self.in_flight == 0:  # else what is in flight may turn out to cost less than it might
                    self._refuse(self._budget.exhausted_error())
                return
            heapq.heappop(self._waiting)
            self._take(first.most)
            first.future.set_result(Ticket(now, first.most))

    def _take(self, most: Amount) -> None:
        self.in_flight += 1
        self._budget.reserve(most)
        if self._requests is not None:
            self._requests.take(1)
        if self._tokens is not None:
            self._tokens.take(most.tokens)

    def _delay(self, most: Amount, now: float) -> float:
        delays = [self.closed_until - now]
        if self._requests is not None:
            delays.append(self._requests.wait(1, now))
        if self._tokens is not None:
            delays.append(self._tokens.wait(most.tokens, now))
        return max(delays)

    def _wake(self, delay: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(delay, self._admit)

    def _refuse(self, error: BudgetError) -> None:
        waiting, self._waiting = self._waiting, []
        for waiter in waiting:
            if not waiter.future.done():
                waiter.future.set_exception(error)


def open_gate(
    budget: Budget, *, concurrency: int, adaptive: bool, rates: Sequence[float | None] = (None, None)
) -> Gate:
    """Make the gate of a run.

    Args:
        budget: what may be spent.
        concurrency: requests in flight at most.
        adaptive: whether the number that the server bears is to be found.
        rates: requests and tokens a minute at most; None does not limit.

    """
    start = min(START, concurrency) if adaptive else concurrency
    requests, tokens = (Rate(each) if each else None for each in rates)
    return Gate(Pace(start=start, most=concurrency, by_latency=adaptive), budget, requests=requests, tokens=tokens)
