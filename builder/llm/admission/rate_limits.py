"""Rate limits of the user: requests and tokens per minute."""


class RateLimiter:
    """Token-bucket rate limiter: refills at `per_minute / 60` per second and holds at most one second's refill."""

    def __init__(self, per_minute: float) -> None:
        """Start with a full bucket; the unit (requests or tokens) is the caller's."""
        self._per_second = per_minute / 60
        self._level = self._per_second
        self._refilled_at: float | None = None

    def delay(self, amount: float, now: float) -> float:
        """Return the seconds until `amount` may be taken; more than one second's refill takes the bucket below zero."""
        elapsed = 0.0 if self._refilled_at is None else now - self._refilled_at
        self._level = min(self._per_second, self._level + elapsed * self._per_second)
        self._refilled_at = now
        lacking = min(amount, self._per_second) - self._level
        return lacking / self._per_second if lacking > 1e-6 else 0.0  # rounding would add a last delay of no length

    def take(self, amount: float) -> None:
        """Remove `amount` from the bucket."""
        self._level -= amount
