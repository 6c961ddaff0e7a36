"""Find how many requests a server of unknown capacity can answer at once, and follow changes of that number.

The limit starts low and doubles per round of replies, as in TCP slow start, until the first sign of overload. From then
on it grows by one per round (additive increase) and shrinks by a fraction (multiplicative decrease). Signs of overload:

- A refusal (429, 503). The limit shrinks, and the refused number becomes a ceiling that is probed only now and then.
  Refusals of requests that were sent before the limit shrank are ignored.
- A growing latency without a growing rate. Servers that queue never refuse: replies come later. But replies also come
  later from a server that works in larger batches, where more requests in flight are a gain. So a lower limit is an
  experiment: it stays only if the rate of replies does not drop.

The module reads no clock: callers pass times, in seconds of any monotonic clock.
"""

from statistics import median

SLOW_START_BACKOFF = 0.5
"""Fraction of the limit that is left after the refusal that ends the doubling."""

BACKOFF = 0.75
"""Fraction of the limit that is left after a later refusal, and in an experiment."""

LATENCY_GROWTH = 2.0
"""Ratio of the median latency to its minimum that starts an experiment."""

KEPT_RATE = 0.9
"""Fraction of the rate of replies that must be kept for a lower limit to stay."""

PROBE_ROUNDS = 10
"""Rounds of replies at the ceiling before one more request is tried.

Doubled after each refused probe; 1 after an answered one.
"""

MIN_ROUND_REPLIES = 8
"""Lower bound on the replies per round, for a stable median."""


class AdaptiveConcurrency:
    """Adaptive limit on the requests in flight.

    Attributes:
        limit: requests that may be in flight now, 1 or more.
        maximum: upper bound on it.

    """

    def __init__(self, *, start: int, maximum: int, by_latency: bool = True) -> None:
        """Start with `start` requests in flight and never exceed `maximum`.

        `by_latency`: whether growing latency starts experiments; False: only refusals change the limit.
        """
        self.limit = min(start, maximum)
        self.maximum = maximum
        self._by_latency = by_latency
        self._ceiling = maximum
        self._doubling = self.limit < maximum
        self._changed_at = float("-inf")
        self._probe_after = PROBE_ROUNDS
        self._rounds_at_ceiling = 0
        self._min_latency: float | None = None
        self._before_experiment: tuple[int, float] | None = None  # limit and rate of replies
        self._begin_round()

    def record_reply(self, sent: float, now: float, *, full: bool) -> None:
        """Record a reply to a request sent at `sent`; `full`: whether the limit was reached."""
        if self._doubling and full:
            self.limit += 1
            self._doubling = self.limit < self.maximum
        if sent >= self._changed_at:
            self._latencies.append(now - sent)
            if len(self._latencies) >= self._round_size:
                self._end_round(now, full=full)

    def record_overload(self, sent: float, now: float) -> None:
        """Record that the server refused a request sent at `sent` because it was overloaded."""
        if sent < self._changed_at:
            return
        if self.limit > self._ceiling:  # a probe above the ceiling failed
            self._probe_after = max(PROBE_ROUNDS, 2 * self._probe_after)
            self._set_limit(self._ceiling, now)
        else:
            self._ceiling = max(1, self.limit - 1)
            self._set_limit(int(self.limit * (SLOW_START_BACKOFF if self._doubling else BACKOFF)), now)
        self._doubling = False
        self._before_experiment = None

    def _end_round(self, now: float, *, full: bool) -> None:
        """Evaluate a round by its median latency; by Little's law, limit / latency is the rate of replies."""
        latency = max(median(self._latencies), 1e-6)
        self._begin_round()
        if self._before_experiment is not None:
            self._end_experiment(latency, now)
            return
        self._min_latency = min(latency, self._min_latency or latency)
        if self._by_latency and latency > LATENCY_GROWTH * self._min_latency and self.limit > 1:
            if self._doubling:  # the rate is measured with a constant limit first
                self._doubling = False
                self._set_limit(self.limit, now)
            else:
                self._before_experiment = (self.limit, self.limit / latency)
                self._set_limit(int(self.limit * BACKOFF), now)
        elif full and not self._doubling:
            self._grow(now)

    def _end_experiment(self, latency: float, now: float) -> None:
        assert self._before_experiment is not None
        limit, rate = self._before_experiment
        self._before_experiment = None
        if self.limit / latency >= KEPT_RATE * rate:
            self._ceiling, self._probe_after = self.limit, PROBE_ROUNDS
            return
        # The rate dropped: the longer latency is normal for this server, and a higher limit may gain more.
        self._min_latency = limit / rate
        self._set_limit(limit, now)
        self._doubling = self.limit < self._ceiling == self.maximum

    def _grow(self, now: float) -> None:
        """Raise the limit by one up to the ceiling, then probe above it after enough rounds."""
        if self.limit > self._ceiling:
            self._ceiling, self._probe_after = self.limit, 1
        if self.limit < self._ceiling:
            self.limit += 1
            return
        self._rounds_at_ceiling += 1
        if self.limit < self.maximum and self._rounds_at_ceiling >= self._probe_after:
            self._set_limit(self.limit + 1, now)

    def _set_limit(self, limit: int, now: float) -> None:
        """Change the limit; requests sent before are no evidence for the new one."""
        self.limit = max(1, limit)
        self._changed_at = now
        self._rounds_at_ceiling = 0
        self._begin_round()

    def _begin_round(self) -> None:
        self._latencies: list[float] = []
        self._round_size = max(self.limit, MIN_ROUND_REPLIES)
