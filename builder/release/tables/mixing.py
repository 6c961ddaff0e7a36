"""Mix the emotions of a table: every prefix of it has each emotion near its share.

A table is written one emotion after another, since that is the order of the plan. Its mixed form is drawn by the seed:
blocks of rows are taken from all emotions in proportion, and within a block each emotion is shuffled and spread evenly.
So memory holds one block, and both files and streams begin with every emotion.
"""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

BLOCK_ROWS = 20_000
"""Rows of a block; about 30 MB of memory."""


@dataclass(frozen=True, slots=True)
class RowRange:
    """Consecutive rows of one emotion in a sequence of files.

    Attributes:
        paths: the files, in order.
        start: position of the first row over all files.
        count: number of rows.
        emotion: label of the rows, which neighbouring ranges may share. None: that of no other range.

    """

    paths: Sequence[Path]
    start: int
    count: int
    emotion: str | None = None


def mixed(ranges: Sequence[RowRange], key: str, seed: int, *, block_rows: int = BLOCK_ROWS) -> "Iterator[pa.Table]":
    """Yield the rows of all ranges in mixed order, in tables of at most about `block_rows` rows.

    Args:
        ranges: rows of each emotion, with the same columns.
        key: column that identifies a row; order depends on it and on the seed alone.
        seed: seed of the recipe.
        block_rows: rows of a block.

    """
    import pyarrow as pa

    total = sum(part.count for part in ranges)
    blocks = -(-total // block_rows)
    with ExitStack() as files:
        readers = [files.enter_context(_RangeReader(part)) for part in ranges]
        for block in range(blocks):
            edges = [(part.count * block // blocks, part.count * (block + 1) // blocks) for part in ranges]
            tables = [reader.take(end - start) for reader, (start, end) in zip(readers, edges, strict=True)]
            table = pa.concat_tables(tables).combine_chunks()
            yield table.take(_order(_keys_by_emotion(ranges, [part[key].to_pylist() for part in tables]), seed))


def _keys_by_emotion(ranges: Sequence[RowRange], keys_of: Sequence[list[str]]) -> list[list[str]]:
    """Return the keys of each emotion, from those of each range."""
    keys: list[list[str]] = []
    for number, (part, of_range) in enumerate(zip(ranges, keys_of, strict=True)):
        if number and part.emotion is not None and part.emotion == ranges[number - 1].emotion:
            keys[-1] += of_range
        else:
            keys.append([*of_range])
    return keys


def _order(keys_of: Sequence[Sequence[str]], seed: int) -> list[int]:
    """Return the positions of the rows of concatenated groups, in mixed order.

    A group of n rows is shuffled; its row number k then lies at a random place in [k / n, (k + 1) / n).
    """
    places: list[tuple[float, bytes, int]] = []
    for keys in keys_of:
        start = len(places)
        draws = [hashlib.blake2b(f"{seed}:{key}".encode(), digest_size=16).digest() for key in keys]
        shuffled = sorted(range(len(keys)), key=draws.__getitem__)
        places += [
            ((rank + int.from_bytes(draws[row][8:], "big") / 2**64) / len(keys), draws[row], start + row)
            for rank, row in enumerate(shuffled)
        ]
    return [position for *_, position in sorted(places)]


class _RangeReader:
    """Reads the rows of a range in order, one row group at a time; a context manager that closes its file."""

    def __init__(self, rows: RowRange) -> None:
        self._paths = iter(rows.paths)
        self._skip = rows.start
        self._file: pq.ParquetFile | None = None
        self._group = 0
        self._table: pa.Table | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()

    def take(self, count: int) -> "pa.Table":
        """Return the next `count` rows; StopIteration if there are fewer."""
        import pyarrow as pa

        parts = [] if self._table is None else [self._table]
        rows = sum(part.num_rows for part in parts)
        while rows < count or not parts:
            parts.append(self._next_group())
            rows += parts[-1].num_rows
        table = pa.concat_tables(parts)
        self._table = table.slice(count)
        return table.slice(0, count)

    def _next_group(self) -> "pa.Table":
        import pyarrow.parquet as pq

        while True:
            if self._file is None or self._group == self._file.num_row_groups:
                if self._file is not None:
                    self._file.close()
                self._file, self._group = pq.ParquetFile(next(self._paths)), 0
                continue
            rows = self._file.metadata.row_group(self._group).num_rows
            self._group += 1
            if rows <= self._skip:
                self._skip -= rows
                continue
            table = self._file.read_row_group(self._group - 1).slice(self._skip)
            self._skip = 0
            return table
