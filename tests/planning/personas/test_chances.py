"""Exact conditional distributions, against full enumeration of small tables and against rejection of plain draws."""

import random
from collections import Counter
from collections.abc import Mapping
from functools import cache
from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from personagen.builder.planning.personas.chances import Chances
from personagen.builder.planning.personas.conditions import parse_conditions, vocabulary_of
from personagen.builder.planning.personas.drawing import draw_values
from personagen.builder.planning.personas.steps import Step, steps_of
from personagen.builder.planning.personas.tables import Condition, Rule, make_table, persona_tables

NAMES = ("first", "second", "third", "fourth")
VALUES = ("a", "b", "c")


@st.composite
def chains(draw: st.DrawFn) -> tuple[Step, ...]:
    """Draw a chain of tables with conditions on earlier attributes, and rules that leave "a" possible."""
    steps = []
    for number, name in enumerate(NAMES):
        earlier = st.dictionaries(
            st.sampled_from(NAMES[:number]), st.frozensets(st.sampled_from(VALUES), min_size=1), max_size=2
        ) if number else st.just({})  # fmt: skip
        shares = st.fixed_dictionaries({value: st.integers(1, 5) for value in VALUES})
        rows = [(_condition(draw(earlier)), draw(shares)) for _ in range(draw(st.integers(0, 2)))]
        rows.append((Condition(), draw(shares)))
        never = st.frozensets(st.sampled_from(VALUES[1:]), min_size=1)
        rules = tuple(Rule(_condition(draw(earlier)), name, draw(never), "") for _ in range(draw(st.integers(0, 2))))
        table = make_table(name, rows, rules)
        steps.append(
            Step(name, table.depends_on, table.distribution, table.mask, lambda value, name=name: {name: value})
        )
    return tuple(steps)


def _condition(accepted: Mapping[str, frozenset[str]]) -> Condition:
    return Condition(tuple(accepted.items()))


def enumerated(steps: tuple[Step, ...]) -> dict[tuple[str, ...], float]:
    """Return the probability of every combination of values, by the chain rule."""
    joint: dict[tuple[str, ...], float] = {}
    for combination in product(VALUES, repeat=len(steps)):
        values, probability = dict(zip(NAMES, combination, strict=True)), 1.0
        for step in steps:
            probability *= step.distribution(values).probabilities.get(values[step.name], 0.0)
        joint[combination] = probability
    return joint


@given(
    chains(),
    st.dictionaries(st.sampled_from(NAMES), st.frozensets(st.sampled_from(VALUES), min_size=1), max_size=3),
    st.sets(st.sampled_from(NAMES), max_size=2),
)
@settings(deadline=None)
def test_probabilities_and_draws_are_those_of_full_enumeration(
    steps: tuple[Step, ...], accepted: dict[str, frozenset[str]], divided: set[str]
) -> None:
    chances = Chances(steps, accepted, dict.fromkeys(divided))
    meets = {
        combination: probability
        for combination, probability in enumerated(steps).items()
        if probability and all(combination[NAMES.index(name)] in values for name, values in accepted.items())
    }
    cells: Counter[tuple[str, ...]] = Counter()
    for combination, probability in meets.items():
        cells[tuple(combination[NAMES.index(name)] for name in chances.cell_attributes)] += probability  # type: ignore[assignment]
    assert chances.cells() == pytest.approx(dict(cells))
    assert chances.probability() == pytest.approx(sum(meets.values()))
    for cell, total in cells.items():
        drawn = dict.fromkeys(meets, 1.0)
        for combination in meets:
            values = dict(zip(NAMES, combination, strict=True))
            for step in steps:
                distribution = chances.distribution(step, values, cell)
                drawn[combination] *= distribution.probabilities.get(values[step.name], 0.0)
                if not drawn[combination]:
                    break
        wanted = {
            combination: probability / total
            for combination, probability in meets.items()
            if tuple(combination[NAMES.index(name)] for name in chances.cell_attributes) == cell
        }
        assert {key: value for key, value in drawn.items() if value} == pytest.approx(wanted)


@cache
def plain(count: int) -> list[dict[str, Any]]:
    return [draw_values(persona_tables(), 11, number, 0) for number in range(count)]


CONDITIONS: tuple[dict[str, Any], ...] = (
    {"occupation_group": "professionals", "age": {"min": 30, "max": 49}},
    {"household": ["alone", "flatmates"], "country": {"not": ["China", "India"]}},
    {"register": "formal", "gender": "woman"},
    {"extraversion": {"min": 70}, "neuroticism": {"max": 40}},
    {"means": {"not": ["struggling", "getting by"]}, "work": ["student", "retired"]},
)


@pytest.mark.parametrize("conditions", CONDITIONS, ids=str)
def test_shares_are_those_of_plain_draws_that_meet_the_conditions(conditions: dict[str, Any]) -> None:
    """Compare the fraction that is rejected, and every attribute of those left: within 5 standard deviations."""
    tables = persona_tables()
    where = parse_conditions("where", conditions, vocabulary_of(tables))
    chances, steps = Chances(steps_of(tables), dict(where.allowed)), steps_of(tables)
    everyone = plain(12_000)
    kept = [values for values in everyone if where.holds(values)]
    probability = chances.probability()
    error = (probability * (1 - probability) / len(everyone)) ** 0.5
    assert len(kept) / len(everyone) == pytest.approx(probability, abs=5 * error)
    rng, drawn = random.Random(3), []
    for _ in range(3_000):
        values: dict[str, Any] = {}
        for step in steps:
            values |= step.derive(chances.distribution(step, values, ()).draw(rng.random()))
        assert where.holds(values)
        drawn.append(values)
    for name in (
        "age_band",
        "gender",
        "work",
        "occupation_group",
        "country",
        "education",
        "household",
        "means",
        "register",
    ):
        observed, wanted = (Counter(values[name] for values in group) for group in (drawn, kept))
        for value in observed | wanted:
            share = (observed[value] + wanted[value]) / (len(drawn) + len(kept))
            deviation = (share * (1 - share) * (1 / len(drawn) + 1 / len(kept))) ** 0.5
            assert abs(observed[value] / len(drawn) - wanted[value] / len(kept)) < 5 * deviation + 1e-9, (name, value)


@pytest.mark.parametrize("trait", ["openness", "conscientiousness", "extraversion", "agreeableness", "neuroticism"])
def test_the_distribution_of_a_trait_is_that_of_its_draws(trait: str) -> None:
    """Given the MBTI type: quartiles of plain draws within 5 standard deviations of the integrated distribution."""
    step = next(step for step in steps_of(persona_tables()) if step.name == trait)
    for letters in ("ENFJ", "ISTP"):
        probabilities = step.distribution({"mbti": letters}).probabilities
        assert sum(probabilities.values()) == pytest.approx(1)
        same = [values for values in plain(12_000) if step.mask("mbti", values["mbti"]) == step.mask("mbti", letters)]
        for bound in (25, 50, 75):
            expected = sum(chance for value, chance in probabilities.items() if value <= bound)
            observed = sum(values[trait] <= bound for values in same) / len(same)
            assert observed == pytest.approx(expected, abs=5 * (0.25 / len(same)) ** 0.5)
