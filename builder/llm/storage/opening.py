"""Open a journal: salvage what can be read of a damaged one, and notice that one has lost its newest replies."""

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

from personagen.builder.core.errors import FolderError
from personagen.builder.core.files import explain, sync, write_atomically
from personagen.builder.llm.storage.salvage import Salvage, finish_salvage, salvage
from personagen.builder.llm.storage.stored_replies import ReplyCount, StoredReply, count_whole, is_damage

CACHE_KIB = 1024
"""Page cache per connection, in KiB; a reply is read once, so a larger cache gains nothing."""

CREATE_REPLIES = """
CREATE TABLE IF NOT EXISTS replies (
    key TEXT PRIMARY KEY, prompt_tokens INTEGER NOT NULL, completion_tokens INTEGER NOT NULL, reply TEXT NOT NULL,
    checksum INTEGER
) WITHOUT ROWID
"""

FIRST_COLUMNS = ["key", "prompt_tokens", "completion_tokens", "reply"]
"""Columns of earlier versions, whose replies have no checksum."""

CREATE_USED = "CREATE TEMP TABLE used (key TEXT PRIMARY KEY, model TEXT) WITHOUT ROWID"
"""Keys of the replies that this process has used, whichever run paid for them, with the model of several."""


@dataclass(frozen=True, slots=True)
class JournalFile:
    """A journal on the disk, and what happens beside storing replies.

    Attributes:
        path: the file; None: in memory.
        accept_lost_replies: whether replies that the journal had and has lost may be paid for again.
        warn: receives one line about each kind of damage.
        guard: called after every commit; a FolderError that it raises ends the run.
        on_stored: called after every commit with its rows, in the thread that commits.
        count_interval_s: seconds between two writes of the number of replies beside the journal.
        keeps_failures: whether requests that failed in an earlier run stay failed, since texts depend on it or no call
            may be made; otherwise they are sent again.

    """

    path: Path | None
    accept_lost_replies: bool = False
    warn: Callable[[str], None] = lambda _: None
    guard: Callable[[], None] = lambda: None
    on_stored: Callable[[Sequence[StoredReply]], None] = lambda rows: None
    count_interval_s: float = 5.0
    keeps_failures: bool = False


def identity(path: Path) -> tuple[int, int] | None:
    """Return device and number of a file; None: it is missing."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def write_copy(database: sqlite3.Connection, target: Path) -> None:
    """Write the content of an open database to a file that replaces another one. Raises sqlite3.Error, FolderError."""
    try:
        with write_atomically(target) as part:
            part.unlink(missing_ok=True)
            with closing(sqlite3.connect(part)) as copy:
                database.backup(copy)
                copy.execute("PRAGMA journal_mode = DELETE")
            for suffix in ("-wal", "-shm"):  # of the database itself, which has them open
                target.with_name(target.name + suffix).unlink(missing_ok=True)
    except OSError as error:
        raise FolderError(f"cannot write {target}: {explain(error)}") from error


def open_whole(
    path: Path | None, count_file: ReplyCount, file: JournalFile
) -> tuple[sqlite3.Connection, sqlite3.Connection, int]:
    """Open a journal for commits and for look-ups, and count its replies; salvage it first if it is damaged.

    Raises:
        FolderError: the file cannot be opened or is no journal, or replies are lost.

    """
    if path is None:
        return *_open(path), 0
    opened, salvaged = _open_or_salvage(path)
    database, reader, count = opened
    wanted = count_file.read()
    if salvaged is not None:
        wanted = max(wanted, count + salvaged.bad, 0 if wanted else count + 1)
        count_file.update(wanted, at_once=True)
    damage = "" if salvaged is None else f" (it was damaged: the file as it was is {salvaged.damaged})"
    lost = wanted - count
    if lost > 0 and not file.accept_lost_replies:
        reader.close()
        database.close()
        raise FolderError(
            f"{path} has {count:,} replies{damage}, and {lost:,} or more that were paid for are lost; put back a copy "
            "of it with its -wal if there is one, or pay for them again with --accept-lost-replies"
        )
    if lost > 0 or salvaged is not None:
        loss = f"{lost:,} or more are lost and requested again" if lost > 0 else "none is lost as far as is known"
        file.warn(f"{path} has {count:,} replies{damage}; {loss}")
        count_file.update(count, at_once=True)
    return database, reader, count


def _open_or_salvage(path: Path) -> tuple[tuple[sqlite3.Connection, sqlite3.Connection, int], Salvage | None]:
    try:
        finish_salvage(path)
        opened = _open_counted(path)
        if opened is not None:
            return opened, None
        salvaged = salvage(path, CREATE_REPLIES)
        opened = _open_counted(path) if salvaged else None
    except (sqlite3.Error, OSError) as error:
        reason = explain(error) if isinstance(error, OSError) else f"{error}; check the folder"
        raise FolderError(f"cannot open the journal {path}: {reason}") from error
    if opened is None:
        raise FolderError(
            f"cannot open the journal {path}: no reply in it can be read; put back a copy of it with its -wal if there "
            "is one, or start over with --fresh"
        )
    return opened, salvaged


def _open_counted(path: Path) -> tuple[sqlite3.Connection, sqlite3.Connection, int] | None:
    """Open a journal and count its replies; None: it is damaged. Raises sqlite3.Error and OSError."""
    try:
        database, reader = _open(path)
    except sqlite3.Error as error:
        if is_damage(error):
            return None
        raise
    try:
        count = count_whole(reader)
    except BaseException:
        reader.close()
        database.close()
        raise
    if count is None:
        reader.close()
        database.close()
        return None
    return database, reader, count


def _open(path: Path | None) -> tuple[sqlite3.Connection, sqlite3.Connection]:
    """Open a connection for commits and one for look-ups; both are closed if either cannot be used.

    Raises:
        sqlite3.Error, OSError: the file cannot be opened.

    """
    with ExitStack() as opened:
        database = sqlite3.connect(path or ":memory:", check_same_thread=False, isolation_level=None)
        opened.callback(database.close)
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")  # a reply survives a power cut, not only a kill
        database.execute(CREATE_REPLIES)
        columns = [column[1] for column in database.execute("PRAGMA table_info(replies)")]
        if columns == FIRST_COLUMNS:
            database.execute("ALTER TABLE replies ADD COLUMN checksum INTEGER")
        if path is not None:
            sync(path.parent)  # the name of a new file
        # A second connection: look-ups do not wait for a commit that the other thread is flushing.
        reader = database if path is None else sqlite3.connect(path, isolation_level=None)
        opened.callback(reader.close)
        for connection in (database, reader):
            connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        reader.execute(CREATE_USED)
        opened.pop_all()
    return database, reader
