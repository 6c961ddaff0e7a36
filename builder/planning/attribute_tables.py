"""Cited tables of attributes, and the rules that keep their combinations coherent.

An attribute is drawn from the first row of its table whose condition holds for what is already drawn, less the values
that a coherence rule forbids. So a persona is coherent by construction, nothing is drawn and thrown away, and an
attribute that no rule touches keeps the shares of its table exactly.
"""

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from itertools import accumulate
from typing import Any

from personagen.builder.core.errors import RecipeError
from personagen.builder.core.package_data import read_yaml

Values = dict[str, Any]
"""What is known of a persona: attribute name to value."""


@dataclass(frozen=True, slots=True)
class Condition:
    """Holds where every named attribute has one of its values, and the age is within its bounds.

    Attributes:
        allowed: attribute name to accepted values.
        age: least and greatest age in years, both included; None where age does not matter.

    """

    allowed: tuple[tuple[str, frozenset[Any]], ...] = ()
    age: tuple[int, int] | None = None

    def attributes(self) -> tuple[str, ...]:
        """Name the attributes that the condition looks at."""
        return (*(name for name, _ in self.allowed), *(("age",) if self.age is not None else ()))

    def holds(self, values: Mapping[str, Any]) -> bool:
        """Tell whether the condition holds; an attribute that is not known yet fails it."""
        if self.age is not None and not self.age[0] <= values.get("age", -1) <= self.age[1]:
            return False
        return all(values.get(name) in accepted for name, accepted in self.allowed)


@dataclass(frozen=True, slots=True)
class Rule:
    """Forbids values of one attribute where a condition on earlier attributes holds."""

    when: Condition
    attribute: str
    never: frozenset[Any]
    why: str


@dataclass(frozen=True, slots=True)
class Distribution:
    """The values that an attribute can take, and their shares, which sum to 1."""

    shares: Mapping[str, float]
    values: tuple[str, ...]
    cumulated: tuple[float, ...]

    def draw(self, uniform: float) -> str:
        """Draw a value by inverting the distribution at `uniform` in [0, 1)."""
        return self.values[min(bisect_right(self.cumulated, uniform), len(self.values) - 1)]


@dataclass(frozen=True, slots=True)
class Table:
    """Shares of one attribute's values, by row.

    Attributes:
        name: the attribute.
        rows: condition and shares (value to percent); the first row whose condition holds counts.
        rules: coherence rules that forbid values of this attribute.
        depends: attributes that the conditions of rows and rules look at.
        known: distributions worked out so far, by the values of those attributes.

    """

    name: str
    rows: tuple[tuple[Condition, Mapping[str, float]], ...]
    rules: tuple[Rule, ...]
    depends: tuple[str, ...]
    known: dict[tuple[Any, ...], Distribution] = field(default_factory=dict, compare=False, repr=False)

    def distribution(self, values: Mapping[str, Any]) -> Distribution:
        """Give the distribution of this attribute for what is already drawn.

        Raises:
            RecipeError: the tables and rules contradict each other, so that no value is left.

        """
        key = tuple([values.get(name) for name in self.depends])
        if key not in self.known:
            self.known[key] = self._work_out(values)
        return self.known[key]

    def _work_out(self, values: Mapping[str, Any]) -> Distribution:
        row = next(shares for condition, shares in self.rows if condition.holds(values))
        forbidden = {value for rule in self.rules if rule.when.holds(values) for value in rule.never}
        left = {value: share for value, share in row.items() if share > 0 and value not in forbidden}
        total = sum(left.values())
        if not total:
            raise RecipeError(f"no value of {self.name!r} is left for {dict(values)}; a coherence rule is too strict")
        shares = {value: share / total for value, share in left.items()}
        return Distribution(shares, tuple(shares), tuple(accumulate(shares.values())))


@dataclass(frozen=True, slots=True)
class PersonaTables:
    """All that personas are drawn from.

    Attributes:
        tables: one an attribute, in drawing order; the demographic ones come first.
        occupations: title to ISCO-08 code, group and workplace.
        big_five: trait to the MBTI letter that raises it and their correlation; None where MBTI tells nothing.
        letter_shares: share of the population that has an MBTI letter, in [0, 1].

    """

    tables: tuple[Table, ...]
    occupations: Mapping[str, Mapping[str, str]]
    big_five: Mapping[str, tuple[str, float] | None]
    letter_shares: Mapping[str, float]


def known_values(attribute: str) -> frozenset[str]:
    """Give the values that an attribute has in its table; of "age" the bands. KeyError where there is no such table."""
    tables = {table.name: table for table in persona_tables().tables}
    return frozenset(value for _, shares in tables[attribute].rows for value, share in shares.items() if share > 0)


def condition(spec: Mapping[str, Any] | None) -> Condition:
    """Read the condition language of the tables: attribute to list of values; for age {min, max}."""
    spec = dict(spec or {})
    age = spec.pop("age", None)
    bounds = None if age is None else (age.get("min", 0), age.get("max", 200))
    return Condition(tuple((name, frozenset(values)) for name, values in spec.items()), bounds)


@cache
def coherence_rules() -> tuple[Rule, ...]:
    """Read builder/data/coherence.yaml, one rule an attribute that it forbids values of."""
    return tuple(
        Rule(condition(entry["when"]), attribute, frozenset(values), entry["why"])
        for entry in read_yaml("coherence.yaml")["rules"]
        for attribute, values in entry["never"].items()
    )


@cache
def persona_tables() -> PersonaTables:
    """Read the tables of the demographic and the sociocultural layer."""
    demographic, sociocultural = read_yaml("demographic.yaml"), read_yaml("sociocultural.yaml")
    entries = demographic["attributes"] + sociocultural["attributes"]
    tables = tuple(_table(entry) for entry in entries)
    mbti = next(table for table in tables if table.name == "mbti").distribution({}).shares
    letters = {letter: sum(share for kind, share in mbti.items() if letter in kind) for letter in "EISNTFJP"}
    traits = ("openness", "conscientiousness", "extraversion", "agreeableness", "neuroticism")
    big_five = {trait: demographic["big_five"].get(trait) for trait in traits}
    return PersonaTables(
        tables,
        next(entry["catalogue"] for entry in entries if entry["name"] == "occupation"),
        {trait: None if link is None else (link["letter"], link["correlation"]) for trait, link in big_five.items()},
        letters,
    )


def _table(entry: Mapping[str, Any]) -> Table:
    rows = entry.get("rows") or [{"when": {}, "shares": entry["shares"]}]
    rules = tuple(rule for rule in coherence_rules() if rule.attribute == entry["name"])
    conditioned = tuple((condition(row.get("when")), row["shares"]) for row in rows)
    conditions = [when for when, _ in conditioned] + [rule.when for rule in rules]
    depends = {name for when in conditions for name in when.attributes()}
    return Table(entry["name"], conditioned, rules, tuple(sorted(depends)))
