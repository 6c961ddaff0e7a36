"""Read the data files of a release that others may have written: no small file unpacks to more than memory holds."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

MAX_ROW_BYTES = 500_000
"""Upper bound on the mean bytes of a row, unpacked: texts have at most 20,000 characters."""

MAX_VALUE_BYTES = 500_000
"""Upper bound on a text. A file with a dictionary holds a text once that all of its rows repeat."""

CHECKED_ROWS = 2_000
"""Rows whose texts are checked at a time."""


def read_table(path: Path, columns: Sequence[str] | None = None) -> "pa.Table":
    """Read a data file.

    Args:
        path: the file.
        columns: names of the columns. None: all.

    Raises:
        OSError, ValueError, pyarrow.ArrowException: it cannot be read, or is larger unpacked than rows of texts are.

    """
    import pyarrow.parquet as pq

    with path.open("rb") as file:
        require_bounded_footer(pq.ParquetFile(file), path.stat().st_size)
        require_bounded_values(path, columns)
        return pq.read_table(path, columns=None if columns is None else list(columns))


def read_batches(path: Path, columns: Sequence[str] | None = None) -> Iterator["pa.Table"]:
    """Yield the rows of a data file, at most `CHECKED_ROWS` at a time; errors are those of `read_table`.

    Args:
        path: the file.
        columns: names of the columns; those that the file does not have are left out. None: all.

    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    with path.open("rb") as file:
        data = pq.ParquetFile(file)
        require_bounded_footer(data, path.stat().st_size)
        names = None if columns is None else [name for name in data.schema_arrow.names if name in columns]
        require_bounded_values(path, names)
        for batch in _batches(data, names):
            yield pa.Table.from_batches([batch])


def require_bounded_footer(table: "pq.ParquetFile", size: int) -> None:
    """Raise ValueError if a file of `size` bytes states more rows than bytes, or `MAX_ROW_BYTES` per row."""
    rows = table.metadata.num_rows
    unpacked = sum(table.metadata.row_group(group).total_byte_size for group in range(table.num_row_groups))
    if rows > size:
        raise ValueError(f"has {rows:,} rows in {size:,} bytes")
    if unpacked > MAX_ROW_BYTES * (rows + 1):
        raise ValueError(f"unpacks to {unpacked:,} bytes, more than {MAX_ROW_BYTES:,} per row")


def require_bounded_values(path: Path, columns: Sequence[str] | None = None) -> None:
    """Raise ValueError if a text of a file has more than `MAX_VALUE_BYTES`; repeated texts are not unpacked."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    with path.open("rb") as file:
        schema = pq.ParquetFile(file).schema
        leaves = [schema.column(number) for number in range(len(schema))]
        texts = [leaf.path for leaf in leaves if leaf.physical_type == "BYTE_ARRAY"]
        table = pq.ParquetFile(file, read_dictionary=texts)
        names = None if columns is None else list(columns)
        for batch in _batches(table, names):
            for values in (part for column in batch.columns for part in _texts_of(column)):
                longest = pc.max(pc.binary_length(values)).as_py() or 0
                if longest > MAX_VALUE_BYTES:
                    raise ValueError(f"has a text of {longest:,} bytes, more than {MAX_VALUE_BYTES:,}")


def _batches(table: "pq.ParquetFile", columns: list[str] | None = None) -> Iterator["pa.RecordBatch"]:
    """Yield the rows, each row group for itself: Arrow cannot join dictionaries of two groups in a struct."""
    for group in range(table.num_row_groups):
        yield from table.iter_batches(CHECKED_ROWS, row_groups=[group], columns=columns, use_threads=False)


def _texts_of(column: "pa.Array") -> Iterator["pa.Array"]:
    """Yield the texts within a column, each of a dictionary once."""
    import pyarrow as pa

    if pa.types.is_dictionary(column.type):
        yield from _texts_of(column.dictionary)
    elif pa.types.is_struct(column.type):
        for number in range(column.type.num_fields):
            yield from _texts_of(column.field(number))
    elif pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
        yield from _texts_of(column.values)
    elif pa.types.is_string(column.type) or pa.types.is_large_string(column.type) or pa.types.is_binary(column.type):
        yield column
