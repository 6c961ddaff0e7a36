"""The journal: every reply of a model, by the hash of its request, on disk before it is used."""

import asyncio
import json
import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from personagen.builder.core.errors import FolderError
from personagen.builder.core.files import numbered
from personagen.builder.llm.requests import Reply
from personagen.builder.llm.storage.opening import JournalFile, identity, open_whole, write_copy
from personagen.builder.llm.storage.stored_replies import ReplyCount, StoredReply, columns_of, decode, stored

MAX_MODEL_NAMES = 50
"""Upper bound on the models that are counted apart: some servers put a new fingerprint into every reply."""

OTHER_MODELS = "other models"
"""Name under which the replies of further models are counted."""


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
    """Tokens and origins of the replies of a release.

    Attributes:
        usage: requests and tokens.
        origins: replies that did not come about as requested.
        by_model: the same by the name of the model, if there are several.

    """

    usage: Usage
    origins: Origins
    by_model: "Mapping[str, UsedReplies]" = field(default_factory=dict)


class Journal:
    """Replies on disk, by request key; for one process at a time and one event loop.

    Replies that arrive together are committed together, since each commit costs a disk flush.

    Attributes:
        used: number of distinct replies that this process has used.
        has_estimates: whether the tokens of one of them are an upper bound.
        keeps_failures: see `JournalFile`.

    """

    def __init__(self, journal: Path | JournalFile | None, *, commit_delay_s: float = 0.01) -> None:
        """Open or create the journal; what can be read of a damaged one is put in its place.

        Args:
            journal: file of the journal, with options or without; None: in memory, for previews.
            commit_delay_s: seconds that a commit waits for further replies; each commit costs a flush and a change of
                threads.

        Raises:
            FolderError: the file cannot be opened, or is no journal, or has lost replies that were not given up.

        """
        file = journal if isinstance(journal, JournalFile) else JournalFile(journal)
        path = file.path
        self._path = path
        self._commit_delay_s = commit_delay_s
        self.used = 0
        self.has_estimates = False
        self.keeps_failures = file.keeps_failures
        self._problem: FolderError | None = None
        self._waiting: list[tuple[str, Reply, asyncio.Future[None]]] = []
        self._writer: asyncio.Task[None] | None = None
        # One thread for all commits: each further thread would add memory of its own.
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="personagen-journal")
        self._guard = file.guard
        self._on_stored = file.on_stored
        self._count_file = ReplyCount(path, file.count_interval_s)
        self._database, self._reader, self._count = open_whole(path, self._count_file, file)
        self._rescued: Path | None = None
        self._identity = None if path is None else identity(path)

    def get(self, key: str, model: str | None = None) -> Reply | None:
        """Return the reply to a request of a model (None: the only one); None: not in the journal."""
        try:
            row = self._reader.execute("SELECT reply FROM replies WHERE key = ?", (key,)).fetchone()
            if row is None:
                return None
            self._mark_used([(key, model)])
            reply = decode(row[0])
            self.has_estimates = self.has_estimates or reply.estimated
            return reply
        except (sqlite3.Error, ValueError, TypeError, KeyError, AttributeError) as error:
            raise self._unreadable(error) from error

    def _mark_used(self, keys: list[tuple[str, str | None]]) -> None:
        marked = self._reader.executemany("INSERT OR IGNORE INTO used VALUES (?, ?)", keys)
        self.used += marked.rowcount

    def usage(self, model: str | None = None) -> Usage:
        """Count the replies that this process has used, and their tokens; `model` None: of all models."""
        query = (
            "SELECT count(*), coalesce(sum(prompt_tokens), 0), coalesce(sum(completion_tokens), 0) "
            "FROM replies JOIN used USING (key) WHERE :model IS NULL OR used.model = :model"
        )
        try:
            return Usage(*self._reader.execute(query, {"model": model}).fetchone())
        except sqlite3.Error as error:
            raise self._unreadable(error) from error

    def origins(self, model: str | None = None) -> Origins:
        """Count the used replies that did not come about as requested; `model` None: of all models."""
        query = (
            "SELECT coalesce(json_extract(reply, '$.estimated'), 0), json_extract(reply, '$.answered_by'), "
            "coalesce(json_extract(reply, '$.left_out'), '[]'), count(*) "
            "FROM replies JOIN used USING (key) WHERE :model IS NULL OR used.model = :model GROUP BY 1, 2, 3"
        )
        estimated, answered_by, left_out = 0, Counter[str](), Counter[str]()
        try:
            for is_estimated, name, parts, count in self._reader.execute(query, {"model": model}):
                estimated += count if is_estimated else 0
                answered_by.update({name: count} if name else {})
                left_out.update(dict.fromkeys(json.loads(parts), count))
        except sqlite3.Error as error:
            raise self._unreadable(error) from error
        return Origins(estimated, _most_common(answered_by), dict(sorted(left_out.items())))

    def used_replies(self) -> Iterator[StoredReply]:
        """Yield the replies that this process has used, in the order of their keys."""
        query = (
            "SELECT CAST(key AS BLOB), prompt_tokens, completion_tokens, CAST(reply AS BLOB), checksum "
            "FROM used JOIN replies USING (key) ORDER BY key"
        )
        try:
            for values in self._reader.execute(query):
                yield StoredReply(*values)
        except sqlite3.Error as error:
            raise self._unreadable(error) from error

    def total(self) -> tuple[int, int]:
        """Sum the prompt and completion tokens of all replies, those of earlier runs included."""
        try:
            query = "SELECT coalesce(sum(prompt_tokens), 0), coalesce(sum(completion_tokens), 0) FROM replies"
            prompt, completion = self._reader.execute(query).fetchone()
        except sqlite3.Error as error:
            raise self._unreadable(error) from error
        return prompt, completion

    def totals(self) -> dict[str | None, tuple[int, int]]:
        """Sum the prompt and completion tokens of all replies by the model that was asked; None: not recorded."""
        query = (
            "SELECT json_extract(reply, '$.model'), sum(prompt_tokens), sum(completion_tokens) FROM replies GROUP BY 1"
        )
        try:
            return {model: (prompt, completion) for model, prompt, completion in self._reader.execute(query)}
        except sqlite3.Error as error:
            raise self._unreadable(error) from error

    def _unreadable(self, error: Exception) -> FolderError:
        return FolderError(
            f"cannot read the journal {self._path}: {error}; run the command again, which reads what it can"
        )

    async def put(self, key: str, reply: Reply) -> None:
        """Store a reply; return once it is durable.

        Raises:
            FolderError: it cannot be written (e.g. a full disk); replies stored before are safe.

        """
        self.has_estimates = self.has_estimates or reply.estimated
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
            except FolderError as error:
                problem = self._problem = error
            if problem is None:
                self._mark_used([(key, reply.model) for key, reply, _ in batch])
            for *_, done in batch:
                if not done.done():  # the row that awaits it may have been cancelled
                    done.set_exception(problem) if problem else done.set_result(None)

    def _commit(self, batch: list[tuple[str, Reply]]) -> None:
        rows = [stored(key, reply) for key, reply in batch]
        try:
            self._database.execute("BEGIN")
            new = sum(self._is_new(key) for key in {key for key, _ in batch})
            self._database.executemany("INSERT OR REPLACE INTO replies VALUES (?, ?, ?, ?, ?)", map(columns_of, rows))
            self._database.execute("COMMIT")
        except BaseException:
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")
            raise
        self._on_stored(rows)
        self._count += new
        self._require_in_place()
        self._guard()
        self._count_file.update(self._count)

    def _is_new(self, key: str) -> bool:
        return self._database.execute("SELECT 1 FROM replies WHERE key = ?", (key,)).fetchone() is None

    def _require_in_place(self) -> None:
        """Raise FolderError if the file was removed or replaced; its replies are then written to a new one."""
        if self._path is None or identity(self._path) == self._identity:
            return
        if not self._path.parent.exists():
            raise FolderError(
                f"{self._path.parent} was moved or removed while this run used it; its replies are in the moved folder"
            )
        if self._rescued is None:  # replies that were in flight are added to it
            self._rescued = numbered(self._path) if self._path.exists() else self._path
        rescued = self._rescued
        write_copy(self._database, rescued)
        raise FolderError(
            f"{self._path} was {'replaced' if rescued != self._path else 'removed'} while this run used it; its "
            f"{self._count:,} replies were written to {rescued}: "
            + ("run the command again" if rescued == self._path else "put it back, and run the command again")
        )

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
        if self._path is not None and identity(self._path) == self._identity and self._count:
            self._count_file.update(self._count, at_once=True)
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
