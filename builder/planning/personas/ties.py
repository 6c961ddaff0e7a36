"""Ties of attributes: pairs that the tables draw independently, from the conditions of their rows and rules."""

from collections.abc import Mapping
from itertools import combinations

from personagen.builder.planning.personas.steps import steps_of
from personagen.builder.planning.personas.tables import PersonaTables

SAME_DRAW = {"age_band": "age", "occupation_group": "occupation", "isco08": "occupation", "workplace": "occupation"}
"""Attribute that is drawn together with another one."""


def parents_of(tables: PersonaTables) -> dict[str, frozenset[str]]:
    """Return the attributes that a row or a rule of an attribute's table names, by attribute, in drawing order."""
    parents: dict[str, frozenset[str]] = {}
    for step in steps_of(tables):
        name = SAME_DRAW.get(step.name, step.name)
        named = frozenset(SAME_DRAW.get(other, other) for other in step.depends_on) - {name}
        parents[name] = parents.get(name, frozenset()) | named
    return parents


def independent_pairs(tables: PersonaTables) -> tuple[tuple[str, str], ...]:
    """Return the pairs of attributes without a tie: no table or rule ties them, directly or through others.

    Such attributes have no common ancestor in the graph of conditions, and neither is an ancestor of the other. They
    are then independent in the population.
    """
    parents = parents_of(tables)
    ancestors = _ancestors(parents)
    return tuple(
        (first, second) for first, second in combinations(parents, 2) if not ancestors[first] & ancestors[second]
    )


def indirect_pairs(tables: PersonaTables) -> dict[tuple[str, str], tuple[str, ...]]:
    """Return the pairs that are tied only through others, with attributes that separate them.

    No row or rule names both. The later one is independent of the earlier one given the attributes that its own table
    names, which are the values.
    """
    parents = parents_of(tables)
    ancestors = _ancestors(parents)
    return {
        (first, second): tuple(name for name in parents if name in parents[second])
        for first, second in combinations(parents, 2)
        if first not in parents[second] and ancestors[first] & ancestors[second]
    }


def independent_lines(tables: PersonaTables) -> tuple[str, ...]:
    """Return the pairs without a tie in lines such as "mbti: age, gender"; each pair is in one of them."""
    names_by_others: dict[str, list[str]] = {}
    pairs, count = list(independent_pairs(tables)), len(parents_of(tables))
    while pairs:  # the attribute with most of the pairs left comes first, so that there are few lines
        names = [name for pair in pairs for name in pair]
        most = max(dict.fromkeys(names), key=names.count)
        others = [other for pair in pairs if most in pair for other in pair if other != most]
        listed = ", ".join(others) if len(others) < count - 1 else "all others"
        names_by_others.setdefault(listed, []).append(most)
        pairs = [pair for pair in pairs if most not in pair]
    return tuple(f"{', '.join(names)}: {others}" for others, names in names_by_others.items())


def indirect_lines(tables: PersonaTables) -> tuple[str, ...]:
    """Return a line per attribute with those that it is tied to only through others, and those others."""
    by_second: dict[str, list[str]] = {}
    through: dict[str, tuple[str, ...]] = {}
    for (first, second), separating in indirect_pairs(tables).items():
        by_second.setdefault(second, []).append(first)
        through[second] = separating
    return tuple(
        f"{second}: {', '.join(firsts)} (through {', '.join(through[second])})" for second, firsts in by_second.items()
    )


def _ancestors(parents: Mapping[str, frozenset[str]]) -> dict[str, frozenset[str]]:
    """Return the ancestors of each attribute, itself included; parents come before their children."""
    ancestors: dict[str, frozenset[str]] = {}
    for name, named in parents.items():
        ancestors[name] = frozenset({name}).union(*(ancestors[other] for other in named))
    return ancestors
