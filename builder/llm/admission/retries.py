"""Decide whether and when a request that failed is sent again."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from personagen.builder.core.errors import BackendError, RequestError, TransientError
from personagen.builder.llm.admission.control import AdmissionControl

MAX_FAILURES = 6
"""Failures after which a request is given up, if the server answers others meanwhile."""


@dataclass(frozen=True, slots=True)
class RetryTiming:
    """Times of retries, in seconds.

    Attributes:
        first_pause_s: pause before the first retry; it doubles per retry and is drawn from its upper half.
        max_pause_s: upper bound on that pause.
        refusal_s: time for which a server may refuse a request as one too many; afterwards it counts as failed.
        outage_s: time without any reply after which the run stops.
        max_server_wait_s: longest wait that a server may ask for; the run stops if it asks for more.
        grace_s: time that requests in flight have to be answered when the run stops without a signal.
        arrival_s: time to read the replies that have arrived before the requests in flight are cancelled.

    """

    first_pause_s: float = 0.5
    max_pause_s: float = 30.0
    refusal_s: float = 300.0
    outage_s: float = 120.0
    max_server_wait_s: float = 900.0
    grace_s: float = 1.0
    arrival_s: float = 0.1


def require_retry(
    error: TransientError, failed_at: Sequence[float], admission: AdmissionControl, timing: RetryTiming
) -> None:
    """Raise the error that ends the retries of a request, if its last failure does.

    Args:
        error: the last failure.
        failed_at: times of all failures of the request, the last one included, by the admission control's clock.
        admission: time of the last reply, and pause of the server.
        timing: times of retries.

    Raises:
        BackendError: the server was never reached, has not answered for `outage_s`, or asks for too long a wait.
        RequestError: the server answers other requests, and this one has failed `MAX_FAILURES` times.

    """
    first, last, last_reply_at = failed_at[0], failed_at[-1], admission.last_reply_at
    if error.unreachable and last_reply_at is None:
        raise BackendError(str(error)) from error
    if error.wait is not None and error.wait > timing.max_server_wait_s:
        raise BackendError(
            f"{error}; it asks to wait {error.wait:.0f} s: run the same command then to go on"
        ) from error
    silent_since = max(first, admission.paused_until, first if last_reply_at is None else last_reply_at)
    if last - silent_since > timing.outage_s:
        raise BackendError(
            f"{error}; nothing was answered for {timing.outage_s:.0f} s: run the same command to go on"
        ) from error
    at_fault = not error.overload or last - first >= timing.refusal_s
    others_answered = last_reply_at is not None and last_reply_at > first
    if at_fault and others_answered and len(failed_at) >= MAX_FAILURES:
        raise RequestError(f"{error}, {len(failed_at)} times in a row") from error


def retry_pause(error: TransientError, failures: int, timing: RetryTiming) -> float:
    """Draw the seconds before the next try: exponential backoff, or the wait that the server asks for if longer.

    A server that asks for no wait gets the backoff all the same: otherwise it would get retries without end.
    """
    backoff = min(timing.max_pause_s, timing.first_pause_s * 2 ** (failures - 1)) * random.uniform(0.5, 1.0)
    return float(max(backoff, (error.wait or 0.0) * random.uniform(1.0, 1.1)))
