"""The benchmark of the pipeline: its ideal, scenarios, tables and goals, and its driver for PersonaGen.

No peer is run here.
"""

import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.pipeline.__main__ import chosen, goals, table, with_base, write
from benchmarks.pipeline.behaviour import FAULTS, Behaviour
from benchmarks.pipeline.columns import COLUMNS
from benchmarks.pipeline.ideal import ideal_seconds
from benchmarks.pipeline.measure import Outcome, Server, run
from benchmarks.pipeline.runs import Run, Scenario
from benchmarks.pipeline.scenarios import GROUPS, SCENARIOS
from benchmarks.pipeline.systems import PACKAGES, System, last_line

PERSONAGEN = System("personagen", Path(sys.executable), "0")
STATS: dict[str, Any] = {"requests": 500, "replies": 500, "repeated": 0, "statuses": {"200": 500}, "most_in_flight": 50}
STATS |= {"first_request": 10.0, "last_reply": 12.0, "last_new": 11.9, "faults": {}, "seconds": [0.1] * 500}
STATS |= {"buckets": [12.5, 12.5, 12.5, 6.0, 6.0, 0.5, 0.0, 0.0]}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server() as running:
        yield running


def made_run(scenario: Scenario = SCENARIOS["short"], **stats: Any) -> Run:
    """Make a run of PersonaGen in a scenario, by default the first one, that took 2 s, twice the ideal."""
    outcome = Outcome(3.0, 1.0, 90.0, 100.0, {"seconds": 2.5, "kept": 500, "listed": 0}, "")
    return Run(scenario, PERSONAGEN, outcome, STATS | stats)


@given(st.lists(st.floats(0, 10), max_size=50), st.integers(1, 20))
def test_no_schedule_is_shorter_than_its_work_or_its_longest_job(jobs: list[float], limit: int) -> None:
    seconds = ideal_seconds(jobs, limit)
    longest, work = max(jobs, default=0), sum(jobs) / limit
    assert seconds >= max(longest, work) * (1 - 1e-9)
    assert seconds <= work + longest + 1e-9, "the bound of list scheduling"


@given(st.integers(1, 40), st.integers(1, 40))
def test_equal_jobs_take_turns(turns: int, limit: int) -> None:
    assert ideal_seconds([0.1] * (turns * limit), limit) == pytest.approx(turns * 0.1)


def test_a_slow_job_at_the_end_is_waited_for() -> None:
    assert ideal_seconds([1.0, 1.0, 1.0, 2.0], 2) == 3.0
    assert ideal_seconds([2.0, 1.0, 1.0, 1.0], 2) == 3.0
    assert ideal_seconds([], 2) == 0.0


def test_the_ideal_waits_for_a_moving_limit() -> None:
    behaviour = Behaviour(limits=[[0, 2], [1, 1], [3, 4]])
    assert ideal_seconds([1.0] * 2, 8, behaviour) == 1.0
    assert ideal_seconds([1.0] * 4, 8, behaviour) == 3.0, "one at a time from second 1 on"
    assert ideal_seconds([1.0] * 8, 8, behaviour) == 4.0, "four at a time from second 3 on"
    assert ideal_seconds([1.0] * 8, 1, behaviour) == 8.0, "the client's own limit is lower"


def test_the_ideal_spends_each_window_as_soon_as_it_opens() -> None:
    behaviour = Behaviour(window=10, window_s=5.0)
    assert ideal_seconds([0.5] * 25, 50, behaviour) == 10.5
    assert ideal_seconds([0.5] * 20, 50, behaviour) == 5.5
    assert ideal_seconds([0.5] * 25, 1, behaviour) == 12.5, "never faster than its own slots"


def test_the_ideal_meets_slow_periods_by_its_own_clock() -> None:
    behaviour = Behaviour(slow_every=3, slow_for=1, slow_factor=4)
    assert ideal_seconds([1.0] * 2, 1, behaviour) == 2.0
    assert ideal_seconds([1.0] * 3, 1, behaviour) == 6.0, "the third job starts in a slow period"


@given(st.integers(1, 200), st.floats(0, 0.3), st.integers(1, 30), st.integers(0, 9))
def test_the_ideal_with_faults_retries_at_once(rows: int, fraction: float, limit: int, seed: int) -> None:
    """Against the sum of the tries as the server draws them."""
    behaviour = Behaviour(latency=0.5, faults=fraction, kinds=["500"], seed=seed)
    bodies = [str(number).encode() for number in range(rows)]
    tries = [next(number for number in range(99) if not behaviour.fault(body, number)) + 1 for body in bodies]
    seconds = ideal_seconds([0.5 * number for number in tries], limit)
    assert seconds >= 0.5 * max(*tries, sum(tries) / limit) - 1e-9
    assert seconds <= 0.5 * (sum(tries) / limit + max(tries)) + 1e-9


def test_personagen_makes_twenty_rows(server: Server, tmp_path: Path) -> None:
    server.reset(latency=0.01)
    done = run(PERSONAGEN.command(server.url, 20, 5, tmp_path / "out"), limit=120)
    assert done.error == ""
    assert done.report is not None and done.report["kept"] == 20 and done.report["listed"] == 0
    assert done.wall > 0 and done.cpu > 0 and done.peak_mb >= done.largest_mb > 10
    assert server.stats()["replies"] == 20 and server.stats()["most_in_flight"] <= 5


def test_a_command_that_fails_or_hangs_says_so() -> None:
    failed = run([sys.executable, "-c", "raise SystemExit('no such thing')"], limit=60)
    assert (failed.report, failed.error) == (None, "no such thing")
    hangs = run([sys.executable, "-c", "import time; time.sleep(60)"], limit=0.5)
    assert hangs.error == "no end after 0.5 s" and hangs.wall < 30
    killed = run([sys.executable, "-c", "import time; time.sleep(60)"], limit=60, kill_when=lambda: True)
    assert killed.error == "killed"


def test_personagen_survives_faults_and_pays_nothing_twice(server: Server, tmp_path: Path) -> None:
    """The counters agree with each other: every spoiled call has one further call."""
    kinds = [kind for kind in FAULTS if kind != "slow"]
    behaviour = {"latency": 0.01, "faults": 0.15, "kinds": kinds, "seed": 3}
    scenario = Scenario("", 40, 5, (), behaviour=behaviour)
    server.reset(**behaviour)
    done = run(PERSONAGEN.command(server.url, 40, 5, tmp_path / "out"), limit=120)
    assert done.error == "" and done.report is not None and done.report["kept"] == 40
    result = Run(scenario, PERSONAGEN, done, server.stats())
    assert result.faults >= 2 and result.further == 1.0
    assert result.stats["replies"] == 40 and result.stats["repeated"] == 0
    assert 0 < result.mean_in_flight <= 5 and result.ratio >= 1


def test_a_table_has_a_line_for_each_system_and_says_why_one_is_missing() -> None:
    lines = table([(SCENARIOS["short"], {"personagen": made_run()})], {"curator": "not installed: no space left"})
    row = "| personagen | 2.00 | 2.00 | 250 | 2.5 | 3.0 | 1.0 | 100 | 500 | 500 | 0.50 | 1 |"
    assert lines[4:] == [row, "| curator | skipped: not installed: no space left |"]


def test_variants_share_a_table_and_a_run_that_is_cut_off_says_how_far_it_came() -> None:
    first, second = SCENARIOS["faults_64_0"], SCENARIOS["faults_64_0.01"]
    cut = Run(second, PERSONAGEN, Outcome(120, 1, 1, 1, None, "no end after 120 s"), STATS | {"faults": {"503": 7}})
    lines = table([(first, {"personagen": made_run(first)}), (second, {"personagen": cut})], {})
    assert lines[2].startswith("|  | system | span s | span / without | ")
    assert lines[4].startswith("| 0.0% faults | personagen | 2.00 |  | ")
    failed = "failed: no end after 120 s (500 replies, 0 429s, 0 400s, 7 faults)"
    assert lines[5] == f"| 1.0% faults | personagen | {failed} |"


def test_goals_are_printed_with_their_figures() -> None:
    assert goals(SCENARIOS["long"], {"long": {"personagen": made_run()}}) == [
        "Goal: span / ideal at most 1.25. Here 2: missed."
    ]
    fast = {"long": {"personagen": made_run(last_reply=11.2)}}
    assert goals(SCENARIOS["long"], fast) == ["Goal: span / ideal at most 1.25. Here 1.2: met."]
    assert goals(SCENARIOS["long"], {"long": {}}) == [], "PersonaGen did not run"
    alone = {"short": {"personagen": made_run(last_reply=11.2)}}
    assert goals(SCENARIOS["short"], alone)[-1].endswith("Here nan: missed."), "without a peer nothing is beaten"


def test_a_run_with_faults_is_compared_with_the_run_without() -> None:
    base, faulty = SCENARIOS["faults_64_0"], SCENARIOS["faults_64_0.03"]
    statistics = {"requests": 2044, "faults": {"503": 30, "cut": 10, "slow": 5}, "last_reply": 12.8}
    bases = {"faults_64_0": {"personagen": made_run(base)}}
    runs = with_base({"personagen": made_run(faulty, **statistics)}, faulty, bases)
    result = runs["personagen"]
    assert result.against_base == pytest.approx(1.4) and result.faults == 40 and result.further == pytest.approx(1.1)
    assert COLUMNS["wasted calls"](result) == "30 503, 10 cut" and COLUMNS["span / without"](result) == "1.40"
    lines = goals(faulty, bases | {"faults_64_0.03": runs})
    assert [line.rsplit(" ", 1)[1] for line in lines] == ["missed.", "met.", "met."]
    assert goals(faulty, {"faults_64_0.03": runs}) == lines[1:], "without the run to compare with"
    alone = with_base({"personagen": made_run(faulty)}, faulty, {})["personagen"]
    assert (
        math.isnan(alone.against_base) and math.isnan(alone.further) and COLUMNS["further calls / faults"](alone) == ""
    )


def test_idle_time_counts_while_new_requests_are_to_come() -> None:
    result = made_run()
    assert result.mean_in_flight == 25 and result.filled == 0.5
    assert result.starved == 1.0, "buckets of 24, 24, 2 and 0 requests; the last one lies after the last new request"
    assert made_run(last_new=11.0).starved == 0.25
    limited = made_run(SCENARIOS["limit"])
    assert limited.filled == 1.25 and limited.starved == 0.5, "the server allows 20"


def test_the_scenarios_cover_the_goals() -> None:
    names = set(SCENARIOS)
    assert {f"faults_{n}_{f:g}" for n in (64, 200) for f in (0, 0.005, 0.01, 0.03, 0.08)} <= names
    assert {f"repeats_{n}_{f:g}" for n in (50, 200) for f in (0, 0.02, 0.05, 0.1)} <= names
    assert {f"fault_{kind}" for kind in FAULTS} <= names
    assert len(names) == sum(map(len, GROUPS.values())), "no name stands in two groups"
    for name, scenario in SCENARIOS.items():
        assert set(scenario.columns) <= set(COLUMNS) and set(scenario.systems) <= set(PACKAGES)
        Behaviour(**scenario.behaviour)
        assert scenario.base in ("", *list(SCENARIOS)[: list(SCENARIOS).index(name)]), "its base runs before it"


def test_scenarios_are_chosen_by_name_and_by_group() -> None:
    assert chosen(["kill", "repeats"], quick=False) == ["kill", *GROUPS["repeats"]]
    assert chosen(["memory"], quick=True) == ["memory", "memory_long"], "what is named is run"
    assert chosen(None, quick=False) == list(SCENARIOS)
    assert "long" not in chosen(None, quick=True) and "fault_503" not in chosen(None, quick=True)


def test_peers_run_once_where_faults_are_random_and_all_run_once_if_quick() -> None:
    scenario = SCENARIOS["faults_64_0.01"]
    assert [scenario.runs_of(name, quick=False) for name in ("personagen", "datatrove")] == [3, 1]
    assert scenario.runs_of("personagen", quick=True) == 1
    assert SCENARIOS["short"].runs_of("datatrove", quick=False) == 3


def test_the_text_goes_between_the_markers(tmp_path: Path) -> None:
    path = tmp_path / "benchmarks.md"
    write(path, "first")
    path.write_text(path.read_text(encoding="utf-8") + "\nafter\n", encoding="utf-8")
    write(path, "second")
    text = path.read_text(encoding="utf-8")
    assert "first" not in text and text.count("second") == 1 and text.endswith("after\n")


def test_the_last_line_is_cut_and_breaks_no_table() -> None:
    assert last_line("a\nValueError: x | y\n ╰──╯ \n") == "ValueError: x   y"
    assert last_line("") == "no message"
