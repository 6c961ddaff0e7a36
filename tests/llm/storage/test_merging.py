"""Merging replies into a journal: a union, whatever its order."""

import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personagen.builder.core.errors import FolderError
from personagen.builder.llm.requests import Candidate, Reply
from personagen.builder.llm.storage.merging import is_preferred, open_for_merging
from personagen.builder.llm.storage.opening import JournalFile
from personagen.builder.llm.storage.stored_replies import StoredReply, encode, stored

THOUGHT = "<think>What would she say"
"""A reply that was cut within its thoughts."""

REPLIES = st.builds(
    Reply,
    candidates=st.lists(
        st.builds(Candidate, text=st.sampled_from(["", THOUGHT, "Words."]), finish=st.sampled_from(["stop", "length"])),
        max_size=2,
    ).map(tuple),
    prompt_tokens=st.integers(0, 3),
    completion_tokens=st.integers(0, 3),
    problem=st.sampled_from([None, "content filter"]),
    cut_at=st.sampled_from([None, 0, 100, 1_124, 4_196]),
    failed=st.booleans(),
)
"""Replies as backends build them, and others."""

VALUES = st.floats() | st.text() | st.none()
FOREIGN = st.dictionaries(st.sampled_from(["candidates", "cut_at", "prompt_tokens"]), VALUES).map(json.dumps)
TEXTS = REPLIES.map(encode) | st.text(max_size=5) | FOREIGN
"""Encoded replies, and what a hostile segment may hold."""


@given(TEXTS, TEXTS)
def test_of_two_different_replies_exactly_one_is_preferred(one: str, other: str) -> None:
    assert not is_preferred(one, one)
    assert is_preferred(one, other) != is_preferred(other, one) or one == other


@given(TEXTS, TEXTS, TEXTS)
def test_the_preference_has_no_cycle(a: str, b: str, c: str) -> None:
    if is_preferred(a, b) and is_preferred(b, c):
        assert is_preferred(a, c)


def reply(text: str, cut_at: int | None = None) -> str:
    return encode(Reply((Candidate(text, "length" if cut_at else "stop"),), 3, 2, cut_at=cut_at))


def test_a_text_comes_before_thoughts_and_of_thoughts_the_longest_and_a_failure_last() -> None:
    """Whatever the order of their bytes: a worker that was killed may have left the shorter ones.

    A failure that came after thoughts is what the worker went on with: it takes their place.
    """
    failed = [encode(Reply((), 0, 0, problem=why, failed=True)) for why in ("", "zz")]
    thoughts = [reply(THOUGHT, 4_196), reply(THOUGHT, 1_124), reply(THOUGHT, 100)]
    for last in failed:
        assert all(is_preferred(one, last) for one in (reply("Words."), *thoughts))
    after = [encode(Reply((), 3, 2, problem="no", cut_at=cut_at, failed=True)) for cut_at in (4_196, 1_124, 100)]
    ranked = [reply("Words."), *(one for pair in zip(after, thoughts, strict=True) for one in pair), failed[0]]
    for better, one in enumerate(ranked):
        assert all(is_preferred(one, other) for other in ranked[better + 1 :])


def merged(collections: Sequence[Sequence[StoredReply]]) -> list[tuple[Any, ...]]:
    """Return the rows of a journal in memory after collections were merged."""
    with open_for_merging(JournalFile(None)) as merger:
        for number, rows in enumerate(collections):
            merger.add(str(number), rows)
        return merger._database.execute("SELECT * FROM replies ORDER BY key").fetchall()


ROWS = st.lists(st.builds(stored, st.sampled_from(["a", "b"]), REPLIES), max_size=3)


@given(ROWS, ROWS, ROWS)
def test_the_union_is_commutative_associative_and_idempotent(
    one: list[StoredReply], two: list[StoredReply], three: list[StoredReply]
) -> None:
    expected = merged([[*one, *two, *three]])
    for order in permutations([one, two, three]):
        assert merged([*order, order[0]]) == expected


def test_a_collection_is_merged_as_a_whole_or_not_at_all(tmp_path: Path) -> None:
    rows = [stored(key, Reply((Candidate("Words.", "stop"),), 3, 2)) for key in "abc"]

    def broken() -> Any:
        yield from rows
        raise ValueError("damaged")

    with open_for_merging(JournalFile(tmp_path / "journal.sqlite")) as merger:
        with pytest.raises(ValueError, match="damaged"):
            merger.add("broken", broken())
        assert not merger.has("broken")
        merger.add("whole", rows[:2])
        assert merger.has("whole")
    assert (merger.merged.new, merger.merged.total, merger.merged.replies) == (2, 2, 2)
    with closing(sqlite3.connect(tmp_path / "journal.sqlite")) as database:
        assert database.execute("SELECT key FROM replies").fetchall() == [("a",), ("b",)]


def test_a_journal_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """As on a full disk: the file may grow no more."""
    path = tmp_path / "journal.sqlite"
    rows = [stored(f"{number:064x}", Reply((Candidate("Words." * 100, "stop"),), 3, 2)) for number in range(2_000)]
    wanted = rf"cannot write the journal {path}: database or disk is full; free some space and run the command again"

    def fill_up() -> None:
        with open_for_merging(JournalFile(path)) as merger:
            merger._database.execute("PRAGMA max_page_count = 20")
            merger.add("large", rows)

    with pytest.raises(FolderError, match=wanted):
        fill_up()
    with open_for_merging(JournalFile(path)) as merger:
        merger.add("large", rows)
    assert merger.merged.total == 2_000
