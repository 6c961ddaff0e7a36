"""The journal: every reply of a model, durable before it is used, found again by the hash of its request."""

import asyncio
import json
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from personagen.builder.core.errors import FolderError
from personagen.builder.core.records import as_mapping
from personagen.builder.llm.requests import Candidate, Reply

GATHER = 0.01
"""Seconds that a commit waits for further replies: each costs a flush and a change of threads."""

CACHE_KIB = 1024
"""Memory for each connection; a reply is looked up once, so that more is no gain."""

REPLIES = """
CREATE TABLE IF NOT EXISTS replies (
    key TEXT PRIMARY KEY, prompt_tokens INTEGER NOT NULL, completion_tokens INTEGER NOT NULL, reply TEXT NOT NULL
) WITHOUT ROWID
"""

USED = "CREATE TEMP TABLE used (key TEXT PRIMARY KEY) WITHOUT ROWID"
"""Names the replies that this process has asked for: what a release took, whoever paid for it and when."""


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
        self._problem: FolderError | None = None
        self._waiting: list[tuple[str, Reply, asyncio.Future[None]]] = []
        self._writer: asyncio.Task[None] | None = None
        # One thread, for every other one would keep memory of its own.
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="personagen-journal")
        try:
            self._database = sqlite3.connect(path or ":memory:", check_same_thread=False, isolation_level=None)
            self._database.execute("PRAGMA journal_mode = WAL")
            self._database.execute("PRAGMA synchronous = FULL")  # a reply survives a power cut, not only a kill
            self._database.execute(REPLIES)
            # A second connection, so that a look-up does not wait for a commit that another thread is flushing.
            self._reader = self._database if path is None else sqlite3.connect(path, isolation_level=None)
            for each in (self._database, self._reader):
                each.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
            self._reader.execute(USED)
        except sqlite3.Error as error:
            raise FolderError(f"cannot open the journal {path}: {error}; check the folder, or use --fresh") from error

    def get(self, key: str) -> Reply | None:
        """Find the reply to a request; None where there is none."""
        try:
            found = self._reader.execute("SELECT reply FROM replies WHERE key = ?", (key,)).fetchone()
            if found is None:
                return None
            self._use([key])
            return _decode(found[0])
        except (sqlite3.Error, ValueError, TypeError, KeyError) as error:
            raise self._unreadable(error) from error

    def _use(self, keys: list[str]) -> None:
        self._reader.executemany("INSERT OR IGNORE INTO used VALUES (?)", [(key,) for key in keys])

    def usage(self) -> Usage:
        """Count the replies that this process has used."""
        count = (
            "SELECT count(*), coalesce(sum(prompt_tokens), 0), coalesce(sum(completion_tokens), 0) "
            "FROM replies JOIN used USING (key)"
        )
        try:
            return Usage(*self._reader.execute(count).fetchone())
        except sqlite3.Error as error:
            raise self._unreadable(error) from error

    def total(self) -> tuple[int, int]:
        """Sum up the prompt and completion tokens of all replies, whoever asked for them."""
        try:
            sums = "SELECT coalesce(sum(prompt_tokens), 0), coalesce(sum(completion_tokens), 0) FROM replies"
            prompt, completion = self._reader.execute(sums).fetchone()
        except sqlite3.Error as error:
            raise self._unreadable(error) from error
        return prompt, completion

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
            await asyncio.sleep(GATHER)
            batch, self._waiting = self._waiting, []
            try:
                rows = [(key, reply) for key, reply, _ in batch]
                await asyncio.get_running_loop().run_in_executor(self._thread, self._commit, rows)
                problem = None
            except (sqlite3.Error, OverflowError) as error:
                problem = FolderError(f"cannot write the journal: {error}; free some space and run the command again")
                self._problem = problem  # what cannot be kept should not be paid for
            if problem is None:
                self._use([key for key, *_ in batch])
            for *_, done in batch:
                if not done.done():  # its row may have been cancelled meanwhile
                    done.set_exception(problem) if problem else done.set_result(None)

    def _commit(self, batch: list[tuple[str, Reply]]) -> None:
        rows = [(key, reply.prompt_tokens, reply.completion_tokens, _encode(reply)) for key, reply in batch]
        try:
            self._database.execute("BEGIN")
            self._database.executemany("INSERT OR REPLACE INTO replies VALUES (?, ?, ?, ?)", rows)
            self._database.execute("COMMIT")
        except BaseException:
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")
            raise

    @property
    def problem(self) -> FolderError | None:
        """What kept the last replies from being kept; None where all is well."""
        return self._problem

    async def flush(self) -> None:
        """Wait for what is being written."""
        if self._writer is not None:
            await self._writer

    def close(self) -> None:
        """Close the file."""
        self._thread.shutdown()
        self._reader.close()
        self._database.close()


def is_empty(path: Path) -> bool:
    """Tell whether a journal holds no reply, or is not there; one that cannot be read is not empty."""
    if not path.exists():
        return True
    try:
        with closing(sqlite3.connect(path)) as database:
            return database.execute("SELECT key FROM replies LIMIT 1").fetchone() is None
    except sqlite3.Error:
        return False


def _encode(reply: Reply) -> str:
    return json.dumps(reply, default=as_mapping)


def _decode(text: str) -> Reply:
    data = json.loads(text)
    candidates = tuple(Candidate(**candidate) for candidate in data.pop("candidates"))
    return Reply(candidates=candidates, **data)
