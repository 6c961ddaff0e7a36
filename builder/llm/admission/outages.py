"""Detect outages: times in which requests fail and none is answered, whatever their number."""

OUTAGE_LATENCIES = 1.5
"""Time without any reply after which a failure is one of an outage, in latencies of the slower replies."""

OUTAGE_PROBES = 0.1
"""Time between two requests of an outage, as a fraction of the time that it has lasted."""

FADING = 0.99
"""Factor per reply by which the longest latency fades."""


class OutageDetector:
    """Whether there is an outage, and how long to wait before the next request in it.

    Attributes:
        is_outage: whether requests fail and none has been answered for longer than replies take.
        paused_until: time until which the next request should wait; -inf: without an outage.

    """

    def __init__(self) -> None:
        """Start without a reply: before the first one there is no outage."""
        self.is_outage = False
        self.paused_until = float("-inf")
        self._replied_at = float("-inf")
        self._latency = 0.0

    def record_reply(self, sent: float, now: float) -> None:
        """Record a reply, which ends an outage."""
        self.is_outage, self.paused_until = False, float("-inf")
        self._replied_at = now
        self._latency = max(now - sent, FADING * self._latency)

    def record_failure(self, now: float) -> bool:
        """Record a failure of any kind, and return whether there is an outage now."""
        silence = now - self._replied_at
        self.is_outage = silence > OUTAGE_LATENCIES * self._latency > 0
        if self.is_outage:
            self.paused_until = now + OUTAGE_PROBES * silence
        return self.is_outage
