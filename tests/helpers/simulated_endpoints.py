"""Client and endpoints in simulated time: thousands of seconds take a moment, and equal seeds give equal runs.

The client does what admission control and the dispatcher do: rows wait in the order of the plan, a refused request
waits for its own pause, and the limit under test decides how many requests are in flight.
"""

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from math import exp
from typing import Protocol

from personagen.builder.core.errors import TransientError
from personagen.builder.llm.admission.retries import RequestFailures, RetryTiming, retry_pause


class Limit(Protocol):
    """A limit on the requests in flight, adaptive or fixed; see `AdaptiveConcurrency`."""

    @property
    def limit(self) -> int:
        """Requests that may be in flight now."""

    @property
    def paused_until(self) -> float:
        """Time until which no request may be sent."""

    @property
    def is_outage(self) -> bool:
        """Whether requests fail and none is answered."""

    def record_reply(self, sent: float, now: float, *, in_flight: int) -> None:
        """Record a reply."""

    def record_refusal(self, sent: float, now: float, *, wait: float | None = None, limited: bool = True) -> None:
        """Record a refusal."""


@dataclass(slots=True)
class FixedLimit:
    """A limit that never changes, and waits when the server asks for it."""

    limit: int
    paused_until: float = float("-inf")
    is_outage: bool = False

    def record_reply(self, sent: float, now: float, *, in_flight: int) -> None:
        """Ignore the reply."""

    def record_refusal(self, sent: float, now: float, *, wait: float | None = None, limited: bool = True) -> None:
        """Wait as long as the server asks to."""
        if wait:
            self.paused_until = max(self.paused_until, now + wait)


@dataclass(frozen=True, slots=True)
class Answer:
    """Answer of an endpoint.

    Attributes:
        accepted: whether it is a reply; False: a refusal.
        seconds: seconds until it arrives.
        wait: wait that a refusal asks for, in seconds; None: none.
        limited: whether a refusal is a 429; False: a 503.

    """

    accepted: bool
    seconds: float
    wait: float | None = None
    limited: bool = False


OverTime = Callable[[float], float]
"""A quantity by the time in seconds."""


@dataclass(slots=True)
class Endpoint:
    """A model of an endpoint.

    Attributes:
        latency: seconds per reply without load, by the time of arrival.
        spread: standard deviation of the logarithm of the latency; 0: all replies take the same time.
        capacity: requests in service above which one is refused, by the time of arrival.
        slots: requests that are worked on at a time, while the others queue; None: all.
        batching: requests in service that double the latency of each; None: it does not depend on them.
        refused: fraction of the requests that are refused whatever the load, by the time of arrival.
        refused_as_limited: whether with 429; False: with 503.
        refused_wait: wait that such a refusal asks for, in seconds; None: none.
        hanging: fraction of the requests that end by the client's timeout, after `timeout_s`.
        timeout_s: see `hanging`.
        per_minute: requests that a token bucket admits per minute, a second's refill at a time; None: no such limit.
        per_window: requests that are admitted per fixed window of time, and its seconds; None: no such limit.
        names_wait: whether a refusal by one of these limits names the seconds until there is room.
        refusal_s: seconds until a refusal arrives.
        seed: seed of all draws.

    """

    latency: OverTime = lambda now: 0.5
    spread: float = 0.1
    capacity: OverTime = lambda now: float("inf")
    slots: int | None = None
    batching: float | None = None
    refused: OverTime = lambda now: 0.0
    refused_as_limited: bool = False
    refused_wait: float | None = None
    hanging: float = 0.0
    timeout_s: float = 10.0
    per_minute: float | None = None
    per_window: tuple[int, float] | None = None
    names_wait: bool = False
    refusal_s: float = 0.01
    seed: int = 0
    _free_at: list[float] = field(default_factory=list)
    _tokens: float | None = None
    _refilled_at: float = 0.0
    _window: int = -1
    _in_window: int = 0
    _rng: random.Random = field(default_factory=random.Random)

    def __post_init__(self) -> None:
        """Seed the draws, and free all slots."""
        self._rng.seed(self.seed)
        self._free_at = [0.0] * (self.slots or 0)

    def answer(self, now: float, in_service: int) -> Answer:
        """Answer a request that arrives while so many others are in service."""
        if self._rng.random() < self.refused(now):
            return Answer(False, self.refusal_s, self.refused_wait, self.refused_as_limited)
        if self.hanging and self._rng.random() < self.hanging:
            return Answer(accepted=False, seconds=self.timeout_s)
        if in_service >= self.capacity(now):
            return Answer(accepted=False, seconds=self.refusal_s, limited=True)
        if (wait := self._window_wait(now) or self._bucket_wait(now)) > 0:
            return Answer(accepted=False, seconds=self.refusal_s, wait=wait if self.names_wait else None, limited=True)
        seconds = self.latency(now) * exp(self._rng.gauss(0.0, self.spread))
        if self.batching is not None:
            seconds *= 1 + in_service / self.batching
        if self._free_at:
            begun = max(now, heapq.heappop(self._free_at))
            heapq.heappush(self._free_at, begun + seconds)
            seconds += begun - now
        return Answer(accepted=True, seconds=seconds)

    def _window_wait(self, now: float) -> float:
        """Count a request in the window, or return the seconds until the next one if it is full."""
        if self.per_window is None:
            return 0.0
        count, seconds = self.per_window
        if self._window != now // seconds:
            self._window, self._in_window = int(now // seconds), 0
        self._in_window += 1
        return 0.0 if self._in_window <= count else (self._window + 1) * seconds - now

    def _bucket_wait(self, now: float) -> float:
        """Take a token from the bucket, or return the seconds until there is one."""
        if self.per_minute is None:
            return 0.0
        per_second = self.per_minute / 60
        size = max(1.0, per_second)
        tokens = size if self._tokens is None else self._tokens
        self._tokens = min(size, tokens + (now - self._refilled_at) * per_second)
        self._refilled_at = now
        if self._tokens < 1:
            return (1 - self._tokens) / per_second
        self._tokens -= 1
        return 0.0


@dataclass(slots=True)
class Client:
    """A run against an endpoint, in simulated time.

    Attributes:
        limit: the limit under test.
        endpoint: answers the requests.
        spare: rows that may wait for a retry while further ones are begun.
        seed: seed of the pauses before retries.
        now: seconds since the start.
        answered: replies so far.
        refused: refusals so far.
        most: largest number of requests in flight so far.

    """

    limit: Limit
    endpoint: Endpoint
    spare: int = 64
    seed: int = 0
    now: float = 0.0
    answered: int = 0
    refused: int = 0
    most: int = 0
    _events: list[tuple[float, int, str, int, float, Answer | None]] = field(default_factory=list)
    _waiting: list[int] = field(default_factory=list)
    _failures: dict[int, RequestFailures] = field(default_factory=dict)
    _replied_at: float | None = None
    _next_row: int = 0
    _in_flight: int = 0
    _in_service: int = 0
    _pausing: int = 0
    _sent: int = 0
    _timing: RetryTiming = field(default_factory=RetryTiming)
    _rng: random.Random = field(default_factory=random.Random)

    def __post_init__(self) -> None:
        """Seed the draws."""
        self._rng.seed(self.seed)

    def run(self, rows: int | None = None, *, until: float = float("inf")) -> float:
        """Answer so many further rows (None: no bound), or run until a time; return the time."""
        goal = None if rows is None else self.answered + rows
        while goal is None or self.answered < goal:
            self._send(goal)
            if not self._events or self._events[0][0] > until:
                self.now = max(self.now, until)
                break
            self._end()
        return self.now

    def _send(self, rows: int | None) -> None:
        """Send requests up to the limit; `rows`: rows of the run, None: no bound."""
        while self._in_flight < self.limit.limit:
            if self.limit.paused_until > self.now:
                if not any(kind == "wake" for _, _, kind, *_ in self._events):
                    self._push(self.limit.paused_until - self.now, "wake", -1, None)
                return
            if self._waiting:
                row = heapq.heappop(self._waiting)
            elif (rows is None or self._next_row < rows) and self._pausing < self.spare:
                row, self._next_row = self._next_row, self._next_row + 1
            else:
                return
            answer = self.endpoint.answer(self.now, self._in_service)
            self._in_flight += 1
            self._in_service += answer.accepted
            self.most = max(self.most, self._in_flight)
            self._push(answer.seconds, "end", row, answer)

    def _push(self, seconds: float, kind: str, row: int, answer: Answer | None) -> None:
        self._sent += 1
        heapq.heappush(self._events, (self.now + seconds, self._sent, kind, row, self.now, answer))

    def _end(self) -> None:
        self.now, _, kind, row, sent, answer = heapq.heappop(self._events)
        if kind == "retry":
            self._pausing -= 1
            heapq.heappush(self._waiting, row)
        if answer is None:
            return
        in_flight = self._in_flight
        self._in_flight -= 1
        self._in_service -= answer.accepted
        if answer.accepted:
            self.answered += 1
            self._replied_at = self.now
            self.limit.record_reply(sent, self.now, in_flight=in_flight)
            return
        self.refused += 1
        self.limit.record_refusal(sent, self.now, wait=answer.wait, limited=answer.limited)
        failures = self._failures.setdefault(row, RequestFailures())
        failures.add(sent, self.now, self._replied_at, in_outage=self.limit.is_outage)
        self._pausing += 1
        error = TransientError("refused", overload=True, limited=answer.limited, wait=answer.wait)
        pause = retry_pause(error, failures.outside_outages, self._timing, self._rng.uniform)
        self._push(pause, "retry", row, None)
