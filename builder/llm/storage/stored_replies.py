"""Rows of the journal: their encoding, their checksum, and the count of them that is kept in a file of its own.

SQLite notices damage of its structure, but no flipped bit within a text, and no write-ahead log that was lost: without
the log, the journal is an older one that is whole.
"""

import json
import sqlite3
import time
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from personagen.builder.core.errors import FolderError
from personagen.builder.core.files import write_json
from personagen.builder.core.records import as_mapping
from personagen.builder.llm.requests import Candidate, Reply

COUNT_SUFFIX = ".count"
"""Suffix of the file that counts the replies of a journal."""

DAMAGE_CODES = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_IOERR})
"""Primary result codes of SQLite for a file that is damaged, cut or cannot be read."""

FIRST_FIELDS = ("candidates", "prompt_tokens", "completion_tokens", "problem")
"""Fields of a reply that are always encoded."""

FAILURE = b'"failed": true'
"""Bytes that every encoded failure has: only rows with them need to be decoded."""


class StoredReply(NamedTuple):
    """A row of the journal.

    Attributes:
        key: key of the request, in UTF-8.
        prompt_tokens: tokens of the prompt.
        completion_tokens: tokens of the reply.
        reply: the encoded reply.
        checksum: CRC-32 of the other columns; None: an earlier version stored the row.

    """

    key: bytes
    prompt_tokens: int
    completion_tokens: int
    reply: bytes
    checksum: int | None

    def is_whole(self) -> bool:
        """Return whether the row is as it was stored; without a checksum, whether it can be decoded."""
        try:
            if self.checksum is not None:
                return self.checksum == checksum_of(self)
            self.key.decode()
            decode(self.reply)
            return isinstance(self.prompt_tokens, int) and isinstance(self.completion_tokens, int)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return False

    def is_failure(self) -> bool:
        """Return whether the request got no reply: it was refused, or failed again and again. See `Reply.failed`."""
        return FAILURE in self.reply and decode(self.reply).failed


def checksum_of(row: StoredReply) -> int:
    """Return the CRC-32 of all columns but the last."""
    head = f"{row.prompt_tokens} {row.completion_tokens} ".encode()
    return zlib.crc32(row.reply, zlib.crc32(row.key, zlib.crc32(head)))


def stored(key: str, reply: Reply) -> StoredReply:
    """Return the row of a reply, with its checksum."""
    row = StoredReply(key.encode(), reply.prompt_tokens, reply.completion_tokens, encode(reply).encode(), None)
    return row._replace(checksum=checksum_of(row))


def columns_of(row: StoredReply) -> tuple[str, int, int, str, int | None]:
    """Return the columns of a row as the table has them: key and reply are text."""
    return row.key.decode(), row.prompt_tokens, row.completion_tokens, row.reply.decode(), row.checksum


def count_whole(database: sqlite3.Connection) -> int | None:
    """Count the replies of a journal; None: it is damaged.

    Raises:
        sqlite3.Error: the file is no journal, or in use.

    """
    query = "SELECT CAST(key AS BLOB), prompt_tokens, completion_tokens, CAST(reply AS BLOB), checksum FROM replies"
    try:
        if database.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
            return None
        count = 0
        for row in database.execute(query):
            if not StoredReply(*row).is_whole():
                return None
            count += 1
    except sqlite3.Error as error:
        if is_damage(error):
            return None
        raise
    return count


def is_damage(error: sqlite3.Error) -> bool:
    """Return whether an error of SQLite shows a damaged file."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in DAMAGE_CODES


def encode(reply: Reply) -> str:
    """Encode a reply as JSON, without the fields that most replies do not need."""
    fields = as_mapping(reply)
    return json.dumps(
        {name: fields[name] for name in fields if fields[name] or name in FIRST_FIELDS}, default=as_mapping
    )


def decode(text: str | bytes) -> Reply:
    """Decode a reply. Raises ValueError, TypeError, KeyError or AttributeError if it is malformed."""
    data: dict[str, Any] = json.loads(text)
    candidates = tuple(Candidate(**candidate) for candidate in data.pop("candidates"))
    left_out = data.pop("left_out", [])
    reply = Reply(candidates=candidates, left_out=tuple(left_out), **data)
    if not (isinstance(left_out, list) and _has_types(reply) and all(map(_is_candidate, candidates))):
        raise TypeError("a field has another type than that of a reply")
    return reply


def _has_types(reply: Reply) -> bool:
    """Return whether the fields of a decoded reply have their types; a file from elsewhere may hold any."""
    return (
        type(reply.prompt_tokens) is type(reply.completion_tokens) is type(reply.thought_tokens) is int
        and (reply.cut_at is None or type(reply.cut_at) is int)
        and type(reply.estimated) is type(reply.failed) is bool
        and all(isinstance(text, str | None) for text in (reply.problem, reply.answered_by, reply.model))
        and all(isinstance(part, str) for part in reply.left_out)
    )


def _is_candidate(candidate: Candidate) -> bool:
    """Return whether the fields of a decoded candidate have their types."""
    logprobs = candidate.first_logprobs
    return (
        isinstance(candidate.text, str)
        and isinstance(candidate.finish, str)
        and isinstance(candidate.mean_logprob, int | float | None)
        and isinstance(candidate.problem, str | None)
        and (
            logprobs is None
            or (isinstance(logprobs, dict) and all(isinstance(value, int | float) for value in logprobs.values()))
        )
    )


class ReplyCount:
    """The number of replies in a journal, in a file beside it: it shows that a journal lost its newest replies.

    The file is written at the first commit, then at most once per `interval_s`, and at the end.
    """

    def __init__(self, journal: Path | None, interval_s: float) -> None:
        """Name the file; `journal` None: the journal is in memory, and nothing is written."""
        self._path = None if journal is None else journal.with_suffix(COUNT_SUFFIX)
        self._interval_s = interval_s
        self._written: int | None = None
        self._written_at = float("-inf")

    def read(self) -> int:
        """Return the number that was written last; 0: none, or it cannot be read."""
        try:
            return int(json.loads(self._path.read_bytes())["replies"]) if self._path else 0
        except (OSError, ValueError, TypeError, KeyError):
            return 0

    def update(self, count: int, *, at_once: bool = False) -> None:
        """Write the number if it has changed and the interval is over; the journal matters more than an error here."""
        now = time.monotonic()
        is_due = at_once or now - self._written_at >= self._interval_s
        if self._path is None or count == self._written or not is_due:
            return
        with suppress(FolderError):
            write_json(self._path, {"replies": count})
            self._written, self._written_at = count, now
