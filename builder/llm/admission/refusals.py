"""Statistics of refusals: their usual fraction, and whether they are due to load."""

from collections.abc import Mapping
from math import log

PRIOR_REQUESTS = 100.0
"""Weight of the refusals that are assumed before any is observed, in ended requests."""

PRIOR_REFUSED = {True: 0.1, False: 8.0}
"""Refusals assumed among them: 429 (True) says that the client sends too much; 503 (False) comes at random too."""

MEMORY_REQUESTS = 1000
"""Ended requests over which the background refusals are averaged, with exponential weights."""

MAX_BACKGROUND = 0.1
"""Upper bound on the fraction of refusals that is taken for background without a comparison of two limits."""

OVERLOADED_FRACTION = 0.5
"""Fraction of requests that an overloaded server refuses, in the likelihood ratio against the background."""

OVERLOAD_EVIDENCE = 6.0
"""Logarithm of the likelihood ratio from which on refusals count as overload.

At first that is one refusal with 429, or four in a row with 503; later it depends on the background.
"""

RELIEF = 4.0
"""Factor by which a lower limit reduces the refusals if they are due to load; see `has_fewer_refusals`."""

DECISIVE = 2.5
"""Logarithm of the likelihood ratio that decides about a lower limit: about one wrong decision in twelve."""


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
        weight = 1 - 1 / MEMORY_REQUESTS
        self._ended = self._ended * weight + 1
        self._refused = {kind: refused * weight for kind, refused in self._refused.items()}

    def record_refusal(self, *, limited: bool) -> None:
        """Count a refusal."""
        self.record_reply()
        self._refused[limited] += 1

    def remove_refusals(self, counts: Mapping[bool, int]) -> None:
        """Take back refusals that turned out to be due to load."""
        for kind, count in counts.items():
            self._refused[kind] = max(0.0, self._refused[kind] - count)


class OverloadEvidence:
    """Cumulative-sum test (Page 1954) for a sudden rise of the refusals above the background.

    Attributes:
        refusals: refusals that the sum is made of, with 429 (True) and without.

    """

    def __init__(self) -> None:
        """Start without evidence."""
        self.refusals = {True: 0, False: 0}
        self._sum = 0.0

    @property
    def is_overload(self) -> bool:
        """Whether the recent refusals are far more likely under overload than by chance."""
        return self._sum >= OVERLOAD_EVIDENCE

    def record_refusal(self, background: Background, *, limited: bool) -> None:
        """Count a refusal against the fraction that is refused by chance."""
        self.refusals[limited] += 1
        self._sum += log(OVERLOADED_FRACTION / min(background.fraction(limited=limited), MAX_BACKGROUND))

    def record_reply(self, background: Background) -> None:
        """Count a reply."""
        expected = background.fraction(limited=True) + background.fraction(limited=False)
        self._sum += log((1 - OVERLOADED_FRACTION) / (1 - min(expected, MAX_BACKGROUND)))
        if self._sum <= 0:
            self._sum, self.refusals = 0.0, {True: 0, False: 0}


def has_fewer_refusals(fraction: float, ended: int, refused: int) -> bool | None:
    """Return whether refusals are fewer under a lower limit; None: undecided.

    A likelihood ratio: a `RELIEF` times smaller fraction against the same one.

    Args:
        fraction: fraction of the requests that were refused under the higher limit, above 0 and below 1.
        ended: requests that ended under the lower limit.
        refused: those of them that were refused.

    """
    fraction = min(0.9, max(0.001, fraction))
    per_reply = log((1 - fraction / RELIEF) / (1 - fraction))
    evidence = (ended - refused) * per_reply - refused * log(RELIEF)
    return None if abs(evidence) < DECISIVE else evidence > 0
