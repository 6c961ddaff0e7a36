"""What is sent again, how often, and when it is the request's fault or the server's."""

import asyncio
import re
from dataclasses import replace
from pathlib import Path

import pytest

from personagen.builder.core.errors import BackendError, RequestError
from personagen.builder.llm.backends.openai_chat import OpenAIBackend
from personagen.builder.llm.journal import Journal
from personagen.builder.llm.requests import Reply
from tests.helpers.dispatching import ask_for, dispatcher, outcomes, with_model
from tests.helpers.servers.fake_openai import FakeOpenAI, Fault


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for milliseconds where a run waits for seconds."""
    for name, value in (("FIRST_PAUSE", 0.01), ("LONGEST_PAUSE", 0.02), ("OUTAGE", 0.4)):
        monkeypatch.setattr(f"personagen.builder.llm.dispatcher.{name}", value)


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


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("fault", TRANSIENT, ids=lambda fault: f"{fault.kind} {fault.status} {fault.headers}")
def test_what_may_pass_is_sent_again(tmp_path: Path, fault: Fault) -> None:
    """It costs time and no row."""
    with FakeOpenAI(faults=[fault]) as server:
        (reply,) = outcomes(server.url, tmp_path / "journal", [ask_for("Tell me.")])
        assert isinstance(reply, Reply)
        assert len(server.requests) == 3


@pytest.mark.usefixtures("hasty")
def test_late_reply_is_asked_for_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A call that takes too long is given up and made again."""
    monkeypatch.setattr("personagen.builder.llm.backends.openai_chat.PATIENCE", 0.2)
    with FakeOpenAI(faults=[Fault("delay", nth=1, seconds=5)]) as server:
        (reply,) = outcomes(server.url, tmp_path / "journal", [ask_for("Tell me.")])
        assert isinstance(reply, Reply)
        assert len(server.requests) == 2


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("status", [400, 404, 413, 422])
def test_what_will_not_pass_is_sent_once(tmp_path: Path, status: int) -> None:
    """A plain refusal is no reason to try again, in this run; what it says is told to all."""
    fault = Fault("status", status=status, contains="Bad.", body={"error": {"message": "no"}})
    with FakeOpenAI(faults=[fault]) as server:
        found = outcomes(server.url, tmp_path / "journal", [ask_for("Bad."), ask_for("Good."), ask_for("Bad.")])
        assert len(server.requests) == 2
    wanted = BackendError if status == 404 else RequestError
    assert [type(each) for each in found] == [wanted, Reply, wanted]


@pytest.mark.usefixtures("hasty")
def test_request_that_always_fails_is_given_up_while_others_succeed(tmp_path: Path) -> None:
    """It is the request's fault, so it costs its row an attempt; the others go on."""
    fault = Fault("status", contains="Poison.", status=500, body={"error": {"message": "boom"}})
    with FakeOpenAI(faults=[fault], latency=0.01) as server:
        requests = [ask_for("Poison."), *[ask_for(f"Nr {number}.") for number in range(60)]]
        error, *replies = outcomes(server.url, tmp_path / "journal", requests, concurrency=2)
        assert isinstance(error, RequestError)
        assert re.fullmatch(r"http\S+/v1 failed \(server error 500\): 'boom', \d+ times in a row", str(error))
        assert all(isinstance(reply, Reply) for reply in replies)


@pytest.mark.slow
@pytest.mark.usefixtures("hasty")
def test_request_that_is_turned_away_as_one_too_many_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rate limit is nobody's fault: no row pays for it, until it has lasted for long."""
    fault = Fault("status", contains="Unlucky.", status=429, times=12, headers={"Retry-After": "0"})
    requests = [ask_for("Unlucky."), *[ask_for(f"Nr {number}.") for number in range(60)]]
    with FakeOpenAI(faults=[fault], latency=0.01) as server:
        assert isinstance(outcomes(server.url, tmp_path / "one", requests, concurrency=2)[0], Reply)
        asked = [body for body in server.requests if "Unlucky" in body["messages"][0]["content"]]
        assert len(asked) == 13
    monkeypatch.setattr("personagen.builder.llm.dispatcher.TURNED_AWAY", 0.0)
    with FakeOpenAI(faults=[replace(fault, times=None)], latency=0.01) as server:
        assert isinstance(outcomes(server.url, tmp_path / "two", requests, concurrency=2)[0], RequestError)


@pytest.mark.usefixtures("hasty")
def test_server_that_fails_for_long_stops_the_run(tmp_path: Path) -> None:
    """It is the server's fault: no row pays for it."""
    with FakeOpenAI(faults=[Fault("status", status=500, body={"error": {"message": "boom"}})]) as server:
        found = outcomes(server.url, tmp_path / "journal", [ask_for("One."), ask_for("Two.")])
    assert [type(each) for each in found] == [BackendError, BackendError]
    message = r"http\S+/v1 failed \(server error 500\): 'boom'; nothing was answered for 0 s: run the same .*"
    assert re.fullmatch(message, str(found[0]))


@pytest.mark.usefixtures("hasty")
def test_server_that_asks_for_hours_stops_the_run(tmp_path: Path) -> None:
    """Nobody waits that long for a line that says so."""
    fault = Fault("status", status=429, headers={"Retry-After": "7200"}, body={"error": {"message": "quota"}})
    with FakeOpenAI(faults=[fault]) as server:
        (found,) = outcomes(server.url, tmp_path / "journal", [ask_for("One.")])
        assert len(server.requests) == 1
    assert isinstance(found, BackendError)
    assert str(found).endswith("'quota'; it asks to wait 7200 s: run the same command then to go on")


def test_server_that_is_not_there_stops_the_run_at_once(tmp_path: Path) -> None:
    """Before the first reply nobody waits for it."""
    (found,) = outcomes("http://127.0.0.1:9/v1", tmp_path / "journal", [ask_for("One.")])
    assert isinstance(found, BackendError)
    assert re.match(
        r"cannot reach http://127\.0\.0\.1:9/v1: .*; check --base-url and that the server runs$", str(found)
    )


@pytest.mark.usefixtures("hasty")
def test_server_that_goes_away_in_the_middle_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it comes back nothing is lost; each request is answered once."""
    monkeypatch.setattr("personagen.builder.llm.dispatcher.OUTAGE", 20.0)

    async def use(backend: OpenAIBackend, journal: Journal) -> None:
        run = dispatcher(backend, journal)
        assert (await run.ask(0)(ask_for("One."))).candidates
        first.__exit__(None, None, None)
        waiting = asyncio.ensure_future(run.ask(1)(ask_for("Two.")))
        await asyncio.sleep(0.1)
        assert not waiting.done()
        with FakeOpenAI(port=port):
            assert (await waiting).candidates
        await run.drain()

    first = FakeOpenAI()
    port = int(first.url.split(":")[2].split("/")[0])
    first.__enter__()
    with_model(first.url, tmp_path / "journal", use)
