"""From a request to a durable reply: never paid for twice, and never more in flight than allowed."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from personagen.builder.core.errors import BackendError, FolderError, RequestError
from personagen.builder.core.prices import Amount
from personagen.builder.llm.admission.retries import MAX_FAILURES
from personagen.builder.llm.backends.openai_chat import OpenAIBackend, connect_openai
from personagen.builder.llm.backends.openai_settings import ServerOptions
from personagen.builder.llm.budget import Budget
from personagen.builder.llm.journal import Journal, Usage
from personagen.builder.llm.requests import (
    ONLY_THOUGHT,
    Candidate,
    Message,
    Reply,
    Request,
    Sampling,
    request_key,
)
from personagen.builder.llm.storage.opening import JournalFile
from tests.helpers.dispatching import ask_for, asker, dispatcher, until, with_model
from tests.helpers.servers.fake_openai import FakeOpenAI, Fault, completion, contents


def test_requests_that_differ_have_different_keys() -> None:
    """A key depends on everything that the reply depends on, and on nothing else."""
    request = ask_for("Go on.")
    others = [
        replace(request, seed=2),
        replace(request, messages=(Message("system", "Go on."),)),
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
    keys = {request_key(one, other) for other in (request, *others)} | {request_key(two, request)}
    assert len(keys) == len(others) + 2
    assert request_key(moved, request) == request_key(one, request)


def test_settings_that_change_replies_change_the_keys_of_requests() -> None:
    """Those of the server and the time do not, and an empty body is no setting."""
    changing: list[ServerOptions] = [{"body": {"top_k": 5}}, {"body": {"seed": None}}, {"reasoning_effort": "low"}]
    others: list[ServerOptions] = [
        {"headers": {"X-Title": "a"}},
        {"query": {"a": "b"}},
        {"timeout": 5.0},
        {"thinking_tokens": 900},
        {"body": {}},
        {"body": None, "reasoning_effort": None},
    ]

    def key(options: ServerOptions) -> str:
        backend = connect_openai(model="one", base_url="http://127.0.0.1:1/v1", api_key=None, concurrency=1, **options)
        return request_key(backend, ask_for("Go on."))

    assert len({key(options) for options in ({}, *changing)}) == len(changing) + 1
    assert {key(options) for options in others} == {key({})}


def test_keys_of_requests_are_those_of_existing_journals() -> None:
    """A journal of an earlier version answers the same requests, so its replies are not paid for again."""
    backend = connect_openai(model="fake-1", base_url="http://127.0.0.1:1/v1", api_key=None, concurrency=1)
    sampling = Sampling(max_tokens=90, temperature=0.9, top_p=0.95, min_p=0.05, repetition_penalty=1.1)
    messages = (Message("system", "You write."), Message("user", "caf\u00e9 \U0001f600"))
    full = Request(messages, sampling, 7, "So", ("\n", "END"), 3, {"type": "object", "required": ["a"]})
    assert [request_key(backend, request) for request in (ask_for("Go on."), full, replace(full, top_logprobs=5))] == [
        "a0f00d854798d2ec47c0a7ab2db05b791938f594483bbb8893c6f77470903f37",
        "2e58b1e87544a59023871020e46cff94814029596237087a103d4f05d3c253aa",
        "310d4d0e0101c4f3b587aeeb1e99f6d8eda67b135d3d65b0595979ee31e74956",
    ]


def test_a_refused_request_is_not_sent_again(tmp_path: Path) -> None:
    """Otherwise rows of one persona could have different backgrounds."""

    async def use(backend: OpenAIBackend, journal: Journal) -> None:
        run = dispatcher(backend, journal)
        for row in range(3):
            with pytest.raises(RequestError):
                await run.ask(row)(ask_for("Go on."))
        assert len((await run.ask(0)(ask_for("Another."))).candidates) == 1

    refused = Fault("status", status=403, nth=1, body={"error": {"message": "not this one"}})
    with FakeOpenAI(faults=[refused]) as server:
        with_model(server.url, tmp_path / "journal", use)
        assert len(server.requests) == 2


def test_a_later_run_sends_a_failed_request_again_unless_its_journal_keeps_failures(tmp_path: Path) -> None:
    """The user may have mended the server; a replay must go as the run did."""
    found: list[Reply | RequestError] = []
    usage: list[Usage] = []

    async def use(backend: OpenAIBackend, journal: Journal) -> None:
        try:
            found.append(await asker(backend, journal)(ask_for("Go on.")))
        except RequestError as error:
            found.append(error)
        usage.append(journal.usage())

    refusing = Fault("status", status=403, times=2, body={"error": {"message": "not this one"}})
    sent = []
    with FakeOpenAI(faults=[refusing]) as server:
        for keeps in (False, True, False, True, False, True):
            with_model(server.url, JournalFile(tmp_path / "journal", keeps_failures=keeps), use)
            sent.append(len(server.requests))
    assert sent == [1, 1, 2, 2, 3, 3]
    assert [type(one) for one in found] == [RequestError] * 4 + [Reply] * 2
    assert len(set(map(str, found[:4]))) == 1 and found[4] == found[5]
    assert usage[:4] == [Usage(1, 0, 0)] * 4 and usage[4] == usage[5] != usage[0]


def test_a_failure_after_a_reply_that_was_cut_keeps_its_tokens(tmp_path: Path) -> None:
    async def use(backend: OpenAIBackend, journal: Journal) -> None:
        cut = Reply((Candidate("", "length", problem=ONLY_THOUGHT),), 11, 50, cut_at=50)
        await journal.put(request_key(backend, ask_for("Go on.")), cut)
        for _ in range(2):
            with pytest.raises(RequestError):
                await asker(backend, journal)(ask_for("Go on."))
            assert journal.total() == (11, 50)

    with FakeOpenAI(
        faults=[Fault("status", status=403, times=9, body={"error": {"message": "not this one"}})]
    ) as server:
        with_model(server.url, tmp_path / "journal", use)
        assert len(server.requests) == 2


def test_a_request_that_fails_while_no_other_is_answered_is_not_at_fault(tmp_path: Path) -> None:
    """The server is: one other reply after the first failure does not give the request up."""

    async def use(backend: OpenAIBackend, journal: Journal) -> None:
        run = dispatcher(backend, journal)
        await run.ask(0)(ask_for("First."))  # the others wait for its dialect
        replies = await asyncio.gather(run.ask(1)(ask_for("Slow.")), run.ask(2)(ask_for("Unlucky.")))
        assert [type(reply) for reply in replies] == [Reply, Reply]

    slow = Fault("delay", contains="Slow.", seconds=0.1)
    unlucky = Fault("status", contains="Unlucky.", status=500, times=5 * MAX_FAILURES)
    with FakeOpenAI(faults=[slow, unlucky]) as server:
        with_model(server.url, tmp_path / "journal", use)
        assert len(server.requests) == 3 + 5 * MAX_FAILURES


def test_equal_requests_under_way_are_sent_once(tmp_path: Path) -> None:
    """Rows of one persona share its background."""

    async def use(backend: OpenAIBackend, journal: Journal) -> None:
        ask = asker(backend, journal)
        replies = await asyncio.gather(*[ask(ask_for("Go on.")) for _ in range(20)])
        assert len(set(replies)) == 1

    with FakeOpenAI(latency=0.05) as server:
        with_model(server.url, tmp_path / "journal", use)
        assert len(server.requests) == 1


def test_journaled_reply_is_never_requested_again(tmp_path: Path) -> None:
    """Neither in the same run nor in a later one."""
    replies: list[Reply] = []

    async def use(backend: OpenAIBackend, journal: Journal) -> None:
        ask = asker(backend, journal)
        replies.append(await ask(ask_for("Go on.")))
        replies.append(await ask(ask_for("Go on.")))

    with FakeOpenAI() as server:
        with_model(server.url, tmp_path / "journal", use)
        with_model(server.url, tmp_path / "journal", use)
        assert len(server.requests) == 1
        assert {reply.candidates[0].text for reply in replies} == {contents(server.requests[0])[0]}


def test_journaled_reply_needs_no_server(tmp_path: Path) -> None:
    """A complete journal answers offline."""

    async def use(backend: OpenAIBackend, journal: Journal) -> None:
        assert (await asker(backend, journal)(ask_for("Go on."))).candidates

    with FakeOpenAI() as server:
        with_model(server.url, tmp_path / "journal", use)
    with_model(server.url, tmp_path / "journal", use)


@pytest.mark.parametrize("limit", [1, 3])
def test_no_more_requests_are_in_flight_than_allowed(tmp_path: Path, limit: int) -> None:
    """The limit is reached and kept."""

    async def use(backend: OpenAIBackend, journal: Journal) -> None:
        ask = asker(backend, journal)
        await asyncio.gather(*[ask(ask_for(f"Go on {number}.")) for number in range(12)])

    with FakeOpenAI(latency=0.03) as server:
        with_model(server.url, tmp_path / "journal", use, concurrency=limit)
        assert (server.most_in_flight, len(server.requests)) == (limit, 12)


def test_error_reaches_all_waiting_rows(tmp_path: Path) -> None:
    """A later run sends the request again and gets the reply."""
    fault = Fault("status", times=1, status=403, body={"error": {"message": "no such thing"}})

    async def refused(backend: OpenAIBackend, journal: Journal) -> None:
        ask = asker(backend, journal)
        errors = await asyncio.gather(*[ask(ask_for("Go on.")) for _ in range(5)], return_exceptions=True)
        assert [type(error) for error in errors] == [RequestError] * 5
        assert journal.usage() == Usage(1, 0, 0)

    async def answered(backend: OpenAIBackend, journal: Journal) -> None:
        assert (await asker(backend, journal)(ask_for("Go on."))).candidates

    with FakeOpenAI(faults=[fault], latency=0.03) as server:
        with_model(server.url, tmp_path / "journal", refused)
        assert len(server.requests) == 1
        with_model(server.url, tmp_path / "journal", answered)
        assert len(server.requests) == 2


def test_unusable_reply_is_journaled_and_charged(tmp_path: Path) -> None:
    """It was paid for, so it is never requested again, nor in a later run."""
    budgets: list[Budget] = []

    async def use(backend: OpenAIBackend, journal: Journal) -> None:
        budgets.append(Budget(spent=Amount(*journal.total())))
        ask = dispatcher(backend, journal, budgets[-1]).ask(0)
        for _ in range(2):
            reply = await ask(ask_for("Go on."))
            assert reply.candidates == () and "the content filter stopped the reply" in (reply.problem or "")
        assert journal.usage().requests == 1

    with FakeOpenAI(faults=[Fault("content_filter")]) as server:
        with_model(server.url, tmp_path / "journal", use)
        with_model(server.url, tmp_path / "journal", use)
        assert len(server.requests) == 1
    assert budgets[0].spent == budgets[1].spent
    assert budgets[0].spent.prompt == 2 and budgets[0].spent.completion > 10


def test_error_of_the_backend_reaches_all_waiting_rows(tmp_path: Path) -> None:
    """One 401 stops every row, and asyncio logs no exception that was never retrieved."""

    async def use(backend: OpenAIBackend, journal: Journal) -> None:
        ask = asker(backend, journal)
        errors = await asyncio.gather(*[ask(ask_for("Go on.")) for _ in range(5)], return_exceptions=True)
        assert [type(error) for error in errors] == [BackendError] * 5

    with FakeOpenAI(faults=[Fault("status", status=401)]) as server:
        with_model(server.url, tmp_path / "journal", use)


def test_cancelled_row_leaves_the_others_alone(tmp_path: Path) -> None:
    """The reply reaches the others, and is journaled even if every row that waited is cancelled."""

    async def use(backend: OpenAIBackend, journal: Journal) -> None:
        ask = asker(backend, journal)
        first, second, alone = [asyncio.ensure_future(ask(ask_for(text))) for text in ("shared", "shared", "alone")]
        await until(lambda: len(server.requests) == 2)
        first.cancel()
        alone.cancel()
        assert (await second).candidates
        await until(lambda: journal.get(request_key(backend, ask_for("alone"))) is not None)

    with FakeOpenAI(latency=0.1) as server:
        with_model(server.url, tmp_path / "journal", use)
        assert len(server.requests) == 2


def test_usage_counts_each_distinct_request_once(tmp_path: Path) -> None:
    """It counts the requests of this process, whichever run paid for their replies."""

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
        counts = [sum(entry[name] for entry in written) for name in ("prompt_tokens", "completion_tokens")]
        return Usage(len(texts), *counts)

    with FakeOpenAI() as server:
        with_model(server.url, tmp_path / "journal", first)
        with_model(server.url, tmp_path / "journal", second)


@pytest.mark.parametrize("tokens", [2**63, 10**30, -(10**30)], ids=["just above", "far above", "far below"])
@pytest.mark.timeout(20)
def test_absurd_token_count_does_not_hang(tmp_path: Path, tokens: int) -> None:
    """The server may send any number; at worst the run ends with a PersonaGenError."""
    usage = {"prompt_tokens": tokens, "completion_tokens": 1}
    choice = {"index": 0, "message": {"role": "assistant", "content": "Text."}, "finish_reason": "stop"}
    fault = Fault("status", status=200, body={"choices": [choice], "usage": usage})
    outcomes: list[str] = []

    async def use(backend: OpenAIBackend, journal: Journal) -> None:
        try:
            reply = await asyncio.wait_for(asker(backend, journal)(ask_for("Go on.")), 5)
            outcomes.append(reply.candidates[0].text)
        except (RequestError, FolderError):
            outcomes.append("error")

    with FakeOpenAI(faults=[fault]) as server:
        with_model(server.url, tmp_path / "journal", use)
    assert outcomes in (["Text."], ["error"])


def test_sum_of_huge_token_counts_is_no_error(tmp_path: Path) -> None:
    """A sum beyond 64 bits does not fail a run whose rows are complete."""
    choice = {"index": 0, "message": {"role": "assistant", "content": "Text."}, "finish_reason": "stop"}
    fault = Fault("status", status=200, body={"choices": [choice], "usage": {"prompt_tokens": 2**62}})

    async def use(backend: OpenAIBackend, journal: Journal) -> None:
        ask = asker(backend, journal)
        await asyncio.gather(*[ask(ask_for("Go on.", seed=seed)) for seed in range(4)])
        assert journal.usage().requests == 4

    with FakeOpenAI(faults=[fault]) as server:
        with_model(server.url, tmp_path / "journal", use)
