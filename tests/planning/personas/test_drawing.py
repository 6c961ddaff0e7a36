"""Personas: coherent without exception, close to their tables, and covering pairs better than independent draws."""

import random
from collections import Counter
from collections.abc import Sequence
from functools import cache
from statistics import mean, pstdev
from typing import Any

import pytest

from personagen.builder.core.package_data import read_yaml
from personagen.builder.planning.personas.drawing import (
    COVERED_ATTRIBUTES,
    MAX_DESIGNED,
    draw_persona,
    draw_values,
    make_design,
    possible_pairs,
    value_pairs,
)
from personagen.builder.planning.personas.tables import coherence_rules, persona_tables

FEW = 3_000
MANY = pytest.param(100_000, marks=pytest.mark.slow)
BIG_FIVE = ("openness", "conscientiousness", "extraversion", "agreeableness", "neuroticism")


@cache
def sample(size: int) -> list[dict[str, Any]]:
    tables = persona_tables()
    return [draw_values(tables, 1, number, 0) for number in range(size)]


@pytest.mark.parametrize("size", [FEW, MANY])
def test_no_persona_is_incoherent(size: int) -> None:
    rules = coherence_rules()
    broken = Counter(
        rule.why
        for values in sample(size)
        for rule in rules
        if values[rule.attribute] in rule.never and rule.when.holds(values)
    )
    assert broken == {}
    assert len(rules) > 80


@pytest.mark.parametrize("size", [FEW, MANY])
def test_hand_checked_absurdities_do_not_occur(size: int) -> None:
    for values in sample(size):
        assert not (values["age"] < 25 and values["occupation"] in {"surgeon", "judge"})
        assert not (values["age"] < 22 and values["education"] in {"master", "doctorate"})
        assert not (values["work"] == "retired" and values["age"] < 55)
        assert values["value_primary"] != values["value_secondary"]
        assert (values["isco08"] is None) == (values["work"] != "employed")


@pytest.mark.parametrize("size", [FEW, MANY])
def test_attributes_have_the_distributions_of_their_tables(size: int) -> None:
    """Compare observed with expected counts, given the attributes drawn before: within 5 standard deviations."""
    tables, expected, observed, variance = persona_tables(), Counter(), Counter(), Counter()  # type: ignore[var-annotated]
    for values in sample(size):
        for table in tables.tables:
            name = "age_band" if table.name == "age" else table.name
            observed[name, values[name]] += 1
            for value, probability in table.distribution(values).probabilities.items():
                expected[name, value] += probability
                variance[name, value] += probability * (1 - probability)
    off = {
        key: (observed[key], round(expected[key]))
        for key in expected
        if abs(observed[key] - expected[key]) > 5 * variance[key] ** 0.5 + 1
    }
    assert off == {}


@pytest.mark.parametrize("size", [FEW, MANY])
def test_big_five_are_percentiles_that_follow_the_letters(size: int) -> None:
    personas = sample(size)
    for trait, high, low in (("extraversion", "E", "I"), ("openness", "N", "S"), ("conscientiousness", "J", "P")):
        means = [mean(values[trait] for values in personas if letter in values["mbti"]) for letter in (high, low)]
        assert means[0] > means[1] + 15
    for trait in BIG_FIVE:  # a uniform percentile has a standard deviation of 29
        assert mean(values[trait] for values in personas) == pytest.approx(50, abs=5 * 29 / size**0.5 + 0.2)
        assert pstdev(values[trait] for values in personas) == pytest.approx(29, abs=1)
        assert all(1 <= values[trait] <= 99 for values in personas)


def test_values_are_reproducible() -> None:
    tables = persona_tables()
    assert draw_values(tables, 3, 5, 1) == draw_values(tables, 3, 5, 1)
    draws = [(3, 5, 1), (4, 5, 1), (3, 6, 1), (3, 5, 2)]
    assert len({str(draw_values(tables, *arguments)) for arguments in draws}) == len(draws)


@pytest.mark.parametrize("count", [36, 500])
def test_a_design_covers_more_pairs_than_independent_draws(count: int) -> None:
    tables = persona_tables()
    designed = [make_design(tables, seed, count).pairs for seed in range(5)]
    independent = [
        len({pair for number in range(count) for pair in value_pairs(draw_values(tables, seed, number, 0))})
        for seed in range(5)
    ]
    assert min(designed) > max(independent)
    assert max(designed) <= possible_pairs(tables)


def total_variation(personas: Sequence[dict[str, Any]], reference: Sequence[dict[str, Any]]) -> float:
    """Return the total variation distance of two samples, averaged over the covered attributes."""
    distances = []
    for name in COVERED_ATTRIBUTES:
        one, other = (Counter(values[name] for values in group) for group in (personas, reference))
        distances.append(sum(abs(one[key] / len(personas) - other[key] / len(reference)) for key in one | other) / 2)
    return mean(distances)


def test_a_design_is_closer_to_the_tables_than_independent_draws() -> None:
    """Covering pairs alone would prefer rare values: the penalty for surplus values outweighs it."""
    tables, reference = persona_tables(), sample(10_000)
    designed, independent = [], []
    for seed in range(2, 6):
        design = make_design(tables, seed, 200)
        designed.append(total_variation([dict(draw_persona(tables, design, i).values) for i in range(200)], reference))
        independent.append(total_variation([draw_values(tables, seed, i, 0) for i in range(200)], reference))
    assert mean(designed) < mean(independent)


def test_the_first_personas_of_a_design_do_not_depend_on_their_number() -> None:
    tables = persona_tables()
    assert make_design(tables, 7, 60).choices[:20] == make_design(tables, 7, 20).choices


@pytest.mark.slow
def test_a_design_stops_at_its_limit() -> None:
    assert len(make_design(persona_tables(), 0, MAX_DESIGNED + 5).choices) == MAX_DESIGNED


def test_draws_are_chosen_on_demand() -> None:
    """A plan of any size begins at once, and the order of the questions changes no answer."""
    design = make_design(persona_tables(), 5, 100_000_000)
    assert [design.draw_of(7), len(design.chosen), design.draw_of(3), len(design.chosen)] == [
        make_design(persona_tables(), 5, 8).choices[7], 8, make_design(persona_tables(), 5, 4).choices[3], 8,
    ]  # fmt: skip


def test_personas_after_the_designed_ones_are_the_first_draw() -> None:
    tables = persona_tables()
    design = make_design(tables, 3, 2 * MAX_DESIGNED)
    chosen = next(number for number in range(100) if design.draw_of(number))
    assert draw_persona(tables, design, chosen).values == draw_values(tables, 3, chosen, design.draw_of(chosen))
    assert draw_persona(tables, design, MAX_DESIGNED).values == draw_values(tables, 3, MAX_DESIGNED, 0)
    assert len(design.chosen) == chosen + 1


def test_a_persona_is_the_same_in_any_order_of_drawing() -> None:
    tables = persona_tables()
    design = make_design(tables, 3, 20)
    order = random.Random(0).sample(range(20), 20)
    personas = {number: draw_persona(tables, design, number) for number in order}
    assert [personas[number] for number in range(20)] == [draw_persona(tables, design, number) for number in range(20)]
    assert personas[7].id == "p000007"
    assert personas[7].demographic.age == personas[7].values["age"]


def test_possible_pairs_count_every_combination_of_two_values() -> None:
    sizes = [
        len({value for row in entry.get("rows", [entry]) for value in row["shares"]})
        for file in ("demographic.yaml", "sociocultural.yaml")
        for entry in read_yaml(file)["attributes"]
        if entry["name"] in {"age", *COVERED_ATTRIBUTES}
    ]
    groups = len({job["group"] for job in persona_tables().occupations.values()}) + 1  # and not in work
    total = sum(sizes) + groups
    squares = sum(size**2 for size in sizes) + groups**2
    assert possible_pairs(persona_tables()) == (total**2 - squares) // 2
