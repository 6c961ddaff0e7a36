"""A journal that is removed or replaced while a run uses it ends the run, and its replies are kept."""

import asyncio
import shutil
from pathlib import Path

import pytest

from personagen.builder.core.errors import FolderError
from personagen.builder.llm.journal import Journal
from personagen.builder.llm.requests import Candidate, Reply
from personagen.builder.llm.storage.opening import JournalFile

REPLY = Reply((Candidate("We counted the boxes.", "stop"),), 12, 4)


def put(journal: Journal, key: str) -> None:
    asyncio.run(journal.put(key, REPLY))


def keys_in(path: Path) -> set[str]:
    journal = Journal(path)
    known = {key for key in ("1", "2", "3") if journal.get(key)}
    journal.close()
    return known


def test_a_removed_journal_is_written_again(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.sqlite")
    put(journal, "1")
    for entry in tmp_path.iterdir():
        entry.unlink()
    message = r"^\S+/journal\.sqlite was removed while this run used it; its 2 replies were written to \S+: run the "
    with pytest.raises(FolderError, match=message):
        put(journal, "2")
    assert journal.problem is not None
    journal.close()
    assert keys_in(tmp_path / "journal.sqlite") == {"1", "2"}


def test_a_replaced_journal_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    journal = Journal(path)
    put(journal, "1")
    (tmp_path / "other").write_bytes(path.read_bytes())
    (tmp_path / "other").replace(path)
    message = r"was replaced while this run used it; its 2 replies were written to \S+/journal\.sqlite\.1: put it back"
    with pytest.raises(FolderError, match=message):
        put(journal, "2")
    journal.close()
    assert keys_in(tmp_path / "journal.sqlite.1") == {"1", "2"}


def test_a_journal_whose_folder_was_moved_keeps_its_replies(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    journal = Journal(run / "journal.sqlite")
    put(journal, "1")
    run.rename(tmp_path / "moved")
    with pytest.raises(FolderError, match=r"/run was moved or removed while this run used it; its replies are in the "):
        put(journal, "2")
    journal.close()
    assert not run.exists() and keys_in(tmp_path / "moved" / "journal.sqlite") == {"1", "2"}


def test_the_guard_is_called_after_a_commit(tmp_path: Path) -> None:
    """The reply is kept, and no further one is paid for."""

    def guard() -> None:
        raise FolderError("the lock was removed")

    journal = Journal(JournalFile(tmp_path / "journal.sqlite", guard=guard))
    with pytest.raises(FolderError, match=r"^the lock was removed$"):
        put(journal, "1")
    journal.close()
    shutil.copytree(tmp_path, tmp_path / "copy")
    assert keys_in(tmp_path / "journal.sqlite") == {"1"}
