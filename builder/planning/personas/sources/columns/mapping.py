"""Map the columns of a source to the attributes of personas."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from personagen.builder.core.errors import RecipeError
from personagen.builder.core.foreign_text import quote
from personagen.builder.core.records import Demographic, Sociocultural
from personagen.builder.planning.personas.sources.columns.presets import BACKGROUND, ID, PROSE, preset_of
from personagen.builder.planning.personas.sources.files.reading import SourceColumns
from personagen.builder.planning.suggestions import did_you_mean

ATTRIBUTES = tuple(
    name for layer in (Demographic, Sociocultural) for name in layer.__dataclass_fields__ if name != "prose"
)
"""Attributes of the first two layers that a column can stand for."""

KEYS = (ID, PROSE, BACKGROUND, *ATTRIBUTES)
"""Keys of `personas.columns` with a meaning; every other key names a further attribute."""

RESERVED = (*KEYS, "persona_id", "source_id", "age_band", "workplace")
"""Names that no further attribute can have."""

MAX_SHOWN_COLUMNS = 20
"""Columns that a message lists."""

_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")


@dataclass(frozen=True, slots=True)
class ColumnMap:
    """Meaning of the columns of a source.

    Attributes:
        attributes: column by ID, PROSE, BACKGROUND or attribute of ours.
        own: column by further attribute, in the order of the columns.
        left_out: columns that no persona gets.
        preset: name of the dataset that the columns were taken for. None: no known one.

    """

    attributes: dict[str, str]
    own: dict[str, str]
    left_out: tuple[str, ...] = ()
    preset: str | None = None

    @property
    def id(self) -> str | None:
        """Column of the ids; None: a row is known by its content."""
        return self.attributes.get(ID)

    def column(self, attribute: str) -> str | None:
        """Return the column of an attribute, of ours or further; None: the source has none."""
        return self.attributes.get(attribute) or self.own.get(attribute)

    @property
    def columns(self) -> list[str]:
        """All columns with a meaning."""
        return list(dict.fromkeys([*self.attributes.values(), *self.own.values()]))


def map_columns(table: SourceColumns, named: Mapping[str, str | None]) -> ColumnMap:
    """Return the meaning of the columns of a table: those of a preset, of equal names, and of `personas.columns`.

    Args:
        table: columns of the source.
        named: column by attribute, as the recipe names them. None: the attribute has no column.

    Raises:
        RecipeError: a named column does not exist or holds lists, or no column says anything about a person.

    """
    _require_columns(table, named)
    preset = preset_of(set(table.plain))
    attributes = {**_equal_names(table.plain), **(preset.columns if preset else {})}
    attributes = {key: column for key, column in attributes.items() if column in table.plain}
    for key, column in named.items():
        attributes.pop(key, None)
        if column is not None and key in KEYS:
            attributes[key] = column
    own = {key: column for key, column in named.items() if column is not None and key not in KEYS}
    if unusable := next((key for key in own if key in RESERVED or not _NAME.fullmatch(key)), None):
        raise RecipeError(
            f"personas.columns: got the attribute {quote(unusable)}, wanted another name of small letters, digits and "
            "'_'"
        )
    used = {*attributes.values(), *own.values()}
    dropped = {*(preset.dropped if preset else ()), *(key for key, column in named.items() if column is None)}
    left_out = [*table.nested]
    for column in table.plain:
        name = _slug(column)
        if column in used:
            continue
        if column in dropped or name in dropped or name in own or name in RESERVED or not _NAME.fullmatch(name):
            left_out.append(column)
        else:
            own[name] = column
    if not set(attributes) - {ID} and not named:
        raise RecipeError(
            f"personas.source: no column says who a person is (columns: {_listed(table.plain)}); name them under "
            f"personas.columns, such as `columns: {{prose: {_listed(table.plain[:1])}}}`"
        )
    return ColumnMap(attributes, own, tuple(left_out), preset.name if preset else None)


def _require_columns(table: SourceColumns, named: Mapping[str, str | None]) -> None:
    for key, column in named.items():
        if column in table.nested:
            raise RecipeError(
                f"personas.columns.{key}: {quote(str(column))} is a column of lists, wanted text or numbers; leave it "
                "out, or write its values as text"
            )
        if column is not None and column not in table.plain:
            raise RecipeError(
                f"personas.columns.{key}: the source has no column {quote(column)}"
                f"{did_you_mean(column, table.plain)}; its columns: {_listed(table.plain)}"
            )


def _equal_names(columns: Sequence[str]) -> dict[str, str]:
    """Return the columns that have the name of an attribute, as in a release or in an export of one."""
    found: dict[str, str] = {}
    for column in columns:
        layer, _, name = column.rpartition(".")
        key = BACKGROUND if (layer, name) == ("sociocultural", "prose") else name.lower()
        if layer in ("", "demographic", "sociocultural") and key in (*KEYS, "persona_id"):
            found.setdefault(ID if key == "persona_id" else key, column)
    return found


def _slug(column: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", column.lower()).strip("_")


def _listed(columns: Sequence[str]) -> str:
    shown = ", ".join(quote(column, limit=40) for column in columns[:MAX_SHOWN_COLUMNS])
    return shown + (", ..." if len(columns) > MAX_SHOWN_COLUMNS else "")
