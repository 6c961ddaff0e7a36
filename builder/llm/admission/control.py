"""Admission control: bound the requests in flight, the requests and tokens per minute, and the budget.

Waiting requests are admitted by priority, so that a retried early row does not queue behind late ones.
"""

import asyncio
import heapq
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from personagen.builder.core.errors import BudgetError, TransientError
from personagen.builder.core.prices import NOTHING, Amount
from personagen.builder.llm.admission.concurrency import AdaptiveConcurrency
from personagen.builder.llm.admission.outages import OutageDetector
from personagen.builder.llm.admission.rate_limits import RateLimiter
from personagen.builder.llm.budget import Budget
from personagen.builder.llm.requests import Reply

START_CONCURRENCY = 16
"""Lower bound on the limit at the start of an adaptive run; most servers can answer that many requests."""

START_FRACTION = 0.25
"""Fraction of the concurrency at the start: users who set hundreds have servers that answer dozens at once."""

RECENT_OUTCOMES = 100
"""Time constant of the exponential average of refused requests, in ended requests."""


@dataclass(frozen=True, slots=True)
class Slot:
    """The admission of one request in flight.

    Attributes:
        sent: time of admission, in seconds of the admission control's clock.
        reserved: upper bound on its tokens, reserved in the budget.

    """

    sent: float
    reserved: Amount


@dataclass(frozen=True, slots=True)
class Load:
    """State of admission control at one moment.

    Attributes:
        limit: requests that may be in flight now.
        maximum: upper bound on that limit.
        refused: fraction of the recent requests that the server refused (429, 503) or did not answer in time; None: no
            request has ended yet.
        paused_s: seconds until the end of the wait that the server asked for; 0: it asked for none.
        retrying: requests that failed and wait for their next try.
        in_flight: requests admitted and not finished.

    """

    limit: int
    maximum: int
    refused: float | None
    paused_s: float
    retrying: int
    in_flight: int = 0


@dataclass(order=True, slots=True)
class _Waiter:
    priority: int
    order: int
    upper_bound: Amount = field(compare=False)
    future: "asyncio.Future[Slot]" = field(compare=False)


class AdmissionControl:
    """Admits requests within all limits; for use from one event loop.

    Attributes:
        clock: monotonic clock, in seconds.
        in_flight: requests admitted and not finished.
        last_reply_at: time of the last reply; None: no reply yet.
        retrying: requests that failed and wait for their next try; counted by the caller.

    """

    def __init__(
        self,
        concurrency: AdaptiveConcurrency,
        budget: Budget,
        *,
        requests: RateLimiter | None = None,
        tokens: RateLimiter | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Combine the limits; None: no limit on that rate."""
        self._concurrency = concurrency
        self._budget = budget
        self._requests = requests
        self._tokens = tokens
        self.clock = clock
        self.in_flight = 0
        self.last_reply_at: float | None = None
        self.retrying = 0
        self._ended = self._ended_refused = 0.0  # weighted by recency
        self._waiting: list[_Waiter] = []
        self._acquired = 0
        self._closed = False
        self._timer: asyncio.TimerHandle | None = None
        budget.on_room = self._admit

    @property
    def is_outage(self) -> bool:
        """Whether requests fail and none is answered, so that they are sent one at a time."""
        return self._concurrency.is_outage

    @property
    def asked_pause_until(self) -> float:
        """Time until which the server asked for no requests."""
        return self._concurrency.asked_pause_until

    def load(self) -> Load:
        """Return the present state."""
        return Load(
            limit=self._concurrency.limit,
            maximum=self._concurrency.maximum,
            refused=self._ended_refused / self._ended if self._ended else None,
            paused_s=max(0.0, self.asked_pause_until - self.clock()),
            retrying=self.retrying,
            in_flight=self.in_flight,
        )

    async def acquire(self, priority: int, upper_bound: Amount) -> Slot:
        """Wait until a request may be sent.

        Args:
            priority: the lowest number is admitted first.
            upper_bound: upper bound on the tokens of the request.

        Raises:
            BudgetError: no request of any model is in flight, and this one might exceed the budget.
            CancelledError: the admission control was closed.

        """
        if self._closed:
            raise asyncio.CancelledError
        waiter = _Waiter(priority, self._acquired, upper_bound, asyncio.get_running_loop().create_future())
        self._acquired += 1
        heapq.heappush(self._waiting, waiter)
        self._admit()
        try:
            return await waiter.future
        except asyncio.CancelledError:
            if waiter.future.done() and not waiter.future.cancelled() and waiter.future.exception() is None:
                self.record_abort(waiter.future.result())  # admitted, then cancelled before it was sent
            raise

    def record_reply(self, slot: Slot, reply: Reply) -> None:
        """Free the slot of an answered request and charge its tokens."""
        now = self.clock()
        self.last_reply_at = now
        self._count_outcome(refused=False)
        self._concurrency.record_reply(slot.sent, now, in_flight=self.in_flight)
        self._release(slot, Amount(reply.prompt_tokens, reply.completion_tokens))

    def record_failure(self, slot: Slot, error: TransientError, *, max_wait_s: float = float("inf")) -> None:
        """Free the slot of a failed request.

        Args:
            slot: its slot.
            error: its failure; a refusal may lower the limit, and pause all requests if the server asks to wait.
            max_wait_s: upper bound on a wait that pauses all requests; longer ones count with a 429 only.

        """
        now = self.clock()
        self._count_outcome(refused=error.overload)
        if error.overload:
            wait = None if error.wait is None or (error.wait > max_wait_s and not error.limited) else error.wait
            self._concurrency.record_refusal(slot.sent, now, wait=wait, limited=error.limited)
        else:
            self._concurrency.record_failure(now)
        self._release(slot, NOTHING)

    def record_abort(self, slot: Slot) -> None:
        """Free the slot of a request whose end is no evidence on the server's load."""
        self._release(slot, NOTHING)

    def close(self) -> None:
        """Admit no further request and cancel the waiting ones."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        for waiter in self._waiting:
            waiter.future.cancel()
        self._waiting.clear()

    def _count_outcome(self, *, refused: bool) -> None:
        weight = 1 - 1 / RECENT_OUTCOMES
        self._ended = self._ended * weight + 1
        self._ended_refused = self._ended_refused * weight + refused

    def _release(self, slot: Slot, used: Amount) -> None:
        self.in_flight -= 1
        self._budget.charge(slot.reserved, used)
        self._admit()

    def _admit(self) -> None:
        """Admit waiting requests in order until a limit is reached."""
        while self._waiting and self.in_flight < self._concurrency.limit and not self._closed:
            first = self._waiting[0]
            if first.future.done():  # cancelled while waiting
                heapq.heappop(self._waiting)
                continue
            now = self.clock()
            if (delay := self._delay(first.upper_bound, now)) > 0:
                self._admit_after(delay)
                return
            if not self._budget.has_room(first.upper_bound):
                if not self._budget.has_reservations:  # else a request in flight may use less than its reservation
                    self._fail_all(self._budget.exhausted_error())
                return
            heapq.heappop(self._waiting)
            self._occupy(first.upper_bound)
            first.future.set_result(Slot(now, first.upper_bound))

    def _occupy(self, upper_bound: Amount) -> None:
        self.in_flight += 1
        self._budget.reserve(upper_bound)
        if self._requests is not None:
            self._requests.take(1)
        if self._tokens is not None:
            self._tokens.take(upper_bound.tokens)

    def _delay(self, upper_bound: Amount, now: float) -> float:
        delays = [self._concurrency.paused_until - now]
        if self._requests is not None:
            delays.append(self._requests.delay(1, now))
        if self._tokens is not None:
            delays.append(self._tokens.delay(upper_bound.tokens, now))
        return max(delays)

    def _admit_after(self, delay: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(delay, self._admit)

    def _fail_all(self, error: BudgetError) -> None:
        waiting, self._waiting = self._waiting, []
        for waiter in waiting:
            if not waiter.future.done():
                waiter.future.set_exception(error)


def make_admission_control(
    budget: Budget,
    *,
    concurrency: int,
    adaptive: bool,
    rates: Sequence[float | None] = (None, None),
    outages: OutageDetector | None = None,
) -> AdmissionControl:
    """Build the admission control of a run.

    Args:
        budget: bounds on tokens and cost.
        concurrency: upper bound on requests in flight.
        adaptive: whether to find the best number of requests in flight below `concurrency`.
        rates: upper bounds on requests and on tokens per minute; None: no limit.
        outages: detector of outages; None: one with the default times.

    """
    start = max(START_CONCURRENCY, int(START_FRACTION * concurrency)) if adaptive else concurrency
    requests, tokens = (RateLimiter(rate) if rate else None for rate in rates)
    limit = AdaptiveConcurrency(start=start, maximum=concurrency, by_latency=adaptive, outages=outages)
    return AdmissionControl(limit, budget, requests=requests, tokens=tokens)
