"""Attributes that a recipe defines: their tables, beside those of the package."""

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from personagen.builder.core.records import Demographic, Sociocultural
from personagen.builder.planning.personas.conditions import parse_conditions, vocabulary_of
from personagen.builder.planning.personas.tables import Condition, PersonaTables, make_table

TAKEN_NAMES = frozenset(
    {field.name for record in (Demographic, Sociocultural) for field in fields(record)}
    | {"age_band", "workplace", "persona_id", "attributes", "channel", "intensity", "model"}
)
"""Names that no attribute of a recipe can have: attributes of personas, and others that compositions count."""


def with_own_attributes(tables: PersonaTables, attributes: Mapping[str, Any]) -> PersonaTables:
    """Return the tables with those of a recipe's attributes behind them.

    The values are sorted, so that two recipes of one fingerprint draw alike.

    Args:
        tables: tables of the package.
        attributes: `personas.attributes` of the recipe, as plain data.

    Raises:
        ValueError: a name is taken, or a condition names an attribute or a value that the persona does not have yet.

    """
    for name, spec in _ordered(attributes).items():
        key = f"personas.attributes.{name}"
        if name in TAKEN_NAMES:
            raise ValueError(f"{key}: releases have an attribute of this name already; choose another name")
        rows = spec["rows"] or [{"when": {}, "shares": spec["values"]}]
        vocabulary = vocabulary_of(tables)
        conditioned: list[tuple[Condition, Mapping[str, float]]] = [
            (
                parse_conditions(f"{key}.rows.{number}.when", row["when"], vocabulary),
                dict(sorted(row["shares"].items())),
            )
            for number, row in enumerate(rows)
        ]
        tables = replace(tables, own=(*tables.own, make_table(name, conditioned, ())))
    return tables


def _ordered(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the attributes in an order in which each follows those that its conditions name.

    Raises:
        ValueError: conditions of attributes depend on each other.

    """
    needs = {
        name: {other for row in spec["rows"] or () for other in row["when"] if other in attributes}
        for name, spec in attributes.items()
    }
    ordered: dict[str, Any] = {}
    while len(ordered) < len(attributes):
        ready = sorted(name for name in attributes if name not in ordered and needs[name] <= set(ordered))
        if not ready:
            circle = ", ".join(sorted(set(attributes) - set(ordered)))
            raise ValueError(
                f"personas.attributes: the conditions of {circle} depend on each other; change one of them"
            )
        ordered[ready[0]] = attributes[ready[0]]
    return ordered
