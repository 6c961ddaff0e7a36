"""Replies of reasoning models and refused accounts, from request to durable reply."""

import asyncio
import re
from collections.abc import Awaitable
from pathlib import Path

from personagen.builder.core.errors import BackendError, BudgetError, PersonaGenError, RequestError
from personagen.builder.core.prices import Amount
from personagen.builder.llm.backends.openai_chat import OpenAIBackend
from personagen.builder.llm.budget import Budget
from personagen.builder.llm.dispatcher import MAX_ACCOUNT_REFUSALS
from personagen.builder.llm.journal import Journal
from personagen.builder.llm.requests import Reply, request_key
from tests.helpers.asking import reply_of
from tests.helpers.dispatching import ask_for, asker, dispatcher, with_model
from tests.helpers.servers.fake_openai import FakeOpenAI, Fault

CUT = {
    "choices": [{"message": {"content": None, "reasoning_content": "Hm."}, "finish_reason": "length"}],
    "usage": {"prompt_tokens": 5, "completion_tokens": 50},
}
"""A reply of a reasoning model whose thoughts have used up the limit."""


def test_a_reply_cut_before_its_content_is_sent_again_with_more_room(tmp_path: Path) -> None:
    """Both replies were paid for, so both are charged, and the journal has their sum."""
    budgets = [Budget()]

    async def use(backend: OpenAIBackend, journal: Journal) -> None:
        reply = await dispatcher(backend, journal, budgets[0]).ask(0)(ask_for("Go on."))
        assert (len(reply.candidates), reply.prompt_tokens > 5, reply.completion_tokens > 50) == (1, True, True)
        assert budgets[0].spent == Amount(reply.prompt_tokens, reply.completion_tokens) == Amount(*journal.total())

    with FakeOpenAI(faults=[Fault("status", nth=1, status=200, body=CUT)]) as server:
        with_model(server.url, tmp_path / "journal", use)
        assert [body["max_tokens"] for body in server.requests] == [50, 50 + 1024]


def test_a_request_that_waits_reserves_the_limit_that_it_is_sent_with(tmp_path: Path) -> None:
    """A budget that has room for the limit at the start may have none for the limit that thoughts need."""

    async def use(backend: OpenAIBackend, journal: Journal) -> None:
        budget = Budget(max_tokens=1100)
        run = dispatcher(backend, journal, budget)
        asked = [run.ask(row)(ask_for("Go on.", seed=row)) for row in range(2)]
        outcomes = await asyncio.gather(*asked, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [BudgetError, BudgetError]

    with FakeOpenAI(faults=[Fault("status", nth=1, status=200, body=CUT)]) as server:
        with_model(server.url, tmp_path / "journal", use, concurrency=1)
        assert [body["max_tokens"] for body in server.requests] == [50]


def test_a_run_that_ended_after_a_cut_reply_goes_on_with_more_room(tmp_path: Path) -> None:
    """The cut reply of the earlier run shows that the model thinks."""
    request = ask_for("Go on.")

    async def use(backend: OpenAIBackend, journal: Journal) -> None:
        cut = Reply((), 5, 50, problem="no content", cut_at=request.sampling.max_tokens)
        await journal.put(request_key(backend, request), cut)
        reply = await asker(backend, journal)(request)
        assert (len(reply.candidates), reply.completion_tokens > 50) == (1, True)

    with FakeOpenAI() as server:
        with_model(server.url, tmp_path / "journal", use)
        assert [body["max_tokens"] for body in server.requests] == [50 + 1024]


def test_thoughts_stay_in_the_journal_and_reach_no_row(tmp_path: Path) -> None:
    """The journal keeps the reply as it was paid for."""

    async def use(backend: OpenAIBackend, journal: Journal) -> None:
        for _ in range(2):
            reply = await asker(backend, journal)(ask_for("Go on."))
            assert [candidate.text for candidate in reply.candidates] == ["The bus was late."]
        journaled = journal.get(request_key(backend, ask_for("Go on.")))
        assert journaled is not None and journaled.candidates[0].text.startswith("<think>")

    body = reply_of("<think>Who writes?</think>The bus was late.")
    with FakeOpenAI(faults=[Fault("status", status=200, body=body)]) as server:
        with_model(server.url, tmp_path / "journal", use)


def test_an_account_that_is_refused_again_and_again_ends_the_run(tmp_path: Path) -> None:
    """A key that is revoked in the middle of a run costs its rows no further attempts."""

    async def use(backend: OpenAIBackend, journal: Journal) -> None:
        run = dispatcher(backend, journal)
        assert (await run.ask(0)(ask_for("Go on."))).candidates
        refusals = [await _error_of(run.ask(row)(ask_for(f"Nr {row}."))) for row in range(MAX_ACCOUNT_REFUSALS)]
        assert [type(error) for error in refusals] == [RequestError] * (MAX_ACCOUNT_REFUSALS - 1) + [BackendError]
        assert re.search(r"refused the key \(401\); .*; 24 times in a row: run the same command", str(refusals[-1]))
        assert await _error_of(run.ask(99)(ask_for("Nr 99."))) is refusals[-1]

    with FakeOpenAI(faults=[Fault("status", contains="Nr", status=401)]) as server:
        with_model(server.url, tmp_path / "journal", use)
        assert len(server.requests) == 1 + MAX_ACCOUNT_REFUSALS, "afterwards nothing is sent"


async def _error_of(asked: Awaitable[Reply]) -> Exception:
    try:
        await asked
    except PersonaGenError as error:
        return error
    raise AssertionError("it was answered")
