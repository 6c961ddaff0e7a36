"""What a perfect client needs: a list scheduler without any overhead."""

import heapq
from collections.abc import Iterable


def ideal_seconds(jobs: Iterable[float], limit: int) -> float:
    """Simulate `limit` workers that take the next job the moment they are free; return when the last one is done.

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
