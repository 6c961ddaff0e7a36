"""The journal: replies are durable before they are used, and errors of the disk are one clear line."""

import asyncio
import signal
import sqlite3
import struct
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from personagen.builder.core.errors import FolderError
from personagen.builder.llm.journal import MAX_MODEL_NAMES, OTHER_MODELS, Journal, Usage
from personagen.builder.llm.requests import Candidate, Reply

REPLY = Reply((Candidate("We counted the boxes.", "stop", -0.5),), 12, 4)
ANY_TEXT = st.text(st.characters(codec=None), max_size=60)
CANDIDATES = st.builds(Candidate, ANY_TEXT, st.sampled_from(["stop", "length"]), st.none() | st.floats())
REPLIES = st.builds(
    Reply, st.lists(CANDIDATES, max_size=4).map(tuple), st.integers(0, 2**31 - 1), st.integers(0, 2**31 - 1)
)

PUT_AND_DIE = """
import asyncio, os, signal, sys
from pathlib import Path
from personagen.builder.llm.journal import Journal
from personagen.builder.llm.requests import Candidate, Reply

async def run():
    journal = Journal(Path(sys.argv[1]))
    for number in range(5):
        await journal.put(f"key {number}", Reply((Candidate(f"text {number}", "stop"),), 1, 2))
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(run())
"""

FILL_THE_DISK = """
import asyncio, resource, sys
from pathlib import Path
from personagen.builder.core.errors import FolderError
from personagen.builder.llm.journal import Journal
from personagen.builder.llm.requests import Candidate, Reply

def limit(size):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

async def run():
    journal = Journal(Path(sys.argv[1]))
    limit(200_000)
    kept = 0
    try:
        while True:
            await journal.put(f"key {kept}", Reply((Candidate(f"text {kept} " * 50, "stop"),), 1, 2))
            kept += 1
    except FolderError as error:
        print(kept, error, sep="\\n")
    assert all(journal.get(f"key {number}") is not None for number in range(kept))
    limit(resource.RLIM_INFINITY)
    await journal.put("later", Reply((Candidate("later", "stop"),), 1, 2))
    journal.close()

asyncio.run(run())
"""


def commits(path: Path) -> int:
    """Count the commits in a write-ahead log: only their frames state the size of the database after them."""
    log = path.with_name(path.name + "-wal").read_bytes()
    page = struct.unpack(">I", log[8:12])[0]
    return sum(struct.unpack(">I", log[at + 4 : at + 8])[0] > 0 for at in range(32, len(log), 24 + page))


def run_script(script: str, path: Path) -> subprocess.CompletedProcess[str]:
    """Run a script in a separate process, with a path as its argument."""
    command = [sys.executable, "-c", script, str(path)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@settings(deadline=None, max_examples=25)
@given(st.dictionaries(st.text(max_size=20), REPLIES, min_size=1, max_size=6))
def test_any_reply_is_read_as_it_was_written(replies: dict[str, Reply]) -> None:
    """Lone surrogates, control characters, infinities and NaN included; also from the file."""

    async def keep(journal: Journal) -> None:
        await asyncio.gather(*[journal.put(key, reply) for key, reply in replies.items()])

    with tempfile.TemporaryDirectory() as folder:
        for first in (True, False):
            journal = Journal(Path(folder) / "journal")
            if first:
                asyncio.run(keep(journal))
            read = {key: journal.get(key) for key in replies}
            journal.close()
            assert repr(read) == repr(replies)


def test_journal_in_memory_stores_replies() -> None:
    """Previews write nothing to disk."""
    journal = Journal(None)
    asyncio.run(journal.put("key", REPLY))
    assert (journal.get("key"), journal.get("other")) == (REPLY, None)
    journal.close()


def test_reply_is_on_disk_when_put_returns(tmp_path: Path) -> None:
    """A second connection reads it at once."""
    path = tmp_path / "journal"

    async def run() -> None:
        journal = Journal(path)
        await journal.put("key", REPLY)
        other = Journal(path)
        assert other.get("key") == REPLY
        other.close()
        journal.close()

    asyncio.run(run())


def test_reply_survives_a_kill_right_after_put(tmp_path: Path) -> None:
    """No reply whose `put` has returned is lost."""
    done = run_script(PUT_AND_DIE, tmp_path / "journal")
    assert done.returncode == -signal.SIGKILL, done.stderr
    journal = Journal(tmp_path / "journal")
    replies = [journal.get(f"key {number}") for number in range(5)]
    journal.close()
    assert replies == [Reply((Candidate(f"text {number}", "stop"),), 1, 2) for number in range(5)]


def test_replies_that_arrive_together_share_a_commit(tmp_path: Path) -> None:
    """A disk flush per reply would limit the rate of a run."""
    path = tmp_path / "journal"

    async def run() -> tuple[int, int]:
        journal = Journal(path)
        before = commits(path)
        await asyncio.gather(*[journal.put(f"key {number}", REPLY) for number in range(200)])
        assert all(journal.get(f"key {number}") for number in range(200))
        after = commits(path)
        journal.close()
        return before, after

    before, after = asyncio.run(run())
    assert 1 <= after - before <= 5


def test_reply_stored_twice_counts_once(tmp_path: Path) -> None:
    """`put` is idempotent."""
    journal = Journal(tmp_path / "journal")
    asyncio.run(journal.put("key", REPLY))
    asyncio.run(journal.put("key", REPLY))
    assert journal.usage() == Usage(1, 12, 4)
    journal.close()


def test_models_beyond_a_bound_are_counted_together() -> None:
    """Some servers put a new fingerprint into every reply; the card and the manifest must stay readable."""

    async def run() -> None:
        journal = Journal(None)
        names = [*(f"m (fp_{number})" for number in range(2 * MAX_MODEL_NAMES)), "m (fp_7)"]
        replies = [Reply((Candidate("Fine.", "stop"),), 1, 1, answered_by=name) for name in names]
        await asyncio.gather(*(journal.put(f"{number}", reply) for number, reply in enumerate(replies)))
        counted = journal.origins().answered_by
        journal.close()
        assert len(counted) == MAX_MODEL_NAMES + 1
        assert (counted["m (fp_7)"], counted[OTHER_MODELS], sum(counted.values())) == (2, MAX_MODEL_NAMES, len(names))

    asyncio.run(run())


def test_reply_that_cannot_be_stored_leaves_the_journal_intact(tmp_path: Path) -> None:
    """Its commit fails as a whole, and the next one succeeds."""
    journal = Journal(tmp_path / "journal")

    async def run() -> None:
        outcomes = await asyncio.gather(
            journal.put("good", REPLY),
            journal.put("absurd", replace(REPLY, prompt_tokens=2**63)),
            return_exceptions=True,
        )
        assert [type(outcome) for outcome in outcomes] == [FolderError, FolderError]
        await journal.put("later", REPLY)

    asyncio.run(run())
    assert [journal.get(key) for key in ("good", "absurd", "later")] == [None, None, REPLY]
    journal.close()


def test_file_that_is_no_journal_is_refused(tmp_path: Path) -> None:
    """The message names the file, the cause and ways out, the one that costs nothing first."""
    path = tmp_path / "journal"
    path.write_bytes(b"this is not a database, whatever its name says\n" * 100)
    message = (
        r"^cannot open the journal .*/journal: no reply in it can be read; put back a copy .*, or start over with --"
    )
    with pytest.raises(FolderError, match=message):
        Journal(path)


def test_folder_in_place_of_the_journal_is_refused(tmp_path: Path) -> None:
    """With the same message as a file that is no journal."""
    with pytest.raises(FolderError, match=r"^cannot open the journal .*: unable to open database file; "):
        Journal(tmp_path)


def test_damaged_journal_is_one_clear_error(tmp_path: Path) -> None:
    """Garbage behind an intact header, of which nothing can be salvaged."""
    path = tmp_path / "journal"

    async def fill() -> None:
        journal = Journal(path)
        await asyncio.gather(*[journal.put(f"key {number:04}", REPLY) for number in range(400)])
        journal.close()

    asyncio.run(fill())
    data = bytearray(path.read_bytes())
    data[4096:] = b"\xa5" * (len(data) - 4096)
    path.write_bytes(data)

    def read_all() -> None:
        journal = Journal(path)
        try:
            for number in range(400):
                journal.get(f"key {number:04}")
        finally:
            journal.close()

    with pytest.raises(FolderError, match=r"journal .*no reply in it can be read"):
        read_all()


def test_database_with_other_columns_is_refused(tmp_path: Path) -> None:
    """With one clear line and without a traceback."""
    path = tmp_path / "journal"
    database = sqlite3.connect(path)
    database.execute("CREATE TABLE replies (id INTEGER, body BLOB)")
    database.commit()
    database.close()

    def read() -> None:
        journal = Journal(path)
        try:
            journal.get("key")
        finally:
            journal.close()

    with pytest.raises(FolderError, match=r"journal .*no such column"):
        read()


def test_full_disk_is_one_error_and_loses_nothing(tmp_path: Path) -> None:
    """Stored replies are read in the same process and in the next; with space again, storing continues."""
    path = tmp_path / "journal"
    done = run_script(FILL_THE_DISK, path)
    assert (done.returncode, done.stderr) == (0, "")
    kept, message = done.stdout.splitlines()
    assert message.startswith("cannot write the journal: ")
    assert message.endswith("; free some space and run the command again")
    assert int(kept) > 10
    journal = Journal(path)
    replies = [journal.get(f"key {number}") for number in range(int(kept))]
    assert all(reply and reply.candidates[0].text.startswith(f"text {n} ") for n, reply in enumerate(replies))
    assert journal.get("later") is not None
    journal.close()
