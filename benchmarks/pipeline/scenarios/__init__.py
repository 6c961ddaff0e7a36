"""The scenarios by group and name."""

from benchmarks.pipeline.runs import Scenario
from benchmarks.pipeline.scenarios.classic import CLASSIC
from benchmarks.pipeline.scenarios.faults import FAULTY_SERVERS
from benchmarks.pipeline.scenarios.latency import LATENCIES
from benchmarks.pipeline.scenarios.limits import LIMITED_SERVERS
from benchmarks.pipeline.scenarios.memory import MEMORIES
from benchmarks.pipeline.scenarios.repeats import REPEATING_SERVERS

GROUPS: dict[str, dict[str, Scenario]] = {
    "classic": CLASSIC,
    "limits": LIMITED_SERVERS,
    "faults": FAULTY_SERVERS,
    "repeats": REPEATING_SERVERS,
    "latency": LATENCIES,
    "memory": MEMORIES,
}

SCENARIOS: dict[str, Scenario] = {name: scenario for group in GROUPS.values() for name, scenario in group.items()}
"""All scenarios by name, in the order of the tables."""
