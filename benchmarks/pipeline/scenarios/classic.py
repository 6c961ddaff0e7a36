"""Servers that answer after a fixed time, without faults; a refused prompt; a kill."""

from benchmarks.pipeline.columns import FLIGHT, USUAL
from benchmarks.pipeline.runs import KILL_AT, Goal, Scenario, against_best_peer, own, ratio_goal
from benchmarks.pipeline.systems import PEERS

OWN = ("aiohttp", "personagen")
JOURNALLED = ("personagen", *PEERS)


def _twice_the_best_peer(scenario: str) -> Goal:
    text = "at least 2 times the rate of the best peer, all of which keep a journal"
    return Goal(text, against_best_peer(scenario, lambda run: run.rate), 2, at_least=True)


CLASSIC: dict[str, Scenario] = {
    "short": Scenario(
        "One call per row, 500 rows, 50 in flight",
        500,
        50,
        (*USUAL, *FLIGHT),
        goals=(ratio_goal("short", 1.1), _twice_the_best_peer("short")),
    ),
    "middle": Scenario("One call per row, 2,000 rows, 50 in flight", 2000, 50, (*USUAL, *FLIGHT), runs=1),
    "long": Scenario(
        "One call per row, 20,000 rows, 50 in flight",
        20_000,
        50,
        (*USUAL, *FLIGHT),
        systems=OWN,
        runs=1,
        limit=900,
        quick=False,
        goals=(ratio_goal("long", 1.25),),
    ),
    "wide": Scenario(
        "One call per row, 5,000 rows, 200 in flight",
        5000,
        200,
        (*USUAL, *FLIGHT),
        limit=300,
        goals=(
            Goal(
                "at least 0.7 of the rate of aiohttp",
                lambda results: results["wide"]["personagen"].rate / results["wide"]["aiohttp"].rate,
                0.7,
                at_least=True,
            ),
            _twice_the_best_peer("wide"),
        ),
    ),
    "chain": Scenario(
        "A chain of three calls per row, 500 rows, 50 in flight",
        500,
        50,
        ("span s", "ideal s", *USUAL[1:], *FLIGHT),
        systems=("personagen",),
        calls=3,
        depth="situational",
        goals=(ratio_goal("chain", 1.1),),
    ),
    "refused": Scenario(
        "A 400 for one of 50 prompts, 500 rows, 50 in flight",
        500,
        50,
        ("rows kept", "400s", "listed with a reason", "requests", "span s", "process s"),
        behaviour={"bad_every": 50},
        bad=True,
        runs=1,
        goals=(
            Goal("all 500 rows kept", own("refused", lambda run: run.reported("kept")), 500, at_least=True),
            Goal(
                "no 400 that is not listed with a reason",
                own("refused", lambda run: run.status(400) - run.reported("listed")),
                0,
            ),
        ),
    ),
    "kill": Scenario(
        f"`kill -9` at reply {KILL_AT} of 500, then the same command again",
        500,
        50,
        ("replies at the kill", "paid twice", "requests", "process s", "rows kept"),
        systems=JOURNALLED,
        kill=True,
        runs=1,
        limit=60,
        goals=(Goal("at most the 50 in flight paid twice", own("kill", lambda run: run.stats["repeated"]), 50),),
    ),
}
