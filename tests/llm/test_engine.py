"""The engine of a run: it answers within all limits, and closes everything on every path."""

import asyncio
import gc
import sqlite3
import warnings
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from personagen.builder.core.errors import BudgetError, FolderError
from personagen.builder.core.prices import NOTHING, Amount, Price
from personagen.builder.llm import Reply, Request, start_engine
from personagen.builder.llm.admission.retries import RetryTiming
from personagen.builder.llm.journal import Journal
from tests.helpers.dispatching import ask_for, until

SETTINGS = SimpleNamespace(kind="test", model=None, base_url=None, concurrency=None, rpm=None, tpm=None)
LIMITS = SimpleNamespace(max_tokens=None, max_cost=None)


class EchoBackend:
    """A backend that answers at once, and counts its requests and how often it was closed."""

    name, model, concurrency, paid, adaptive = "echo", "echo", 4, False, False
    revision: str | None = None
    licence: str | None = None
    variant: Mapping[str, Any] = {}

    def __init__(self) -> None:
        self.sent = self.closed = 0
        self.delay_s = 0.0
        self.prompt_tokens = 30

    def token_limit(self, request: Request, cut_at: int | None = None) -> int:
        return request.sampling.max_tokens

    async def complete(self, request: Request) -> Reply:
        self.sent += 1
        await asyncio.sleep(self.delay_s)
        assert not self.closed
        return Reply((), self.prompt_tokens, 20, problem="echo")

    def stop(self) -> None:
        pass

    async def close(self) -> None:
        self.closed += 1


def test_engine_answers_journals_and_counts(tmp_path: Path) -> None:
    backend = EchoBackend()

    async def run() -> None:
        journal = tmp_path / "journal.sqlite"
        price = Price(1.0, 2.0)
        for _ in range(2):  # the second engine answers from the journal, whose tokens count as spent
            async with start_engine(backend, journal, settings=SETTINGS, limits=LIMITS, price=price) as engine:
                assert (await engine.ask(0)(ask_for("Go on."))).prompt_tokens == 30
                assert (engine.concurrency, engine.in_flight) == (4, 0)
                assert engine.budget.spent == Amount(30, 20)
                assert engine.budget.cost == pytest.approx(70e-6)
                assert engine.used().usage.requests == 1

    asyncio.run(run())
    assert backend.closed == 2


def test_settings_override_the_concurrency_of_the_backend() -> None:
    async def run() -> int:
        settings = SimpleNamespace(**{**vars(SETTINGS), "concurrency": 2})
        async with start_engine(EchoBackend(), None, settings=settings, limits=LIMITS) as engine:
            return engine.concurrency

    assert asyncio.run(run()) == 2


def test_tokens_of_the_journal_count_against_the_budget(tmp_path: Path) -> None:
    async def run() -> None:
        limits = SimpleNamespace(max_tokens=140, max_cost=None)
        for text in ("One.", "Two."):
            async with start_engine(EchoBackend(), tmp_path / "journal", settings=SETTINGS, limits=limits) as engine:
                await engine.ask(0)(ask_for(text))
        async with start_engine(EchoBackend(), tmp_path / "journal", settings=SETTINGS, limits=limits) as engine:
            with pytest.raises(BudgetError, match="100 of 140 tokens"):
                await engine.ask(0)(ask_for("Three."))

    asyncio.run(run())


def test_reply_under_way_at_the_exit_is_journaled(tmp_path: Path) -> None:
    """It is paid for, whatever ends the run."""
    backend = EchoBackend()
    backend.delay_s = 0.05
    timing = RetryTiming(grace_s=60.0)

    async def run() -> None:
        running = start_engine(backend, tmp_path / "journal", settings=SETTINGS, limits=LIMITS, timing=timing)
        async with running as engine:
            waiting = asyncio.ensure_future(engine.ask(0)(ask_for("Go on.")))
            await until(lambda: engine.in_flight == 1)
            raise ZeroDivisionError
        await waiting

    with pytest.raises(ZeroDivisionError):
        asyncio.run(run())
    journal = Journal(tmp_path / "journal")
    assert journal.total() == (30, 20)
    journal.close()


def test_reply_that_awaits_its_commit_at_the_exit_is_journaled(tmp_path: Path) -> None:
    """Even without a grace period: the reply has arrived and is charged."""
    timing = RetryTiming(grace_s=0.0)

    async def run() -> None:
        running = start_engine(EchoBackend(), tmp_path / "journal", settings=SETTINGS, limits=LIMITS, timing=timing)
        async with running as engine:
            waiting = asyncio.ensure_future(engine.ask(0)(ask_for("Go on.")))
            while engine.budget.spent == NOTHING:
                await asyncio.sleep(0)
            assert not waiting.done()
        await asyncio.gather(waiting, return_exceptions=True)

    asyncio.run(run())
    journal = Journal(tmp_path / "journal")
    assert journal.total() == (30, 20)
    journal.close()


def test_nothing_is_sent_once_a_reply_could_not_be_journaled(tmp_path: Path) -> None:
    """It would be paid for and lost."""
    backend = EchoBackend()
    backend.prompt_tokens = 2**63  # more than an integer of SQLite

    async def run() -> None:
        async with start_engine(backend, tmp_path / "journal", settings=SETTINGS, limits=LIMITS) as engine:
            for text in ("One.", "Two.", "Three."):
                with pytest.raises(FolderError, match="cannot write the journal"):
                    await engine.ask(0)(ask_for(text))

    asyncio.run(run())
    assert backend.sent == 1


def test_backend_is_closed_if_the_journal_is_refused(tmp_path: Path) -> None:
    backend = EchoBackend()

    async def run() -> None:
        async with start_engine(backend, tmp_path, settings=SETTINGS, limits=LIMITS):
            raise AssertionError("opened a folder")

    with pytest.raises(FolderError, match="cannot open the journal"):
        asyncio.run(run())
    assert backend.closed == 1


def test_refused_journal_leaves_no_connection_open(tmp_path: Path) -> None:
    """Python 3.13 warns of connections that are collected without being closed."""
    damaged, foreign = tmp_path / "damaged", tmp_path / "foreign"
    damaged.write_bytes(b"no database\n" * 500)
    database = sqlite3.connect(foreign)
    database.execute("CREATE TABLE replies (id INTEGER)")
    database.close()
    opened: list[sqlite3.Connection] = []
    connect = sqlite3.connect

    def recorded(*args: Any, **options: Any) -> sqlite3.Connection:
        opened.append(connect(*args, **options))
        return opened[-1]

    async def run() -> None:
        async with start_engine(EchoBackend(), foreign, settings=SETTINGS, limits=LIMITS):
            raise AssertionError("opened a foreign database")

    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("error")
        patch.setattr(sqlite3, "connect", recorded)
        with pytest.raises(FolderError):
            Journal(damaged)
        with pytest.raises(FolderError, match="no such column"):
            asyncio.run(run())
        assert len(opened) == 4
        for connection in opened:
            with pytest.raises(sqlite3.ProgrammingError, match="closed"):
                connection.execute("SELECT 1")
        opened.clear()
        gc.collect()
