"""Exact conditional distributions of the attributes of a persona, given conditions that later attributes must meet.

The attributes are drawn one after another. Each is drawn from its distribution given those before, times the
probability that the rest meets the conditions. This probability is computed backwards over the draws (variable
elimination) for the states that differ for later draws: values of an attribute on which the same rows and rules apply
are one state. Conditions can divide the personas into cells; the probability is then known for each cell.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from personagen.builder.planning.personas.steps import Step
from personagen.builder.planning.personas.tables import Distribution, make_distribution

Cell = tuple[str, ...]
"""Labels of a persona, one per attribute that divides the personas, in the order of the draws."""

Message = Mapping[Cell, float]
"""Probability that the draws from one on meet the conditions, by the labels that they give."""


@dataclass(slots=True)
class _Group:
    """Values of an attribute on which no later draw depends differently.

    Attributes:
        derived: attributes that one of the values determines; the others are as good.
        labels: labels of the values.
        values: the values.
        probability: their probability together.

    """

    derived: Mapping[str, Any]
    labels: Cell
    values: list[Any]
    probability: float = 0.0


class Chances:
    """Distributions given that a persona meets its conditions and is in a cell.

    Attributes:
        cell_attributes: attributes that divide the personas, in the order of the labels of a cell.

    """

    def __init__(
        self,
        steps: Sequence[Step],
        accepted: Mapping[str, frozenset[Any]],
        labels: Mapping[str, Mapping[Any, str] | None] | None = None,
    ) -> None:
        """Prepare the draws that the conditions depend on.

        Args:
            steps: draws of a persona, in order.
            accepted: accepted values by attribute; others are free.
            labels: label of each accepted value, by attribute that divides the personas; None: each value is its own.
                None: one cell.

        """
        self._accepted, self._labels = accepted, labels or {}
        self._steps = _relevant(steps, {*accepted, *self._labels})
        self._numbers = {step.name: number for number, step in enumerate(self._steps)}
        divided = [[name for name in derived_names(step) if name in self._labels] for step in self._steps]
        self.cell_attributes = tuple(name for names in divided for name in names)
        self._divided = divided
        self._starts = [sum(map(len, divided[:number])) for number in range(len(divided) + 1)]
        self._live = [self._live_attributes(number) for number in range(len(self._steps) + 1)]
        self._classes: list[dict[tuple[str, Any], Hashable]] = [{} for _ in self._live]
        self._messages: dict[tuple[Any, ...], Message] = {}
        self._grouped: dict[tuple[int, int], tuple[Distribution, list[_Group]]] = {}
        self._conditional: dict[tuple[Any, ...], Distribution] = {}

    def depends_on(self, name: str) -> bool:
        """Return whether the conditions depend on the draw of an attribute."""
        return name in self._numbers

    def cells(self) -> Message:
        """Return the probability of each cell that can occur; they sum to that of the conditions."""
        return self._message(0, {})

    def probability(self) -> float:
        """Return the probability that a persona meets the conditions."""
        return sum(self.cells().values())

    def cell_of(self, values: Mapping[str, Any]) -> Cell | None:
        """Return the cell of a persona; None: it does not meet the conditions."""
        labels: Cell = ()
        for number, step in enumerate(self._steps):
            derived = {name: values.get(name) for name in derived_names(step)}
            label = self._label(number, derived)
            if label is None:
                return None
            labels += label
        return labels

    def distribution(self, step: Step, values: Mapping[str, Any], cell: Cell) -> Distribution:
        """Return the distribution of an attribute, given those drawn before and that the persona is in a cell."""
        number = self._numbers.get(step.name)
        if number is None:
            return step.distribution(values)
        start = self._starts[number]
        key = (number, *self._state(number, values), cell[start:])
        if key not in self._conditional:
            self._conditional[key] = self._condition(number, dict(values), cell[start:])
        return self._conditional[key]

    def _condition(self, number: int, values: dict[str, Any], labels: Cell) -> Distribution:
        step, width = self._steps[number], len(self._divided[number])
        distribution = step.distribution(values)
        rest: dict[Any, float] = {}
        for group in self._groups(number, distribution):
            if group.labels == labels[:width]:
                values.update(group.derived)
                rest |= dict.fromkeys(group.values, self._message(number + 1, values).get(labels[width:], 0.0))
        chances = {
            value: probability * rest[value]
            for value, probability in distribution.probabilities.items()
            if rest.get(value)
        }
        total = sum(chances.values())
        return make_distribution({value: chance / total for value, chance in chances.items()})

    def _message(self, number: int, values: dict[str, Any]) -> Message:
        """Return the probabilities from a draw on; `values` is changed beyond the attributes drawn before it."""
        if number == len(self._steps):
            return {(): 1.0}
        key = (number, *self._state(number, values))
        if key in self._messages:
            return self._messages[key]
        step = self._steps[number]
        message: dict[Cell, float] = {}
        for group in self._groups(number, step.distribution(values)):
            values.update(group.derived)
            for rest, chance in self._message(number + 1, values).items():
                cell = group.labels + rest
                message[cell] = message.get(cell, 0.0) + group.probability * chance
        self._messages[key] = message
        return message

    def _groups(self, number: int, distribution: Distribution) -> "list[_Group]":
        """Return the accepted values in groups that later draws do not distinguish."""
        key = (number, id(distribution))
        if key in self._grouped:
            return self._grouped[key][1]
        step = self._steps[number]
        groups: dict[tuple[Any, ...], _Group] = {}
        for value, probability in distribution.probabilities.items():
            derived = step.derive(value)
            label = self._label(number, derived)
            if label is None or not probability:
                continue
            same = (label, *(self._class(number + 1, name, part) for name, part in derived.items()))
            group = groups.setdefault(same, _Group(derived, label, []))
            group.values.append(value)
            group.probability += probability
        self._grouped[key] = (distribution, list(groups.values()))  # the distribution keeps its id
        return self._grouped[key][1]

    def _label(self, number: int, derived: Mapping[str, Any]) -> Cell | None:
        """Return the labels of drawn attributes; None: a condition does not accept them."""
        for name, value in derived.items():
            if name in self._accepted and value not in self._accepted[name]:
                return None
        labels: list[str] = []
        for name in self._divided[number]:
            by_value, value = self._labels[name], derived[name]
            labels.append(str(value) if by_value is None else by_value.get(value, ""))
        return tuple(labels) if all(labels) else None

    def _state(self, number: int, values: Mapping[str, Any]) -> tuple[Hashable, ...]:
        classes = self._classes[number]
        try:
            return tuple([classes[name, values[name]] for name in self._live[number]])
        except KeyError:
            return tuple([self._class(number, name, values[name]) for name in self._live[number]])

    def _class(self, number: int, name: str, value: Any) -> Hashable:
        """Return the same for values of an attribute that no draw from this one on distinguishes."""
        if name not in self._live[number]:
            return None
        classes = self._classes[number]
        if (name, value) not in classes:
            masks = tuple(step.mask(name, value) for step in self._steps[number:] if name in step.depends_on)
            classes[name, value] = classes.setdefault(("", (name, masks)), len(classes))
        return classes[name, value]

    def _live_attributes(self, number: int) -> tuple[str, ...]:
        """Return the attributes drawn before a draw that it or a later one depends on."""
        before = {name for step in self._steps[:number] for name in derived_names(step)}
        return tuple(sorted(before & {name for step in self._steps[number:] for name in step.depends_on}))


def _relevant(steps: Sequence[Step], names: set[str]) -> tuple[Step, ...]:
    """Return the draws of these attributes, and those that they depend on."""
    wanted, relevant = set(names), list[Step]()
    for step in reversed(steps):
        if wanted & set(derived_names(step)):
            relevant.append(step)
            wanted |= set(step.depends_on)
    return tuple(reversed(relevant))


def derived_names(step: Step) -> tuple[str, ...]:
    """Return the attributes that a draw determines."""
    return ("occupation", "occupation_group", "isco08", "workplace") if step.name == "occupation" else (step.name,)
