"""Statistics of latencies, and of all outcomes under one limit."""

from dataclasses import dataclass, field
from math import log, sqrt

DECISIVE_ERRORS = 2.0
"""Standard errors that decide a comparison of latencies."""

LEAST_GAIN = 0.2
"""Fraction of the possible gain in replies per second from which on a higher limit is worth its latency."""


@dataclass(slots=True)
class Latencies:
    """Mean and standard error of the logarithms of latencies: a few late replies hardly change them.

    Attributes:
        count: latencies so far.
        mean: mean of their natural logarithms; 0.0 without any.

    """

    count: int = 0
    mean: float = 0.0
    _squares: float = 0.0

    def add(self, seconds: float) -> None:
        """Add a latency by Welford's update of mean and sum of squares (1962)."""
        value = log(max(seconds, 1e-6))
        self.count += 1
        change = value - self.mean
        self.mean += change / self.count
        self._squares += change * (value - self.mean)

    @property
    def error(self) -> float:
        """Standard error of the mean; infinite below two latencies."""
        return sqrt(self._squares / (self.count - 1) / self.count) if self.count > 1 else float("inf")


def gains_from_limit(lower: int, at_lower: Latencies, higher: int, at_higher: Latencies) -> bool | None:
    """Return whether a server answers more per second under the higher limit; None: undecided.

    By Little's law the rate of replies is limit / latency. It is the same under both limits if requests queue, and
    grows like the limit if they do not. A gain counts from `LEAST_GAIN` of that growth, on a logarithmic scale.

    Args:
        lower: lower limit.
        at_lower: latencies with that many requests in flight.
        higher: higher limit.
        at_higher: latencies with that many requests in flight.

    """
    full_gain = log(higher / lower)
    gain = full_gain - (at_higher.mean - at_lower.mean)
    error = sqrt(at_lower.error**2 + at_higher.error**2)
    distance = gain - full_gain * LEAST_GAIN
    return None if abs(distance) < DECISIVE_ERRORS * error else distance > 0


def upper_bound(latencies: Latencies) -> float:
    """Return the mean logarithm of latencies plus `DECISIVE_ERRORS` standard errors."""
    return latencies.mean + DECISIVE_ERRORS * latencies.error


def has_grown(latencies: Latencies, least: float, factor: float) -> bool:
    """Return whether latencies are beyond error a factor longer than the least ones; `least`: logarithm of those."""
    return latencies.mean - DECISIVE_ERRORS * latencies.error > least + log(factor)


@dataclass(slots=True)
class LimitSample:
    """Outcomes of the requests that were sent under one limit.

    Attributes:
        skipped: first replies whose latency is left out, since requests of short latency end first.
        latencies: latencies of the replies.
        replied: replies.
        refused: requests that were refused.
        began_at: arrival of the first reply; None: none has arrived.
        rate: replies per second since the first one; 0.0 before the second.
        is_constant: whether the limit has not grown since the sample began.

    """

    skipped: int
    latencies: Latencies = field(default_factory=Latencies)
    replied: int = 0
    refused: int = 0
    began_at: float | None = None
    rate: float = 0.0
    is_constant: bool = True

    @property
    def ended(self) -> int:
        """Requests that were answered or refused."""
        return self.replied + self.refused

    def add_reply(self, sent: float, now: float) -> None:
        """Add a reply."""
        if self.began_at is None:
            self.began_at = now
        elif now > self.began_at:
            self.rate = self.replied / (now - self.began_at)
        self.replied += 1
        if self.replied > self.skipped:
            self.latencies.add(now - sent)
