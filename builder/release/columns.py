"""Columns of the tables of a release, worked out from the records of `schema.py`: for `datasets` and for Arrow.

A file carries both, so that it is enough for `datasets` to know its features, label names included.
`personagen_dataset.py` declares the same columns by hand, as documentation and for readers; a test holds the two
together. `datasets` itself is not imported: it would double the memory and the start of a run.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields
from types import NoneType
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

from personagen.builder.core.records import LAYERS, Demographic, Row, Situational, Sociocultural, as_mapping

if TYPE_CHECKING:
    import pyarrow as pa

KINDS: Mapping[type, str] = {str: "string", int: "int32", bool: "bool", float: "float32"}

WIDE = frozenset({"seed"})
"""Counts that need 64 bits."""

Columns = Mapping[str, Any]
"""Features the way `datasets` writes them down: a nested mapping is a struct."""

Record = Mapping[str, Any]
"""A row of a table; values may be records of `schema.py`."""


def columns_of(config: str, emotions: Sequence[str]) -> Columns:
    """Columns of a configuration of a release whose labels are `emotions`, in class id order."""
    label = {"names": list(emotions), "_type": "ClassLabel"}
    if config == "situational":
        return {"situation_id": _value(str), "persona_id": _value(str), "label": label, **_fields(Situational)}
    if config in LAYERS:
        return {"persona_id": _value(str), **_fields(Demographic if config == "demographic" else Sociocultural)}
    return _fields(Row) | {"label": label}


def arrow_schema(columns: Columns) -> "pa.Schema":
    """Turn columns into an Arrow schema that carries them as metadata."""
    import pyarrow as pa

    def kind(column: Mapping[str, Any]) -> pa.DataType:
        if column.get("_type") == "ClassLabel":
            return pa.int64()
        if column.get("_type") == "Value":
            return pa.type_for_alias(column["dtype"])
        return pa.struct([pa.field(name, kind(part)) for name, part in column.items()])

    metadata = {"huggingface": json.dumps({"info": {"features": columns}})}
    return pa.schema([pa.field(name, kind(column)) for name, column in columns.items()], metadata)


def text_record(row: Row, ids: Mapping[str, int]) -> Record:
    """Turn a row into the columns of a text table; `ids` are the class ids of the labels."""
    return {**as_mapping(row), "label": ids[row.label]}


def layer_record(layer: str, row: Row, ids: Mapping[str, int]) -> Record:
    """Turn a layer that a row was conditioned on into the columns of the layer's own table."""
    keys: dict[str, Any] = {"persona_id": row.persona_id}
    if layer == "situational":
        keys = {"situation_id": row.situation_id, **keys, "label": ids[row.label]}
    return {**keys, **as_mapping(getattr(row, layer))}


def _fields(record: type) -> dict[str, Any]:
    hints = get_type_hints(record)
    return {each.name: _column(each.name, hints[each.name]) for each in fields(record)}


def _column(name: str, hint: Any) -> dict[str, Any]:
    kind = next((each for each in get_args(hint) if each is not NoneType), hint)
    return _value(kind, wide=name in WIDE) if kind in KINDS else _fields(kind)


def _value(kind: type, *, wide: bool = False) -> dict[str, Any]:
    return {"dtype": "int64" if wide else KINDS[kind], "_type": "Value"}
