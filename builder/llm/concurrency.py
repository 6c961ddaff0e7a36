"""How many requests may be in flight at a server whose capacity nobody knows: found by trying, and found again.

The limit starts low and doubles with every round of replies, as TCP's slow start does, until something speaks against
it. From then on it grows by one a round (additive increase) and shrinks by a share (multiplicative decrease).
What speaks against it is

- a refusal (429, 503): the limit shrinks, and the number that was refused becomes a ceiling that is tried again only
  now and then. Refusals of requests that were sent before the limit shrank tell nothing new.
- latency that grows without use. Servers that queue never refuse: their replies just come later. But replies come later
  from a server that works in larger batches too, where more in flight is a gain. So a shrunk limit is an
  experiment: it stays only where replies come as fast with fewer in flight.

No clock runs in here; the caller says when things happened, in seconds of any clock.
"""

from statistics import median

HALVE = 0.5
"""Share of the limit that is left after the refusal that ends the doubling."""

SHRINK = 0.75
"""Share of the limit that is left after a later refusal, and in an experiment."""

SLOW = 2.0
"""Growth of the median latency over its lowest value that calls for an experiment."""

WORTH = 0.9
"""Share of its rate that a server must keep for a smaller limit to stay."""

PROBE = 10
"""Rounds of replies at the ceiling before one more is tried; twice as many after each try that was refused, and one
after a try that was answered."""

LEAST_ROUND = 8
"""Replies of a round at least: the median of fewer says little."""


class Pace:
    """The limit, and what it was learnt from.

    Attributes:
        limit: requests that may be in flight now, 1 or more.

    """

    def __init__(self, *, start: int, most: int, by_latency: bool = True) -> None:
        """Begin with `start` requests in flight; never allow more than `most`.

        `by_latency` tells whether growing latency calls for experiments; else refusals alone change the limit.
        """
        self.limit = min(start, most)
        self._most = most
        self._by_latency = by_latency
        self._ceiling = most
        self._doubling = self.limit < most
        self._changed = float("-inf")
        self._patience = PROBE
        self._calm = 0
        self._lowest: float | None = None
        self._before: tuple[int, float] | None = None
        self._begin_round()

    def succeeded(self, sent: float, now: float, *, full: bool) -> None:
        """Take note of a reply to a request that was sent at `sent`; `full` tells whether the limit was reached."""
        if self._doubling and full:
            self.limit += 1
            self._doubling = self.limit < self._most
        if sent >= self._changed:
            self._round.append(now - sent)
            if len(self._round) >= self._round_size:
                self._look(now, full=full)

    def refused(self, sent: float, now: float) -> None:
        """Take note that the server had too much to do for a request that was sent at `sent`."""
        if sent < self._changed:
            return
        if self.limit > self._ceiling:
            # A try above the ceiling failed: back to it, and wait longer before the next.
            self._patience = max(PROBE, 2 * self._patience)
            self._set(self._ceiling, now)
        else:
            self._ceiling = max(1, self.limit - 1)
            self._set(int(self.limit * (HALVE if self._doubling else SHRINK)), now)
        self._doubling = False
        self._before = None

    def _look(self, now: float, *, full: bool) -> None:
        """Judge a round by its median latency; by Little's law, limit / latency is the rate of replies."""
        latency = max(median(self._round), 1e-6)
        self._begin_round()
        if self._before is not None:
            self._end_experiment(latency, now)
            return
        self._lowest = min(latency, self._lowest or latency)
        if self._by_latency and latency > SLOW * self._lowest and self.limit > 1:
            if self._doubling:  # first measured with a limit that stands still
                self._doubling = False
                self._set(self.limit, now)
            else:
                self._before = (self.limit, self.limit / latency)
                self._set(int(self.limit * SHRINK), now)
        elif full and not self._doubling:
            self._grow(now)

    def _end_experiment(self, latency: float, now: float) -> None:
        assert self._before is not None
        limit, rate = self._before
        self._before = None
        if self.limit / latency >= WORTH * rate:
            self._ceiling, self._patience = self.limit, PROBE
            return
        # The longer wait was worth it: what was slow is normal, and more may be worth more.
        self._lowest = limit / rate
        self._set(limit, now)
        self._doubling = self.limit < self._ceiling == self._most

    def _grow(self, now: float) -> None:
        """Allow one more after a round that was answered."""
        if self.limit > self._ceiling:
            self._ceiling, self._patience = self.limit, 1
        if self.limit < self._ceiling:
            self.limit += 1
            return
        self._calm += 1
        if self.limit < self._most and self._calm >= self._patience:
            self._set(self.limit + 1, now)

    def _set(self, limit: int, now: float) -> None:
        """Change the limit; what was sent before is no evidence for the new one."""
        self.limit = max(1, limit)
        self._changed = now
        self._calm = 0
        self._begin_round()

    def _begin_round(self) -> None:
        self._round: list[float] = []
        self._round_size = max(self.limit, LEAST_ROUND)
