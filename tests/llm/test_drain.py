"""The end of a run: nothing further is sent, and replies to the requests in flight are journaled."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from personagen.builder.llm.admission.control import make_admission_control
from personagen.builder.llm.backends.openai_chat import OpenAIBackend
from personagen.builder.llm.budget import Budget
from personagen.builder.llm.dispatcher import Dispatcher
from personagen.builder.llm.journal import Journal
from personagen.builder.llm.requests import Reply, request_key
from tests.helpers.dispatching import FAST, ask_for, dispatcher, until, with_model
from tests.helpers.servers.fake_openai import FakeOpenAI, Fault


def test_stopped_run_takes_replies_under_way_and_sends_no_more(tmp_path: Path) -> None:
    """A reply that was paid for is journaled; requests that were not sent are cancelled."""

    async def use(backend: OpenAIBackend, journal: Journal) -> None:
        run = dispatcher(backend, journal)
        await run.ask(0)(ask_for("The first one is sent alone."))
        asked = [asyncio.ensure_future(run.ask(priority)(ask_for(f"Nr {priority}."))) for priority in range(6)]
        await until(lambda: len(server.requests) == 3)
        await run.drain()
        results = await asyncio.gather(*asked, return_exceptions=True)
        assert [isinstance(result, Reply) for result in results] == [True, True, False, False, False, False]
        journaled = [journal.get(request_key(backend, ask_for(f"Nr {priority}."))) for priority in range(3)]
        assert [reply is not None for reply in journaled] == [True, True, False]

    with FakeOpenAI(latency=0.4) as server:
        with_model(server.url, tmp_path / "journal", use, concurrency=2)
        assert len(server.requests) == 3


def test_stopped_run_sends_no_request_that_waits_for_the_dialect(tmp_path: Path) -> None:
    """The first request of a run is sent alone; those that wait for its reply are never sent."""

    async def use(backend: OpenAIBackend, journal: Journal) -> None:
        run = dispatcher(backend, journal)
        asked = [asyncio.ensure_future(run.ask(priority)(ask_for(f"Nr {priority}."))) for priority in range(4)]
        await until(lambda: server.requests)
        await run.drain()
        results = await asyncio.gather(*asked, return_exceptions=True)
        assert [isinstance(result, Reply) for result in results] == [True, False, False, False]

    with FakeOpenAI(latency=0.3) as server:
        with_model(server.url, tmp_path / "journal", use)
        assert len(server.requests) == 1


async def cancelled(waiting: "asyncio.Future[Reply]") -> None:
    """Wait until a row has been cancelled, which the end of its request does not precede in every Python."""
    async with asyncio.timeout(60):
        with pytest.raises(asyncio.CancelledError):
            await waiting


PATIENT = replace(FAST, first_pause_s=600.0, max_pause_s=600.0, grace_s=600.0)
"""Pauses and a grace period that no test waits for."""


def test_stopped_run_does_not_wait_for_a_request_in_its_retry_pause(tmp_path: Path) -> None:
    async def use(backend: OpenAIBackend, journal: Journal) -> None:
        admission = make_admission_control(Budget(), concurrency=2, adaptive=False)
        run = Dispatcher(backend, journal, admission, PATIENT)
        waiting = asyncio.ensure_future(run.ask(0)(ask_for("Go on.")))
        await until(lambda: admission.load().retrying == 1)
        async with asyncio.timeout(60):
            await run.drain()
        await cancelled(waiting)

    with FakeOpenAI(faults=[Fault("status", status=503)]) as server:
        with_model(server.url, tmp_path / "journal", use)
        assert len(server.requests) == 1


def test_request_that_fails_while_the_run_stops_is_not_retried(tmp_path: Path) -> None:
    async def use(backend: OpenAIBackend, journal: Journal) -> None:
        run = dispatcher(backend, journal, timing=PATIENT)
        waiting = asyncio.ensure_future(run.ask(0)(ask_for("Go on.")))
        await until(lambda: server.requests)
        draining = asyncio.ensure_future(run.drain())
        await asyncio.sleep(0)
        server.released.set()
        async with asyncio.timeout(60):
            await draining
        await cancelled(waiting)

    with FakeOpenAI(faults=[Fault("hang"), Fault("status", status=503)]) as server:
        with_model(server.url, tmp_path / "journal", use)
        assert len(server.requests) == 1


def test_cancelled_drain_journals_the_replies_that_have_arrived(tmp_path: Path) -> None:
    """A second interrupt ends the wait for replies, and not the reading of those that are sent."""

    async def use(backend: OpenAIBackend, journal: Journal) -> None:
        run = dispatcher(backend, journal, timing=replace(PATIENT, arrival_s=60.0))
        await run.ask(0)(ask_for("The first one is sent alone."))
        asked = [asyncio.ensure_future(run.ask(0)(ask_for(text))) for text in ("One.", "Two.")]
        await until(lambda: len(server.requests) == 3)
        draining = asyncio.ensure_future(run.drain())
        await asyncio.sleep(0)
        draining.cancel()
        server.released.set()
        with pytest.raises(asyncio.CancelledError):
            await draining
        assert all(isinstance(reply, Reply) for reply in await asyncio.gather(*asked))
        await journal.flush()
        assert all(journal.get(request_key(backend, ask_for(text))) is not None for text in ("One.", "Two."))

    with FakeOpenAI(faults=[Fault("hang", nth=2), Fault("hang", nth=3)]) as server:
        with_model(server.url, tmp_path / "journal", use)


def test_stopped_run_waits_no_longer_than_the_grace_period(tmp_path: Path) -> None:
    """A server that does not answer cannot keep a run from ending."""

    async def use(backend: OpenAIBackend, journal: Journal) -> None:
        run = dispatcher(backend, journal, timing=replace(FAST, grace_s=0.01))
        waiting = asyncio.ensure_future(run.ask(0)(ask_for("Go on.")))
        await until(lambda: server.requests)
        await run.drain()
        await cancelled(waiting)

    with FakeOpenAI(faults=[Fault("hang")]) as server:
        with_model(server.url, tmp_path / "journal", use)
