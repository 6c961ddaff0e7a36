"""Latency as services have it: slow replies, a long tail, slow periods, and these with faults and repeats."""

from typing import Any

from benchmarks.pipeline.columns import FAULTY, FLIGHT, USUAL
from benchmarks.pipeline.runs import Scenario, ratio_goal

LONG_TAIL: dict[str, Any] = {"latency": 0.2, "sigma": 0.7}
"""Median 0.2 s, 95 % within 0.63 s, 99 % within 1.02 s. An assumption: the time of a reply is proportional to its
tokens, whose number has a long tail in recorded traffic (BurstGPT, arXiv:2401.17644), times a factor of the load; a
product of such factors is near log-normal, and a 95th percentile of three times the median is usual for services."""

SLOW_PERIODS: dict[str, Any] = {"latency": 0.2, "slow_every": 6.0, "slow_for": 2.0, "slow_factor": 5.0}
"""A third of the time, replies take five times as long."""

COLUMNS_OF_LATENCY = ("span s", "ideal s", *USUAL[1:], *FLIGHT)

LATENCIES: dict[str, Scenario] = {
    "slow": Scenario(
        "2 % of the replies take 2 s, 500 rows, 50 in flight",
        500,
        50,
        COLUMNS_OF_LATENCY,
        behaviour={"slow_fraction": 0.02},
        goals=(ratio_goal("slow", 1.3),),
    ),
    "long_tail": Scenario(
        "Long-tailed latency (log-normal, median 0.2 s), 2,000 rows, 50 in flight",
        2000,
        50,
        COLUMNS_OF_LATENCY,
        behaviour=LONG_TAIL,
        runs=1,
        goals=(ratio_goal("long_tail", 1.25),),
    ),
    "slow_periods": Scenario(
        "Slow periods: 2 of 6 seconds five times as slow, 2,000 rows, 50 in flight, 0.2 s",
        2000,
        50,
        COLUMNS_OF_LATENCY,
        behaviour=SLOW_PERIODS,
        runs=1,
        goals=(ratio_goal("slow_periods", 1.25),),
    ),
    "everything": Scenario(
        "All at once: 1 % faults, 5 % repeats, long-tailed latency and slow periods, three calls per row, 600 rows, "
        "64 in flight",
        600,
        64,
        FAULTY,
        systems=("personagen",),
        behaviour=LONG_TAIL | SLOW_PERIODS | {"faults": 0.01, "repeats": 0.05},
        calls=3,
        depth="situational",
        goals=(ratio_goal("everything", 1.6),),
    ),
}
