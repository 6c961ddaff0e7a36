"""Columns of the tables of a release, derived from the records in `core/records.py`, as features and as Arrow schemas.

A data file carries its features as metadata, so that `datasets` knows them, label names included, without the card.
`personagen_dataset.py` declares the same columns by hand, for readers; a test keeps the two equal. `datasets` is not
imported: it would double the memory and the start-up time of a run.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields
from types import NoneType
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

from personagen.builder.core.records import (
    COUNTERFACTUAL_PREFIX,
    LAYERS,
    SCHEMA_VERSION,
    UNSTYLED_VERSION,
    Demographic,
    Row,
    Situational,
    Sociocultural,
    as_mapping,
)

if TYPE_CHECKING:
    import pyarrow as pa

DTYPES: Mapping[type, str] = {str: "string", int: "int32", bool: "bool", float: "float32"}
"""Type of a column by the type of the record's field."""

INT64_FIELDS = frozenset({"seed"})
"""Integer fields that need 64 bits."""

FIRST_VERSION = "1.0.0"
"""Version of the columns before `counterfactual_of`."""

STYLE_COLUMNS = ("expression", "style")
"""Columns of texts that earlier versions than 1.2.0 do not have; nor do they have `provenance.expression_found`."""

Columns = Mapping[str, Any]
"""Features in the JSON form of `datasets`; a nested mapping is a struct."""

TableRow = Mapping[str, Any]
"""A row of a table by column; values may be records of `core/records.py`."""


def columns_of(config: str, emotions: Sequence[str], version: str = SCHEMA_VERSION) -> Columns:
    """Return the columns of a configuration.

    Args:
        config: name of the configuration.
        emotions: labels of the release, in class id order.
        version: version of the columns of the release.

    """
    label = {"names": list(emotions), "_type": "ClassLabel"}
    if config == "situational":
        return {"situation_id": _value(str), "persona_id": _value(str), "label": label, **_fields(Situational)}
    if config in LAYERS:
        return {"persona_id": _value(str), **_fields(Demographic if config == "demographic" else Sociocultural)}
    columns = _fields(Row) | {"label": label}
    if version in (FIRST_VERSION, UNSTYLED_VERSION):
        provenance = {name: part for name, part in columns["provenance"].items() if name != "expression_found"}
        columns = {name: column for name, column in columns.items() if name not in STYLE_COLUMNS}
        columns["provenance"] = provenance
    if config.startswith(COUNTERFACTUAL_PREFIX) and version != FIRST_VERSION:
        columns["counterfactual_of"] = _value(str)
    return columns


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


def text_record(row: Row, ids: Mapping[str, int], counterfactual_of: str | None = None) -> TableRow:
    """Return a row of a text table.

    Args:
        row: the text with its layers.
        ids: class id by label.
        counterfactual_of: id of the row of "all" that a counterfactual belongs to. None: not a counterfactual.

    """
    record = {**as_mapping(row), "label": ids[row.label]}
    if row.expression is None:  # no row of such a release has the columns
        provenance = as_mapping(row.provenance)
        record = {name: value for name, value in record.items() if name not in STYLE_COLUMNS}
        record["provenance"] = {name: value for name, value in provenance.items() if name != "expression_found"}
    return record if counterfactual_of is None else {**record, "counterfactual_of": counterfactual_of}


def layer_record(layer: str, row: Row, ids: Mapping[str, int]) -> TableRow:
    """Return the row of a layer's own table for the layer that a text was conditioned on."""
    keys: dict[str, Any] = {"persona_id": row.persona_id}
    if layer == "situational":
        keys = {"situation_id": row.situation_id, **keys, "label": ids[row.label]}
    return {**keys, **as_mapping(getattr(row, layer))}


def _fields(record: type) -> dict[str, Any]:
    hints = get_type_hints(record)
    return {field.name: _column(field.name, hints[field.name]) for field in fields(record)}


def _column(name: str, hint: Any) -> dict[str, Any]:
    type_ = next((part for part in get_args(hint) if part is not NoneType), hint)
    return _value(type_, wide=name in INT64_FIELDS) if type_ in DTYPES else _fields(type_)


def _value(type_: type, *, wide: bool = False) -> dict[str, Any]:
    return {"dtype": "int64" if wide else DTYPES[type_], "_type": "Value"}
