"""Attribute tables with cited sources, and the coherence rules that restrict their combinations.

The value of an attribute is drawn from the first row of its table whose condition holds for the attributes drawn
before, without the values that a coherence rule forbids. Personas are therefore coherent by construction, without
rejection sampling, and an attribute that no rule restricts has exactly the percentages of its table.
"""

import hashlib
import json
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import accumulate
from typing import Any

from personagen.builder.core.errors import RecipeError
from personagen.builder.core.package_data import read_yaml
from personagen.builder.planning.personas.occupations import occupation_rows

DRAWING_VERSION = 1
"""Version of the draws: to be raised if equal tables give other personas."""

DRAWN_KEYS = ("name", "shares", "rows", "employment", "women", "catalogue")
"""Keys of a table that its draws depend on."""

Values = dict[str, Any]
"""Attributes drawn so far: name to value."""


@dataclass(frozen=True, slots=True)
class Condition:
    """A conjunction: each named attribute has one of its accepted values, and the age is within its bounds.

    Attributes:
        allowed: attribute name and accepted values.
        age: minimum and maximum age in years, both included. None: any age.

    """

    allowed: tuple[tuple[str, frozenset[Any]], ...] = ()
    age: tuple[int, int] | None = None

    def attributes(self) -> tuple[str, ...]:
        """Return the names of the attributes that the condition depends on."""
        return (*(name for name, _ in self.allowed), *(("age",) if self.age is not None else ()))

    def holds(self, values: Mapping[str, Any]) -> bool:
        """Return whether the condition holds; a missing attribute fails it."""
        if self.age is not None and not self.age[0] <= values.get("age", -1) <= self.age[1]:
            return False
        for name, accepted in self.allowed:  # noqa: SIM110 - a generator takes twice as long, in half of a plan's time
            if values.get(name) not in accepted:
                return False
        return True

    def may_hold(self, values: Mapping[str, Any]) -> bool:
        """Return whether the condition holds for what is known; a missing attribute does not fail it."""
        return all(self.admits(name, values[name]) for name in self.attributes() if values.get(name) is not None)

    def admits(self, name: str, value: Any) -> bool:
        """Return whether the condition can hold with this value of an attribute; None: the attribute is missing."""
        if (
            name == "age"
            and self.age is not None
            and not self.age[0] <= (-1 if value is None else value) <= self.age[1]
        ):
            return False
        return all(value in accepted for attribute, accepted in self.allowed if attribute == name)


@dataclass(frozen=True, slots=True)
class Rule:
    """A coherence rule: values of one attribute that are forbidden if a condition on earlier attributes holds."""

    when: Condition
    attribute: str
    never: frozenset[Any]
    why: str


@dataclass(frozen=True, slots=True)
class Distribution:
    """A discrete distribution.

    Attributes:
        probabilities: value to probability; they sum to 1.
        values: the values, in the same order.
        cumulated: cumulated probabilities, in the same order.

    """

    probabilities: Mapping[Any, float]
    values: tuple[Any, ...]
    cumulated: tuple[float, ...]

    def draw(self, uniform: float) -> Any:
        """Draw a value by inverting the cumulative distribution at `uniform` in [0, 1)."""
        # The last cumulated probability can be below 1 by rounding.
        return self.values[min(bisect_right(self.cumulated, uniform), len(self.values) - 1)]


def make_distribution(probabilities: Mapping[Any, float]) -> Distribution:
    """Make a distribution from probabilities that sum to 1."""
    return Distribution(probabilities, tuple(probabilities), tuple(accumulate(probabilities.values())))


@dataclass(frozen=True, slots=True)
class Table:
    """The conditional distributions of one attribute.

    Attributes:
        name: the attribute.
        rows: condition, and value to percentage; the first row whose condition holds applies.
        rules: coherence rules that forbid values of this attribute.
        depends_on: attributes that the conditions of rows and rules depend on.
        masks: conditions that a value of an attribute leaves possible, by attribute and value: one bit per row, then
            one per rule.
        computed: distributions computed so far, by the conditions that hold; values of attributes are far more varied.

    """

    name: str
    rows: tuple[tuple[Condition, Mapping[str, float]], ...]
    rules: tuple[Rule, ...]
    depends_on: tuple[str, ...]
    masks: dict[tuple[str, Any], int] = field(default_factory=dict, compare=False, repr=False)
    computed: dict[int, Distribution] = field(default_factory=dict, compare=False, repr=False)

    def distribution(self, values: Mapping[str, Any]) -> Distribution:
        """Return the distribution of this attribute given the attributes drawn so far.

        Raises:
            RecipeError: the rules forbid every value of the row.

        """
        holding = -1
        for name in self.depends_on:
            part = (name, values.get(name))
            if part not in self.masks:
                self.masks[part] = self.mask(*part)
            holding &= self.masks[part]
        if holding not in self.computed:
            self.computed[holding] = self._compute(values)
        return self.computed[holding]

    def known_values(self) -> tuple[str, ...]:
        """Return the values that the attribute can have, in the order of the rows; those of age are bands."""
        values = (value for _, row in self.rows for value, percentage in row.items() if percentage > 0)
        return tuple(dict.fromkeys(values))

    def mask(self, name: str, value: Any) -> int:
        """Return a bit per condition that holds as far as it depends on an attribute."""
        conditions = [condition for condition, _ in self.rows] + [rule.when for rule in self.rules]
        return sum(condition.admits(name, value) << number for number, condition in enumerate(conditions))

    def _compute(self, values: Mapping[str, Any]) -> Distribution:
        row = next((row for condition, row in self.rows if condition.holds(values)), {})
        forbidden = {value for rule in self.rules if rule.when.holds(values) for value in rule.never}
        allowed = {value: percentage for value, percentage in row.items() if percentage > 0 and value not in forbidden}
        total = sum(allowed.values())
        if not total:
            raise RecipeError(f"no value of {self.name!r} is left for {dict(values)}; a coherence rule is too strict")
        return make_distribution({value: percentage / total for value, percentage in allowed.items()})


NOT_IN_WORK: Mapping[str, str | None] = {"isco": None, "group": "not in work", "workplace": None}
"""Facts on the occupation of a persona without a job."""


@dataclass(frozen=True, slots=True)
class PersonaTables:
    """All tables that personas are drawn from.

    Attributes:
        tables: one per attribute, in drawing order: each follows those that it depends on. The age is the first.
        order: the attributes in the order of their random numbers, which is that of the files.
        occupations: job title to ISCO-08 code, group and workplace.
        big_five: trait to the MBTI letter that raises it and their correlation. None: independent of MBTI.
        letter_probabilities: fraction of the population that has an MBTI letter, in [0, 1].
        own: tables of the attributes that a recipe defines, in drawing order.
        where: condition that every persona meets.

    """

    tables: tuple[Table, ...]
    order: tuple[str, ...]
    occupations: Mapping[str, Mapping[str, str]]
    big_five: Mapping[str, tuple[str, float] | None]
    letter_probabilities: Mapping[str, float]
    own: tuple[Table, ...] = ()
    where: Condition = Condition()

    @property
    def all_tables(self) -> tuple[Table, ...]:
        """The tables of the package, and those of the recipe's attributes."""
        return (*self.tables, *self.own)

    def job_of(self, occupation: str) -> Mapping[str, str | None]:
        """Return ISCO-08 code, group and workplace of an occupation; of none: no code, no workplace."""
        return self.occupations.get(occupation, NOT_IN_WORK)


def known_values(attribute: str) -> frozenset[str]:
    """Return the values that an attribute has in its table, for "age" the bands; KeyError if it has no table."""
    tables = {table.name: table for table in persona_tables().tables}
    return frozenset(tables[attribute].known_values())


def parse_condition(spec: Mapping[str, Any] | None) -> Condition:
    """Parse a condition of the data files: attribute to list of values, for age {min, max}. None: always true."""
    spec = dict(spec or {})
    age = spec.pop("age", None)
    bounds = None if age is None else (age.get("min", 0), age.get("max", 200))
    return Condition(tuple((name, frozenset(values)) for name, values in spec.items()), bounds)


@cache
def coherence_rules() -> tuple[Rule, ...]:
    """Load builder/data/coherence.yaml: one rule per attribute that an entry restricts."""
    return tuple(
        Rule(parse_condition(entry["when"]), attribute, frozenset(values), entry["why"])
        for entry in read_yaml("coherence.yaml")["rules"]
        for attribute, values in entry["never"].items()
    )


@cache
def persona_tables() -> PersonaTables:
    """Load the tables of the demographic and the sociocultural layer."""
    demographic, sociocultural = read_yaml("demographic.yaml"), read_yaml("sociocultural.yaml")
    entries = demographic["attributes"] + sociocultural["attributes"]
    tables = tuple(_table(entry) for entry in entries)
    mbti = next(table for table in tables if table.name == "mbti").distribution({}).probabilities
    letters = {letter: sum(value for kind, value in mbti.items() if letter in kind) for letter in "EISNTFJP"}
    traits = ("openness", "conscientiousness", "extraversion", "agreeableness", "neuroticism")
    big_five = {trait: demographic["big_five"].get(trait) for trait in traits}
    return PersonaTables(
        _in_drawing_order(tables),
        tuple(table.name for table in tables),
        next(entry["catalogue"] for entry in entries if entry["name"] == "occupation"),
        {trait: None if link is None else (link["letter"], link["correlation"]) for trait, link in big_five.items()},
        letters,
    )


@cache
def tables_id() -> str:
    """Return 16 hex digits of the SHA-256 of all that personas are drawn from: another id means other personas."""
    files = [read_yaml(name) for name in ("demographic.yaml", "sociocultural.yaml")]
    entries = [
        {key: entry[key] for key in DRAWN_KEYS if key in entry} for file in files for entry in file["attributes"]
    ]
    rules = [{key: rule[key] for key in ("when", "never")} for rule in read_yaml("coherence.yaml")["rules"]]
    drawn = [DRAWING_VERSION, entries, files[0]["big_five"], rules]
    return hashlib.sha256(json.dumps(drawn).encode()).hexdigest()[:16]


def _in_drawing_order(tables: Sequence[Table]) -> tuple[Table, ...]:
    """Return the tables so that each follows those that it depends on, as near to their own order as possible."""
    determined_by = {"occupation_group": "occupation"}
    left, ordered = list(tables), list[Table]()
    while left:
        names = {table.name for table in left}
        table = next(
            table for table in left if not names & {determined_by.get(name, name) for name in table.depends_on}
        )
        ordered.append(table)
        left.remove(table)
    return tuple(ordered)


def _table(entry: Mapping[str, Any]) -> Table:
    rows = entry.get("rows") or [{"when": {}, "shares": entry["shares"]}]
    if "employment" in entry:
        *rows, titles = rows
        rows = [*rows, *occupation_rows(entry, titles["shares"])]
    rules = tuple(rule for rule in coherence_rules() if rule.attribute == entry["name"])
    return make_table(entry["name"], [(parse_condition(row.get("when")), row["shares"]) for row in rows], rules)


def make_table(name: str, rows: Sequence[tuple[Condition, Mapping[str, float]]], rules: tuple[Rule, ...]) -> Table:
    """Make the table of an attribute from its rows and the rules that forbid values of it."""
    conditions = [when for when, _ in rows] + [rule.when for rule in rules]
    names = {part for when in conditions for part in when.attributes()}
    return Table(name, tuple(rows), rules, tuple(sorted(names)))
