"""Write the parquet files of a release row by row; an open file takes the memory of one row group."""

import hashlib
import io
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from personagen.builder.core.errors import FolderError
from personagen.builder.core.files import explain, make_folder, write_atomically
from personagen.builder.core.records import as_mapping, shard_path
from personagen.builder.release.tables.columns import Columns, arrow_schema

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

ROW_GROUP = 500
"""Rows of a row group: the unit that a reader can skip, and that an open file has in memory."""

LAYOUT = {"use_content_defined_chunking": True, "write_page_index": True}
"""Options of the parquet writer, as in `datasets`: unchanged rows are unchanged bytes, and readers can skip pages."""

Key = tuple[str, str]
"""A configuration and one of its splits."""


@dataclass(frozen=True, slots=True)
class ShardFile:
    """A finished data file: path within the release, rows, bytes and SHA-256."""

    path: str
    rows: int
    bytes: int
    sha256: str


class Shards:
    """Files of a release that is being written; a context manager that leaves no file open."""

    def __init__(
        self, folder: Path, sizes: Mapping[Key, int], shard_rows: int, columns_of: Callable[[str], Columns]
    ) -> None:
        """Plan the files.

        Args:
            folder: folder of the release.
            sizes: rows of every configuration and split, in the order of the manifest.
            shard_rows: maximum rows per file.
            columns_of: returns the columns of a configuration.

        """
        self._folder = folder
        self._sizes = sizes
        self._shard_rows = shard_rows
        self._columns_of = columns_of
        self._open: dict[Key, _Shard] = {}
        self._written: dict[Key, list[ShardFile]] = {key: [] for key in sizes}

    def __enter__(self) -> Self:
        """Return the files."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Delete the files that are not finished."""
        for shard in self._open.values():
            shard.abandon()

    def add(self, config: str, split: str, record: Mapping[str, Any]) -> None:
        """Write the next row of a configuration and split, and finish its file if that fills it.

        Raises:
            FolderError: the disk is full or the folder cannot be written.

        """
        shard = self._current(config, split)
        shard.add(record)
        self._finish_if_full((config, split), shard)

    def add_table(self, config: str, split: str, table: "pa.Table") -> None:
        """Write the next rows of a configuration and split, which have its columns.

        Raises:
            FolderError: the disk is full or the folder cannot be written.

        """
        while table.num_rows:
            shard = self._current(config, split)
            part = table.slice(0, shard.missing)
            shard.add_table(part)
            self._finish_if_full((config, split), shard)
            table = table.slice(part.num_rows)

    def _current(self, config: str, split: str) -> "_Shard":
        """Return the file that the next row belongs to."""
        key = (config, split)
        if key not in self._open:
            done, size = self._written[key], self._sizes[key]
            path = shard_path(config, split, len(done), -(-size // self._shard_rows))
            rows = min(self._shard_rows, size - len(done) * self._shard_rows)
            self._open[key] = _Shard(self._folder, path, rows, self._columns_of(config))
        return self._open[key]

    def _finish_if_full(self, key: Key, shard: "_Shard") -> None:
        if not shard.missing:
            self._written[key].append(shard.finish())
            del self._open[key]

    def paths(self, config: str, split: str) -> list[Path]:
        """Return the finished files of a configuration and split; none if no rows were planned."""
        return [self._folder / shard.path for shard in self._written.get((config, split), [])]

    def written(self) -> list[ShardFile]:
        """Return the finished files, in the order of the plan."""
        assert not self._open, "every row was added"
        return [shard for shards in self._written.values() for shard in shards]


class _AbandonedError(Exception):
    """Ends the writing of a shard that will not be finished."""


class _Shard:
    """One parquet file in the making; it takes its name when it is finished.

    Its bytes depend on the rows, the schema and the version of pyarrow alone.
    """

    def __init__(self, folder: Path, path: str, rows: int, columns: Columns) -> None:
        self._path = path
        self._target = folder / path
        self._schema = arrow_schema(columns)
        self._rows = rows
        self._count = 0
        self._group: list[Mapping[str, Any]] = []
        self._rest: pa.Table | None = None
        self._files = ExitStack()
        self._writer: pq.ParquetWriter | None = None

    @property
    def missing(self) -> int:
        """Rows until the file is full."""
        return self._rows - self._count

    def add(self, record: Mapping[str, Any]) -> None:
        self._group.append(record)
        self._count += 1
        if not self.missing or len(self._group) == ROW_GROUP:
            self._write(_table(self._group, self._schema))
            self._group = []

    def add_table(self, table: "pa.Table") -> None:
        import pyarrow as pa

        self._count += table.num_rows
        rest = table if self._rest is None else pa.concat_tables([self._rest, table])
        while rest.num_rows >= ROW_GROUP or (rest.num_rows and not self.missing):
            self._write(rest.slice(0, ROW_GROUP).combine_chunks())
            rest = rest.slice(ROW_GROUP)
        self._rest = rest

    def _write(self, table: "pa.Table") -> None:
        import pyarrow.parquet as pq

        try:
            if self._writer is None:
                make_folder(self._target.parent)
                part = self._files.enter_context(write_atomically(self._target))
                self._writer = self._files.enter_context(pq.ParquetWriter(part, self._schema, **LAYOUT))
            self._writer.write_table(table)
        except OSError as error:
            raise self._failure(error) from error

    def finish(self) -> ShardFile:
        """Close the file and rename it to its final name."""
        try:
            self._files.close()
            return ShardFile(self._path, self._count, self._target.stat().st_size, file_digest(self._target))
        except OSError as error:
            raise self._failure(error) from error

    def abandon(self) -> None:
        """Close and delete the unfinished file; errors are ignored, since the run has failed already."""
        with suppress(_AbandonedError, OSError), self._files:
            raise _AbandonedError

    def _failure(self, error: OSError) -> FolderError:
        return FolderError(f"cannot write {self._target}: {explain(error)}")


def prepare() -> None:
    """Import the parquet writer, so that the first row need not wait for it."""
    import pyarrow.json
    import pyarrow.parquet  # noqa: F401


def _table(records: Sequence[Mapping[str, Any]], schema: "pa.Schema") -> "pa.Table":
    """Convert records to a table by way of JSON: the conversion of Python objects imports pandas, with its memory."""
    import pyarrow.json as pj

    lines = "\n".join(json.dumps(record, ensure_ascii=False, default=as_mapping) for record in records).encode()
    parse = pj.ParseOptions(explicit_schema=schema, unexpected_field_behavior="error")
    read = pj.ReadOptions(use_threads=False, block_size=len(lines) + 1)
    return pj.read_json(io.BytesIO(lines), read, parse).replace_schema_metadata(schema.metadata)


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
