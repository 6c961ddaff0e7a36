"""The format of a segment: a parquet file of replies whose name has the digest of its bytes.

    part-00001-of-00004.9f86d081884c.00007.5feceb66ffc86f38.parquet
         part            worker       order digest

A segment is written once and never changed. A cut or altered one no longer has the digest of its name.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from personagen.builder.core.errors import FolderError
from personagen.builder.core.files import move, write_atomically
from personagen.builder.core.foreign_text import quote
from personagen.builder.llm.journal_only import ModelIdentity
from personagen.builder.llm.storage.stored_replies import StoredReply, checksum_of, decode
from personagen.builder.planning.parts import Part

if TYPE_CHECKING:
    import pyarrow as pa

FORMAT = "personagen-segment/1"
"""Name and version of the format."""

HEADER = b"personagen_segment"
"""Key of the header in the metadata of the file."""

COLUMNS = {
    "key": "string",
    "prompt_tokens": "int64",
    "completion_tokens": "int64",
    "reply": "string",
    "checksum": "int64",
}
"""Columns and their types in Arrow."""

ROW_GROUP = 2_000
"""Upper bound on the replies per row group, which are in memory together."""

MAX_GROUP_BYTES = 256 * 2**20
"""Upper bound on the unpacked bytes of a row group: no small file may fill the memory."""

WANTED_GROUP_BYTES = 64 * 2**20
"""Upper bound on the replies of a row group as it is written, if none is larger."""

MAX_FOOTER_BYTES = 8 * 2**20
"""Upper bound on the metadata of a file."""

TAIL_BYTES = 64 * 2**10
"""Bytes at the end of a file that are read first; the metadata of most segments is shorter."""

MAGIC = b"PAR1"
"""First and last bytes of a parquet file."""

MAX_NUMBER = 2.0**53
"""Upper bound on every number of a header."""

STATES = ("begun", "working", "stopped", "complete")
"""States of a worker."""

DIGEST_CHUNK_BYTES = 2**20
"""Bytes that are hashed at a time."""

NAME = re.compile(
    r"part-(?P<number>\d{5,6})-of-(?P<of>\d{5,6})\.(?P<worker>[0-9a-f]{12})\.(?P<order>\d{5,9})\.(?P<digest>[0-9a-f]{16})"
    r"(?P<rest>.*)\.parquet",
    re.ASCII,
)
"""Name of a segment; a copy of one may have more before it, or before its suffix."""


@dataclass(frozen=True, slots=True)
class SegmentName:
    """What the name of a segment says.

    Attributes:
        part: part of the plan that its replies were requested for.
        worker: id of the worker, twelve hexadecimal digits: that of its folder.
        order: number of the segment among those of its worker, from 0.
        digest: first 16 hexadecimal digits of the SHA-256 of its bytes.

    """

    part: Part
    worker: str
    order: int
    digest: str

    def __str__(self) -> str:
        """Return the name of the file."""
        part = f"part-{self.part.number:05d}-of-{self.part.of:05d}"
        return f"{part}.{self.worker}.{self.order:05d}.{self.digest}.parquet"


@dataclass(frozen=True, slots=True)
class Origin:
    """The run that a segment belongs to.

    Attributes:
        fingerprint: fingerprint of the recipe.
        recipe: its settings as plain data; see `public_recipe`.
        material: digest of the prompts and tables of the package, and of the source of the personas.
        personagen: version of PersonaGen.
        models: the models that were asked.

    """

    fingerprint: str
    recipe: Mapping[str, Any]
    material: str
    personagen: str
    models: tuple[ModelIdentity, ...]


@dataclass(frozen=True, slots=True)
class Work:
    """How far a worker was when it sealed a segment.

    Attributes:
        state: one of `STATES`.
        host: name of its machine.
        began: when it began, in seconds since 1970.
        sealed: when it sealed the segment, likewise.
        wanted: texts of its part.
        accepted: texts that are written.
        rejected: rejected replies.
        replies: replies in the segment, without the requests that failed.
        prompt_tokens: tokens of the prompts of these replies.
        completion_tokens: tokens of these replies.
        cost: cost of these replies, in the currency of the recipe's prices; None: a model has no price.

    """

    state: str
    host: str
    began: float
    sealed: float
    wanted: int = 0
    accepted: int = 0
    rejected: int = 0
    replies: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float | None = None


@dataclass(frozen=True, slots=True)
class Header:
    """Header of a segment.

    Attributes:
        part: part of the plan that its replies were requested for.
        worker: id of the worker.
        order: number of the segment among those of its worker, from 0.
        origin: the run.
        work: how far the worker was.

    """

    part: Part
    worker: str
    order: int
    origin: Origin
    work: Work


def parse_name(file: str) -> SegmentName | None:
    """Parse the name of a segment, or of a copy of one; None: the file is none, or not complete yet."""
    match = NAME.search(file)
    if match is None or match.end() != len(file) or file.startswith("."):
        return None
    part = Part(int(match["number"]), int(match["of"]))
    return SegmentName(part, match["worker"], int(match["order"]), match["digest"]) if part.number < part.of else None


def write_segment(folder: Path, header: Header, rows: Sequence[StoredReply]) -> Path:
    """Write a segment durably into a folder; return its file.

    Raises:
        OSError, pyarrow.ArrowException: it cannot be written.

    """
    import pyarrow.parquet as pq

    table = _table(sorted(rows, key=lambda row: row.key), header)
    largest = max((len(row.reply) for row in rows), default=0) + 1
    group = max(1, min(ROW_GROUP, WANTED_GROUP_BYTES // largest))
    draft = folder / f"{header.worker}.{header.order:05d}"
    with write_atomically(draft) as path:
        pq.write_table(
            table, path, row_group_size=group, compression="zstd", use_dictionary=False, write_statistics=False
        )
    named = folder / str(SegmentName(header.part, header.worker, header.order, digest_of(draft)[:16]))
    move(draft, named)
    return named


def _table(rows: Sequence[StoredReply], header: Header) -> "pa.Table":
    import pyarrow as pa

    table = pa.table(
        {
            "key": pa.array([row.key for row in rows], pa.binary()).cast(pa.string()),
            "prompt_tokens": pa.array([row.prompt_tokens for row in rows], pa.int64()),
            "completion_tokens": pa.array([row.completion_tokens for row in rows], pa.int64()),
            "reply": pa.array([row.reply for row in rows], pa.binary()).cast(pa.string()),
            "checksum": pa.array([checksum_of(row) for row in rows], pa.int64()),
        }
    )
    text = json.dumps({"format": FORMAT, **asdict(header)})
    return table.replace_schema_metadata({HEADER: text.encode()})


def digest_of(path: Path) -> str:
    """Compute the SHA-256 of a file, in hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(DIGEST_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def read_tail(file: BinaryIO) -> bytes:
    """Return the end of a parquet file, with all of its metadata unless it is too large to be that of a segment."""
    size = file.seek(0, 2)
    file.seek(max(0, size - TAIL_BYTES))
    tail = file.read()
    wanted = int.from_bytes(tail[-8:-4], "little") + 8
    if tail.endswith(MAGIC) and len(tail) < wanted <= min(size, MAX_FOOTER_BYTES):
        file.seek(size - wanted)
        tail = file.read()
    return tail


def read_header(tail: bytes) -> Header:
    """Read the header of a segment from the end of its file; see `read_tail`.

    Raises:
        OSError, ValueError, pyarrow.ArrowException: it is no segment, or is damaged.
        FolderError: a newer version of PersonaGen wrote it in another format.

    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    size = int.from_bytes(tail[-8:-4], "little")
    if not tail.endswith(MAGIC) or len(tail) < 12:
        raise ValueError("was cut or altered: it is no complete parquet file")
    if not 0 < size <= min(len(tail) - 8, MAX_FOOTER_BYTES):
        raise ValueError(f"was cut or altered: it states {size:,} bytes of metadata")
    file = pq.ParquetFile(pa.BufferReader(tail[-size - 8 :]))
    metadata = file.schema_arrow.metadata or {}
    if HEADER not in metadata:
        raise ValueError("has no header of a segment")
    try:
        return _header(json.loads(metadata[HEADER]))
    except RecursionError:
        raise ValueError("has a header that is nested too deep") from None


def _header(data: Any) -> Header:
    from pydantic import TypeAdapter

    if isinstance(data, dict) and data.get("format") != FORMAT and str(data.get("format")).startswith("personagen-"):
        raise FolderError(
            f"has the format {quote(str(data['format']), limit=40)}, this version reads {FORMAT!r}; use the version of "
            "PersonaGen that wrote it"
        )
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise ValueError("has no header of a segment")
    header = TypeAdapter(Header).validate_python(data)
    work = header.work
    numbers = (work.wanted, work.accepted, work.rejected, work.replies, work.prompt_tokens, work.completion_tokens)
    times_and_cost = (work.began, work.sealed, work.cost or 0.0)
    is_possible = all(0 <= value < MAX_NUMBER for value in (*numbers, *times_and_cost))
    part = header.part
    if work.state not in STATES or not is_possible or not 0 <= part.number < part.of:
        raise ValueError("has a header with impossible values")
    return header


def read_replies(path: Path) -> Iterator[StoredReply]:
    """Yield the replies of a segment in the order of their keys, a row group at a time.

    Raises:
        OSError, ValueError, pyarrow.ArrowException: a reply is not as it was stored, or a row group is too large.

    """
    import pyarrow.parquet as pq

    with path.open("rb") as opened:
        file = pq.ParquetFile(opened)
        if {field.name: str(field.type) for field in file.schema_arrow} != COLUMNS:
            raise ValueError("has other columns than a segment")
        for number in range(file.num_row_groups):
            group = file.metadata.row_group(number)
            packed = any(group.column(column).has_dictionary_page for column in range(group.num_columns))
            if packed or group.total_byte_size > MAX_GROUP_BYTES:
                raise ValueError(f"has a row group of {group.total_byte_size:,} bytes")
            yield from _whole_rows(file.read_row_group(number, use_threads=False))


def _whole_rows(table: "pa.Table") -> Iterable[StoredReply]:
    import pyarrow as pa

    keys, replies = (table.column(name).cast(pa.binary()).to_pylist() for name in ("key", "reply"))
    numbers = (table.column(name).to_pylist() for name in ("prompt_tokens", "completion_tokens", "checksum"))
    for key, reply, prompt, completion, checksum in zip(keys, replies, *numbers, strict=True):
        row = StoredReply(key, prompt, completion, reply, checksum)
        if not _is_reply(row):
            raise ValueError(f"has a reply that is not as it was stored, with the key {quote(repr(key), limit=20)}")
        yield row


def _is_reply(row: StoredReply) -> bool:
    """Return whether a row is as it was stored, and can be decoded."""
    try:
        row.key.decode()
        reply = decode(row.reply)
        return (
            row.checksum is not None
            and row.is_whole()
            and 0 <= row.prompt_tokens == reply.prompt_tokens
            and 0 <= row.completion_tokens == reply.completion_tokens
        )
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return False
