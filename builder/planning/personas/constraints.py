"""What a recipe asks of its personas: conditions that all meet, and fractions of cells of them.

conditions -> accepted values -> `Chances`: exact distributions given them; balance and weights -> cells with targets
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import product
from typing import Any, Protocol

from personagen.builder.planning.personas.cells import DealtCells, Margin, deal_cells, even_margin, fit_cells
from personagen.builder.planning.personas.chances import Cell, Chances
from personagen.builder.planning.personas.conditions import (
    PERCENTILES,
    Vocabulary,
    matching_values,
    parse_conditions,
    require_attribute,
    vocabulary_of,
)
from personagen.builder.planning.personas.exclusion import explain_exclusion
from personagen.builder.planning.personas.own_attributes import with_own_attributes
from personagen.builder.planning.personas.steps import Step, steps_of, years_of
from personagen.builder.planning.personas.tables import Condition, Distribution, PersonaTables

MIN_PROBABILITY = 1e-8
"""Probability of a persona that meets the conditions below which a recipe is refused. That of the rarest occupation in
the rarest country is 1e-7."""

MAX_CELLS = 20_000
"""Most combinations of balanced and weighted attributes."""

MAX_NAMED_CELLS = 3
"""Impossible combinations that a message names."""

ADVICE = "change one of the conditions"
"""End of messages on conditions that exclude each other."""


class PersonaConstraints(Protocol):
    """The section `personas` of a recipe."""

    @property
    def where(self) -> Mapping[str, Any]:
        """Conditions that every persona meets, by attribute."""

    @property
    def balance(self) -> tuple[str, ...]:
        """Attributes whose combinations of values are equally frequent."""

    @property
    def weights(self) -> Mapping[str, Mapping[str, float]]:
        """Shares of the values of an attribute, by attribute."""

    @property
    def attributes(self) -> Mapping[str, Any]:
        """Attributes that the recipe defines, by name."""


@dataclass(frozen=True, slots=True)
class Constraints:
    """Conditions and cells of the personas of a recipe.

    Attributes:
        chances: distributions given the conditions and a cell.
        dealt: cell of each persona.
        steps: draws of a persona by attribute.
        missing: combinations of balanced attributes that no persona has.

    """

    chances: Chances
    dealt: DealtCells
    steps: Mapping[str, Step]
    missing: tuple[Cell, ...]

    def distribution(self, name: str, values: Mapping[str, Any], number: int) -> Distribution:
        """Return the distribution of an attribute of a persona, given those drawn before."""
        return self.chances.distribution(self.steps[name], values, self.dealt.cell_of(number))

    def is_drawn(self, name: str) -> bool:
        """Return whether the conditions depend on an attribute."""
        return self.chances.depends_on(name)

    @property
    def notes(self) -> tuple[str, ...]:
        """Remarks for the user of the recipe: combinations that cannot be balanced."""
        if not self.missing:
            return ()
        named = ", ".join(" and ".join(cell) for cell in self.missing[:MAX_NAMED_CELLS])
        rest = len(self.missing) - MAX_NAMED_CELLS
        more = f" and {rest} more combinations" if rest > 0 else ""
        return (f"personas.balance: no persona is {named}{more}; the others are equally frequent",)


def tables_for(tables: PersonaTables, settings: PersonaConstraints | None) -> PersonaTables:
    """Return the tables with the attributes of a recipe and the condition that its personas meet.

    Raises:
        ValueError: an attribute is refused, or a condition names an attribute or a value that no persona has.

    """
    if settings is None:
        return tables
    attributes = {name: own.model_dump() for name, own in settings.attributes.items()}
    extended = with_own_attributes(tables, attributes)
    vocabulary = vocabulary_of(extended)
    conditions = dict(parse_conditions("personas.where", settings.where, vocabulary).allowed)
    for name in settings.weights:
        named = frozenset(_weight_labels(name, settings.weights[name], vocabulary))
        conditions[name] = conditions.get(name, named) & named
        if not conditions[name]:
            raise ValueError(f"personas.weights.{name}: personas.where accepts none of the values; {ADVICE}")
    for name in settings.balance:
        require_attribute("personas.balance", name, vocabulary)
        conditions.setdefault(name, frozenset(vocabulary[name]))  # personas without a job have no isco08
        if tuple(vocabulary[name]) == tuple(PERCENTILES):
            raise ValueError(f"personas.balance: {name} is a number from 1 to 99, wanted attributes with named values")
    return replace(extended, where=Condition(tuple(sorted(conditions.items()))))


def make_constraints(tables: PersonaTables, settings: PersonaConstraints | None, seed: int) -> Constraints | None:
    """Return the conditions and the cells of a recipe's personas. None: there are none.

    Args:
        tables: see `tables_for`.
        settings: section of the recipe.
        seed: seed of the recipe.

    Raises:
        ValueError: hardly a persona meets the conditions, or the shares contradict each other.

    """
    if settings is None or not (settings.where or settings.balance or settings.weights):
        return None
    steps, accepted = steps_of(tables), dict(tables.where.allowed)
    balanced = [_divided_by(name) for name in settings.balance]
    labels: dict[str, Mapping[Any, str]] = {
        **{_divided_by(name): _labels(name, tables, accepted) for name in settings.balance},
        **{name: _weight_labels(name, shares, vocabulary_of(tables)) for name, shares in settings.weights.items()},
    }
    _require_few_cells(labels)
    chances = Chances(steps, accepted, labels)
    if chances.probability() < MIN_PROBABILITY:
        raise ValueError(f"personas.where: {explain_exclusion(tables, accepted, MIN_PROBABILITY)}; {ADVICE}")
    _require_weighted_values(chances, tables, labels, settings.weights)
    targets = _targets(chances, settings.weights, balanced)
    missing = _missing(chances, balanced, [labels[name] for name in balanced])
    return Constraints(chances, deal_cells(targets, seed), {step.name: step for step in steps}, missing)


def _require_weighted_values(
    chances: Chances,
    tables: PersonaTables,
    labels: Mapping[str, Mapping[Any, str]],
    weights: Mapping[str, Mapping[str, float]],
) -> None:
    """Raise ValueError if no persona that meets the conditions has a value that is to have a share."""
    for name, shares in weights.items():
        position = chances.cell_attributes.index(name)
        possible = {cell[position] for cell in chances.cells()}
        for pattern, share in shares.items():
            if share and pattern not in possible:
                values = frozenset(value for value, label in labels[name].items() if label == pattern)
                reason = explain_exclusion(tables, dict(tables.where.allowed) | {name: values}, MIN_PROBABILITY)
                raise ValueError(f"personas.weights.{name}: {reason}; {ADVICE}")


def _targets(chances: Chances, weights: Mapping[str, Mapping[str, float]], balanced: list[str]) -> dict[Cell, float]:
    """Return the target fractions of the cells; ValueError if the shares contradict each other."""
    names, margins = chances.cell_attributes, list[Margin]()
    for name, shares in weights.items():
        total = sum(shares.values())
        by_label: dict[Cell, float] = {(pattern,): share / total for pattern, share in shares.items() if share}
        margins.append(((names.index(name),), by_label))
    if balanced:
        margins.append(even_margin(chances.cells(), tuple(map(names.index, balanced))))
    try:
        return fit_cells(chances.cells(), margins)
    except ArithmeticError as error:
        cell, fraction, target = error.args
        raise ValueError(
            f"personas: the shares cannot be met together: {' and '.join(cell)} would be {fraction:.1%} of the "
            f"personas, wanted {target:.1%}; change weights or balance"
        ) from None


def _divided_by(name: str) -> str:
    """Return the attribute that divides the personas for a balanced one: ages are balanced by band."""
    return "age_band" if name == "age" else name


def _labels(name: str, tables: PersonaTables, accepted: Mapping[str, frozenset[Any]]) -> dict[Any, str]:
    """Return the accepted values of a balanced attribute, each as its own label."""
    if name == "age":
        bands = tables.tables[0].known_values()
        return {band: band for band in bands if accepted["age"] & set(years_of(band))}
    return {value: str(value) for value in vocabulary_of(tables)[name] if value in accepted[name]}


def _weight_labels(name: str, shares: Mapping[str, float], vocabulary: Vocabulary) -> dict[Any, str]:
    """Return the values that the shares of an attribute name, each with the name or pattern that stands for it."""
    key = f"personas.weights.{name}"
    require_attribute(key, name, vocabulary)
    labels: dict[Any, str] = {}
    for pattern, share in shares.items():
        for value in matching_values(key, name, pattern, vocabulary[name]) if share else ():
            if value in labels:
                raise ValueError(f"{key}: {value!r} is both {labels[value]!r} and {pattern!r}; name each value once")
            labels[value] = pattern
    return labels


def _require_few_cells(labels: Mapping[str, Mapping[Any, str]]) -> None:
    count = 1
    for by_value in labels.values():
        count *= len(set(by_value.values()))
    if count > MAX_CELLS:
        raise ValueError(
            f"personas: balance and weights have {count:,} combinations of {', '.join(labels)}, wanted at most "
            f"{MAX_CELLS:,}; name fewer attributes"
        )


def _missing(chances: Chances, balanced: list[str], labels: list[Mapping[Any, str]]) -> tuple[Cell, ...]:
    """Return the combinations of balanced attributes that no persona has."""
    positions = [chances.cell_attributes.index(name) for name in balanced]
    possible = {tuple(cell[position] for position in positions) for cell in chances.cells()}
    return tuple(cell for cell in product(*(dict.fromkeys(by.values()) for by in labels)) if cell not in possible)
