"""The columns of a release are the same in the dataclasses, the features, the card and the files."""

from dataclasses import fields, is_dataclass
from pathlib import Path
from types import NoneType
from typing import Any, get_args, get_type_hints

import datasets
import pyarrow.parquet as pq
import pytest
from datasets import ClassLabel, Features, Value, load_dataset

from personagen.builder.core.records import SCHEMA_VERSION, Demographic, Row, Situational, Sociocultural
from personagen_dataset import VERSION, features
from tests.helpers.releasing import CONFIGS, EMOTIONS, features_of
from tests.release.cards.test_card import table

KINDS = {str: {"string"}, int: {"int32", "int64"}, bool: {"bool"}, float: {"float32", "float64"}}


def kinds(record: type) -> dict[str, Any]:
    """Return the possible column types of each field of a dataclass."""
    hints = get_type_hints(record)
    columns = {}
    for field in fields(record):
        if field.name == "attributes":  # a struct of the columns that the recipe names
            continue
        hint = next((part for part in get_args(hints[field.name]) if part is not NoneType), hints[field.name])
        columns[field.name] = kinds(hint) if isinstance(hint, type) and is_dataclass(hint) else KINDS[hint]
    return columns


def differences(record: dict[str, Any], features: dict[str, Any], place: str = "") -> list[str]:
    """Return the differences of a dataclass and of features: names, order, types."""
    if list(record) != list(features):
        return [f"{place}: {list(record)} != {list(features)}"]
    found: list[str] = []
    for name, kind in record.items():
        feature, where = features[name], f"{place}.{name}"
        if isinstance(kind, dict) != isinstance(feature, dict):
            found.append(f"{where}: {kind} != {feature}")
        elif isinstance(kind, dict):
            found += differences(kind, feature, where)
        elif not (isinstance(feature, ClassLabel) and kind == {"string"}) and feature.dtype not in kind:
            found.append(f"{where}: {kind} != {feature.dtype}")
    return found


def test_the_features_of_a_text_are_the_fields_of_a_row_and_the_name_of_the_label() -> None:
    columns = dict(features("all", EMOTIONS, attributes={"dialect": "string", "children": "int64"}))
    assert columns.pop("emotion") == Value("string")
    assert columns.pop("attributes") == {"dialect": Value("string"), "children": Value("int64")}
    assert differences(kinds(Row), columns) == []
    assert isinstance(features("all", EMOTIONS)["label"], ClassLabel)


@pytest.mark.parametrize(
    ("layer", "record", "keys"),
    [
        ("demographic", Demographic, ["persona_id"]),
        ("sociocultural", Sociocultural, ["persona_id"]),
        ("situational", Situational, ["situation_id", "persona_id", "label", "emotion"]),
    ],
)
def test_the_features_of_a_layer_are_the_fields_of_its_record(layer: str, record: type, keys: list[str]) -> None:
    columns = dict(features(layer, EMOTIONS))
    assert list(columns)[: len(keys)] == keys
    assert differences(kinds(record), {name: columns[name] for name in list(columns)[len(keys) :]}) == []


def test_the_comparison_reports_differences() -> None:
    columns = dict(features("demographic", EMOTIONS))
    del columns["persona_id"]
    assert differences(kinds(Demographic), {**columns, "age": datasets.Value("string")}) == [
        f".age: {KINDS[int]} != string"
    ]
    assert "mbti" in differences(kinds(Demographic), {**columns, "new": datasets.Value("string")})[0]


def flat(columns: dict[str, Any], place: str = "") -> dict[str, str]:
    """Return every column and nested column with its type, as in the card."""
    found: dict[str, str] = {}
    for name, column in columns.items():
        if isinstance(column, dict):
            found |= {place + name: "struct", **flat(column, f"{place}{name}.")}
        else:
            found[place + name] = column.dtype if isinstance(column, Value) else "class"
    return found


def test_loaded_tables_have_the_columns_of_files_module_and_card(beside: Path) -> None:
    for config in CONFIGS:
        wanted = features_of(beside, config)
        for split, rows in load_dataset("personagen", config).items():
            assert rows.features == wanted and list(rows.features) == list(wanted), (config, split)
            schemas = [pq.read_schema(path) for path in sorted(beside.glob(f"{config}/{split}-*.parquet"))]
            assert schemas
            for schema in schemas:
                assert schema.equals(wanted.arrow_schema) and Features.from_arrow_schema(schema) == wanted
    card = table((beside / "README.md").read_text(encoding="utf-8"), "| column |")
    assert {name.strip("`"): cells[0] for name, cells in card.items()} == flat(dict(features_of(beside, "all")))
    assert all(cells[1] for cells in card.values())


def test_the_version_of_the_columns_is_that_of_the_records() -> None:
    assert VERSION == SCHEMA_VERSION
