"""From a request to a durable reply: never paid twice, no more at once than allowed, sent again where it may help."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from personagen.builder.dispatch import Dispatcher
from personagen.builder.errors import BackendError, FolderError, RequestError
from personagen.builder.gate import open_gate
from personagen.builder.journal import Journal, Usage
from personagen.builder.llm import Ask, Message, Reply, Request, Sampling, request_key
from personagen.builder.openai_chat import OpenAIBackend, connect_openai
from personagen.builder.prices import Budget
from tests.fake_openai import FakeOpenAI, Fault, completion, contents


def ask_for(text: str, *, seed: int = 1) -> Request:
    """Build a small request."""
    return Request((Message("user", text),), Sampling(max_tokens=50), seed)


def with_model(
    url: str, path: Path, use: Callable[[OpenAIBackend, Journal], Awaitable[None]], *, concurrency: int = 16
) -> None:
    """Open the journal and a backend, use both in an event loop, and close them."""

    async def run() -> None:
        journal = Journal(path)
        backend = connect_openai(model="fake-1", base_url=url, api_key=None, concurrency=concurrency)
        try:
            await use(backend, journal)
        finally:
            journal.close()
            await backend.close()

    asyncio.run(run())


def dispatcher(backend: OpenAIBackend, journal: Journal, budget: Budget | None = None) -> Dispatcher:
    """Put a gate and the journal before a backend; as many requests as it takes may be in flight from the start."""
    gate = open_gate(budget or Budget(), concurrency=backend.concurrency, adaptive=False)
    return Dispatcher(backend, journal, gate)


def asker(backend: OpenAIBackend, journal: Journal) -> Ask:
    """Make the `Ask` of a row."""
    return dispatcher(backend, journal).ask(0)


def test_requests_that_differ_in_anything_have_keys_of_their_own() -> None:
    """Model, seed, prompt, sampling, schema: whatever the reply depends on."""
    request = ask_for("Tell me.")
    others = [
        replace(request, seed=2),
        replace(request, messages=(Message("system", "Tell me."),)),
        replace(request, sampling=Sampling(max_tokens=51)),
        replace(request, sampling=Sampling(max_tokens=50, temperature=0.0)),
        replace(request, prefill="So"),
        replace(request, stop=("\n",)),
        replace(request, candidates=2),
        replace(request, schema={"type": "object"}),
    ]
    one = connect_openai(model="one", base_url="http://127.0.0.1:1/v1", api_key=None, concurrency=1)
    two = connect_openai(model="two", base_url="http://127.0.0.1:1/v1", api_key=None, concurrency=1)
    moved = connect_openai(model="one", base_url="http://127.0.0.1:2/v1", api_key="k", concurrency=9)
    keys = {request_key(one, each) for each in (request, *others)} | {request_key(two, request)}
    assert len(keys) == len(others) + 2
    assert request_key(moved, request) == request_key(one, request)


def test_equal_requests_under_way_are_sent_once(tmp_path: Path) -> None:
    """Rows of one persona share its background."""

    async def use(backend: OpenAIBackend, journal: Journal) -> None:
        ask = asker(backend, journal)
        replies = await asyncio.gather(*[ask(ask_for("Tell me.")) for _ in range(20)])
        assert len(set(replies)) == 1

    with FakeOpenAI(latency=0.05) as server:
        with_model(server.url, tmp_path / "journal", use)
        assert len(server.requests) == 1


def test_known_reply_is_never_asked_for_again(tmp_path: Path) -> None:
    """Neither in the same run nor in a later one."""
    replies: list[Reply] = []

    async def use(backend: OpenAIBackend, journal: Journal) -> None:
        ask = asker(backend, journal)
        replies.append(await ask(ask_for("Tell me.")))
        replies.append(await ask(ask_for("Tell me.")))

    with FakeOpenAI() as server:
        with_model(server.url, tmp_path / "journal", use)
        with_model(server.url, tmp_path / "journal", use)
        assert len(server.requests) == 1
        assert {reply.candidates[0].text for reply in replies} == {contents(server.requests[0])[0]}


def test_known_reply_needs_no_server(tmp_path: Path) -> None:
    """A journal that is complete answers offline."""

    async def use(backend: OpenAIBackend, journal: Journal) -> None:
        assert (await asker(backend, journal)(ask_for("Tell me."))).candidates

    with FakeOpenAI() as server:
        with_model(server.url, tmp_path / "journal", use)
    with_model(server.url, tmp_path / "journal", use)


@pytest.mark.parametrize("limit", [1, 3])
def test_no_more_requests_are_in_flight_than_allowed(tmp_path: Path, limit: int) -> None:
    """The limit is reached and kept."""

    async def use(backend: OpenAIBackend, journal: Journal) -> None:
        ask = asker(backend, journal)
        await asyncio.gather(*[ask(ask_for(f"Tell me {number}.")) for number in range(12)])

    with FakeOpenAI(latency=0.03) as server:
        with_model(server.url, tmp_path / "journal", use, concurrency=limit)
        assert (server.most_in_flight, len(server.requests)) == (limit, 12)


def test_error_reaches_all_who_wait_and_is_not_kept(tmp_path: Path) -> None:
    """A later run asks again and gets the reply."""
    fault = Fault("status", times=1, status=400, body={"error": {"message": "no such thing"}})

    async def refused(backend: OpenAIBackend, journal: Journal) -> None:
        ask = asker(backend, journal)
        errors = await asyncio.gather(*[ask(ask_for("Tell me.")) for _ in range(5)], return_exceptions=True)
        assert [type(error) for error in errors] == [RequestError] * 5
        assert journal.get(request_key(backend, ask_for("Tell me."))) is None
        assert journal.usage() == Usage(0, 0, 0)

    async def answered(backend: OpenAIBackend, journal: Journal) -> None:
        assert (await asker(backend, journal)(ask_for("Tell me."))).candidates

    with FakeOpenAI(faults=[fault], latency=0.03) as server:
        with_model(server.url, tmp_path / "journal", refused)
        assert len(server.requests) == 1
        with_model(server.url, tmp_path / "journal", answered)
        assert len(server.requests) == 2


def test_error_of_the_backend_reaches_all_who_wait(tmp_path: Path) -> None:
    """One 401 stops everybody, and nobody is told of an error that was never looked at."""

    async def use(backend: OpenAIBackend, journal: Journal) -> None:
        ask = asker(backend, journal)
        errors = await asyncio.gather(*[ask(ask_for("Tell me.")) for _ in range(5)], return_exceptions=True)
        assert [type(error) for error in errors] == [BackendError] * 5

    with FakeOpenAI(faults=[Fault("status", status=401)]) as server:
        with_model(server.url, tmp_path / "journal", use)


def test_giving_up_cuts_off_nobody_else(tmp_path: Path) -> None:
    """The reply reaches the others, and is kept even if all have left."""

    async def use(backend: OpenAIBackend, journal: Journal) -> None:
        ask = asker(backend, journal)
        first, second, alone = [asyncio.ensure_future(ask(ask_for(text))) for text in ("shared", "shared", "alone")]
        await asyncio.sleep(0.05)
        first.cancel()
        alone.cancel()
        assert (await second).candidates
        for _ in range(100):
            if journal.get(request_key(backend, ask_for("alone"))) is not None:
                return
            await asyncio.sleep(0.02)
        raise AssertionError("what was paid for was not kept")

    with FakeOpenAI(latency=0.1) as server:
        with_model(server.url, tmp_path / "journal", use)
        assert len(server.requests) == 2


# Sent again, or given up


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for milliseconds where a run waits for seconds."""
    for name, value in (("FIRST_PAUSE", 0.01), ("LONGEST_PAUSE", 0.02), ("OUTAGE", 0.4)):
        monkeypatch.setattr(f"personagen.builder.dispatch.{name}", value)


def outcomes(url: str, path: Path, requests: list[Request], *, concurrency: int = 4) -> list[Reply | BaseException]:
    """Ask for everything at once; return replies and errors."""
    found: list[Reply | BaseException] = []

    async def use(backend: OpenAIBackend, journal: Journal) -> None:
        run = dispatcher(backend, journal)
        asked = [run.ask(turn)(request) for turn, request in enumerate(requests)]
        found.extend(await asyncio.gather(*asked, return_exceptions=True))
        await run.drain()

    with_model(url, path, use, concurrency=concurrency)
    return found


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
    monkeypatch.setattr("personagen.builder.openai_chat.PATIENCE", 0.2)
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
    monkeypatch.setattr("personagen.builder.dispatch.OUTAGE", 20.0)

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


def test_stopped_run_takes_what_is_under_way_and_asks_for_no_more(tmp_path: Path) -> None:
    """A reply that was paid for is kept; those who waited are cancelled."""

    async def use(backend: OpenAIBackend, journal: Journal) -> None:
        run = dispatcher(backend, journal)
        asked = [asyncio.ensure_future(run.ask(turn)(ask_for(f"Nr {turn}."))) for turn in range(6)]
        await asyncio.sleep(0.1)
        await run.drain()
        done = await asyncio.gather(*asked, return_exceptions=True)
        assert [isinstance(each, Reply) for each in done] == [True, True, False, False, False, False]
        assert [journal.get(request_key(backend, ask_for(f"Nr {turn}."))) is not None for turn in range(3)] == [
            True, True, False
        ]  # fmt: skip

    with FakeOpenAI(latency=0.4) as server:
        with_model(server.url, tmp_path / "journal", use, concurrency=2)
        assert len(server.requests) == 2


def test_usage_counts_each_distinct_request_once(tmp_path: Path) -> None:
    """Whoever paid for it and when, but only what this process asked for."""

    async def first(backend: OpenAIBackend, journal: Journal) -> None:
        ask = asker(backend, journal)
        for text in ("one", "two words", "one", "three words here"):
            await ask(ask_for(text))
        assert journal.usage() == usage("one", "two words", "three words here")

    async def second(backend: OpenAIBackend, journal: Journal) -> None:
        ask = asker(backend, journal)
        assert journal.usage() == Usage(0, 0, 0)
        await ask(ask_for("two words"))
        await ask(ask_for("two words"))
        assert journal.usage() == usage("two words")

    def usage(*texts: str) -> Usage:
        bodies = [{"model": "m", "messages": [{"content": text}], "seed": 1} for text in texts]
        written = [
            completion({**body, "messages": [{"role": "user", "content": text}]})["usage"]
            for body, text in zip(bodies, texts, strict=True)
        ]
        counts = [sum(each[name] for each in written) for name in ("prompt_tokens", "completion_tokens")]
        return Usage(len(texts), *counts)

    with FakeOpenAI() as server:
        with_model(server.url, tmp_path / "journal", first)
        with_model(server.url, tmp_path / "journal", second)


@pytest.mark.parametrize("tokens", [2**63, 10**30, -(10**30)], ids=["just above", "far above", "far below"])
@pytest.mark.timeout(20)
def test_absurd_token_count_does_not_hang(tmp_path: Path, tokens: int) -> None:
    """Counts come from the server, so they may be anything; at worst the run ends with an error of ours."""
    usage = {"prompt_tokens": tokens, "completion_tokens": 1}
    choice = {"index": 0, "message": {"role": "assistant", "content": "Text."}, "finish_reason": "stop"}
    fault = Fault("status", status=200, body={"choices": [choice], "usage": usage})
    outcomes: list[str] = []

    async def use(backend: OpenAIBackend, journal: Journal) -> None:
        try:
            reply = await asyncio.wait_for(asker(backend, journal)(ask_for("Tell me.")), 5)
            outcomes.append(reply.candidates[0].text)
        except (RequestError, FolderError):
            outcomes.append("error")

    with FakeOpenAI(faults=[fault]) as server:
        with_model(server.url, tmp_path / "journal", use)
    assert outcomes in (["Text."], ["error"])


def test_sum_of_huge_token_counts_is_no_error(tmp_path: Path) -> None:
    """A sum beyond 64 bits is no reason to fail when all rows are there."""
    choice = {"index": 0, "message": {"role": "assistant", "content": "Text."}, "finish_reason": "stop"}
    fault = Fault("status", status=200, body={"choices": [choice], "usage": {"prompt_tokens": 2**62}})

    async def use(backend: OpenAIBackend, journal: Journal) -> None:
        ask = asker(backend, journal)
        await asyncio.gather(*[ask(ask_for("Tell me.", seed=seed)) for seed in range(4)])
        assert journal.usage().requests == 4

    with FakeOpenAI(faults=[fault]) as server:
        with_model(server.url, tmp_path / "journal", use)
