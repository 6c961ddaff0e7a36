"""Faults at random, whatever the load: one fraction after the other, and one kind after the other.

The mixed faults are those that need a retry. Replies that are 20 times as late have a line of their own: one of them
near the end is longer than the goals allow for the whole run.
"""

from benchmarks.pipeline.behaviour import FAULTS
from benchmarks.pipeline.columns import FAULTY
from benchmarks.pipeline.runs import Goal, Results, Scenario, own, ratio_goal
from benchmarks.pipeline.systems import PEERS

BOUNDS = {0.0: 1.0, 0.005: 1.1, 0.01: 1.15, 0.03: 1.3, 0.08: 1.6}
"""Fraction of faults: bound on span with faults / span without."""

FURTHER = 1.2
"""Bound on the further calls per fault."""

FAILING = [kind for kind in FAULTS if kind != "slow"]
WITH_PEERS = (0.0, 0.01, 0.08)
LATENCY = 0.5
LIMIT = 120.0


def _goals(name: str, base: str, label: str, bound: float) -> tuple[Goal, ...]:
    """Return the goals of a scenario with faults; `base` is the one without."""

    def against_base(results: Results) -> float:
        return results[name]["personagen"].span / results[base]["personagen"].span

    return (
        Goal(f"{label}: span / span without faults at most {bound:g}", against_base, bound),
        Goal(f"{label}: further calls per fault at most {FURTHER}", own(name, lambda run: run.further), FURTHER),
        Goal(f"{label}: nothing paid twice", own(name, lambda run: run.stats["repeated"]), 0),
    )


def _mixed(in_flight: int, fraction: float) -> Scenario:
    """Return the scenario of one fraction of mixed faults."""
    name, base, label = f"faults_{in_flight}_{fraction:g}", f"faults_{in_flight}_0", f"{fraction:.1%} faults"
    return Scenario(
        f"Random faults of six kinds, 2,000 rows, {in_flight} in flight, 0.5 s",
        2000,
        in_flight,
        FAULTY,
        variant=label,
        systems=("personagen", *PEERS) if fraction in WITH_PEERS else ("personagen",),
        behaviour={"latency": LATENCY, "faults": fraction, "kinds": FAILING},
        base=base if fraction else "",
        peer_runs=1,
        limit=LIMIT,
        goals=_goals(name, base, label, BOUNDS[fraction]) if fraction else (),
    )


def _of_kind(kind: str) -> Scenario:
    """Return the scenario of one kind of fault."""
    goals = _goals(f"fault_{kind}", "faults_64_0", kind, BOUNDS[0.03])
    return Scenario(
        "3 % of random faults of one kind, 2,000 rows, 64 in flight, 0.5 s",
        2000,
        64,
        FAULTY,
        variant=kind,
        systems=("personagen",),
        behaviour={"latency": LATENCY, "faults": 0.03, "kinds": [kind]},
        base="faults_64_0",
        runs=1,
        limit=LIMIT,
        quick=False,
        goals=(ratio_goal("fault_slow", 1.25),) if kind == "slow" else goals,
    )


def _chain(fraction: float) -> Scenario:
    """Return the scenario of rows of three calls."""
    label = f"{fraction:.1%} faults"
    return Scenario(
        "Random faults of six kinds, a chain of three calls per row, 600 rows, 64 in flight, 0.5 s",
        600,
        64,
        FAULTY,
        variant=label,
        systems=("personagen",),
        behaviour={"latency": LATENCY, "faults": fraction, "kinds": FAILING},
        calls=3,
        depth="situational",
        base="chain_faults_0" if fraction else "",
        limit=LIMIT,
        goals=_goals(f"chain_faults_{fraction:g}", "chain_faults_0", label, BOUNDS[fraction]) if fraction else (),
    )


FAULTY_SERVERS: dict[str, Scenario] = (
    {f"faults_{number}_{fraction:g}": _mixed(number, fraction) for number in (64, 200) for fraction in BOUNDS}
    | {f"chain_faults_{fraction:g}": _chain(fraction) for fraction in (0.0, 0.03)}
    | {f"fault_{kind}": _of_kind(kind) for kind in FAULTS}
)
