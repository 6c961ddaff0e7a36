"""Merge replies from elsewhere into a journal: the union of several journals, the same in whatever order it is made."""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass

from personagen.builder.core.errors import FolderError
from personagen.builder.llm.requests import has_text
from personagen.builder.llm.storage.opening import JournalFile, open_whole
from personagen.builder.llm.storage.stored_replies import ReplyCount, StoredReply, columns_of, decode

CACHE_KIB = 64 * 1024
"""Page cache while replies are merged, in KiB: their keys are spread over the whole table."""

LOG_PAGES = 16_000
"""Pages of the write-ahead log that are written to the file at a time; the usual 1,000 write each page many times."""

CREATE_MERGED = "CREATE TABLE IF NOT EXISTS merged (name TEXT PRIMARY KEY) WITHOUT ROWID"
"""Names of the collections that are in the journal already. A journal that was salvaged has none, and merges again."""

MERGE = """
INSERT INTO replies SELECT ?1, ?2, ?3, ?4, ?5 WHERE true
ON CONFLICT (key) DO UPDATE SET prompt_tokens = excluded.prompt_tokens, reply = excluded.reply,
    completion_tokens = excluded.completion_tokens, checksum = excluded.checksum
WHERE excluded.reply <> replies.reply AND is_preferred(excluded.reply, replies.reply)
"""


@dataclass(slots=True)
class Merged:
    """Result of a merge.

    Attributes:
        collections: collections that were merged.
        replies: replies in them.
        new: replies that the journal did not have; known at the end.
        total: replies in the journal, likewise.

    """

    collections: int = 0
    replies: int = 0
    new: int = 0
    total: int = 0


class Merger:
    """A journal that is open for merging.

    Attributes:
        merged: what has been merged so far.

    """

    def __init__(self, database: sqlite3.Connection) -> None:
        """Take over an open journal."""
        self._database = database
        self.merged = Merged()

    def has(self, name: str) -> bool:
        """Return whether a collection was merged before."""
        return self._database.execute("SELECT 1 FROM merged WHERE name = ?", (name,)).fetchone() is not None

    def add(self, name: str, rows: Iterable[StoredReply]) -> None:
        """Merge a collection of replies, all of it or, if an error is raised, nothing.

        Of two replies to one request, the journal keeps one whatever the order: see `is_preferred`.

        Args:
            name: name of the collection, under which `has` finds it.
            rows: its replies; sorted by their keys they are merged faster.

        """
        count = 0

        def counted() -> Iterator[tuple[str, int, int, str, int | None]]:
            nonlocal count
            for row in rows:
                count += 1
                yield columns_of(row)

        database = self._database
        try:
            database.execute("BEGIN")
            database.executemany(MERGE, counted())
            database.execute("INSERT OR IGNORE INTO merged VALUES (?)", (name,))
            database.execute("COMMIT")
        except BaseException:
            if database.in_transaction:
                database.execute("ROLLBACK")
            raise
        self.merged.collections += 1
        self.merged.replies += count


@contextmanager
def open_for_merging(file: JournalFile) -> Iterator[Merger]:
    """Open a journal, or create one, to merge replies into it; see `open_whole` for errors.

    Raises:
        FolderError: the journal cannot be opened or written.

    """
    counts = ReplyCount(file.path, file.count_interval_s)
    database, reader, count = open_whole(file.path, counts, file)
    try:
        with closing(database), closing(reader):
            database.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
            database.execute(f"PRAGMA wal_autocheckpoint = {LOG_PAGES}")
            database.create_function("is_preferred", 2, is_preferred, deterministic=True)
            database.execute(CREATE_MERGED)
            merger = Merger(database)
            try:
                yield merger
            finally:
                total = int(database.execute("SELECT count(*) FROM replies").fetchone()[0])
                merger.merged.new, merger.merged.total = total - count, total
                counts.update(total, at_once=True)
    except sqlite3.Error as error:
        raise FolderError(
            f"cannot write the journal {file.path}: {error}; free some space and run the command again"
        ) from error


def is_preferred(one: str, other: str) -> bool:
    """Return whether the first of two different replies to one request is kept; of each pair, exactly one is.

    A reply with a text comes before one that was cut within its thoughts, and that before a failure; of two that were
    cut, the one with more room is kept. A failure after a cut takes the place of that cut, as at the worker that met
    both. Otherwise the choice has no reason but that it is always the same: the first one in the order of their bytes.
    """
    ranks = [_rank(text) for text in (one, other)]
    return one < other if ranks[0] == ranks[1] else ranks[0] > ranks[1]


def _rank(text: str) -> tuple[bool, int, bool]:
    """Return what a reply is worth: whether it has a text, at which limit it was cut, whether a failure came after."""
    try:
        reply = decode(text)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return False, -2, False
    if reply.cut_at is None or (has_text(reply) and not reply.failed):
        return not reply.failed, -1, reply.failed
    return False, reply.cut_at, reply.failed
