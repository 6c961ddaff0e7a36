"""Statistics of refusals: their usual fraction, and whether they are due to load."""

from collections.abc import Mapping
from math import log

PRIOR_REQUESTS = 100.0
"""Requests that are assumed to have ended before any is observed (pseudo-counts of a beta prior)."""

PRIOR_REFUSED = {True: 0.1, False: 8.0}
"""Refusals among `PRIOR_REQUESTS`: 429 (True) says that the client sends too much; 503 (False) comes at random too."""

MEMORY_REQUESTS = 1000
"""Time constant of the exponential average of background refusals, in ended requests."""

MAX_BACKGROUND = {True: 0.1, False: 0.2}
"""Upper bound on the fraction of refusals that counts as background without an experiment with a lower limit."""

OVERLOADED_FRACTION = 0.5
"""Fraction of requests that an overloaded server refuses, in the likelihood ratio against the background."""

OVERLOAD_EVIDENCE = 6.0
"""Logarithm of the likelihood ratio from which on refusals count as overload.

At the start of a run, one 429 or four 503 in a row reach it; later their number depends on the background.
"""

RELIEF = 4.0
"""Factor by which a lower limit is assumed to reduce refusals that are due to load; see `has_fewer_refusals`."""

DECISIVE = 2.5
"""Logarithm of the likelihood ratio that decides about a lower limit; exp(-2.5) bounds wrong decisions by 8 %."""


class Background:
    """Fraction of requests that the server refuses whatever its load, averaged over the recent ones."""

    def __init__(self) -> None:
        """Start with the prior."""
        self._ended = 0.0
        self._refused = {True: 0.0, False: 0.0}

    def fraction(self, *, limited: bool) -> float:
        """Return the estimate for refusals with 429 (`limited`) or without; above 0 and below 1."""
        return (PRIOR_REFUSED[limited] + self._refused[limited]) / (PRIOR_REQUESTS + self._ended)

    def record_reply(self) -> None:
        """Count a reply."""
        self._record_end()

    def record_refusal(self, *, limited: bool) -> None:
        """Count a refusal with 429 (`limited`) or without."""
        self._record_end()
        self._refused[limited] += 1

    def _record_end(self) -> None:
        weight = 1 - 1 / MEMORY_REQUESTS
        self._ended = self._ended * weight + 1
        self._refused = {kind: refused * weight for kind, refused in self._refused.items()}

    def remove_refusals(self, counts: Mapping[bool, int]) -> None:
        """Subtract refusals, by kind, that turned out to be due to load."""
        for kind, count in counts.items():
            self._refused[kind] = max(0.0, self._refused[kind] - count)


class OverloadEvidence:
    """Cumulative-sum test (CUSUM, Page 1954) for a sudden rise of the refusals above the background.

    The sum of the logarithms of the likelihood ratios of all outcomes, `OVERLOADED_FRACTION` against the background;
    it starts over at 0 whenever it falls below.

    Attributes:
        refusals: refusals since the sum was last 0, with 429 (True) and without.

    """

    def __init__(self) -> None:
        """Start without evidence."""
        self.refusals = {True: 0, False: 0}
        self._sum = 0.0

    @property
    def is_overload(self) -> bool:
        """Whether the sum has reached `OVERLOAD_EVIDENCE`."""
        return self._sum >= OVERLOAD_EVIDENCE

    def record_refusal(self, background: Background, *, limited: bool) -> None:
        """Add a refusal with 429 (`limited`) or without, against the background before it."""
        self.refusals[limited] += 1
        self._sum += log(OVERLOADED_FRACTION / min(background.fraction(limited=limited), MAX_BACKGROUND[limited]))

    def record_reply(self, background: Background) -> None:
        """Add a reply."""
        expected = sum(min(background.fraction(limited=kind), MAX_BACKGROUND[kind]) for kind in (True, False))
        self._sum += log((1 - OVERLOADED_FRACTION) / (1 - expected))
        if self._sum <= 0:
            self._sum, self.refusals = 0.0, {True: 0, False: 0}


def has_fewer_refusals(fraction: float, ended: int, refused: int) -> bool | None:
    """Return whether refusals are fewer under a lower limit; None: undecided.

    Sequential probability ratio test (Wald 1945) of a `RELIEF` times smaller fraction against the same one.

    Args:
        fraction: fraction of the requests that were refused under the higher limit, above 0 and below 1.
        ended: requests that ended under the lower limit.
        refused: those of them that were refused.

    """
    fraction = min(0.9, max(0.001, fraction))
    per_reply = log((1 - fraction / RELIEF) / (1 - fraction))
    evidence = (ended - refused) * per_reply - refused * log(RELIEF)
    return None if abs(evidence) < DECISIVE else evidence > 0
