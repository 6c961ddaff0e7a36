"""From a request to a durable reply: never paid twice, no more at once than allowed, sent again where it may help."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from personagen.builder.core.errors import BackendError, FolderError, RequestError
from personagen.builder.core.prices import Amount
from personagen.builder.llm.backends.openai_chat import OpenAIBackend, connect_openai
from personagen.builder.llm.budget import Budget
from personagen.builder.llm.journal import Journal, Usage
from personagen.builder.llm.requests import Message, Reply, Sampling, request_key
from tests.helpers.dispatching import ask_for, asker, dispatcher, with_model
from tests.helpers.servers.fake_openai import FakeOpenAI, Fault, completion, contents


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


def test_what_was_paid_for_and_is_of_no_use_is_kept_and_counted(tmp_path: Path) -> None:
    """It is never asked for again, nor in a later run."""
    budgets: list[Budget] = []

    async def use(backend: OpenAIBackend, journal: Journal) -> None:
        budgets.append(Budget(spent=Amount(*journal.total())))
        ask = dispatcher(backend, journal, budgets[-1]).ask(0)
        for _ in range(2):
            reply = await ask(ask_for("Tell me."))
            assert reply.candidates == () and "the content filter stopped the reply" in (reply.problem or "")
        assert journal.usage().requests == 1

    with FakeOpenAI(faults=[Fault("content_filter")]) as server:
        with_model(server.url, tmp_path / "journal", use)
        with_model(server.url, tmp_path / "journal", use)
        assert len(server.requests) == 1
    assert budgets[0].spent == budgets[1].spent
    assert budgets[0].spent.prompt == 2 and budgets[0].spent.completion > 10


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
