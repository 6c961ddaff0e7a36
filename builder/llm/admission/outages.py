"""Detect outages: times in which requests fail and none is answered, however few are in flight."""

OUTAGE_LATENCIES = 1.5
"""Silence after which a failure counts as an outage, as a multiple of the longest recent latency."""

OUTAGE_PROBES = 0.1
"""Pause after a failure in an outage, as a fraction of the time since the last reply."""

MIN_OUTAGE_S = 0.2
"""Least silence of an outage: a server on this machine answers within milliseconds."""

MIN_PAUSE_S = 0.5
"""Least pause in an outage."""

LATE_LATENCIES = 4.0
"""Duration from which on a failed request counts as late, as a multiple of the longest recent latency."""

FADING = 0.99
"""Factor per reply on the longest recent latency."""


class OutageDetector:
    """Detector of outages; it also sets the pause before the next request of one.

    Attributes:
        is_outage: whether requests fail and none has been answered for longer than replies take.
        paused_until: time until which no request should be sent; -inf: there is no outage.

    """

    def __init__(self, *, min_pause_s: float = MIN_PAUSE_S) -> None:
        """Start without a reply: before the first one there is no outage. `min_pause_s`: least pause in an outage."""
        self._min_pause_s = min_pause_s
        self.is_outage = False
        self.paused_until = float("-inf")
        self._replied_at = float("-inf")
        self._latency = 0.0

    def record_reply(self, sent: float, now: float) -> None:
        """Record a reply, which ends an outage."""
        self.is_outage, self.paused_until = False, float("-inf")
        self._replied_at = now
        self._latency = max(now - sent, FADING * self._latency)

    def is_late(self, sent: float, now: float) -> bool:
        """Return whether a request took far longer than any reply of late."""
        return now - sent > LATE_LATENCIES * self._latency > 0

    def record_failure(self, now: float, asked_pause_until: float = float("-inf")) -> bool:
        """Record a failure of any kind, and return whether there is an outage now.

        `asked_pause_until`: end of the last pause that the server asked for, which is no silence of its own.
        """
        silence = now - max(self._replied_at, asked_pause_until)
        self.is_outage = self._latency > 0 and silence > max(MIN_OUTAGE_S, OUTAGE_LATENCIES * self._latency)
        if self.is_outage:
            self.paused_until = now + max(self._min_pause_s, OUTAGE_PROBES * silence)
        return self.is_outage
