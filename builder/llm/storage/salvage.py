"""Read what can be read of a damaged journal, page by page, and put a whole journal in its place.

    journal.sqlite, journal.sqlite-wal -> cells of all pages -> rows that are whole -> journal.sqlite
                                                                damaged files -> journal.sqlite.damaged

SQLite ends a query at the first page that it cannot use, with all that is behind it. Here, a damaged page costs its own
rows. File format: https://www.sqlite.org/fileformat2.html; the table is a b-tree of index pages (WITHOUT ROWID).
"""

import sqlite3
import struct
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import NamedTuple

from personagen.builder.core.files import copy_file, move, numbered, sync
from personagen.builder.llm.storage.stored_replies import StoredReply, columns_of

LEAF, INTERIOR = 0x0A, 0x02
"""Kinds of index pages."""

SMALL_INTEGERS = {0: 0, 1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8, 8: 0, 9: 0}
"""Bytes of each serial type below 12."""

WAL_HEADER, FRAME_HEADER = 32, 24
"""Bytes of the headers of a write-ahead log and of its frames."""

MAX_REPLY_BYTES = 64 * 2**20
"""Upper bound on the size of a row: a damaged length must not fill the memory."""


class Salvage(NamedTuple):
    """Result of a salvage.

    Attributes:
        replies: replies that were read.
        bad: rows that were found and are not as they were stored.
        damaged: copy of the damaged journal.

    """

    replies: int
    bad: int
    damaged: Path


class Pages:
    """Pages of a database and of its write-ahead log."""

    def __init__(self, path: Path) -> None:
        """Read both files; parts that cannot be read count as zeros."""
        self._data = _read(path)
        self._log = _read(path.with_name(f"{path.name}-wal"))
        stated = struct.unpack(">H", self._data[16:18])[0] if len(self._data) > 100 else 0
        logged = struct.unpack(">I", self._log[8:12])[0] if len(self._log) > WAL_HEADER else 0
        sizes = [size for size in (stated, logged) if size >= 512 and size & (size - 1) == 0]
        self.size = sizes[0] if sizes else 4096
        self.newest: dict[int, bytes] = {}

    def __iter__(self) -> Iterator[bytes]:
        """Yield every page: those of the database, then those of the log, the newest last."""
        for number in range(2, -(-len(self._data) // self.size) + 1):
            yield self.page(number)
        salt = self._log[16:24]
        for at in range(WAL_HEADER, len(self._log) - FRAME_HEADER, FRAME_HEADER + self.size):
            header = self._log[at : at + FRAME_HEADER]
            if header[8:16] == salt:
                page = self._log[at + FRAME_HEADER : at + FRAME_HEADER + self.size]
                self.newest[struct.unpack(">I", header[:4])[0]] = page
        yield from list(self.newest.values())

    def page(self, number: int) -> bytes:
        """Return a page by its number, from 1, as the log has it if that was read; b"": there is none."""
        return self.newest.get(number, self._data[(number - 1) * self.size : number * self.size] if number else b"")


def _read(path: Path, block: int = 4096) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""
    except OSError:
        parts = []
        with path.open("rb") as file:
            for at in range(0, path.stat().st_size, block):
                try:
                    file.seek(at)
                    parts.append(file.read(block))
                except OSError:
                    parts.append(bytes(block))
        return b"".join(parts)


def rows_of(pages: Pages) -> Iterator[StoredReply]:
    """Yield the rows in the cells of all pages; some may be damaged, and one may occur twice."""
    for page in pages:
        if len(page) < 12 or page[0] not in (LEAF, INTERIOR):
            continue
        start = 8 if page[0] == LEAF else 12
        for pointer in range(start, min(len(page) - 1, start + 2 * struct.unpack(">H", page[3:5])[0]), 2):
            at = struct.unpack(">H", page[pointer : pointer + 2])[0] + start - 8
            with suppress(IndexError, ValueError, struct.error, TypeError):
                yield _row(*_columns(_payload(pages, page, at)))


def _row(key: object, prompt: object, completion: object, reply: object, checksum: object) -> StoredReply:
    """Return a row; raise ValueError if its columns have other types."""
    if not isinstance(key, bytes) or not isinstance(reply, bytes) or not isinstance(checksum, int | None):
        raise ValueError(key)
    if not isinstance(prompt, int) or not isinstance(completion, int):
        raise ValueError(key)
    return StoredReply(key, prompt, completion, reply, checksum)


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """Return a variable-length integer and the position behind it."""
    value = 0
    for count in range(8):
        byte = data[at + count]
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, at + count + 1
    return value << 8 | data[at + 8], at + 9


def _payload(pages: Pages, page: bytes, at: int) -> bytes:
    """Return the content of a cell, with that of its overflow pages."""
    length, at = _varint(page, at)
    if length > MAX_REPLY_BYTES:
        raise ValueError(length)
    most, least = (pages.size - 12) * 64 // 255 - 23, (pages.size - 12) * 32 // 255 - 23
    surplus = least + (length - least) % (pages.size - 4)
    local = length if length <= most else surplus if surplus <= most else least
    parts, size = [page[at : at + local]], local
    following = struct.unpack(">I", page[at + local : at + local + 4])[0] if local < length else 0
    while size < length:
        overflow = pages.page(following)
        following = struct.unpack(">I", overflow[:4])[0]
        parts.append(overflow[4 : 4 + length - size])
        if not parts[-1]:
            raise ValueError(following)
        size += len(parts[-1])
    return b"".join(parts)


def _columns(record: bytes) -> Iterator[int | bytes | None]:
    """Yield the columns of a record: texts as bytes; the missing last one of an earlier version is None."""
    end, at = _varint(record, 0)
    body, count = end, 0
    while at < end:
        kind, at = _varint(record, at)
        size = SMALL_INTEGERS[kind] if kind in SMALL_INTEGERS else (kind - 12) // 2
        value = record[body : body + size]
        if size < 0 or len(value) != size:
            raise ValueError(kind)
        body, count = body + size, count + 1
        if kind == 0:
            yield None
        else:
            yield value if kind >= 12 else kind - 8 if kind >= 8 else int.from_bytes(value, "big", signed=True)
    yield from [None] * (5 - count)


def salvage(path: Path, create: str) -> Salvage | None:
    """Put a journal of all rows that can be read in the place of a damaged one, whose files are kept beside it.

    Args:
        path: the journal; no connection may be open.
        create: statement that creates the table.

    Returns:
        What was read; None: nothing, and the files are as they were.

    Raises:
        OSError, sqlite3.Error: the new journal cannot be written.

    """
    part, whole = path.with_name(f"{path.name}.part"), _whole(path)
    for left in (part, part.with_name(f"{part.name}-journal")):
        left.unlink(missing_ok=True)
    bad: set[bytes] = set()
    with closing(sqlite3.connect(part, isolation_level=None)) as database:
        database.execute(create)
        database.execute("BEGIN")
        for row in rows_of(Pages(path)):
            if row.is_whole():
                database.execute("INSERT OR REPLACE INTO replies VALUES (?, ?, ?, ?, ?)", columns_of(row))
            else:
                bad.add(row.key)
        database.execute("COMMIT")
        keys = {key.encode() for (key,) in database.execute("SELECT key FROM replies")}
    if not keys:
        part.unlink()
        return None
    damaged = numbered(path.with_name(f"{path.name}.damaged"))
    for suffix in ("", "-wal"):
        if (file := path.with_name(path.name + suffix)).exists():
            copy_file(file, damaged.with_name(damaged.name + suffix))
    sync(part)
    move(part, whole)
    finish_salvage(path)
    return Salvage(len(keys), len(bad - keys), damaged)


def finish_salvage(path: Path) -> None:
    """Put the whole journal in the place of the damaged one; continues a salvage that was interrupted here.

    The log of the damaged journal goes first: SQLite would write it into the new one.
    """
    if not _whole(path).exists():
        return
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    sync(path.parent)
    move(_whole(path), path)


def _whole(path: Path) -> Path:
    return path.with_name(f"{path.name}.salvaged")
