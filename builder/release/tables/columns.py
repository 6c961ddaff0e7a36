"""Columns of the tables of a release, derived from the records in `core/records.py`, as features and as Arrow schemas.

A data file carries its features as metadata, so that `datasets` knows them, label names included, without the card.
`personagen_dataset.py` declares the same columns by hand, for readers; a test keeps the two equal. `datasets` is not
imported: it would double the memory and the start-up time of a run.
"""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from types import NoneType
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

from personagen.builder.core.records import (
    COUNTERFACTUAL_PREFIX,
    LAYERS,
    OPTIONAL_COLUMNS,
    SCHEMA_VERSION,
    UNMIXED_VERSION,
    UNSTYLED_VERSION,
    Demographic,
    Row,
    Situational,
    Sociocultural,
    as_mapping,
)
from personagen.builder.release.tables.missing import DRAWN_UNKNOWN, columns_version, filled, layers_in, left_out

if TYPE_CHECKING:
    import pyarrow as pa

    from personagen.builder.planning.recipe import Recipe

DTYPES: Mapping[type, str] = {str: "string", int: "int32", bool: "bool", float: "float32"}
"""Type of a column by the type of the record's field."""

INT64_FIELDS = frozenset({"seed"})
"""Integer fields that need 64 bits."""

FIRST_VERSION = "1.0.0"
"""Version of the columns before `counterfactual_of`."""

STYLE_COLUMNS = ("expression", "style", "provenance.expression_found")
"""Columns of texts that earlier versions than 1.2.0 do not have."""

LAYER_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "demographic": ("demographic", "persona_id", "attributes"),
    "sociocultural": ("sociocultural",),
    "situational": ("situational", "situation_id"),
}
"""Columns of a text that it has if it has the layer."""

Columns = Mapping[str, Any]
"""Features in the JSON form of `datasets`; a nested mapping is a struct."""

TableRow = Mapping[str, Any]
"""A row of a table by column; values may be records of `core/records.py`."""


@dataclass(frozen=True, slots=True)
class TableForm:
    """Properties of a release that decide which columns its tables have.

    Attributes:
        emotions: labels of the release, in class id order.
        depth: depth of the recipe.
        version: version of the columns.
        left_out: columns that no row has a value for, as `struct.column`; empty before version 1.3.0.
        attributes: type of each column of the struct `attributes`; empty: there is no such struct.

    """

    emotions: Sequence[str]
    depth: str
    version: str = SCHEMA_VERSION
    left_out: Sequence[str] = ()
    attributes: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_mixed(self) -> bool:
        """Whether labelled tables have the column `emotion`, and those of all emotions mix them."""
        return self.version not in (FIRST_VERSION, UNSTYLED_VERSION, UNMIXED_VERSION)


def form_of_recipe(
    recipe: "Recipe", attribute_types: Mapping[str, str], unknown: Collection[str] = DRAWN_UNKNOWN
) -> TableForm:
    """Return the form of the tables of a recipe's release; for the arguments see `left_out`."""
    return TableForm(
        recipe.chosen_taxonomy().names,
        recipe.depth,
        columns_version(recipe, attribute_types),
        left_out(recipe, attribute_types, unknown),
        attribute_types,
    )


def form_of(manifest: Mapping[str, Any]) -> TableForm:
    """Return the form of the tables of a release, by its manifest."""
    emotions = [emotion["name"] for emotion in manifest["taxonomy"]["emotions"]]
    left_out = tuple(manifest.get("left_out", ()))
    return TableForm(
        emotions, manifest["recipe"]["depth"], manifest["version"], left_out, manifest.get("attributes", {})
    )


def label_names(numbers: Iterable[Any], emotions: Sequence[str]) -> list[str]:
    """Return the names of labels. Raises ValueError if a number is no class id."""
    ids = list(numbers)
    if not all(isinstance(number, int) and 0 <= number < len(emotions) for number in ids):
        raise ValueError("a label is not the number of an emotion")
    return [emotions[number] for number in ids]


def columns_of(config: str, form: TableForm) -> Columns:
    """Return the columns of a configuration of a release of this form."""
    label: dict[str, Any] = {"label": {"names": list(form.emotions), "_type": "ClassLabel"}}
    if form.is_mixed:
        label |= {"emotion": _value(str)}
    if config in LAYERS:
        record = {"demographic": Demographic, "sociocultural": Sociocultural, "situational": Situational}[config]
        keys = {"situation_id": _value(str), "persona_id": _value(str), **label}
        layer = {config: _fields(record)}
        parts: dict[str, Any] = _without(layer, form.left_out)[config]
        if config == "demographic":
            parts |= _attributes(form)
        return (keys if config == "situational" else {"persona_id": _value(str)}) | parts
    columns: dict[str, Any] = {}
    for name, column in _fields(Row).items():
        columns |= label if name == "label" else _attributes(form) if name == "attributes" else {name: column}
    return _without(columns, _absent(config, form)) | (
        {"counterfactual_of": _value(str)}
        if config.startswith(COUNTERFACTUAL_PREFIX) and form.version != FIRST_VERSION
        else {}
    )


def _attributes(form: TableForm) -> Columns:
    """Return the struct of the further attributes of a persona; empty: they have none."""
    struct = {name: {"dtype": dtype, "_type": "Value"} for name, dtype in form.attributes.items()}
    return {"attributes": struct} if struct else {}


def _absent(config: str, form: TableForm) -> list[str]:
    """Return the columns that the texts of a configuration do not have."""
    optional = [] if form.version == SCHEMA_VERSION else list(OPTIONAL_COLUMNS)
    if not form.is_mixed:
        return optional if form.version == UNMIXED_VERSION else [*optional, *STYLE_COLUMNS]
    absent = [*form.left_out, *optional]
    present = layers_in(config, form.depth)
    for layer in LAYERS:
        if layer not in present:
            absent += LAYER_COLUMNS[layer]
    return absent


def _without(columns: Columns, absent: Sequence[str]) -> dict[str, Any]:
    """Return the columns but those that are named, as `struct.column` within a struct."""
    kept: dict[str, Any] = {}
    for name, column in columns.items():
        if name in absent:
            continue
        inner = [path.removeprefix(f"{name}.") for path in absent if path.startswith(f"{name}.")]
        kept[name] = {part: below for part, below in column.items() if part not in inner} if inner else column
    return kept


def arrow_schema(columns: Columns) -> "pa.Schema":
    """Return the Arrow schema of the columns, with the columns as metadata for `datasets`."""
    import pyarrow as pa

    def arrow_type(column: Mapping[str, Any]) -> pa.DataType:
        if column.get("_type") == "ClassLabel":
            return pa.int64()
        if column.get("_type") == "Value":
            return pa.type_for_alias(column["dtype"])
        return pa.struct([pa.field(name, arrow_type(part)) for name, part in column.items()])

    metadata = {"huggingface": json.dumps({"info": {"features": columns}})}
    return pa.schema([pa.field(name, arrow_type(column)) for name, column in columns.items()], metadata)


def text_record(row: Row, form: TableForm, columns: Columns, counterfactual_of: str | None = None) -> TableRow:
    """Return a row of a text table.

    Args:
        row: the text with its layers.
        form: form of the tables.
        columns: columns of the table.
        counterfactual_of: id of the row of "all" that a counterfactual belongs to. None: not a counterfactual.

    """
    fields = {**as_mapping(row), "label": form.emotions.index(row.label), "emotion": row.label}
    record = _record(columns, fields)
    return record if counterfactual_of is None else {**record, "counterfactual_of": counterfactual_of}


def layer_record(layer: str, row: Row, form: TableForm, columns: Columns) -> TableRow:
    """Return the row of a layer's own table, which has these columns, for the layer that a text was conditioned on."""
    label = {"label": form.emotions.index(row.label), "emotion": row.label}
    keys = {"persona_id": row.persona_id, "situation_id": row.situation_id, "attributes": row.attributes, **label}
    return _record(columns, filled(layer, as_mapping(getattr(row, layer))) | keys)


def _record(columns: Columns, fields: Mapping[str, Any], struct: str = "") -> dict[str, Any]:
    """Return the fields of a record that are columns, in their order; structs are converted likewise."""
    values = filled(struct, fields)
    record: dict[str, Any] = {}
    for name, column in columns.items():
        if "_type" in column:
            record[name] = values.get(name)
        else:
            part = dict.fromkeys(column) if fields[name] is None else fields[name]
            record[name] = _record(column, part if isinstance(part, Mapping) else as_mapping(part), name)
    return record


def _fields(record: type) -> dict[str, Any]:
    hints = get_type_hints(record)
    return {part.name: _column(part.name, hints[part.name]) for part in fields(record)}


def _column(name: str, hint: Any) -> dict[str, Any]:
    if name == "attributes":  # its columns are those of the release; see `TableForm`
        return {}
    type_ = next((part for part in get_args(hint) if part is not NoneType), hint)
    return _value(type_, wide=name in INT64_FIELDS) if type_ in DTYPES else _fields(type_)


def _value(type_: type, *, wide: bool = False) -> dict[str, Any]:
    return {"dtype": "int64" if wide else DTYPES[type_], "_type": "Value"}
