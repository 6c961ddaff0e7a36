"""The benchmark of the pipeline: its ideal, its server over HTTP, its driver for PersonaGen. No peer is run here."""

import json
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.pipeline.__main__ import goals, table, write
from benchmarks.pipeline.drivers import common
from benchmarks.pipeline.ideal import ideal_seconds
from benchmarks.pipeline.measure import Outcome, Server, run
from benchmarks.pipeline.scenarios import SCENARIOS, Run
from benchmarks.pipeline.server import BAD, Behaviour
from benchmarks.pipeline.systems import System, last_line

PERSONAGEN = System("personagen", Path(sys.executable), "0")
STATS: dict[str, Any] = {"requests": 500, "replies": 500, "repeated": 0, "statuses": {"200": 500}, "most_in_flight": 50}
STATS |= {"first_request": 10.0, "last_reply": 12.0, "slow": []}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server() as running:
        yield running


def post(server: Server, prompt: str, **more: Any) -> tuple[int, dict[str, Any], dict[str, str]]:
    """Send one chat request; return status, content and headers of the reply."""
    body = {"model": "fake-1", "messages": [{"role": "user", "content": prompt}]} | more
    request = urllib.request.Request(f"{server.url}/chat/completions", json.dumps(body).encode())
    try:
        with urllib.request.urlopen(request, timeout=30) as reply:
            return reply.status, json.load(reply), dict(reply.headers)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error), dict(error.headers)


def made_run(**stats: Any) -> Run:
    """Make a run of PersonaGen in the first scenario that took 2 s, twice the ideal."""
    outcome = Outcome(3.0, 1.0, 90.0, 100.0, {"seconds": 2.5, "kept": 500, "listed": 0}, "")
    return Run(SCENARIOS["short"], PERSONAGEN, outcome, STATS | stats)


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


def test_the_server_answers_late_and_counts(server: Server) -> None:
    server.reset(latency=0.2)
    started = time.monotonic()
    with ThreadPoolExecutor(4) as pool:
        replies = list(pool.map(lambda prompt: post(server, prompt), ["one", "two", "three", "three"]))
    assert time.monotonic() - started >= 0.2
    assert [status for status, _, _ in replies] == [200] * 4
    assert replies[0][1]["choices"][0]["message"]["content"] != replies[1][1]["choices"][0]["message"]["content"]
    assert replies[2][1] == replies[3][1], "the reply depends on the request alone"
    assert replies[0][1]["usage"]["completion_tokens"] > 0
    stats = server.stats()
    assert (stats["requests"], stats["replies"], stats["repeated"], stats["statuses"]) == (4, 4, 1, {"200": 4})
    assert stats["most_in_flight"] == 4
    assert 0.2 <= stats["last_reply"] - stats["first_request"] < 5
    server.reset()
    assert server.stats()["requests"] == 0


def test_the_server_lists_its_model(server: Server) -> None:
    with urllib.request.urlopen(f"{server.url}/models", timeout=30) as reply:
        assert json.load(reply)["data"][0]["id"] == common.MODEL


def test_above_its_limit_the_server_refuses_at_once(server: Server) -> None:
    server.reset(latency=0.5, limit=2, retry_after=3)
    with ThreadPoolExecutor(5) as pool:
        replies = list(pool.map(lambda number: post(server, str(number)), range(5)))
    assert sorted(status for status, _, _ in replies) == [200, 200, 429, 429, 429]
    assert {headers.get("Retry-After") for status, _, headers in replies if status == 429} == {"3"}
    assert server.stats()["statuses"] == {"200": 2, "429": 3}
    assert server.stats()["most_in_flight"] == 2


def test_bad_prompts_and_bad_seeds_are_refused(server: Server) -> None:
    assert BAD == common.BAD
    server.reset(latency=0, bad_every=50)
    assert [post(server, f"item {BAD}")[0] for _ in range(2)] == [400, 400]
    assert [post(server, "item", seed=seed)[0] for seed in (49, 50, 51)] == [200, 400, 200]
    server.reset(latency=0)
    assert post(server, BAD, seed=50)[0] == 200, "only where it is asked for"


def test_the_hash_of_the_body_chooses_who_is_slow(server: Server) -> None:
    server.reset(latency=0, slow_share=0.2, slow_latency=0.05)
    behaviour = Behaviour(slow_share=0.2)
    bodies = [json.dumps(number).encode() for number in range(5000)]
    assert 0.15 < sum(behaviour.seconds(body) > 1 for body in bodies) / len(bodies) < 0.25
    for number in range(40):
        post(server, str(number))
    slow = server.stats()["slow"]
    assert 1 <= len(slow) <= 20 and max(slow) < 40


def test_a_probe_without_messages_counts_for_nothing(server: Server) -> None:
    server.reset(latency=0)
    body = json.dumps({"model": "fake-1", "messages": []}).encode()
    urllib.request.urlopen(f"{server.url}/chat/completions", body, timeout=30).close()
    assert server.stats()["requests"] == 0


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


def test_a_table_has_a_line_for_each_system_and_says_why_one_is_missing() -> None:
    lines = table(SCENARIOS["short"], {"personagen": made_run()}, {"curator": "not installed: no space left"})
    assert lines[4].startswith("| personagen | 2.00 | 2.00 | 250 | 2.5 | 3.0 | 1.0 | 100 | 500 | 500 |")
    assert lines[5:] == ["| curator | skipped: not installed: no space left |"]


def test_goals_are_printed_with_their_figures() -> None:
    assert goals(SCENARIOS["long"], {"long": {"personagen": made_run()}})[1:] == [
        "Goal: span / ideal at most 1.25. Here 2: missed."
    ]
    fast = {"long": {"personagen": made_run(last_reply=11.2)}}
    assert goals(SCENARIOS["long"], fast)[1:] == ["Goal: span / ideal at most 1.25. Here 1.2: met."]
    assert goals(SCENARIOS["long"], {"long": {}}) == [], "PersonaGen did not run"
    alone = {"short": {"personagen": made_run(last_reply=11.2)}}
    assert goals(SCENARIOS["short"], alone)[-1].endswith("Here nan: missed."), "without a peer nothing is beaten"


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
