"""Published replies: the same bytes each time, and no sentence of a server."""

from pathlib import Path

from personagen.builder.llm.journal_only import ModelIdentity
from personagen.builder.llm.requests import ONLY_THOUGHT, Candidate, Reply
from personagen.builder.llm.storage.stored_replies import StoredReply, decode, stored
from personagen.builder.segments.publication import NOT_PUBLISHED, is_published_segment, write_journal
from personagen.builder.segments.segment import Origin, parse_name, read_header, read_replies, read_tail

ORIGIN = Origin("0123456789abcdef", {"rows": 7}, "m", "0.1.0", (ModelIdentity("openai", "fake-1"),))
SERVER = "https://tenant-7.example.org/v1: content filter of organization org-1"


def replies() -> list[StoredReply]:
    """Return a reply with a text, one without, one with a candidate of each kind, a thought, and a failure."""
    contents = [
        Reply((Candidate("A text.", "stop"),), 5, 3),
        Reply((), 5, 0, problem=SERVER),
        Reply((Candidate("A text.", "stop"), Candidate("", "stop", problem=SERVER)), 5, 3),
        Reply((), 5, 9, problem=ONLY_THOUGHT),
        Reply((), 0, 0, problem=SERVER, failed=True),
    ]
    return [stored(f"{number:064x}", reply) for number, reply in enumerate(contents)]


def test_the_same_replies_give_the_same_bytes(tmp_path: Path) -> None:
    one, other = (write_journal(tmp_path / name, ORIGIN, replies()) for name in ("one", "other"))
    assert [path.name for path in one.paths] == [path.name for path in other.paths]
    assert [path.read_bytes() for path in one.paths] == [path.read_bytes() for path in other.paths]
    (path,) = one.paths
    assert (one.replies, one.bytes) == (5, path.stat().st_size)
    with path.open("rb") as file:
        header = read_header(read_tail(file))
    assert header.origin == ORIGIN and (header.work.host, header.work.began, header.work.sealed) == ("", 0, 0)


def test_sentences_of_a_server_are_not_published(tmp_path: Path) -> None:
    (path,) = write_journal(tmp_path, ORIGIN, replies()).paths
    found = [decode(row.reply) for row in read_replies(path)]
    assert [reply.problem for reply in found] == [None, NOT_PUBLISHED, None, ONLY_THOUGHT, NOT_PUBLISHED]
    assert [candidate.problem for candidate in found[2].candidates] == [None, NOT_PUBLISHED]
    assert found[0] == decode(replies()[0].reply) and b"tenant-7" not in path.read_bytes()


def test_a_reply_without_a_checksum_gets_one(tmp_path: Path) -> None:
    row = replies()[0]._replace(checksum=None)
    (path,) = write_journal(tmp_path, ORIGIN, [row]).paths
    assert list(read_replies(path)) == [replies()[0]]


def test_only_segments_with_their_whole_name_count_as_published(tmp_path: Path) -> None:
    (path,) = write_journal(tmp_path, ORIGIN, replies()).paths
    assert is_published_segment(f"journal/{path.name}")
    others = [path.name, f"joy/{path.name}", f"journal/x/{path.name}", f"journal/copy-{path.name}", "journal/notes.md"]
    assert not any(map(is_published_segment, others)) and parse_name(path.name)
