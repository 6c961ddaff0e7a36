"""Scan a source once: which rows fit, how frequent their values are, and candidates by the hash of the rows.

The hash depends on the seed and on the id of a row (without ids: on its content), so neither the order of files and
rows nor the size of batches changes the candidates. Memory grows with the candidates, not with the source.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any

from personagen.builder.core.errors import RecipeError
from personagen.builder.core.foreign_text import quote
from personagen.builder.planning.personas.drawing import COVERED_ATTRIBUTES
from personagen.builder.planning.personas.sources.columns.mapping import ColumnMap
from personagen.builder.planning.personas.sources.columns.values import Reader, readers_of
from personagen.builder.planning.personas.sources.files.locations import SourceFile
from personagen.builder.planning.personas.sources.files.reading import Batch

MAX_COUNTED_VALUES = 100
"""Values from which on the pairs of an attribute are not covered: names of places and occupations have thousands."""

MAX_CELLS = 500
"""Combinations of balanced values, each of which has candidates of its own."""

SPARE_FRACTION = 0.25
"""Candidates beyond the wanted ones that are kept until the next sort."""

Read = Callable[[SourceFile, Sequence[str]], Iterator[Batch]]
"""Returns the batches of some columns of a file."""


@dataclass(frozen=True, slots=True)
class RowFilter:
    """Which rows of a source may become personas.

    Attributes:
        conditions: predicate on the value (None: missing) by attribute, as `personas.where` asks.
        strata: attributes whose values decide the cell of a row; a row without a value of one cannot be chosen.

    """

    conditions: Mapping[str, Callable[[Any], bool]] = field(default_factory=dict)
    strata: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CandidateRow:
    """A row that may be chosen.

    Attributes:
        key: hash of the row; candidates are in its order.
        file: number of its file.
        row: number of the row in the file.
        values: values of the covered attributes.

    """

    key: bytes
    file: int
    row: int
    values: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Scan:
    """Result of a scan.

    Attributes:
        rows: rows of the source.
        fitting: rows that fit every condition.
        excluded: rows that do not meet a condition, by its attribute.
        covered: attributes whose values `CandidateRow.values` holds.
        frequencies: fitting rows by value, by covered attribute. None: the attribute has too many values.
        cells: candidates in the order of their hash, by the values of the strata.

    """

    rows: int
    fitting: int
    excluded: Mapping[str, int]
    covered: tuple[str, ...]
    frequencies: Mapping[str, Mapping[Any, int] | None]
    cells: Mapping[tuple[Any, ...], Sequence[CandidateRow]]


def row_key(seed: int, parts: Sequence[Any]) -> bytes:
    """Return the hash of a row: of its id alone, or of all values of a source without ids."""
    text = "\x1f".join(map(_canonical, parts))
    return hashlib.blake2b(text.encode(), digest_size=16, key=f"personas:{seed}".encode()[:64]).digest()


def _canonical(value: Any) -> str:
    """Return a value as text, equal for 34 and 34.0: files of a folder may differ in the type of a column."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return "\x00" if value is None else str(value)


def key_columns(columns: ColumnMap) -> list[str]:
    """Return the columns that a row is known by: that of its id, else all with a meaning."""
    return [columns.id] if columns.id is not None else sorted(columns.columns)


class CandidateQueue:
    """The candidates of one cell with the least keys."""

    def __init__(self, size: int, *, has_ids: bool) -> None:
        """Start empty; `size`: candidates to keep, `has_ids`: whether equal keys are an error."""
        self._size, self._has_ids = size, has_ids
        self._rows: list[CandidateRow] = []
        self._last: bytes | None = None

    def add(self, candidate: CandidateRow) -> None:
        """Add a candidate unless enough others have lesser keys."""
        if self._last is None or candidate.key <= self._last:
            self._rows.append(candidate)
            if len(self._rows) > self._size * (1 + SPARE_FRACTION) + 16:
                self.sort()

    def sort(self) -> list[CandidateRow]:
        """Sort the candidates, leave out repetitions and those beyond the size, and return the others.

        Raises:
            RecipeError: two rows have the same id.

        """
        self._rows.sort(key=attrgetter("key", "file", "row"))
        unique: list[CandidateRow] = []
        for candidate in self._rows:
            if not unique or candidate.key != unique[-1].key:
                unique.append(candidate)
            elif self._has_ids:
                raise RecipeError(
                    f"personas.source: two rows have the same id (rows {unique[-1].row + 1} and {candidate.row + 1} of "
                    "their files), wanted one row per id; remove one, or name another column under personas.columns.id"
                )
        self._rows = unique[: self._size]
        if len(self._rows) == self._size:
            self._last = self._rows[-1].key
        return self._rows


def scan_rows(
    files: Sequence[SourceFile], columns: ColumnMap, read: Read, *, rows: RowFilter, seed: int, size: int
) -> Scan:
    """Read a source once.

    Args:
        files: its files.
        columns: meaning of its columns.
        read: returns the batches of a file.
        rows: which rows may be chosen.
        seed: seed of the recipe.
        size: candidates per cell.

    Raises:
        RecipeError: a file cannot be read, an id is missing or stands twice, a condition names no attribute.

    """
    readers = readers_of(columns)
    _require_attributes(readers, rows)
    covered = tuple(name for name in readers if name in COVERED_ATTRIBUTES or name in columns.own)
    readers = {name: readers[name] for name in readers if name in {*covered, *rows.conditions, *rows.strata}}
    used = list(dict.fromkeys([*key_columns(columns), *(column for column, _ in readers.values())]))
    frequencies: dict[str, Counter[Any] | None] = {name: Counter() for name in covered}
    excluded: Counter[str] = Counter()
    samples: dict[tuple[Any, ...], CandidateQueue] = {}
    total = fitting = 0
    for number, file in enumerate(files):
        start = 0
        for batch in read(file, used):
            length = len(batch[used[0]])
            values = {name: _values(batch, column, reader) for name, (column, reader) in readers.items()}
            fits = _fitting(values, rows, excluded, length)
            _count(values, fits, frequencies)
            keys = _keys(batch, columns, seed, file, start)
            for row in fits:
                cell = tuple(values[name][row] for name in rows.strata)
                if cell not in samples:
                    _require_few(samples, rows)
                    samples[cell] = CandidateQueue(size, has_ids=columns.id is not None)
                candidate = tuple(values[name][row] if frequencies[name] is not None else None for name in covered)
                samples[cell].add(CandidateRow(keys[row], number, start + row, candidate))
            total, fitting, start = total + length, fitting + len(fits), start + length
    cells = {cell: tuple(sample.sort()) for cell, sample in samples.items()}
    return Scan(total, fitting, dict(excluded), covered, frequencies, cells)


def _require_few(samples: Mapping[tuple[Any, ...], CandidateQueue], rows: RowFilter) -> None:
    if len(samples) == MAX_CELLS:
        raise RecipeError(
            f"personas.balance: {', '.join(rows.strata)} have more than {MAX_CELLS} combinations of values in the "
            "source, wanted fewer; leave one out, or restrict it under personas.where"
        )


def _require_attributes(readers: Mapping[str, Any], rows: RowFilter) -> None:
    for key, names in (("where", rows.conditions), ("balance or weights", rows.strata)):
        if missing := [name for name in names if name not in readers]:
            raise RecipeError(
                f"personas.{key}: the source has no column for {missing[0]!r}; name one under personas.columns, or "
                f"leave the condition out (its attributes: {', '.join(readers)})"
            )


def _values(batch: Batch, column: str, read: Reader) -> list[Any]:
    """Return the values of an attribute; each value of a column is read once per batch."""
    encoded = batch[column].dictionary_encode()
    values = [*map(read, encoded.dictionary.to_pylist()), read(None)]
    return [values[-1 if index is None else index] for index in encoded.indices.to_pylist()]


def _fitting(values: Mapping[str, list[Any]], rows: RowFilter, excluded: Counter[str], length: int) -> list[int]:
    """Return the numbers of the rows that may be chosen, and count those that each condition excludes."""
    fits = set(range(length))
    for name, admits in rows.conditions.items():
        verdicts = {value: admits(value) for value in set(values[name])}
        refused = {row for row, value in enumerate(values[name]) if not verdicts[value]}
        excluded[name] += len(refused)
        fits -= refused
    for name in rows.strata:
        missing = {row for row, value in enumerate(values[name]) if value is None}
        excluded[name] += 0 if name in rows.conditions else len(missing)
        fits -= missing
    return sorted(fits)


def _count(values: Mapping[str, list[Any]], fits: Sequence[int], frequencies: dict[str, Counter[Any] | None]) -> None:
    for name, counter in frequencies.items():
        if counter is None:
            continue
        column = values[name]
        counter.update(column[row] for row in fits)
        counter.pop(None, None)
        if len(counter) > MAX_COUNTED_VALUES:
            frequencies[name] = None


def _keys(batch: Batch, columns: ColumnMap, seed: int, file: SourceFile, start: int) -> list[bytes]:
    parts = [batch[column].to_pylist() for column in key_columns(columns)]
    if columns.id is not None and None in parts[0]:
        raise RecipeError(
            f"personas.source: row {start + parts[0].index(None) + 1} of {quote(file.name)} has no id in its column "
            f"{quote(columns.id)}, wanted one per row; fill it in, or write `id: null` under personas.columns"
        )
    return [row_key(seed, row) for row in zip(*parts, strict=True)]
