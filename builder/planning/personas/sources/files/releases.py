"""Read the tables of a source: those of a folder must have the same columns, those of a release are two layers."""

from collections.abc import Iterator, Sequence
from functools import partial

from personagen.builder.core.errors import RecipeError
from personagen.builder.core.foreign_text import quote
from personagen.builder.planning.personas.sources.columns.presets import BACKGROUND, PROSE
from personagen.builder.planning.personas.sources.files.locations import LocatedSource, SourceFile
from personagen.builder.planning.personas.sources.files.reading import (
    Batch,
    SourceColumns,
    columns_of_file,
    read_batches,
)
from personagen.builder.planning.personas.sources.scanning import Read

LAYER_ROWS = 2048
"""Rows of the two layers of a release that are read side by side."""

ATTRIBUTES_PREFIX = "attributes."
"""Beginning of the names of further attributes in a release of ours."""


def columns_of_source(source: LocatedSource) -> SourceColumns:
    """Return the columns of a source.

    Raises:
        RecipeError: a file cannot be read, or two files have different columns.

    """
    columns = [_columns(source, file) for file in source.files]
    for file, other in zip(source.files, columns, strict=True):
        if different := sorted({*columns[0].plain} ^ {*other.plain}):
            raise RecipeError(
                f"personas.source: {quote(source.files[0].name)} and {quote(file.name)} differ in the columns "
                f"{', '.join(quote(name, limit=40) for name in different[:10])}; wanted the same columns, so name one "
                "of them, or a folder of tables that are alike"
            )
    return columns[0]


def _columns(source: LocatedSource, file: SourceFile) -> SourceColumns:
    own = columns_of_file(file)
    other = _other_layer(source, file)
    if other is None:
        return own
    return SourceColumns((*own.plain, *map(_renamed, _further(columns_of_file(other).plain))), own.nested)


def read_source(source: LocatedSource) -> Read:
    """Return a function that reads the batches of one of the source's files."""
    return partial(_read, source)


def _read(source: LocatedSource, file: SourceFile, columns: Sequence[str]) -> Iterator[Batch]:
    other = _other_layer(source, file)
    if other is None:
        yield from read_batches(file, columns)
        return
    further = {_renamed(name): name for name in _further(columns_of_file(other).plain)}
    first = [name for name in columns if name not in further]
    second = [name for name in columns if name in further]
    layers = zip(
        read_batches(file, ["persona_id", *first], rows=LAYER_ROWS),
        read_batches(other, ["persona_id", *(further[name] for name in second)], rows=LAYER_ROWS),
        strict=True,
    )
    for one, two in layers:
        if one["persona_id"] != two["persona_id"]:
            raise RecipeError(
                f"personas.source: {quote(file.name)} and {quote(other.name)} have different personas; run `personagen "
                "verify` on the release"
            )
        yield {name: one[name] for name in first} | {name: two[further[name]] for name in second}


def _other_layer(source: LocatedSource, file: SourceFile) -> SourceFile | None:
    """Return the table `sociocultural` beside a table `demographic` of a release of ours; None: there is none."""
    if not source.made_by_us:
        return None
    name = file.name.replace("demographic/", "sociocultural/", 1)
    path = file.path.parents[1] / name
    return SourceFile(name, path) if path.is_file() else None


def _further(columns: Sequence[str]) -> list[str]:
    return [name for name in columns if name != "persona_id"]


def _renamed(column: str) -> str:
    return BACKGROUND if column == PROSE else column
