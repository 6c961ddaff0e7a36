"""Leave out the columns that a recipe cannot fill, and fill those that some rows have no value for.

A table without a null needs no glue: collators of PyTorch and trainers refuse None.
"""

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from personagen.builder.core.records import (
    DEPTHS,
    OPTIONAL_COLUMNS,
    PLAIN_VERSION,
    SCHEMA_VERSION,
    Demographic,
    Sociocultural,
    layers_of,
)
from personagen.builder.planning.situations.sources import can_have
from personagen.metrics.texts.emotion_words import LEXICON_LANGUAGES

if TYPE_CHECKING:
    from personagen.builder.planning.recipe import Recipe

NOT_GIVEN = "not given"
"""Value of an attribute that a source or an event does not state."""

FILLS: Mapping[str, Mapping[str, Any]] = {
    "": {"style": "none"},
    "demographic": dict.fromkeys(("gender", "work", "occupation", "occupation_group", "mbti", "prose"), NOT_GIVEN)
    | {"isco08": "none"},
    "sociocultural": dict.fromkeys(Sociocultural.__dataclass_fields__, NOT_GIVEN),
    "situational": dict.fromkeys(("place", "time", "companions", "stakes"), NOT_GIVEN),
    "appraisal": dict.fromkeys(("pleasantness", "agency", "certainty", "control", "expectedness"), NOT_GIVEN),
    "provenance": {"leaked": False, "expression_found": "not checked", "real_texts": "none", "persona_model": "none"},
}
"""Value of a column, by struct ("": the row), in the rows that have none."""

DRAWN_UNKNOWN = ("demographic.prose", "sociocultural.prose")
"""Columns of the first two layers that drawn personas have no value for, unless the model writes it."""

EVENT_FIELDS = ("appraisal", "stakes", "place", "time", "companions")
"""Fields of a situation that an event of a recipe need not have."""

CHECKED_BY_CLASSIFIER = ("provenance.checker_label", "provenance.checker_confidence")
"""Columns of the emotion classifier."""


def optional_columns(recipe: "Recipe", attribute_types: Mapping[str, str]) -> set[str]:
    """Return those of OPTIONAL_COLUMNS that the release of a recipe has.

    Args:
        recipe: the recipe.
        attribute_types: type of each further attribute of its personas.

    """
    columns = {"attributes"} if attribute_types else set()
    columns |= {"provenance.wording"} if recipe.wordings() else set()
    shows_texts = recipe.grounding is not None and recipe.grounding.sources()
    columns |= {"provenance.real_texts"} if shows_texts else set()
    has_prose = not {"demographic", "sociocultural"}.isdisjoint({*recipe.elaborated()} & {*layers_of(recipe.deepest)})
    return columns | ({"provenance.persona_model"} if has_prose and len(recipe.backends) > 1 else set())


def columns_version(recipe: "Recipe", attribute_types: Mapping[str, str]) -> str:
    """Return the version of the columns of a recipe's release; for the arguments see `optional_columns`."""
    return SCHEMA_VERSION if optional_columns(recipe, attribute_types) else PLAIN_VERSION


def left_out(
    recipe: "Recipe", attribute_types: Mapping[str, str], unknown: Collection[str] = DRAWN_UNKNOWN
) -> tuple[str, ...]:
    """Return the columns that no row of a recipe has a value for, as `struct.column`, in alphabetical order.

    Layers are not among them: each table has those of its depth. For the other arguments see `optional_columns`.

    Args:
        recipe: the recipe.
        attribute_types: type of each further attribute of its personas.
        unknown: columns of the first two layers that no persona has a value for, prose of the model aside.

    """
    mixture = recipe.mixture()
    is_listed = recipe.text.language in (None, *LEXICON_LANGUAGES)
    absent = {*unknown, "situational.prose"} - {f"{layer}.prose" for layer in recipe.elaborated()}
    absent |= set() if recipe.intensities else {"intensity"}
    absent |= set() if is_listed else {"provenance.leaked", "provenance.expression_found"}
    absent |= {"expression", "provenance.expression_found"} if mixture is None else set()
    absent |= {"style"} if mixture is None or not mixture.styles else set()
    absent |= set() if recipe.checks.label else set(CHECKED_BY_CLASSIFIER)
    absent |= {f"situational.{name}" for name in EVENT_FIELDS if not can_have(recipe, name)}
    for layer, record in (("demographic", Demographic), ("sociocultural", Sociocultural)):
        if absent.issuperset(f"{layer}.{name}" for name in record.__dataclass_fields__):
            absent.remove(f"{layer}.prose")  # parquet has no struct without a column
    optional = optional_columns(recipe, attribute_types)
    absent |= set(OPTIONAL_COLUMNS) - optional if optional else set()
    return tuple(sorted(absent))


def layers_in(config: str, depth: str) -> tuple[str, ...]:
    """Return the layers that the texts of a configuration have.

    Args:
        config: name of the configuration.
        depth: depth of the recipe.

    """
    own = config.removeprefix("depth_")
    return layers_of(own if own != config and own in DEPTHS else depth)


def filled(struct: str, record: Mapping[str, Any]) -> dict[str, Any]:
    """Return a record with values for those that it lacks, as far as they are known.

    Args:
        struct: name of the record within its row; "": the row itself.
        record: its fields.

    """
    fills = FILLS.get(struct, {})
    return {name: fills.get(name) if value is None else value for name, value in record.items()}


def with_missing(row: Mapping[str, Any], columns: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row of a data file with None where it has no value, as in releases before version 1.3.0.

    `provenance.leaked` stays false where it was not checked and no expression was asked for.

    Args:
        row: the row, with structs as mappings.
        columns: all columns that a row can have.

    """
    full = dict(row) | {name: _restored("", name, row.get(name), column) for name, column in columns.items()}
    if row["provenance"].get("expression_found") == FILLS["provenance"]["expression_found"]:
        full["provenance"]["leaked"] = None
    return full


def _restored(struct: str, name: str, value: Any, column: Mapping[str, Any]) -> Any:
    if "_type" in column:
        fill = FILLS.get(struct, {}).get(name)
        return None if isinstance(fill, str) and value == fill else value
    if value is None:
        return None
    parts = {part: _restored(name, part, value.get(part), below) for part, below in column.items()}
    return None if name == "appraisal" and parts["pleasantness"] is None else parts
