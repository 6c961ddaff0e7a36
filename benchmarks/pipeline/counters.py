"""Counters of the server since its last reset."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from benchmarks.pipeline.behaviour import AT_ONCE, SLOW_FACTOR, Behaviour

BUCKET_S = 0.25
"""Length of the parts of a run whose mean number of requests in flight is known, in seconds."""


@dataclass(slots=True)
class FlightMeter:
    """Requests in flight over time, as request seconds per bucket of BUCKET_S.

    Attributes:
        in_flight: requests in flight now.
        buckets: request seconds of each bucket since the first change.

    """

    in_flight: int = 0
    buckets: list[float] = field(default_factory=list)
    _changed_at: float = 0.0

    def change(self, by: int, at: float) -> None:
        """Record that requests arrived or ended `at` seconds after the first one."""
        while self._changed_at < at:
            bucket = int(self._changed_at / BUCKET_S + 1e-9)
            end = min(at, (bucket + 1) * BUCKET_S)
            self.buckets.extend([0.0] * (bucket + 1 - len(self.buckets)))
            self.buckets[bucket] += self.in_flight * (end - self._changed_at)
            self._changed_at = end
        self.in_flight += by


@dataclass(slots=True)
class RoundCounters:
    """What happened in one round; a request that outlives it still counts for its own round.

    Attributes:
        behaviour: how requests are answered.
        started: time of the first request by the monotonic clock; None: none yet.
        meter: requests in flight over time.
        requests: chat requests that arrived, refused ones included.
        replies: replies sent with status 200 and a completion.
        repeated: those of them whose request body had been answered before: paid twice.
        statuses: answers by status.
        faults: faults by kind.
        most_in_flight: largest number of requests that were being answered at one time.
        last_reply: when the last reply was sent, in seconds of the monotonic clock.
        last_new: when the last request body arrived that had not been sent before, by the same clock.
        seconds: time that the tries of each body take, up to its reply, without slow periods; by hash of the body in
            order of arrival.
        calls: calls let in by hash of the body.
        answered: hashes of the bodies that were answered.

    """

    behaviour: Behaviour
    started: float | None = None
    meter: FlightMeter = field(default_factory=FlightMeter)
    requests: int = 0
    replies: int = 0
    repeated: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    most_in_flight: int = 0
    last_reply: float | None = None
    last_new: float | None = None
    seconds: dict[int, float] = field(default_factory=dict)
    calls: Counter[int] = field(default_factory=Counter)
    answered: set[int] = field(default_factory=set)
    _window: int = 0
    _in_window: int = 0

    def arrive(self, body: bytes, now: float) -> float:
        """Count an arrival; return the seconds since the first one."""
        self.requests += 1
        if self.started is None:
            self.started = now
        if hash(body) not in self.seconds:
            self.seconds[hash(body)] = 0.0
            self.last_new = now
        return now - self.started

    def is_refused(self, at: float, in_flight: int) -> bool:
        """Return whether a limit refuses a request; otherwise count it in its window."""
        behaviour = self.behaviour
        if in_flight >= behaviour.slots(at):
            return True
        if behaviour.window:
            if int(at / behaviour.window_s) != self._window:
                self._window, self._in_window = int(at / behaviour.window_s), 0
            if self._in_window >= behaviour.window:
                return True
            self._in_window += 1
        return False

    def let_in(self, body: bytes) -> tuple[str, float]:
        """Draw fault and latency of a call that no limit refused, the latter without slow periods."""
        number = self.calls[hash(body)]
        self.calls[hash(body)] += 1
        fault = self.behaviour.fault(body, number)
        seconds = self.behaviour.seconds(body) * (SLOW_FACTOR if fault == "slow" else 1)
        self.faults[fault] += fault != ""
        seconds = 0.0 if fault in AT_ONCE else seconds
        if hash(body) not in self.answered:
            self.seconds[hash(body)] += seconds
        return fault, seconds

    def begin(self, at: float, in_flight: int) -> None:
        """Count the begin of an answer; `in_flight`: requests that are being answered, of any round."""
        self.meter.change(1, at)
        self.most_in_flight = max(self.most_in_flight, in_flight)

    def end(self, now: float) -> None:
        """Count the end of an answer, whatever came of it."""
        assert self.started is not None
        self.meter.change(-1, now - self.started)

    def count(self, status: int, body: bytes, now: float, *, is_reply: bool) -> None:
        """Count an answer that was sent."""
        self.statuses[status] += 1
        if is_reply:
            self.replies += 1
            self.last_reply = now
            self.repeated += hash(body) in self.answered
            self.answered.add(hash(body))

    def to_json(self) -> dict[str, Any]:
        """Return all counters as JSON holds them."""
        names = ("requests", "replies", "repeated", "statuses", "most_in_flight", "last_reply", "last_new")
        counters = {name: getattr(self, name) for name in names}
        return counters | {
            "first_request": self.started,
            "faults": {kind: number for kind, number in self.faults.items() if number},
            "seconds": [round(seconds, 4) for seconds in self.seconds.values()],
            "buckets": [round(seconds, 4) for seconds in self.meter.buckets],
        }
