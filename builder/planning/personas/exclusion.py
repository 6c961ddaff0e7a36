"""Explain why no persona can meet the conditions of a recipe: which conditions, excluded by which rule or table."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from personagen.builder.planning.personas.chances import Chances, derived_names
from personagen.builder.planning.personas.steps import steps_of
from personagen.builder.planning.personas.tables import PersonaTables, Rule, make_table

Item = TypeVar("Item")


def explain_exclusion(tables: PersonaTables, accepted: Mapping[str, frozenset[Any]], least: float) -> str:
    """Return what excludes conditions that hardly a persona meets.

    Args:
        tables: tables that personas are drawn from.
        accepted: accepted values by attribute.
        least: probability from which conditions count as possible.

    """
    names = _minimal(
        sorted(accepted), lambda kept: _probability(tables, {name: accepted[name] for name in kept}) < least
    )
    minimal = {name: accepted[name] for name in names}
    words = " and ".join(f"{name} {_words(accepted[name])}" for name in names)
    probability = _probability(tables, minimal)
    if probability:
        return f"only {probability:.1g} of the personas have {words} (1 in {1 / probability:,.0f})"
    rules = [rule for table in tables.tables for rule in table.rules]
    if _probability(without_rules(tables, rules), minimal) == 0:
        last = max(names, key=lambda name: _position(tables, name))
        others = [name for name in names if name != last]
        given = f" where {' and '.join(f'{name} is {_words(accepted[name])}' for name in others)}" if others else ""
        return f"no persona has {words}: the table of {last} has no such value{given}"
    needed = _minimal(rules, lambda removed: _probability(without_rules(tables, removed), minimal) > 0)
    reasons = "; ".join(f"{rule.why} (rule on {rule.attribute})" for rule in needed)
    return f"no persona has {words}: {reasons}"


def without_rules(tables: PersonaTables, removed: Sequence[Rule]) -> PersonaTables:
    """Return the tables without some coherence rules."""
    lost = {id(rule) for rule in removed}
    kept = [
        make_table(table.name, table.rows, tuple(rule for rule in table.rules if id(rule) not in lost))
        for table in tables.tables
    ]
    return replace(tables, tables=tuple(kept))


def _probability(tables: PersonaTables, accepted: Mapping[str, frozenset[Any]]) -> float:
    return Chances(steps_of(tables), accepted).probability()


def _minimal(items: Sequence[Item], suffices: Callable[[Sequence[Item]], bool]) -> list[Item]:
    """Return a subset that suffices, of which no element can be left out; all items suffice.

    Half of the candidates are left out at a time (QuickXplain; Junker, 2004).
    """

    def search(base: list[Item], candidates: Sequence[Item], *, has_changed: bool) -> list[Item]:
        if has_changed and suffices(base):
            return []
        if len(candidates) == 1:
            return list(candidates)
        half = len(candidates) // 2
        first, second = candidates[:half], candidates[half:]
        needed_second = search(base + list(first), second, has_changed=bool(first))
        needed_first = search(base + needed_second, first, has_changed=bool(needed_second))
        return needed_first + needed_second

    return search([], items, has_changed=False) if items else []


def _position(tables: PersonaTables, name: str) -> int:
    """Return the number of the draw that determines an attribute."""
    return next(number for number, step in enumerate(steps_of(tables)) if name in derived_names(step))


def _words(values: frozenset[Any]) -> str:
    ordered = sorted(values, key=str if any(isinstance(value, str) for value in values) else int)
    if isinstance(ordered[0], int) and len(ordered) > 1 and ordered[-1] - ordered[0] == len(ordered) - 1:
        return f"{ordered[0]} to {ordered[-1]}"
    rest = len(ordered) - 3
    return " or ".join(map(str, ordered[:3])) + (f" or {rest} more" if rest > 0 else "")
