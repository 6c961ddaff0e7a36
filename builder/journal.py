"""The journal: every reply of a model, durable before it is used, found again by the hash of its request."""

import asyncio
import json
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from personagen.builder.errors import FolderError, RequestError
from personagen.builder.llm import Backend, Candidate, Reply, Request, request_key

Ask = Callable[[Request], Awaitable[Reply]]
"""How the stages reach the model: they neither know of the journal nor of limits."""

GRACE = 5.0
"""Seconds that a run which stops waits for replies under way."""

TABLES = """
CREATE TABLE IF NOT EXISTS replies (
    key TEXT PRIMARY KEY, prompt_tokens INTEGER NOT NULL, completion_tokens INTEGER NOT NULL, reply TEXT NOT NULL
) WITHOUT ROWID;
CREATE TEMP TABLE used (key TEXT PRIMARY KEY) WITHOUT ROWID;
"""
"""`used` names the replies that this process has asked for: what a release took, whoever paid for it and when."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What a release took: each distinct request counted once, whether it was paid now or found in the journal."""

    requests: int
    prompt_tokens: int
    completion_tokens: int


class Journal:
    """Replies on disk, by request key. One process at a time; use it from one event loop.

    Replies that arrive together are committed together: one commit for each would cost a disk flush a reply.
    """

    def __init__(self, path: Path | None) -> None:
        """Open or make the journal; None keeps it in memory, for previews.

        Raises:
            FolderError: the file cannot be opened, or is no journal.

        """
        self._path = path
        self._stopping = False
        self._problem: FolderError | None = None
        self._under_way: set[asyncio.Task[Any]] = set()
        self._waiting: list[tuple[str, Reply, asyncio.Future[None]]] = []
        self._writer: asyncio.Task[None] | None = None
        try:
            self._database = sqlite3.connect(path or ":memory:", check_same_thread=False, isolation_level=None)
            self._database.execute("PRAGMA journal_mode = WAL")
            self._database.execute("PRAGMA synchronous = FULL")  # a reply survives a power cut, not only a kill
            self._database.executescript(TABLES)
        except sqlite3.Error as error:
            raise FolderError(f"cannot open the journal {path}: {error}; check the folder, or use --fresh") from error

    def get(self, key: str) -> Reply | None:
        """Find the reply to a request; None where there is none."""
        try:
            found = self._database.execute("SELECT reply FROM replies WHERE key = ?", (key,)).fetchone()
            if found is None:
                return None
            self._database.execute("INSERT OR IGNORE INTO used VALUES (?)", (key,))
            return _decode(found[0])
        except (sqlite3.Error, ValueError, TypeError, KeyError) as error:
            raise self._unreadable(error) from error

    def usage(self) -> Usage:
        """Count the replies that this process has used."""
        count = (
            "SELECT count(*), coalesce(sum(prompt_tokens), 0), coalesce(sum(completion_tokens), 0) "
            "FROM replies JOIN used USING (key)"
        )
        try:
            return Usage(*self._database.execute(count).fetchone())
        except sqlite3.Error as error:
            raise self._unreadable(error) from error

    def _unreadable(self, error: Exception) -> FolderError:
        return FolderError(f"cannot read the journal {self._path}: {error}; check the folder, or use --fresh")

    async def put(self, key: str, reply: Reply) -> None:
        """Keep a reply; returns once it is durable.

        Raises:
            FolderError: it cannot be written (a full disk, say); what was kept before is safe.

        """
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((key, reply, done))
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write())
        await done

    async def _write(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, []
            try:
                await asyncio.to_thread(self._commit, [(key, reply) for key, reply, _ in batch])
                problem = None
            except (sqlite3.Error, OverflowError) as error:
                problem = FolderError(f"cannot write the journal: {error}; free some space and run the command again")
                self._problem = problem  # what cannot be kept should not be paid for
            for *_, done in batch:
                if not done.done():  # its row may have been cancelled meanwhile
                    done.set_exception(problem) if problem else done.set_result(None)

    def _commit(self, batch: list[tuple[str, Reply]]) -> None:
        rows = [(key, reply.prompt_tokens, reply.completion_tokens, json.dumps(asdict(reply))) for key, reply in batch]
        try:
            self._database.execute("BEGIN")
            self._database.executemany("INSERT OR REPLACE INTO replies VALUES (?, ?, ?, ?)", rows)
            self._database.executemany("INSERT OR IGNORE INTO used VALUES (?)", [(key,) for key, _ in batch])
            self._database.execute("COMMIT")
        except BaseException:
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")
            raise

    def admit(self) -> None:
        """Count the current task as a request under way; ends it where the run stops or replies cannot be kept."""
        task = asyncio.current_task()
        assert task is not None
        if self._problem is not None:
            raise self._problem
        if self._stopping:
            raise asyncio.CancelledError
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def drain(self) -> None:
        """Let requests under way arrive, for they are paid for, but not for ever; wait for what is being written."""
        self._stopping = True
        if self._under_way:
            _, late = await asyncio.wait(self._under_way, timeout=GRACE)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        if self._writer is not None:
            await self._writer

    def close(self) -> None:
        """Close the file."""
        self._database.close()


def journalled(backend: Backend, journal: Journal, limit: asyncio.Semaphore) -> Ask:
    """Make the `Ask` of a run: from the journal where it has the reply, else from the backend, kept before it is used.

    Equal requests under way are sent once: rows of one persona share its background.
    """
    under_way: dict[str, asyncio.Task[Reply]] = {}
    refused: dict[str, RequestError] = {}

    async def fetch(key: str, request: Request) -> Reply:
        async with limit:
            journal.admit()
            reply = await backend.complete(request)
        await journal.put(key, reply)
        return reply

    def finished(key: str, task: asyncio.Task[Reply]) -> None:
        del under_way[key]
        # Looked at in any case, so that nobody is told of an error that no row waits for any more.
        if not task.cancelled() and isinstance(error := task.exception(), RequestError):
            refused[key] = error

    async def ask(request: Request) -> Reply:
        key = request_key(backend, request)
        known = journal.get(key)
        if known is not None:
            return known
        if key in refused:
            # Asked again it might succeed, and the rows of one persona would differ in its background.
            raise refused[key]
        if key not in under_way:
            under_way[key] = asyncio.create_task(fetch(key, request))
            under_way[key].add_done_callback(lambda task: finished(key, task))
        # Shielded: a row that is given up must not cut off the others that wait for the same reply.
        return await asyncio.shield(under_way[key])

    return ask


def is_empty(path: Path) -> bool:
    """Tell whether a journal holds no reply, or is not there; one that cannot be read is not empty."""
    if not path.exists():
        return True
    try:
        with closing(sqlite3.connect(path)) as database:
            return database.execute("SELECT key FROM replies LIMIT 1").fetchone() is None
    except sqlite3.Error:
        return False


def _decode(text: str) -> Reply:
    data = json.loads(text)
    candidates = tuple(Candidate(**candidate) for candidate in data.pop("candidates"))
    return Reply(candidates=candidates, **data)
