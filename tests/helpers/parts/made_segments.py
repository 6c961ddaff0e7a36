"""Segments that are written by hand, for the tests of their format and of what happens to them."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from personagen.builder.llm.journal_only import ModelIdentity
from personagen.builder.llm.requests import Candidate, Reply
from personagen.builder.llm.storage.opening import JournalFile
from personagen.builder.llm.storage.stored_replies import StoredReply, stored
from personagen.builder.planning.parts import Part
from personagen.builder.segments.joining import Joined, JoinRules, join
from personagen.builder.segments.segment import HEADER, Header, Origin, SegmentName, Work, digest_of, write_segment
from personagen.builder.segments.store import open_store

MODEL = ModelIdentity("openai", "fake-1")
ORIGIN = Origin("0123456789abcdef", {"rows": 14}, "material", "0.1.0", (MODEL,))
WORK = Work("working", "host", 1.0, 2.0, wanted=10, accepted=4, replies=4)
WORKER = "a" * 12


def reply_of(text: str, cut_at: int | None = None) -> Reply:
    """Return a reply with one text."""
    return Reply((Candidate(text, "stop"),), 3, 2, cut_at=cut_at)


def rows_of_replies(numbers: Iterable[int], text: str = "Words of the reply {}.") -> list[StoredReply]:
    """Return the rows of replies to requests with these numbers."""
    return [stored(f"{number:064x}", reply_of(text.format(number))) for number in numbers]


def segment(
    folder: Path,
    rows: Sequence[StoredReply],
    part: str = "0/4",
    *,
    worker: str = WORKER,
    order: int = 0,
    origin: Origin = ORIGIN,
    work: Work = WORK,
) -> Path:
    """Write a segment into a folder, which is made."""
    folder.mkdir(exist_ok=True, parents=True)
    number, of = map(int, part.split("/"))
    return write_segment(folder, Header(Part(number, of), worker, order, origin, work), rows)


def join_all(
    folder: Path | str, journal: Path | None = None, warn: Callable[[str], None] = print, **rules: Any
) -> Joined:
    """Join the segments of a folder or address into a journal; None: in memory."""
    lost = bool(rules.get("accept_lost_replies"))
    return join(
        open_store(str(folder)), JournalFile(journal, lost, warn), JoinRules(rules.pop("origin", ORIGIN), **rules)
    )


def with_digest(path: Path) -> Path:
    """Rename an altered segment, so that its bytes have the digest of its name."""
    head, _, _ = path.name.rpartition(".parquet")[0].rpartition(".")
    return path.rename(path.with_name(f"{head}.{digest_of(path)[:16]}.parquet"))


def rewritten(
    path: Path,
    change: Callable[[dict[str, Any]], None] = lambda header: None,
    table: pa.Table | None = None,
    **options: Any,
) -> Path:
    """Write a segment again with another header, table or options of parquet, under a name with its digest."""
    found = pq.read_table(path)
    header = json.loads(found.schema.metadata[HEADER])
    change(header)
    written = (found if table is None else table).replace_schema_metadata({HEADER: json.dumps(header).encode()})
    pq.write_table(written, path, **{"use_dictionary": False} | options)
    return with_digest(path)


def set_in(header: dict[str, Any], keys: Sequence[str], value: Any) -> None:
    """Set a value of nested mappings."""
    for key in keys[:-1]:
        header = header[key]
    header[keys[-1]] = value


def columns(rows: Sequence[StoredReply]) -> Mapping[str, Any]:
    """Return the columns of a segment as Arrow has them."""
    return {
        "key": pa.array([row.key.decode() for row in rows]),
        "prompt_tokens": pa.array([row.prompt_tokens for row in rows], pa.int64()),
        "completion_tokens": pa.array([row.completion_tokens for row in rows], pa.int64()),
        "reply": pa.array([row.reply.decode() for row in rows]),
        "checksum": pa.array([row.checksum for row in rows], pa.int64()),
    }


def name(part: str, worker: str = WORKER, order: int = 0, digest: str = "0" * 16) -> str:
    """Return the name of a segment."""
    number, of = map(int, part.split("/"))
    return str(SegmentName(Part(number, of), worker, order, digest))
