"""Read tables of personas in batches of bounded size: CSV, TSV, JSONL and parquet."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, BinaryIO

from personagen.builder.core.errors import RecipeError
from personagen.builder.core.foreign_text import printable, quote
from personagen.builder.planning.personas.sources.files.locations import SourceFile

if TYPE_CHECKING:
    import pyarrow as pa

MAX_LINE_BYTES = 2**24
"""Upper bound on a line of a CSV, TSV or JSONL file; a longer one is refused and not read into memory."""

ROWS_PER_BATCH = 2048
"""Rows that are in memory at a time: 16 MB of rows with 8 KB of text each."""

SAMPLED_LINES = 1000
"""Lines of a JSONL file whose keys are its columns."""

MAX_COLUMNS = 500
"""Upper bound on the columns of a table."""

Batch = Mapping[str, "pa.Array"]
"""Values of some rows by column: text, numbers, truth values or null."""


@dataclass(frozen=True, slots=True)
class SourceColumns:
    """Columns of a table.

    Attributes:
        plain: names of columns of text, numbers, dates or truth values, in order.
        nested: names of columns of lists or structs, which no persona can have.

    """

    plain: tuple[str, ...]
    nested: tuple[str, ...]


@contextmanager
def _errors_as_lines(file: SourceFile) -> Iterator[None]:
    """Raise errors of the readers as a RecipeError of one line."""
    import pyarrow as pa

    try:
        yield
    except UnicodeDecodeError as error:
        raise _refusal(file, "is not in UTF-8", "save it in UTF-8") from error
    except RecursionError as error:
        raise _refusal(file, "has lists in lists without end", "leave them out") from error
    except (pa.ArrowException, OSError, ValueError, KeyError) as error:
        reason = " ".join(str(error).split())
        if "UTF8" in reason or "utf-8" in reason:
            raise _refusal(file, "is not in UTF-8", "save it in UTF-8") from error
        if "straddling object" in reason:
            raise _refusal(file, f"has a line of more than {MAX_LINE_BYTES:,} bytes", "shorten it") from error
        if "Empty CSV" in reason:
            raise _refusal(file, "is empty", "name a table with rows") from error
        raise _refusal(file, f"cannot be read ({printable(reason)[:200]})", "check that it is whole") from error


def _refusal(file: SourceFile, problem: str, advice: str) -> RecipeError:
    return RecipeError(f"personas.source: {quote(file.name)} {problem}; {advice}")


def columns_of_file(file: SourceFile) -> SourceColumns:
    """Return the columns of a table.

    Raises:
        RecipeError: the table cannot be read, is empty, or names a column twice.

    """
    with _errors_as_lines(file):
        columns = _columns(file)
    names = [*columns.plain, *columns.nested]
    if len(names) > MAX_COLUMNS:
        raise _refusal(file, f"has {len(names):,} columns, wanted at most {MAX_COLUMNS}", "leave some out")
    if double := next((name for number, name in enumerate(names) if name in names[:number]), None):
        raise _refusal(file, f"has two columns {quote(double)}", "rename one of them")
    return columns


def _columns(file: SourceFile) -> SourceColumns:
    suffix = file.path.suffix.lower()
    if suffix == ".jsonl":
        return _columns_of_lines(file)
    if suffix == ".parquet":
        import pyarrow.parquet as pq

        with pq.ParquetFile(file.path) as table:
            schema = table.schema_arrow
        nested = tuple(field.name for field in schema if not _is_plain(field.type))
        return SourceColumns(tuple(name for name in schema.names if name not in nested), nested)
    return SourceColumns(tuple(_csv_reader(file, None).schema.names), ())


def _is_plain(type_: "pa.DataType") -> bool:
    from pyarrow import types

    value = type_.value_type if types.is_dictionary(type_) else type_
    return not (types.is_nested(value) or types.is_binary(value) or types.is_large_binary(value))


def _columns_of_lines(file: SourceFile) -> SourceColumns:
    plain: dict[str, None] = {}
    nested: dict[str, None] = {}
    with file.path.open("rb") as stream:
        for record in islice(_records(file, stream), SAMPLED_LINES):
            for name, value in record.items():
                (nested if isinstance(value, list | dict) else plain).setdefault(name)
    if not plain and not nested:
        raise _refusal(file, "is empty", "name a table with rows")
    return SourceColumns(tuple(name for name in plain if name not in nested), tuple(nested))


def read_batches(file: SourceFile, columns: Sequence[str], *, rows: int = ROWS_PER_BATCH) -> Iterator[Batch]:
    """Yield the rows of a table in order, in batches of at most `rows` (CSV: of a block of bytes).

    Raises:
        RecipeError: the table cannot be read; a line is too long.

    """
    suffix = file.path.suffix.lower()
    read = {".jsonl": _read_lines, ".parquet": _read_parquet}.get(suffix, _read_csv)
    with _errors_as_lines(file):
        yield from read(file, list(columns), rows)


def _read_parquet(file: SourceFile, columns: list[str], rows: int) -> Iterator[Batch]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(file.path, buffer_size=2**20, pre_buffer=False) as table:
        for batch in table.iter_batches(batch_size=rows, columns=columns, use_threads=False):
            yield {name: _plain_array(batch.column(name)) for name in columns}


def _plain_array(array: "pa.Array") -> "pa.Array":
    """Return an array of text, integers or floats; other types become text."""
    import pyarrow as pa
    from pyarrow import types

    if types.is_dictionary(array.type):
        array = array.dictionary_decode()
    kind = array.type
    if types.is_integer(kind) or types.is_string(kind) or types.is_floating(kind):
        return array
    if types.is_large_string(kind):
        return array.cast(pa.string())
    return pa.array([None if value is None else str(value) for value in array.to_pylist()], pa.string())


def _csv_reader(file: SourceFile, columns: list[str] | None) -> Any:
    import pyarrow as pa
    from pyarrow import csv

    delimiter = "\t" if file.path.suffix.lower() == ".tsv" else ","
    types = None if columns is None else dict.fromkeys(columns, pa.string())
    return csv.open_csv(
        file.path,
        read_options=csv.ReadOptions(use_threads=False, block_size=MAX_LINE_BYTES),
        parse_options=csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
        convert_options=csv.ConvertOptions(
            include_columns=columns or [], column_types=types, null_values=[""], strings_can_be_null=True
        ),
    )


def _read_csv(file: SourceFile, columns: list[str], rows: int) -> Iterator[Batch]:
    reader = _csv_reader(file, columns)
    for block in reader:
        for start in range(0, block.num_rows, rows):
            part = block.slice(start, rows)
            yield {name: part.column(name) for name in columns}


def _read_lines(file: SourceFile, columns: list[str], rows: int) -> Iterator[Batch]:
    import pyarrow as pa

    with file.path.open("rb") as stream:
        records = _records(file, stream)
        while batch := list(islice(records, rows)):
            yield {
                name: pa.array(_alike(_plain_value(file, name, record.get(name)) for record in batch))
                for name in columns
            }


def _plain_value(file: SourceFile, name: str, value: Any) -> str | int | float | None:
    if isinstance(value, list | dict):
        raise _refusal(file, f"has a list in its column {quote(name)}", "leave the column out, or write it as text")
    if isinstance(value, bool):
        return str(value)
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, float):
        return value if abs(value) < float("inf") else None
    return value if value is None or abs(value) < 2**63 else str(value)


def _alike(values: Iterable[str | int | float | None]) -> list[Any]:
    """Return values of one type: text if one of them is text."""
    row = list(values)
    if any(isinstance(value, str) for value in row):
        return [None if value is None else str(value) for value in row]
    if any(isinstance(value, float) for value in row):
        return [None if value is None else float(value) for value in row]
    return row


def _records(file: SourceFile, stream: BinaryIO) -> Iterator[dict[str, Any]]:
    """Yield the objects of a JSONL file."""
    number = 0
    while line := stream.readline(MAX_LINE_BYTES + 1):
        number += 1
        if len(line) > MAX_LINE_BYTES:
            raise _refusal(file, f"has a line of more than {MAX_LINE_BYTES:,} bytes", "shorten it")
        text = line.decode("utf-8-sig" if number == 1 else "utf-8").strip()
        if not text:
            continue
        try:
            record = json.loads(text)
        except ValueError as error:
            raise _refusal(file, f"has no JSON in line {number}", "write one object per line") from error
        if not isinstance(record, dict):
            raise _refusal(file, f"has no object in line {number}", "write one object per line")
        yield record
