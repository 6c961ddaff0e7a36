"""Conditions of a recipe on the attributes of personas, resolved to the values that they accept.

The vocabulary of an attribute is every value that it can have: those of its table, the years of age, the percentiles of
a Big Five trait, the shares of an attribute of the recipe.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from personagen.builder.planning.personas.steps import years_of
from personagen.builder.planning.personas.tables import Condition, PersonaTables
from personagen.builder.planning.suggestions import did_you_mean, require_unique

MAX_LISTED_VALUES = 24
"""Known values that a message lists."""

PERCENTILES = range(1, 100)
"""Values of a Big Five trait."""

Vocabulary = Mapping[str, tuple[Any, ...]]
"""Attribute to its possible values, in the order of the tables."""


def vocabulary_of(tables: PersonaTables) -> dict[str, tuple[Any, ...]]:
    """Return the possible values of every attribute that a condition can name."""
    vocabulary: dict[str, tuple[Any, ...]] = {}
    for table in tables.all_tables:
        if table.name == "age":
            vocabulary["age"] = tuple(sorted(year for band in table.known_values() for year in years_of(band)))
            continue
        vocabulary[table.name] = table.known_values()
        if table.name == "occupation":
            jobs = [tables.job_of(title) for title in vocabulary["occupation"]]
            vocabulary["occupation_group"] = tuple(dict.fromkeys(job["group"] for job in jobs))
            vocabulary["isco08"] = tuple(sorted({job["isco"] for job in jobs if job["isco"]}))
    return vocabulary | {trait: tuple(PERCENTILES) for trait in tables.big_five}


def require_accepted(value: Any, *, within_not: bool = False) -> Any:
    """Return a condition on one attribute: a value, a list of values, bounds, or `not` with one of them."""
    if isinstance(value, Mapping):
        if set(value) == {"not"} and not within_not:
            require_accepted(value["not"], within_not=True)
            return value
        bounds = [value[key] for key in ("min", "max") if key in value]
        if not value or set(value) - {"min", "max"} or not all(type(bound) is int for bound in bounds):
            raise ValueError(f"got {dict(value)!r:.80}, wanted {{min: 20, max: 40}} or {{not: ...}}")
        if len(bounds) == 2 and bounds[0] > bounds[1]:
            raise ValueError(f"min {bounds[0]} is above max {bounds[1]}; change one of them")
        return value
    values = value if isinstance(value, list | tuple) else [value]
    if not values:
        raise ValueError("got an empty list, wanted one value or more; leave the condition out")
    for one in values:
        if isinstance(one, bool) or not isinstance(one, str | int):
            raise ValueError(
                f"got {one!r:.80}, wanted text or a whole number; YAML needs quotes around yes, no, on, off"
            )
    require_unique("the list", [str(one) for one in values])
    return value


def accepted_values(key: str, name: str, condition: Any, vocabulary: Vocabulary) -> frozenset[Any]:
    """Return the values of an attribute that a condition accepts.

    Args:
        key: key of the recipe, for messages.
        name: attribute.
        condition: a value, a list of values, {min, max}, or {not: one of these}; `*` stands for any characters.
        vocabulary: possible values by attribute.

    Raises:
        ValueError: the attribute or a value is unknown, or no value is accepted.

    """
    require_attribute(key, name, vocabulary)
    known = vocabulary[name]
    if isinstance(condition, Mapping) and "not" in condition:
        accepted = frozenset(known) - _listed(key, name, condition["not"], known)
    else:
        accepted = _listed(key, name, condition, known)
    if not accepted:
        raise ValueError(f"{key}: no value of {name} is left; {_known(known)}")
    return accepted


def parse_conditions(key: str, conditions: Mapping[str, Any], vocabulary: Vocabulary) -> Condition:
    """Parse conditions of a recipe by attribute; ValueError: see `accepted_values`."""
    return Condition(
        tuple(
            (name, accepted_values(f"{key}.{name}", name, condition, vocabulary))
            for name, condition in sorted(conditions.items())
        )
    )


def matching_values(key: str, name: str, pattern: str, known: Iterable[Any]) -> frozenset[Any]:
    """Return the values that a name or a pattern with `*` stands for; ValueError if there is none."""
    values = tuple(known)
    texts = {str(value): value for value in values}
    if pattern in texts:
        return frozenset({texts[pattern]})
    if name == "age" and (band := re.fullmatch(r"(\d{1,3})-(\d{1,3})", pattern)):
        accepted = frozenset(value for value in values if int(band[1]) <= value <= int(band[2]))
    elif "*" in pattern:
        is_match: Callable[[str], Any] = re.compile(".*".join(map(re.escape, pattern.split("*")))).fullmatch
        accepted = frozenset(value for text, value in texts.items() if is_match(text))
    else:
        raise ValueError(f"{key}: unknown value {pattern!r}{did_you_mean(pattern, texts)}; {_known(values)}")
    if not accepted:
        raise ValueError(f"{key}: no value matches {pattern!r}; {_known(values)}")
    return accepted


def require_attribute(key: str, name: str, vocabulary: Vocabulary) -> None:
    """Raise ValueError unless personas have an attribute."""
    if name not in vocabulary:
        raise ValueError(
            f"{key}: personas have no attribute {name!r}{did_you_mean(name, vocabulary)}; "
            f"known: {', '.join(sorted(vocabulary))}"
        )


def _listed(key: str, name: str, condition: Any, known: tuple[Any, ...]) -> frozenset[Any]:
    if isinstance(condition, Mapping):
        if not isinstance(known[0], int):
            raise ValueError(f"{key}: got min or max, but {name} is no number; {_known(known)}")
        low, high = condition.get("min", known[0]), condition.get("max", known[-1])
        return frozenset(value for value in known if low <= value <= high)
    values = condition if isinstance(condition, list | tuple) else [condition]
    return frozenset().union(*(matching_values(key, name, str(value), known) for value in values))


def _known(values: tuple[Any, ...]) -> str:
    if isinstance(values[0], int):
        return f"known: {values[0]} to {values[-1]}"
    rest = len(values) - MAX_LISTED_VALUES
    listed = ", ".join(map(str, values[:MAX_LISTED_VALUES]))
    return f"known: {listed}" + (f" and {rest} more" if rest > 0 else "")
