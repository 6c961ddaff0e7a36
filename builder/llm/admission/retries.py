"""Decide whether and when a request that failed is sent again."""

import random
from collections.abc import Callable
from dataclasses import dataclass

from personagen.builder.core.errors import BackendError, RequestError, TransientError
from personagen.builder.llm.admission.control import AdmissionControl

MAX_FAILURES = 6
"""Failures after which a request is given up, if the server answers other requests between them."""


@dataclass(frozen=True, slots=True)
class RetryTiming:
    """Times of retries, in seconds.

    Attributes:
        first_pause_s: pause before the first retry; it doubles per retry and is drawn from its upper half.
        max_pause_s: upper bound on that pause.
        max_loading_pause_s: the same before the first reply of a run: a server may be loading its model.
        failing_s: time for which a request has to fail before it is given up: one of several servers may be down.
        refusal_s: time for which refusals of a request do not count for giving it up; afterwards they do.
        outage_s: time without any reply after which the run stops.
        max_server_wait_s: longest wait that a server may ask for; a longer one stops the run, see `require_retry`.
        grace_s: time that requests in flight have to be answered when the run stops without a signal.
        arrival_s: time to read the replies that have arrived before the requests in flight are cancelled.

    """

    first_pause_s: float = 0.2
    max_pause_s: float = 30.0
    max_loading_pause_s: float = 4.0
    failing_s: float = 10.0
    refusal_s: float = 300.0
    outage_s: float = 120.0
    max_server_wait_s: float = 900.0
    grace_s: float = 1.0
    arrival_s: float = 0.1


@dataclass(slots=True)
class RequestFailures:
    """Transient failures of one request.

    Attributes:
        count: failures so far.
        at_fault: failures for which the request may be at fault: others were answered since its failure before.
        outside_outages: those outside outages, and the first one; the pause doubles with each.
        first_at: time of the first one, by the admission control's clock.
        last_at: time of the last one.

    """

    count: int = 0
    at_fault: int = 0
    outside_outages: int = 0
    first_at: float = 0.0
    last_at: float = 0.0

    def add(self, sent: float, now: float, last_reply_at: float | None, *, in_outage: bool = False) -> None:
        """Count a failure.

        Args:
            sent: when the request was sent.
            now: when it failed.
            last_reply_at: time of the last reply to any request; None: there was none.
            in_outage: whether no request is answered, so that admission control spaces the tries.

        """
        self.outside_outages += not in_outage or not self.count
        since = self.last_at if self.count else sent
        self.at_fault += last_reply_at is not None and last_reply_at >= since
        self.first_at = self.first_at if self.count else now
        self.last_at = now
        self.count += 1


def require_retry(
    error: TransientError, failures: RequestFailures, admission: AdmissionControl, timing: RetryTiming
) -> None:
    """Raise the error that ends the retries of a request, if its last failure does.

    Args:
        error: the last failure.
        failures: all failures of the request, the last one included.
        admission: time of the last reply, and pause of the server.
        timing: times of retries.

    Raises:
        BackendError: the server was never reached, has not answered for `outage_s`, or asks for too long a wait: with
            a 429, or while it answers no other request.
        RequestError: the server answers other requests, and this one has failed `MAX_FAILURES` times, for `failing_s`
            at least (`refusal_s` if it was refused).

    """
    first, last, last_reply_at = failures.first_at, failures.last_at, admission.last_reply_at
    if error.unreachable and last_reply_at is None:
        raise BackendError(str(error)) from error
    # A quota (429) concerns all requests; another refusal only this one, if others were answered before each failure.
    concerns_all = error.limited or failures.at_fault < failures.count
    if error.wait is not None and error.wait > timing.max_server_wait_s and concerns_all:
        raise BackendError(
            f"{error}; it asks to wait {error.wait:.0f} s: run the same command then to go on"
        ) from error
    silent_since = max(first, admission.asked_pause_until, first if last_reply_at is None else last_reply_at)
    if last - silent_since > timing.outage_s:
        raise BackendError(
            f"{error}; nothing was answered for {timing.outage_s:.0f} s: run the same command to go on"
        ) from error
    least_s = timing.refusal_s if error.overload else timing.failing_s
    if last - first >= least_s and failures.at_fault >= MAX_FAILURES:
        raise RequestError(f"{error}, {failures.count} times") from error


def retry_pause(
    error: TransientError,
    backoffs: int,
    timing: RetryTiming,
    uniform: Callable[[float, float], float] = random.uniform,
    *,
    is_loading: bool = False,
) -> float:
    """Draw the seconds before the next try: backoff that doubles with each, or the server's wait if longer.

    A server that asks for no wait gets the backoff all the same: otherwise it would get retries without end. One that
    asks a single request to wait for longer than a run may pause gets the backoff too.
    """
    wait = error.wait if error.wait is not None and error.wait <= timing.max_server_wait_s else 0.0
    longest_s = min(timing.max_pause_s, timing.max_loading_pause_s) if is_loading else timing.max_pause_s
    backoff = min(longest_s, timing.first_pause_s * 2 ** min(backoffs - 1, 30)) * uniform(0.5, 1.0)
    return float(max(backoff, wait * uniform(1.0, 1.1)))
