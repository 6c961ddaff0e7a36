"""Publish the replies of a release as segments: the same replies give the same bytes."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from personagen.builder.core.errors import FolderError
from personagen.builder.core.files import explain, make_folder
from personagen.builder.llm.requests import HOLDS_SECRET, ONLY_THOUGHT, Candidate
from personagen.builder.llm.storage.stored_replies import StoredReply, decode, stored
from personagen.builder.planning.parts import Part
from personagen.builder.segments.segment import Header, Origin, Work, parse_name, write_segment

FOLDER = "journal"
"""Folder of the segments in the repository of a release."""

PUBLISHER = "0" * 12
"""Id of the worker in published segments: those of the workers that filled a journal change no release."""

PUBLISHED_BYTES = 8 * 2**20
"""Encoded replies after which a segment is full."""

NOT_PUBLISHED = "no text (the reason is not published)"
"""Problem of a published reply without a text: the sentence of a server may name its address or an account."""


@dataclass(frozen=True, slots=True)
class PublishedJournal:
    """The published replies of a release.

    Attributes:
        paths: its segments, in their order.
        replies: replies in them.
        bytes: their size.

    """

    paths: tuple[Path, ...]
    replies: int
    bytes: int


def is_published_segment(path: str) -> bool:
    """Return whether a path in a repository is one of a published segment."""
    folder, _, name = path.partition("/")
    return folder == FOLDER and (parsed := parse_name(name)) is not None and str(parsed) == name


def write_journal(folder: Path, origin: Origin, replies: Iterable[StoredReply]) -> PublishedJournal:
    """Write the replies of a release into a folder.

    Args:
        folder: the folder, which is made.
        origin: run of the release.
        replies: its replies, in the order of their keys.

    Raises:
        FolderError: a segment cannot be written.

    """
    paths: list[Path] = []
    count = 0
    try:
        make_folder(folder)
        for order, rows in enumerate(_batches(replies)):
            paths.append(write_segment(folder, Header(Part(0, 1), PUBLISHER, order, origin, _work(rows)), rows))
            count += len(rows)
    except OSError as error:
        raise FolderError(f"cannot write {folder}: {explain(error)}") from error
    return PublishedJournal(tuple(paths), count, sum(path.stat().st_size for path in paths))


def _batches(replies: Iterable[StoredReply]) -> Iterator[list[StoredReply]]:
    batch: list[StoredReply] = []
    size = 0
    for row in map(_without_reasons, replies):
        batch.append(row)
        size += len(row.reply)
        if size >= PUBLISHED_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _work(rows: list[StoredReply]) -> Work:
    return Work(
        state="complete",
        host="",
        began=0.0,
        sealed=0.0,
        replies=sum(not row.is_failure() for row in rows),
        prompt_tokens=sum(row.prompt_tokens for row in rows),
        completion_tokens=sum(row.completion_tokens for row in rows),
    )


def _without_reasons(row: StoredReply) -> StoredReply:
    """Return a reply without the sentences of a server, which change no text of the release."""
    reply = decode(row.reply)
    if reply.problem is None and all(candidate.problem is None for candidate in reply.candidates):
        return row if row.checksum is not None else stored(row.key.decode(), reply)
    candidates = tuple(_candidate_without_reason(candidate) for candidate in reply.candidates)
    return stored(row.key.decode(), replace(reply, candidates=candidates, problem=_public_problem(reply.problem)))


def _candidate_without_reason(candidate: Candidate) -> Candidate:
    return replace(candidate, problem=_public_problem(candidate.problem))


def _public_problem(problem: str | None) -> str | None:
    return problem if problem in (None, ONLY_THOUGHT, HOLDS_SECRET) else NOT_PUBLISHED
