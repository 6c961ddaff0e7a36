"""Retries: which failures are retried, how often, and whether the request or the server is at fault."""

import asyncio
import re
from dataclasses import replace
from pathlib import Path

import pytest

from personagen.builder.core.errors import BackendError, RequestError, TransientError
from personagen.builder.core.prices import NOTHING
from personagen.builder.llm.admission.control import Slot, make_admission_control
from personagen.builder.llm.admission.retries import (
    MAX_FAILURES,
    RequestFailures,
    RetryTiming,
    require_retry,
    retry_pause,
)
from personagen.builder.llm.backends.openai_chat import ChatTimeouts, OpenAIBackend
from personagen.builder.llm.budget import Budget
from personagen.builder.llm.dispatcher import Dispatcher
from personagen.builder.llm.journal import Journal
from personagen.builder.llm.requests import Reply
from tests.helpers.dispatching import FAST, ask_for, outcomes, until, with_model
from tests.helpers.servers.fake_openai import FakeOpenAI, Fault

TRANSIENT = [
    Fault("status", status=408, times=2),
    Fault("status", status=409, times=2),
    Fault("status", status=429, times=2),
    Fault("status", status=429, times=2, headers={"retry-after-ms": "20"}),
    Fault("status", status=500, times=2),
    Fault("status", status=503, times=2, headers={"retry-after": "0"}),
    Fault("status", status=529, times=2),
    Fault("cut", times=2),
]


@pytest.mark.parametrize("fault", TRANSIENT, ids=lambda fault: f"{fault.kind} {fault.status} {fault.headers}")
def test_failure_that_may_pass_is_retried(tmp_path: Path, fault: Fault) -> None:
    """It costs time and no row."""
    with FakeOpenAI(faults=[fault]) as server:
        (reply,) = outcomes(server.url, tmp_path / "journal", [ask_for("Go on.")])
        assert isinstance(reply, Reply)
        assert len(server.requests) == 3


def test_call_without_a_reply_in_time_is_retried(tmp_path: Path) -> None:
    """The timeout ends the call, and the next one is answered."""
    with FakeOpenAI(faults=[Fault("hang", nth=1)]) as server:
        timeouts = ChatTimeouts(total_s=0.5)
        (reply,) = outcomes(server.url, tmp_path / "journal", [ask_for("Go on.")], timeouts=timeouts)
        assert isinstance(reply, Reply)
        assert len(server.requests) >= 2


@pytest.mark.parametrize(("status", "calls"), [(400, 5), (404, 2), (413, 2), (422, 5)])
def test_final_failure_is_not_retried(tmp_path: Path, status: int, calls: int) -> None:
    """Every row that asks for a refused request gets its error.

    It is sent once. The first one is sent three times more: without its parts, and with its limit renamed and left out.
    """
    fault = Fault("status", status=status, contains="Bad.", body={"error": {"message": "no"}})
    with FakeOpenAI(faults=[fault]) as server:
        results = outcomes(server.url, tmp_path / "journal", [ask_for("Bad."), ask_for("Good."), ask_for("Bad.")])
        assert len(server.requests) == calls
    wanted = BackendError if status == 404 else RequestError
    assert [type(result) for result in results] == [wanted, Reply, wanted]


def test_request_that_always_fails_is_given_up_while_others_succeed(tmp_path: Path) -> None:
    """The request is at fault, so it costs its row an attempt; the others go on."""
    fault = Fault("status", contains="Poison.", status=500, body={"error": {"message": "boom"}})
    with FakeOpenAI(faults=[fault], latency=0.01) as server:
        requests = [ask_for("Poison."), *[ask_for(f"Nr {number}.") for number in range(60)]]
        error, *replies = outcomes(server.url, tmp_path / "journal", requests, concurrency=2)
        assert isinstance(error, RequestError)
        assert re.fullmatch(r"http\S+/v1 failed \(server error 500\): 'boom', \d+ times", str(error))
        assert all(isinstance(reply, Reply) for reply in replies)


def test_request_refused_as_one_too_many_waits(tmp_path: Path) -> None:
    """A rate limit is not the request's fault, until it has lasted for `refusal_s`."""
    fault = Fault("status", contains="Unlucky.", status=429, times=12, headers={"Retry-After": "0"})
    requests = [ask_for("Unlucky."), *[ask_for(f"Nr {number}.") for number in range(20)]]
    with FakeOpenAI(faults=[fault], latency=0.01) as server:
        assert isinstance(outcomes(server.url, tmp_path / "one", requests, concurrency=2)[0], Reply)
        sent = [body for body in server.requests if "Unlucky" in body["messages"][0]["content"]]
        assert len(sent) == 13
    impatient = replace(FAST, refusal_s=0.0)
    with FakeOpenAI(faults=[replace(fault, times=None)], latency=0.01) as server:
        results = outcomes(server.url, tmp_path / "two", requests, concurrency=2, timing=impatient)
        assert isinstance(results[0], RequestError)


def test_server_that_fails_for_long_stops_the_run(tmp_path: Path) -> None:
    """The server is at fault, so no row loses an attempt."""
    with FakeOpenAI(faults=[Fault("status", status=500, body={"error": {"message": "boom"}})]) as server:
        timing = replace(FAST, outage_s=0.4)
        results = outcomes(server.url, tmp_path / "journal", [ask_for("One."), ask_for("Two.")], timing=timing)
    assert [type(result) for result in results] == [BackendError, BackendError]
    message = r"http\S+/v1 failed \(server error 500\): 'boom'; nothing was answered for 0 s: run the same .*"
    assert re.fullmatch(message, str(results[0]))


def test_server_that_asks_for_hours_stops_the_run(tmp_path: Path) -> None:
    """The run ends with a line that names the wait."""
    fault = Fault("status", status=429, headers={"Retry-After": "7200"}, body={"error": {"message": "quota"}})
    with FakeOpenAI(faults=[fault]) as server:
        (error,) = outcomes(server.url, tmp_path / "journal", [ask_for("One.")])
        assert len(server.requests) == 1
    assert isinstance(error, BackendError)
    assert str(error).endswith("'quota'; it asks to wait 7200 s: run the same command then to go on")


def test_server_that_is_not_there_stops_the_run_at_once(tmp_path: Path) -> None:
    """Before the first reply, an unreachable server is a wrong setting and not an outage."""
    (error,) = outcomes("http://127.0.0.1:9/v1", tmp_path / "journal", [ask_for("One.")])
    assert isinstance(error, BackendError)
    assert re.match(
        r"cannot reach http://127\.0\.0\.1:9/v1: .*; check --base-url and that the server runs$", str(error)
    )


def test_server_that_goes_away_in_the_middle_is_awaited(tmp_path: Path) -> None:
    """If it comes back nothing is lost, and each request is answered once."""

    async def use(backend: OpenAIBackend, journal: Journal) -> None:
        admission = make_admission_control(Budget(), concurrency=1, adaptive=False)
        run = Dispatcher(backend, journal, admission, FAST)
        assert (await run.ask(0)(ask_for("One."))).candidates
        first.__exit__(None, None, None)
        waiting = asyncio.ensure_future(run.ask(1)(ask_for("Two.")))
        await until(lambda: admission.in_flight == 1)
        await until(lambda: admission.in_flight == 0)  # the first try has failed
        assert not waiting.done()
        with FakeOpenAI(port=port):
            assert (await waiting).candidates
        await run.drain()

    first = FakeOpenAI()
    port = int(first.url.split(":")[2].split("/")[0])
    first.__enter__()
    with_model(first.url, tmp_path / "journal", use)


@pytest.mark.parametrize("wait", [None, 0.0])
def test_pauses_double_up_to_their_bound(wait: float | None) -> None:
    """Also for a server that asks for no wait; each pause is drawn from its upper half."""
    timing = RetryTiming(first_pause_s=1.0, max_pause_s=10.0)
    for failures, longest in ((1, 1.0), (2, 2.0), (4, 8.0), (5, 10.0), (50, 10.0), (5000, 10.0)):
        pauses = [retry_pause(TransientError("busy", wait=wait), failures, timing) for _ in range(50)]
        assert all(longest / 2 <= pause <= longest for pause in pauses)
        assert len(set(pauses)) > 1


def test_pauses_before_the_first_reply_are_short() -> None:
    """A server that loads its model is used soon after it is ready; a wait that it asks for counts as ever."""
    busy = TransientError("loading", overload=True)
    assert all(2.0 <= retry_pause(busy, 20, RetryTiming(), is_loading=True) <= 4.0 for _ in range(50))
    assert retry_pause(TransientError("loading", wait=9.0), 20, RetryTiming(), is_loading=True) >= 9.0


def test_pause_is_at_least_the_wait_that_the_server_asks_for() -> None:
    pauses = [retry_pause(TransientError("busy", wait=7.0), 1, RetryTiming()) for _ in range(50)]
    assert all(7.0 <= pause <= 7.7 for pause in pauses)


def failures_at(*times: float, last_reply_at: float | None = None) -> RequestFailures:
    """Build the failures of a request that was sent at 0 for the first time."""
    failures = RequestFailures()
    for time in times:
        failures.add(0.0, time, last_reply_at)
    return failures


def test_pause_that_the_server_asks_for_is_no_outage() -> None:
    """The outage is measured from the end of the pause."""
    admission = make_admission_control(Budget(), concurrency=1, adaptive=False)
    timing = RetryTiming(outage_s=10.0)
    busy = TransientError("busy", overload=True, limited=True, wait=100.0)
    admission.record_failure(Slot(0.0, NOTHING), busy)
    end = admission.asked_pause_until
    require_retry(busy, failures_at(end - 100, end + 5), admission, timing)
    with pytest.raises(BackendError, match="nothing was answered for 10 s"):
        require_retry(busy, failures_at(end - 100, end + 11), admission, timing)


def test_failures_before_the_last_reply_are_no_outage() -> None:
    """They are measured from the last reply to any request."""
    admission = make_admission_control(Budget(), concurrency=1, adaptive=False)
    admission.last_reply_at = 50.0
    require_retry(TransientError("boom"), failures_at(0.0, 55.0), admission, RetryTiming(outage_s=10.0))


def test_request_is_at_fault_only_if_others_are_answered_between_its_failures() -> None:
    """A server that fails for a minute costs no row an attempt, however often a request is tried meanwhile."""
    admission = make_admission_control(Budget(), concurrency=1, adaptive=False)
    admission.last_reply_at = 50.0
    timing, broken = RetryTiming(outage_s=100.0, failing_s=5.0), TransientError("boom")
    require_retry(broken, failures_at(*range(49, 49 + 20), last_reply_at=50.0), admission, timing)
    at_fault = RequestFailures()
    for time in range(MAX_FAILURES):
        at_fault.add(time, time + 0.5, last_reply_at=time + 0.6)
    with pytest.raises(RequestError, match=f"boom, {MAX_FAILURES} times"):
        require_retry(broken, at_fault, admission, timing)
    require_retry(broken, at_fault, admission, replace(timing, failing_s=5.1))  # a balancer may find another server


def test_server_that_asks_one_request_for_hours_and_answers_others_goes_on() -> None:
    """The request gets the usual pause; a server that answers nothing else ends the run."""
    admission = make_admission_control(Budget(), concurrency=1, adaptive=False)
    admission.last_reply_at = 0.4
    timing, busy = RetryTiming(), TransientError("busy", overload=True, wait=86_400.0)
    require_retry(busy, failures_at(0.5, last_reply_at=0.4), admission, timing)
    assert retry_pause(busy, 1, timing) <= timing.max_pause_s
    with pytest.raises(BackendError, match=r"busy; it asks to wait 86400 s: run the same command then to go on"):
        require_retry(busy, failures_at(0.5, 1.0, last_reply_at=0.4), admission, timing)
