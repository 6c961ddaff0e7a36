"""The server of the benchmark of the pipeline over HTTP, and the world that it plays as functions of the request."""

import http.client
import json
import math
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from benchmarks.pipeline.behaviour import BAD, FAULTS, POOL, VARIATIONS, Behaviour
from benchmarks.pipeline.counters import BUCKET_S, FlightMeter, RoundCounters
from benchmarks.pipeline.drivers import common
from benchmarks.pipeline.measure import Server
from benchmarks.pipeline.server import REPEATED, _retry_after
from personagen.builder.writing.finalization.duplicate_index import DuplicateIndex

BODIES = [json.dumps(number).encode() for number in range(20_000)]


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


def outcome(server: Server, prompt: str) -> str:
    """Send one chat request and name what came of it."""
    try:
        status, _, _ = post(server, prompt)
    except json.JSONDecodeError:
        return "garbage"
    except http.client.IncompleteRead:
        return "cut"
    except ConnectionResetError:
        return "reset"
    return str(status)


def text_of(content: dict[str, Any]) -> str:
    return str(content["choices"][0]["message"]["content"])


# Over HTTP


def test_the_server_answers_late_and_counts(server: Server) -> None:
    server.reset(latency=0.2)
    with ThreadPoolExecutor(4) as pool:
        replies = list(pool.map(lambda prompt: post(server, prompt), ["one", "two", "three", "three"]))
    assert [status for status, _, _ in replies] == [200] * 4
    assert text_of(replies[0][1]) != text_of(replies[1][1])
    assert replies[2][1] == replies[3][1], "the reply depends on the request alone"
    assert replies[0][1]["usage"]["completion_tokens"] > 0
    stats = server.stats()
    assert (stats["requests"], stats["replies"], stats["repeated"], stats["statuses"]) == (4, 4, 1, {"200": 4})
    assert stats["most_in_flight"] == 4 and stats["faults"] == {}
    assert stats["last_reply"] - stats["first_request"] >= 0.2
    assert sum(stats["buckets"]) >= 4 * 0.2 - 1e-3, "four requests were in flight for at least 0.2 s each"
    assert sorted(stats["seconds"]) in ([0.2, 0.2, 0.2], [0.2, 0.2, 0.4]), "one entry per request body"
    server.reset()
    assert server.stats()["requests"] == 0


def test_the_server_lists_its_model(server: Server) -> None:
    with urllib.request.urlopen(f"{server.url}/models", timeout=30) as reply:
        assert json.load(reply)["data"][0]["id"] == common.MODEL


def test_above_its_limit_the_server_refuses_at_once(server: Server) -> None:
    server.reset(latency=0.5, limits=[[0, 2]], retry_after=3)
    with ThreadPoolExecutor(5) as pool:
        replies = list(pool.map(lambda number: post(server, str(number)), range(5)))
    assert sorted(status for status, _, _ in replies) == [200, 200, 429, 429, 429]
    assert {headers.get("Retry-After") for status, _, headers in replies if status == 429} == {"3"}
    assert server.stats()["statuses"] == {"200": 2, "429": 3} and server.stats()["faults"] == {}
    assert server.stats()["most_in_flight"] == 2


def test_a_spent_window_refuses_until_the_next_one(server: Server) -> None:
    server.reset(latency=0, window=3, window_s=3600, retry_after=1)
    replies = [post(server, str(number)) for number in range(5)]
    assert [status for status, _, _ in replies] == [200, 200, 200, 429, 429]
    assert {headers.get("Retry-After") for _, _, headers in replies[:3]} == {None}
    assert 3000 < int(replies[3][2]["Retry-After"]) <= 3600, "the seconds until the next window"
    assert _retry_after(Behaviour(window=3, window_s=10, retry_after=1), 12.5) == b"Retry-After: 8\r\n"
    assert _retry_after(Behaviour(window=3, window_s=10), 12.5) == b""


def test_bad_prompts_and_bad_seeds_are_refused(server: Server) -> None:
    assert BAD == common.BAD
    server.reset(latency=0, bad_every=50)
    assert [post(server, f"item {BAD}")[0] for _ in range(2)] == [400, 400]
    assert [post(server, "item", seed=seed)[0] for seed in (49, 50, 51)] == [200, 400, 200]
    server.reset(latency=0)
    assert post(server, BAD, seed=50)[0] == 200, "only where it is configured"


def test_a_probe_without_messages_counts_for_nothing(server: Server) -> None:
    server.reset(latency=0)
    body = json.dumps({"model": "fake-1", "messages": []}).encode()
    urllib.request.urlopen(f"{server.url}/chat/completions", body, timeout=30).close()
    assert server.stats()["requests"] == 0


@pytest.mark.parametrize("kind", FAULTS)
def test_each_kind_of_fault_reaches_the_client(server: Server, kind: str) -> None:
    server.reset(latency=0.001, faults=1.0, kinds=[kind])
    came = {outcome(server, str(number)) for number in range(3)}
    assert came == {"200" if kind == "slow" else kind}
    stats = server.stats()
    assert stats["faults"] == {kind: 3} and stats["requests"] == 3
    assert stats["replies"] == (3 if kind == "slow" else 0), "what a fault spoils is no reply"
    at_once = 0.0 if kind in ("429", "503") else 0.001
    assert stats["seconds"] == [0.02 if kind == "slow" else at_once] * 3


def test_a_retry_is_a_new_draw_and_a_second_run_meets_the_same_faults(server: Server) -> None:
    rounds = []
    for _ in range(2):
        server.reset(latency=0, faults=0.5, kinds=["503"])
        rounds.append([[outcome(server, str(number)) for _ in range(4)] for number in range(10)])
    assert rounds[0] == rounds[1]
    assert any(len(set(tries)) > 1 for tries in rounds[0]), "some calls fail and succeed at the next try"
    server.reset(latency=0, faults=0.5, kinds=["503"], seed=1)
    assert [[outcome(server, str(number)) for _ in range(4)] for number in range(10)] != rounds[0]


def test_a_repeated_reply_is_a_text_of_the_pool_and_not_where_a_schema_is_wanted(server: Server) -> None:
    server.reset(latency=0, repeats=1.0)
    forms = {form.format(text) for form in VARIATIONS for text in REPEATED}
    assert {text_of(post(server, str(number))[1]) for number in range(20)} <= forms
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
    wanted = {"type": "json_schema", "json_schema": {"name": "a", "schema": schema}}
    assert "a" in json.loads(text_of(post(server, "one", response_format=wanted)[1]))


# The world as functions


@pytest.mark.parametrize("fraction", [0.005, 0.01, 0.03, 0.08])
def test_faults_have_their_fraction_and_kinds_are_equally_frequent(fraction: float) -> None:
    behaviour = Behaviour(faults=fraction)
    drawn = Counter(behaviour.fault(body, number) for body in BODIES for number in range(3))
    calls = 3 * len(BODIES)
    for kind in FAULTS:
        expected = calls * fraction / len(FAULTS)
        assert abs(drawn[kind] - expected) < 5 * math.sqrt(expected), "five standard deviations"
    assert abs(calls - drawn[""] - calls * fraction) < 5 * math.sqrt(calls * fraction)
    assert Behaviour().fault(BODIES[0], 0) == ""


def test_an_unknown_kind_of_fault_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"unknown faults \['502'\], expected some of \('429', "):
        Behaviour(kinds=["429", "502"])


@pytest.mark.parametrize("fraction", [0.02, 0.05, 0.1])
def test_repeats_have_their_fraction_and_use_the_whole_pool(fraction: float) -> None:
    behaviour = Behaviour(repeats=fraction)
    drawn = [repeated for body in BODIES if (repeated := behaviour.repeated(body)) is not None]
    expected = len(BODIES) * fraction
    assert abs(len(drawn) - expected) < 5 * math.sqrt(expected)
    assert {text for text, _ in drawn} == set(range(POOL))
    assert {variation for _, variation in drawn} == set(range(len(VARIATIONS)))
    assert Behaviour().repeated(BODIES[0]) is None


def test_each_variation_of_a_repeated_text_is_a_near_duplicate_and_no_other_text_is() -> None:
    with DuplicateIndex(0.7) as index:
        for number, text in enumerate(REPEATED):
            assert index.find(index.fingerprint(text)) is None
            index.add(str(number), index.fingerprint(text))
        for number, text in enumerate(REPEATED):
            assert {index.find(index.fingerprint(form.format(text))) for form in VARIATIONS} == {str(number)}
    for text in REPEATED:
        for first in VARIATIONS:
            with DuplicateIndex(0.7) as index:
                index.add("first", index.fingerprint(first.format(text)))
                assert {index.find(index.fingerprint(form.format(text))) for form in VARIATIONS} == {"first"}


def test_a_long_tailed_latency_has_its_median_and_its_percentiles() -> None:
    behaviour = Behaviour(latency=0.2, sigma=0.7)
    seconds = sorted(behaviour.seconds(body) for body in BODIES)
    assert seconds == sorted(behaviour.seconds(body) for body in BODIES), "it depends on the request alone"
    for quantile, deviations in ((0.5, 0.0), (0.95, 1.645), (0.99, 2.326)):
        expected = 0.2 * math.exp(0.7 * deviations)
        assert seconds[int(quantile * len(seconds))] == pytest.approx(expected, rel=0.06)
    assert seconds[-1] <= 4.0, "no reply is later than 20 times the median"
    assert Behaviour(latency=0.2).seconds(BODIES[0]) == 0.2


def test_the_hash_of_the_body_chooses_the_slow_requests() -> None:
    behaviour = Behaviour(slow_fraction=0.2)
    assert 0.18 < sum(behaviour.seconds(body) == 2.0 for body in BODIES) / len(BODIES) < 0.22


def test_slow_periods_stand_at_the_end_of_each_interval() -> None:
    behaviour = Behaviour(slow_every=6, slow_for=2, slow_factor=5)
    assert [behaviour.factor(at) for at in (0, 3.9, 4, 5.9, 6, 10.5)] == [1, 1, 5, 5, 1, 5]
    assert Behaviour().factor(5) == 1


def test_a_limit_moves_with_time() -> None:
    behaviour = Behaviour(limits=[[0, 40], [5, 10], [12, 40]])
    assert [behaviour.slots(at) for at in (0, 4.9, 5, 11, 12, 99)] == [40, 40, 10, 10, 40, 40]
    assert Behaviour().slots(0) == math.inf


# Counters


def test_requests_in_flight_are_integrated_over_buckets() -> None:
    meter = FlightMeter()
    meter.change(1, 0.0)
    meter.change(1, 1.5 * BUCKET_S)
    meter.change(-1, 2.25 * BUCKET_S)
    meter.change(-1, 3.0 * BUCKET_S)
    assert meter.in_flight == 0
    assert [seconds / BUCKET_S for seconds in meter.buckets] == pytest.approx([1, 1.5, 1.25])
    assert sum(meter.buckets) == pytest.approx(3.75 * BUCKET_S)


def test_counters_separate_replies_faults_and_replies_that_are_paid_twice() -> None:
    counters = RoundCounters(Behaviour(latency=0.5, faults=1.0, kinds=["500"]))
    assert counters.arrive(b"a", 100.0) == 0.0 and counters.let_in(b"a") == ("500", 0.5)
    counters.begin(0.0, 1)
    counters.end(100.5)
    counters.count(500, b"a", 100.5, is_reply=False)
    counters.behaviour = Behaviour(latency=0.5)
    for now in (101.0, 102.0):
        counters.let_in(b"a")
        counters.count(200, b"a", counters.arrive(b"a", now) + now, is_reply=True)
    counters.arrive(b"b", 103.0)
    found = counters.to_json()
    assert (found["requests"], found["replies"], found["repeated"], found["faults"]) == (4, 2, 1, {"500": 1})
    assert found["seconds"] == [1.0, 0.0], "a failed try and its retry; what is answered twice is no work"
    assert found["last_new"] == 103.0 and found["first_request"] == 100.0
    assert found["buckets"] == [0.25, 0.25]


def test_windows_and_limits_refuse_by_their_own_clocks() -> None:
    counters = RoundCounters(Behaviour(window=2, window_s=10, limits=[[0, 5]]))
    assert [counters.is_refused(at, 0) for at in (0, 1, 2, 9.9, 10, 11, 12)] == [0, 0, 1, 1, 0, 0, 1]
    assert counters.is_refused(20, 5) and not counters.is_refused(20, 4), "a refused request takes no place"
