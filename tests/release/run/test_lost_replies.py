"""Replies that a journal has lost are paid for again only with the option for it."""

import shutil
import sqlite3
from pathlib import Path

import pytest

from personagen.builder.core.errors import FolderError
from personagen.builder.generate import generate
from tests.helpers.command import Run
from tests.helpers.flow import Recorder, bytes_of, make, recipe_for
from tests.helpers.servers.fake_openai import FakeOpenAI


def lose(journal: Path, number: int) -> None:
    """Put an older copy of a journal in its place, which lacks some replies."""
    database = sqlite3.connect(journal)
    database.execute("DELETE FROM replies WHERE key IN (SELECT key FROM replies LIMIT ?)", (number,))
    database.commit()
    database.close()


def test_lost_replies_stop_the_command_until_they_are_given_up(model: FakeOpenAI, tmp_path: Path, run: Run) -> None:
    """One line and no request without the option; with it, the lost replies and no others are requested."""
    out, words = tmp_path / "out", ["--backend", "openai", "--model", "fake-1", "--base-url", model.url]
    words = ["generate", *words, "--rows", "14", "--depth", "none", "--expression", "shown", "--out", str(out)]
    assert run(*words).code == 0
    before = bytes_of(out)
    shutil.rmtree(out)
    lose(tmp_path / "out.run" / "journal.sqlite", 3)
    sent = len(model.requests)
    refused = run(*words)
    assert refused.code == 1 and refused.err.count("\n") == 1 and len(model.requests) == sent
    assert ", and 3 or more that were paid for are lost; put back a copy" in refused.err
    assert refused.err.endswith("or pay for them again with --accept-lost-replies\n") and not out.exists()
    assert run(*words, "--accept-lost-replies").code == 0
    assert len(model.requests) == sent + 3 and bytes_of(out) == before
    shutil.rmtree(out)
    assert run(*words).code == 0 and len(model.requests) == sent + 3


def test_a_journal_that_is_gone_is_noticed(model: FakeOpenAI, tmp_path: Path) -> None:
    """Also one that was deleted with its log."""
    recipe, out = recipe_for(model.url), tmp_path / "out"
    make(recipe, out)
    shutil.rmtree(out)
    (tmp_path / "out.run" / "journal.sqlite").unlink()
    sent, recorder = len(model.requests), Recorder()
    with pytest.raises(FolderError, match=r"has 0 replies, and 14 or more that were paid for are lost"):
        make(recipe, out)
    assert len(model.requests) == sent
    assert generate(recipe, out, accept_lost_replies=True, progress=recorder).created
    assert recorder.warnings == [
        f"{tmp_path / 'out.run' / 'journal.sqlite'} has 0 replies; 14 or more are lost and requested again"
    ]
