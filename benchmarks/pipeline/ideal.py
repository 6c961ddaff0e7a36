"""Time of a perfect client: a list scheduler without overhead that knows every limit and retries a fault at once."""

import heapq
import math
from collections.abc import Iterable

from benchmarks.pipeline.behaviour import Behaviour


def ideal_seconds(jobs: Iterable[float], slots: int, behaviour: Behaviour | None = None) -> float:
    """Simulate a client that sends the next job as soon as one may be sent; return the end of the last job.

    Dependencies are ignored, so it is a lower bound for chains of calls.

    Args:
        jobs: seconds of each job in the order of sending: all tries of one request, without slow periods.
        slots: jobs at a time, at least 1.
        behaviour: the server's limits and slow periods; None: constant.

    """
    behaviour = behaviour or Behaviour()
    now = end = 0.0
    running: list[float] = []
    window = in_window = 0
    for seconds in jobs:
        while True:
            while running and running[0] <= now:
                heapq.heappop(running)
            if behaviour.window and int(now / behaviour.window_s + 1e-9) != window:
                window, in_window = int(now / behaviour.window_s + 1e-9), 0
            if len(running) >= min(slots, behaviour.slots(now)):
                now = min(running[0], _next_change(behaviour, now))
            elif behaviour.window and in_window >= behaviour.window:
                now = (window + 1) * behaviour.window_s
            else:
                break
        in_window += 1
        heapq.heappush(running, now + seconds * behaviour.factor(now))
        end = max(end, now + seconds * behaviour.factor(now))
    return end


def _next_change(behaviour: Behaviour, now: float) -> float:
    """Return when the limit changes next."""
    return min((start for start, _ in behaviour.limits if start > now), default=math.inf)
