"""The chosen rows of a source as a file of the run: one JSON object per persona, and one with the facts at the end."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from personagen.builder.core.errors import FolderError, RecipeError
from personagen.builder.core.files import explain, make_folder, write_bytes
from personagen.builder.core.foreign_text import quote
from personagen.builder.planning.personas.sources.columns.mapping import ColumnMap
from personagen.builder.planning.personas.sources.columns.presets import BACKGROUND, PROSE
from personagen.builder.planning.personas.sources.columns.values import clean, readers_of, row_values
from personagen.builder.planning.personas.sources.files.locations import SourceFile
from personagen.builder.planning.personas.sources.scanning import CandidateRow, Read, key_columns, row_key

FORMAT = "personagen-personas/1"
"""Format of the file."""

SOURCE_ID = "source_id"
"""Further attribute with the id of a persona in its source."""

MAX_VALUE_CHARS = 20_000
"""Upper bound on a text of a chosen row: a prompt has to hold it."""

ChosenRow = Mapping[str, Any]
"""`number` of the persona, its `values` by attribute, `prose` and `background`."""


@dataclass(frozen=True, slots=True, eq=False)
class StoredChoice:
    """Chosen rows, read on demand.

    Attributes:
        facts: facts on source and choice, for manifest and card.
        line: returns the JSON of a persona by its number.

    """

    facts: Mapping[str, Any]
    line: Callable[[int], bytes]


def chosen_rows(
    files: Sequence[SourceFile], columns: ColumnMap, read: Read, rows: Sequence[CandidateRow], seed: int
) -> Iterator[ChosenRow]:
    """Read the chosen rows, in the order of the source.

    Raises:
        RecipeError: the source has changed since it was scanned, or a value is too long.

    """
    readers, keys = readers_of(columns), key_columns(columns)
    wanted: dict[int, dict[int, int]] = {}
    for number, candidate in enumerate(rows):
        wanted.setdefault(candidate.file, {})[candidate.row] = number
    for position, file in enumerate(files):
        numbers, start = wanted.get(position, {}), 0
        if not numbers:
            continue
        for batch in read(file, columns.columns):
            length = len(next(iter(batch.values())))
            for row in range(start, start + length):
                if (persona := numbers.pop(row, None)) is not None:
                    raw = {name: array[row - start].as_py() for name, array in batch.items()}
                    if row_key(seed, [raw[key] for key in keys]) != rows[persona].key:
                        raise _changed(file)
                    _require_short(raw, file, row)
                    yield _chosen_row(columns, readers, raw, persona)
            start += length
            if not numbers:
                break
        if numbers:
            raise _changed(file)


def _changed(file: SourceFile) -> RecipeError:
    return RecipeError(f"personas.source: {quote(file.name)} changed while it was read; run the command again")


def _require_short(raw: Mapping[str, Any], file: SourceFile, row: int) -> None:
    for column, value in raw.items():
        if isinstance(value, str) and len(value) > MAX_VALUE_CHARS:
            raise RecipeError(
                f"personas.source: row {row + 1} of {quote(file.name)} has {len(value):,} characters in its column "
                f"{quote(column)}, wanted at most {MAX_VALUE_CHARS:,}; shorten it, or leave the column out"
            )


def _chosen_row(columns: ColumnMap, readers: Mapping[str, Any], raw: Mapping[str, Any], number: int) -> ChosenRow:
    values = row_values(readers, raw)
    if columns.id is not None:
        values[SOURCE_ID] = clean(str(raw[columns.id]))
    texts = {
        key: clean(str(value))
        for key in (PROSE, BACKGROUND)
        if (column := columns.attributes.get(key)) is not None and (value := raw[column]) is not None
    }
    return {"number": number, "values": values, **{key: text for key, text in texts.items() if text}}


def write_choice(target: Path, rows: Iterable[ChosenRow], facts: Callable[[], Mapping[str, Any]]) -> None:
    """Write chosen rows, and then the facts on them. Raises FolderError if that fails."""

    def records() -> Iterator[Mapping[str, Any]]:
        yield from rows
        yield {"format": FORMAT, "facts": facts()}

    lines = (json.dumps(record, ensure_ascii=False) for record in records())
    try:
        make_folder(target.parent)
        write_bytes(target, (f"{line}\n".encode() for line in lines))
    except OSError as error:
        raise FolderError(f"cannot write {target}: {explain(error)}") from error


def read_choice(path: Path) -> StoredChoice | None:
    """Open a file of chosen rows; None: there is none, or it is of another format."""
    places: dict[int, tuple[int, int]] = {}
    position, record = 0, dict[str, Any]()
    try:
        with path.open("rb") as file:
            for line in file:
                record = json.loads(line)
                if "number" in record:
                    places[record["number"]] = (position, len(line))
                position += len(line)
        if record["format"] != FORMAT:
            return None
        return StoredChoice(record["facts"], partial(_line_at, path, places))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise FolderError(f"cannot read {path}: {explain(error)}") from error
    except (ValueError, TypeError, KeyError):
        return None


def _line_at(path: Path, places: Mapping[int, tuple[int, int]], number: int) -> bytes:
    start, length = places[number]
    with path.open("rb") as file:
        file.seek(start)
        return file.read(length)


def held_choice(rows: Iterable[ChosenRow], facts: Mapping[str, Any]) -> StoredChoice:
    """Return a choice in memory, for a plan that is not run."""
    lines = {row["number"]: json.dumps(row, ensure_ascii=False).encode() for row in rows}
    return StoredChoice(facts, lines.__getitem__)
