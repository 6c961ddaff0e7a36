"""Damaged journals give back what can be read; what is lost is counted, and paid for again only if that is wanted."""

import asyncio
import random
import shutil
import sqlite3
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from personagen.builder.core.errors import FolderError
from personagen.builder.llm.journal import Journal
from personagen.builder.llm.requests import Candidate, Reply
from personagen.builder.llm.storage.opening import JournalFile
from personagen.builder.llm.storage.salvage import Pages, finish_salvage, rows_of

PAGE = 4096


def reply_of(number: int) -> Reply:
    """Return a reply; one of fifty takes several pages."""
    words = 4000 if number % 50 == 7 else 40 + number % 60
    return Reply((Candidate(f"text {number} " + "and on it went " * (words // 4), "stop"),), 100 + number, number)


def key_of(number: int) -> str:
    """Return a key as of a request: 64 hexadecimal digits in no order."""
    return f"{random.Random(number).getrandbits(256):064x}"


async def fill(journal: Journal, numbers: Iterable[int]) -> None:
    await asyncio.gather(*(journal.put(key_of(number), reply_of(number)) for number in numbers))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Journal of 1,200 replies, of which the last 200 are in the write-ahead log."""
    folder = tmp_path_factory.mktemp("journal")
    journal = Journal(folder / "journal.sqlite")
    asyncio.run(fill(journal, range(1000)))
    journal.close()
    journal = Journal(folder / "journal.sqlite")
    asyncio.run(fill(journal, range(1000, 1200)))
    copy = shutil.copytree(folder, folder / "copy")
    journal.close()
    (copy / "journal.count").write_text('{"replies": 1200}\n', encoding="utf-8")
    return copy


@pytest.fixture
def path(made: Path, tmp_path: Path) -> Path:
    """Copy of the journal, to be damaged."""
    return shutil.copytree(made, tmp_path / "run") / "journal.sqlite"


def readable(path: Path, warnings: list[str] | None = None) -> int:
    """Open a journal whatever it has lost, and count the replies that are as they were stored."""
    warn: Callable[[str], None] = (warnings if warnings is not None else []).append
    journal = Journal(JournalFile(path, accept_lost_replies=True, warn=warn))
    right = 0
    for number in range(1200):
        reply = journal.get(key_of(number))
        assert reply in (None, reply_of(number))
        right += reply is not None
    journal.close()
    return right


def put(path: Path, at: int, data: bytes) -> None:
    """Overwrite a part of a file."""
    with path.open("r+b") as file:
        file.seek(at)
        file.write(data)


def test_a_whole_journal_is_left_alone(path: Path) -> None:
    warnings: list[str] = []
    assert readable(path, warnings) == 1200 and not warnings
    assert {entry.name for entry in path.parent.iterdir()} == {"journal.sqlite", "journal.count"}


@pytest.mark.parametrize("fill_byte", [b"\0", b"\xa5"], ids=["zeros", "garbage"])
@pytest.mark.parametrize("where", [0.03, 0.35, 0.6, 0.97])
def test_a_damaged_page_costs_its_own_replies(path: Path, where: float, fill_byte: bytes) -> None:
    """At least 99 % of the others are read; the damaged files are kept as they were."""
    Journal(JournalFile(path, accept_lost_replies=True)).close()  # moves the log into the journal
    pages = path.stat().st_size // PAGE
    put(path, PAGE * max(1, int(pages * where)), fill_byte * PAGE)
    damaged, warnings = path.read_bytes(), list[str]()
    count = readable(path, warnings)
    assert 1188 <= count < 1200
    assert path.with_name("journal.sqlite.damaged.1").read_bytes() == damaged
    (warning,) = warnings
    assert f"has {count:,} replies (it was damaged" in warning and f"; {1200 - count:,} or more are lost" in warning
    assert readable(path, warnings) == count and len(warnings) == 1


def test_the_first_page_may_be_lost(path: Path) -> None:
    """It has the schema; no reply is in it."""
    Journal(JournalFile(path)).close()
    put(path, 0, bytes(PAGE))
    warnings: list[str] = []
    assert readable(path, warnings) == 1200
    assert warnings[0].endswith("journal.sqlite.damaged.1); none is lost as far as is known")


def test_a_cut_file_gives_what_is_left_of_it(path: Path) -> None:
    Journal(JournalFile(path)).close()
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.truncate(size - size // 10 - 100)
    assert readable(path) > 1200 * 0.8


def test_a_log_beside_a_damaged_journal_is_read(path: Path) -> None:
    """Its newest replies are in no other file."""
    put(path, 0, bytes(PAGE))
    put(path, path.stat().st_size // PAGE // 2 * PAGE, bytes(PAGE))
    assert len({row.key for row in rows_of(Pages(path)) if row.is_whole()}) >= 1188
    assert readable(path) >= 1188


def test_flipped_bits_never_change_a_reply(path: Path) -> None:
    """Each of 15 flips costs at most the replies of its page, wherever it is."""
    Journal(JournalFile(path)).close()
    whole, draw = path.read_bytes(), random.Random(1)
    for _ in range(15):
        for entry in path.parent.iterdir():
            entry.unlink()
        data = bytearray(whole)
        data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
        path.write_bytes(data)
        assert readable(path) >= 1188


def test_a_flipped_bit_in_a_text_is_noticed(path: Path) -> None:
    """The structure is whole, so that SQLite would return the wrong text."""
    Journal(JournalFile(path)).close()
    at = path.read_bytes().index(b"text 812 ")
    put(path, at + 5, b"9")
    with pytest.raises(FolderError, match=r"has 1,199 replies \(it was damaged: .*\), and 1 or more that were paid "):
        Journal(path)
    with pytest.raises(FolderError, match=r"has 1,199 replies, and 1 or more that were paid for are lost; put back a "):
        Journal(path)
    assert readable(path) == 1199
    Journal(path).close()


def test_lost_replies_are_noticed(path: Path) -> None:
    """Without its log, and without itself; with the option, the smaller number is the one that counts."""
    path.with_name("journal.sqlite-wal").unlink()
    message = r"has 1,000 replies, and 200 or more that were paid for are lost; .*again with --accept-lost-replies$"
    for _ in range(2):
        with pytest.raises(FolderError, match=message):
            Journal(path)
    assert readable(path) == 1000
    Journal(path).close()
    path.unlink()
    with pytest.raises(FolderError, match=r"has 0 replies, and 1,000 or more that were paid for are lost"):
        Journal(path)


def test_a_damaged_journal_without_a_count_is_not_taken_for_a_whole_one(path: Path) -> None:
    """An earlier version wrote it; how many replies it had is unknown."""
    Journal(JournalFile(path)).close()
    path.with_name("journal.count").unlink()
    put(path, path.stat().st_size // PAGE // 2 * PAGE, bytes(PAGE))
    for _ in range(2):
        with pytest.raises(FolderError, match=r"has 1,\d\d\d replies.*, and 1 or more that were paid for are lost"):
            Journal(path)
    assert readable(path) >= 1188


def test_a_journal_of_an_earlier_version_is_used_and_salvaged(path: Path) -> None:
    """Its replies have no checksum."""
    Journal(JournalFile(path)).close()
    database = sqlite3.connect(path)
    database.executescript(
        "CREATE TABLE old (key TEXT PRIMARY KEY, prompt_tokens INTEGER NOT NULL, completion_tokens INTEGER NOT NULL, "
        "reply TEXT NOT NULL) WITHOUT ROWID; INSERT INTO old SELECT key, prompt_tokens, completion_tokens, reply FROM "
        "replies; DROP TABLE replies; ALTER TABLE old RENAME TO replies; VACUUM"
    )
    database.close()
    old = path.read_bytes()
    assert readable(path) == 1200
    path.write_bytes(old)
    put(path, path.stat().st_size // PAGE // 2 * PAGE, bytes(PAGE))
    assert readable(path) >= 1188


def test_an_interrupted_salvage_is_finished(path: Path) -> None:
    """The log of the damaged journal must not be written into the new one."""
    Journal(JournalFile(path)).close()
    whole = path.read_bytes()
    path.with_name("journal.sqlite.salvaged").write_bytes(whole)
    put(path, PAGE, bytes(PAGE))
    path.with_name("journal.sqlite-wal").write_bytes(b"a log of the damaged journal")
    finish_salvage(path)
    assert path.read_bytes() == whole and not path.with_name("journal.sqlite-wal").exists()
    assert readable(path) == 1200
