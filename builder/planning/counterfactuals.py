"""Counterfactuals: rows that are asked for again with one attribute of the persona changed, and everything else as it was.

The counterfactual has the persona's other attributes, the situation and the seeds of the other row, so that what differs between
the two texts goes back to the attribute. Only counterfactuals that make sense are planned: the tables could have drawn the
changed persona, and it can meet the situation.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import islice

from personagen.builder.core.errors import RecipeError
from personagen.builder.core.records import SPLITS, layers_of
from personagen.builder.planning.attribute_tables import persona_tables
from personagen.builder.planning.event_dealing import Dealt, event_of
from personagen.builder.planning.personas import Persona, persona
from personagen.builder.planning.plan import Counterfactual, Plan, RowPlan
from personagen.builder.planning.situations import fits, scene


def add_counterfactuals(plan: Plan) -> Plan:
    """Add the counterfactuals that the recipe asks for, by configuration and split; pure.

    Raises:
        RecipeError: fewer rows than it asks for have a counterfactual.

    """
    wanted = plan.recipe.counterfactual
    if wanted is None:
        return plan
    found: dict[str, Mapping[str, tuple[RowPlan, ...]]] = {}
    for attribute, values in wanted.attributes.items():
        pairs = list(islice(_pairs(plan, attribute, values), wanted.pairs))
        if len(pairs) < (wanted.pairs or 1):
            raise RecipeError(
                f"counterfactual.attributes.{attribute}: {len(pairs)} of {plan.recipe.rows} rows have a persona with "
                f"one of {', '.join(values)} to which another of them can be given, wanted {wanted.pairs or 1} or "
                "more; raise rows, lower counterfactual.pairs, or name values that are more frequent"
            )
        rows = [row for counterfactuals in pairs for row in counterfactuals]
        by_split = {split: tuple(row for row in rows if row.split == split) for split in SPLITS}
        found[f"counterfactual_{attribute}"] = {split: own for split, own in by_split.items() if own}
    return replace(plan, counterfactuals=found)


def _pairs(plan: Plan, attribute: str, values: tuple[str, ...]) -> Iterator[list[RowPlan]]:
    """Go through the rows that have counterfactuals, emotions in turns, with all counterfactuals of each."""
    taxonomy, depth = plan.recipe.chosen_taxonomy(), plan.recipe.depth
    counts = {emotion: sum(quota.values()) for emotion, quota in plan.quotas.items()}
    dealt: Dealt = {}
    turns = ((name, turn) for turn in range(max(counts.values())) for name in counts if turn < counts[name])
    for name, turn in turns:
        row = plan.turn(name, turn)
        own = persona(persona_tables(), plan.design, row.persona)
        if own.values["age_band" if attribute == "age" else attribute] not in values:
            continue
        counterfactuals = [Counterfactual(row.id, attribute, value) for value in values]
        people = [
            (counterfactual, other)
            for counterfactual in counterfactuals
            if (other := changed_or_none(own, counterfactual)) is not None
        ]
        if "situational" in layers_of(depth):
            event = event_of(plan, taxonomy[name], row, dealt)
            what = scene(taxonomy[name], event, own, seed=plan.recipe.seed, turn=turn, number=row.situation)
            people = [(counterfactual, other) for counterfactual, other in people if fits(event, what, other.values)]
        found = [
            replace(row, id=f"{row.id}-{attribute}-{_slug(counterfactual.value)}", counterfactual=counterfactual)
            for counterfactual, _ in people
        ]
        if found:
            yield found


def changed(own: Persona, counterfactual: Counterfactual) -> Persona:
    """Give a persona the attribute of its counterfactual.

    Raises:
        ValueError: the tables could not have drawn it.

    """
    found = changed_or_none(own, counterfactual)
    if found is None:
        raise ValueError(f"persona {own.id} cannot be of {counterfactual.attribute} {counterfactual.value!r}")
    return found


def changed_or_none(own: Persona, counterfactual: Counterfactual) -> Persona | None:
    """Give a persona the attribute of its counterfactual; None where it has it, or where the tables could not have drawn it."""
    values = {**own.values, counterfactual.attribute: counterfactual.value}
    if counterfactual.attribute == "age":  # as far above the least of its band as it was, where the band is as wide
        low, high = map(int, counterfactual.value.split("-"))
        least = int(own.values["age_band"].partition("-")[0])
        values |= {"age": min(low + own.values["age"] - least, high), "age_band": counterfactual.value}
    if values == own.values:
        return None
    for table in persona_tables().tables:
        value = values["age_band" if table.name == "age" else table.name]
        if value not in table.distribution(values).shares:
            return None
    name = f"{own.id}-{counterfactual.attribute}-{_slug(counterfactual.value)}"
    fields = {counterfactual.attribute: values[counterfactual.attribute]}
    if hasattr(own.demographic, counterfactual.attribute):
        return replace(own, id=name, demographic=replace(own.demographic, **fields), values=values)
    return replace(own, id=name, sociocultural=replace(own.sociocultural, **fields), values=values)


def _slug(value: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", value.lower()).strip("-")
