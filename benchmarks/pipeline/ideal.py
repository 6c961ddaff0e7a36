"""Time of a perfect client: a list scheduler without overhead."""

import heapq
from collections.abc import Iterable


def ideal_seconds(jobs: Iterable[float], limit: int) -> float:
    """Simulate `limit` workers that take the next job as soon as they are free; return the end of the last job.

    Args:
        jobs: seconds that each job takes, in the order in which they are taken.
        limit: jobs at a time, at least 1.

    """
    free = [0.0] * limit
    end = 0.0
    for seconds in jobs:
        done = heapq.heappop(free) + seconds
        heapq.heappush(free, done)
        end = max(end, done)
    return end
