"""Plan counterfactuals: rows that repeat an original row with one attribute of the persona changed.

A counterfactual has the situation, the seeds and the other attributes of its original, so that the two texts differ
only because of the changed attribute. Only plausible counterfactuals are planned: those whose persona the tables could
have drawn, and to whom the situation can happen.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import islice
from typing import Any

from personagen.builder.core.errors import RecipeError
from personagen.builder.core.records import COUNTERFACTUAL_PREFIX, SPLITS, layers_of
from personagen.builder.planning.batches import turns_in_order
from personagen.builder.planning.personas.drawing import Persona
from personagen.builder.planning.personas.steps import years_of
from personagen.builder.planning.personas.tables import PersonaTables, Table
from personagen.builder.planning.plan import Counterfactual, Plan, RowPlan
from personagen.builder.planning.situations.bank import draw_scene, fits
from personagen.builder.planning.situations.dealing import DealtEvents, event_of

PROSE_COLUMNS = {"prose": "demographic.prose", "background": "sociocultural.prose"}
"""Column of a release by the key of `personas.columns` for a text."""


def add_counterfactuals(plan: Plan) -> Plan:
    """Return the plan with the counterfactuals that its recipe requests, by configuration and split; pure.

    Raises:
        RecipeError: fewer rows are eligible for a counterfactual than the recipe requests.

    """
    requested = plan.recipe.counterfactual
    if requested is None:
        return plan
    _require_no_prose(plan)
    by_config: dict[str, Mapping[str, tuple[RowPlan, ...]]] = {}
    for attribute, values in requested.attributes.items():
        _require_accepted(plan.people.tables, attribute, values)
        groups = list(islice(_counterfactuals_per_row(plan, attribute, values), requested.pairs))
        if len(groups) < (requested.pairs or 1):
            raise RecipeError(
                f"counterfactual.attributes.{attribute}: {len(groups)} of {plan.recipe.rows} rows have a persona with "
                f"one of {', '.join(values)} that can be changed to another of them, wanted {requested.pairs or 1} or "
                "more; raise rows, lower counterfactual.pairs, or name values that are more frequent"
            )
        rows = [row for group in groups for row in group]
        by_split = {split: tuple(row for row in rows if row.split == split) for split in SPLITS}
        by_config[COUNTERFACTUAL_PREFIX + attribute] = {split: part for split, part in by_split.items() if part}
    return replace(plan, counterfactuals=by_config)


def _require_accepted(tables: PersonaTables, attribute: str, values: tuple[str, ...]) -> None:
    """Raise RecipeError if the conditions of the recipe exclude a value that a counterfactual is to have."""
    accepted = dict(tables.where.allowed).get(attribute)
    if accepted is None:
        return
    for value in values:
        if accepted.isdisjoint({value} if attribute != "age" else years_of(value)):
            raise RecipeError(
                f"counterfactual.attributes.{attribute}: personas.where excludes {value!r}; leave it out of one of them"
            )


def _counterfactuals_per_row(plan: Plan, attribute: str, values: tuple[str, ...]) -> Iterator[list[RowPlan]]:
    """Yield all counterfactuals of each eligible row, the emotions in turn."""
    taxonomy, depth = plan.recipe.chosen_taxonomy(), plan.recipe.depth
    dealt: DealtEvents = {}
    for name, turn in turns_in_order(plan):
        row = plan.turn(name, turn)
        original = plan.people.persona(row.persona)
        if original.values.get("age_band" if attribute == "age" else attribute) not in values:
            continue
        personas = {value: with_attribute(original, attribute, value, plan.people.tables) for value in values}
        possible = {value: persona for value, persona in personas.items() if persona is not None}
        if "situational" in layers_of(depth):
            event = event_of(plan, taxonomy[name], row, dealt)
            scene = draw_scene(taxonomy[name], event, original, seed=plan.recipe.seed, turn=turn, number=row.situation)
            channel = plan.channel_of(row)
            fit = None if channel is None else channel.fit
            possible = {value: one for value, one in possible.items() if fits(event, scene, one.values, fit)}
        if possible:
            yield [
                replace(
                    row,
                    id=f"{row.id}-{attribute}-{_slug(value)}",
                    counterfactual=Counterfactual(row.id, attribute, value),
                )
                for value in possible
            ]


def counterfactual_persona(original: Persona, counterfactual: Counterfactual, tables: PersonaTables) -> Persona:
    """Return the persona of a counterfactual row.

    Raises:
        ValueError: the persona has the value already, or the tables could not have drawn the changed persona.

    """
    changed = with_attribute(original, counterfactual.attribute, counterfactual.value, tables)
    if changed is None:
        raise ValueError(f"persona {original.id} cannot be of {counterfactual.attribute} {counterfactual.value!r}")
    return changed


def with_attribute(original: Persona, attribute: str, value: str, tables: PersonaTables) -> Persona | None:
    """Return the persona with another value of one attribute.

    A new age lies as many years above the minimum of its band as the old one, or at the maximum of a narrower band.

    Args:
        original: persona to change; it is not modified.
        attribute: one of CHANGEABLE_ATTRIBUTES.
        value: new value; for "age" a band.
        tables: tables that must be able to draw the changed persona.

    Returns:
        None: the persona has the value already, or the tables could not have drawn the changed persona.

    """
    values = {**original.values, attribute: value}
    if attribute == "age":
        low, high = map(int, value.split("-"))
        old_low = int(original.values["age_band"].partition("-")[0])
        values |= {"age": min(low + original.values["age"] - old_low, high), "age_band": value}
    if values == original.values:
        return None
    if not tables.where.holds(values):
        return None
    for table in tables.all_tables:
        name = "age_band" if table.name == "age" else table.name
        if not _is_drawable(table, name, values) and (name == attribute or _is_drawable(table, name, original.values)):
            return None
    id_ = f"{original.id}-{attribute}-{_slug(value)}"
    fields = {attribute: values[attribute]}
    if hasattr(original.demographic, attribute):
        return replace(original, id=id_, demographic=replace(original.demographic, **fields), values=values)
    return replace(original, id=id_, sociocultural=replace(original.sociocultural, **fields), values=values)


def _is_drawable(table: Table, name: str, values: Mapping[str, Any]) -> bool:
    """Return whether a table can draw a persona's value; True if it is missing, as in personas of some sources."""
    if values.get(name) is None:
        return True
    try:
        return values[name] in table.distribution(values).probabilities
    except RecipeError:  # the rules leave no value to such a persona of a source
        return False


def _require_no_prose(plan: Plan) -> None:
    """Raise RecipeError if the personas have prose of their source, which may state the attribute to change."""
    stated = [name for name in ("prose", "background") if PROSE_COLUMNS[name] not in plan.missing]
    if plan.source is not None and stated:
        raise RecipeError(
            f"counterfactual: the personas of {plan.source['name']} have texts that may state the attribute to change "
            f"(personas.columns.{' and personas.columns.'.join(stated)}); write `{stated[0]}: null` under "
            "personas.columns, or leave counterfactual out"
        )


def _slug(value: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", value.lower()).strip("-")
