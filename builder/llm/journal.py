"""The journal: every reply of a model, by the hash of its request, on disk before it is used."""

import asyncio
import json
import sqlite3
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

from personagen.builder.core.errors import FolderError
from personagen.builder.core.files import sync
from personagen.builder.core.records import as_mapping
from personagen.builder.llm.requests import Candidate, Reply

CACHE_KIB = 1024
"""Page cache per connection, in KiB; a reply is read once, so a larger cache gains nothing."""

MAX_MODEL_NAMES = 50
"""Upper bound on the models that are counted apart: some servers put a new fingerprint into every reply."""

OTHER_MODELS = "other models"
"""Name under which the replies of further models are counted."""

CREATE_REPLIES = """
CREATE TABLE IF NOT EXISTS replies (
    key TEXT PRIMARY KEY, prompt_tokens INTEGER NOT NULL, completion_tokens INTEGER NOT NULL, reply TEXT NOT NULL
) WITHOUT ROWID
"""

CREATE_USED = "CREATE TEMP TABLE used (key TEXT PRIMARY KEY) WITHOUT ROWID"
"""Keys of the replies that this process has used, whichever run paid for them."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Requests and tokens of a release; each distinct request counts once, journaled replies included."""

    requests: int
    prompt_tokens: int
    completion_tokens: int


@dataclass(frozen=True, slots=True)
class Origins:
    """How the replies of a release came about, where it was not as requested; each is a number of replies.

    Attributes:
        estimated: replies whose tokens are upper bounds, because the server counted none.
        answered_by: replies of models other than the requested one, by the name that the server states; the most
            frequent `MAX_MODEL_NAMES`, and the sum of the others.
        left_out: replies to requests without a part that the server refuses, by part.

    """

    estimated: int
    answered_by: Mapping[str, int]
    left_out: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class UsedReplies:
    """Tokens and origins of the replies of a release."""

    usage: Usage
    origins: Origins


class Journal:
    """Replies on disk, by request key; for one process at a time and one event loop.

    Replies that arrive together are committed together, since each commit costs a disk flush.

    Attributes:
        used: number of distinct replies that this process has used.

    """

    def __init__(self, path: Path | None, *, commit_delay_s: float = 0.01) -> None:
        """Open or create the journal.

        Args:
            path: file of the journal; None: in memory, for previews.
            commit_delay_s: seconds that a commit waits for further replies; each commit costs a flush and a change of
                threads.

        Raises:
            FolderError: the file cannot be opened, or is no journal.

        """
        self._path = path
        self._commit_delay_s = commit_delay_s
        self.used = 0
        self._problem: FolderError | None = None
        self._waiting: list[tuple[str, Reply, asyncio.Future[None]]] = []
        self._writer: asyncio.Task[None] | None = None
        # One thread for all commits: each further thread would add memory of its own.
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="personagen-journal")
        self._database, self._reader = _open(path)

    def get(self, key: str) -> Reply | None:
        """Return the reply to a request; None: not in the journal."""
        try:
            row = self._reader.execute("SELECT reply FROM replies WHERE key = ?", (key,)).fetchone()
            if row is None:
                return None
            self._mark_used([key])
            return _decode(row[0])
        except (sqlite3.Error, ValueError, TypeError, KeyError) as error:
            raise self._unreadable(error) from error

    def _mark_used(self, keys: list[str]) -> None:
        marked = self._reader.executemany("INSERT OR IGNORE INTO used VALUES (?)", [(key,) for key in keys])
        self.used += marked.rowcount

    def usage(self) -> Usage:
        """Count the replies that this process has used, and their tokens."""
        query = (
            "SELECT count(*), coalesce(sum(prompt_tokens), 0), coalesce(sum(completion_tokens), 0) "
            "FROM replies JOIN used USING (key)"
        )
        try:
            return Usage(*self._reader.execute(query).fetchone())
        except sqlite3.Error as error:
            raise self._unreadable(error) from error

    def origins(self) -> Origins:
        """Count the replies that this process has used and that did not come about as requested."""
        query = (
            "SELECT coalesce(json_extract(reply, '$.estimated'), 0), json_extract(reply, '$.answered_by'), "
            "coalesce(json_extract(reply, '$.left_out'), '[]'), count(*) "
            "FROM replies JOIN used USING (key) GROUP BY 1, 2, 3"
        )
        estimated, answered_by, left_out = 0, Counter[str](), Counter[str]()
        try:
            for is_estimated, model, parts, count in self._reader.execute(query):
                estimated += count if is_estimated else 0
                answered_by.update({model: count} if model else {})
                left_out.update(dict.fromkeys(json.loads(parts), count))
        except sqlite3.Error as error:
            raise self._unreadable(error) from error
        return Origins(estimated, _most_common(answered_by), dict(sorted(left_out.items())))

    def total(self) -> tuple[int, int]:
        """Sum the prompt and completion tokens of all replies, those of earlier runs included."""
        try:
            query = "SELECT coalesce(sum(prompt_tokens), 0), coalesce(sum(completion_tokens), 0) FROM replies"
            prompt, completion = self._reader.execute(query).fetchone()
        except sqlite3.Error as error:
            raise self._unreadable(error) from error
        return prompt, completion

    def _unreadable(self, error: Exception) -> FolderError:
        return FolderError(f"cannot read the journal {self._path}: {error}; check the folder, or use --fresh")

    async def put(self, key: str, reply: Reply) -> None:
        """Store a reply; return once it is durable.

        Raises:
            FolderError: it cannot be written (e.g. a full disk); replies stored before are safe.

        """
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((key, reply, done))
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write())
        await done

    async def _write(self) -> None:
        while self._waiting:
            await asyncio.sleep(self._commit_delay_s)
            batch, self._waiting = self._waiting, []
            try:
                rows = [(key, reply) for key, reply, _ in batch]
                await asyncio.get_running_loop().run_in_executor(self._thread, self._commit, rows)
                problem = None
            except (sqlite3.Error, OverflowError) as error:
                problem = FolderError(f"cannot write the journal: {error}; free some space and run the command again")
                self._problem = problem
            if problem is None:
                self._mark_used([key for key, *_ in batch])
            for *_, done in batch:
                if not done.done():  # the row that awaits it may have been cancelled
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
        """Error of the last commit that failed; None: every reply was stored."""
        return self._problem

    @property
    def is_durable(self) -> bool:
        """Whether the replies are in a file, which a later run reads."""
        return self._path is not None

    async def flush(self) -> None:
        """Wait until all replies are written."""
        if self._writer is not None:
            await self._writer

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        self._thread.shutdown()
        self._reader.close()
        self._database.close()


def _most_common(models: Counter[str]) -> dict[str, int]:
    """Return the most frequent models in the order of their names, and the sum of the others."""
    ranked = sorted(models.items(), key=lambda entry: (-entry[1], entry[0]))
    named = dict(sorted(ranked[:MAX_MODEL_NAMES]))
    others = sum(count for _, count in ranked[MAX_MODEL_NAMES:])
    return named | ({OTHER_MODELS: others + named.get(OTHER_MODELS, 0)} if others else {})


def is_empty(path: Path) -> bool:
    """Return whether a journal is missing or has no reply; an unreadable journal is not empty."""
    if not path.exists():
        return True
    try:
        with closing(sqlite3.connect(path)) as database:
            return database.execute("SELECT key FROM replies LIMIT 1").fetchone() is None
    except sqlite3.Error:
        return False


def _open(path: Path | None) -> tuple[sqlite3.Connection, sqlite3.Connection]:
    """Open a connection for commits and one for look-ups; both are closed if either cannot be used."""
    with ExitStack() as opened:
        try:
            database = sqlite3.connect(path or ":memory:", check_same_thread=False, isolation_level=None)
            opened.callback(database.close)
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = FULL")  # a reply survives a power cut, not only a kill
            database.execute(CREATE_REPLIES)
            if path is not None:
                sync(path.parent)  # the name of a new file
            # A second connection: look-ups do not wait for a commit that the other thread is flushing.
            reader = database if path is None else sqlite3.connect(path, isolation_level=None)
            opened.callback(reader.close)
            for connection in (database, reader):
                connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
            reader.execute(CREATE_USED)
        except (sqlite3.Error, OSError) as error:
            raise FolderError(f"cannot open the journal {path}: {error}; check the folder, or use --fresh") from error
        opened.pop_all()
    return database, reader


def _encode(reply: Reply) -> str:
    """Encode a reply as JSON, without the fields that most replies do not need."""
    fields = as_mapping(reply)
    return json.dumps(
        {name: fields[name] for name in fields if fields[name] or name in _FIRST_FIELDS}, default=as_mapping
    )


_FIRST_FIELDS = ("candidates", "prompt_tokens", "completion_tokens", "problem")


def _decode(text: str) -> Reply:
    data = json.loads(text)
    candidates = tuple(Candidate(**candidate) for candidate in data.pop("candidates"))
    left_out = tuple(data.pop("left_out", ()))
    return Reply(candidates=candidates, left_out=left_out, **data)
