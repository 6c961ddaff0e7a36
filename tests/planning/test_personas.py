"""Personas: coherent without exception, true to their tables, and covering pairs better than independent draws."""

import random
from collections import Counter
from functools import cache
from typing import Any

import pytest

from personagen.builder.core.package_data import read_yaml
from personagen.builder.planning.attribute_tables import coherence_rules, persona_tables
from personagen.builder.planning.personas import draw_persona, draw_values, make_design, possible_pairs, value_pairs

SAMPLES = 100_000


@cache
def sample() -> list[dict[str, Any]]:
    tables = persona_tables()
    return [draw_values(tables, 1, number, 0) for number in range(SAMPLES)]


@pytest.mark.slow
def test_none_of_100_000_personas_is_incoherent() -> None:
    rules = coherence_rules()
    broken = Counter(
        rule.why
        for values in sample()
        for rule in rules
        if values[rule.attribute] in rule.never and rule.when.holds(values)
    )
    assert broken == {}
    assert len(rules) > 80


@pytest.mark.slow
def test_hand_checked_absurdities_do_not_occur() -> None:
    for values in sample():
        assert not (values["age"] < 25 and values["occupation"] in {"surgeon", "judge"})
        assert not (values["age"] < 22 and values["education"] in {"master", "doctorate"})
        assert not (values["work"] == "retired" and values["age"] < 55)
        assert values["value_primary"] != values["value_secondary"]
        assert (values["isco08"] is None) == (values["work"] != "employed")


@pytest.mark.slow
def test_attributes_keep_the_shares_of_their_tables() -> None:
    """Observed counts against those that the tables expect, given what each persona drew before: within 5 sigma."""
    tables, expected, observed, variance = persona_tables(), Counter(), Counter(), Counter()  # type: ignore[var-annotated]
    for values in sample():
        for table in tables.tables:
            name = "age_band" if table.name == "age" else table.name
            observed[name, values[name]] += 1
            for value, share in table.distribution(values).probabilities.items():
                expected[name, value] += share
                variance[name, value] += share * (1 - share)
    off = {
        key: (observed[key], round(expected[key]))
        for key in expected
        if abs(observed[key] - expected[key]) > 5 * variance[key] ** 0.5 + 1
    }
    assert off == {}


@pytest.mark.slow
def test_attributes_that_no_rule_touches_match_the_numbers_in_the_file() -> None:
    touched = {rule.attribute for rule in coherence_rules()}
    plain = [
        entry
        for file in ("demographic.yaml", "sociocultural.yaml")
        for entry in read_yaml(file)["attributes"]
        if "shares" in entry and entry["name"] not in touched
    ]
    assert {entry["name"] for entry in plain} >= {"age", "gender", "mbti"}
    for entry in plain:
        name = "age_band" if entry["name"] == "age" else entry["name"]
        counts = Counter(values[name] for values in sample())
        for value, percent in entry["shares"].items():
            assert counts[value] / SAMPLES == pytest.approx(percent / 100, abs=0.006)


def test_every_table_says_where_it_is_from() -> None:
    for file in ("demographic.yaml", "sociocultural.yaml"):
        for entry in read_yaml(file)["attributes"]:
            assert {"source", "licence", "date", "approximate", "note"} <= set(entry), entry["name"]
            for shares in [row["shares"] for row in entry.get("rows", [entry])]:
                assert sum(shares.values()) == pytest.approx(100, abs=0.01), entry["name"]


@pytest.mark.slow
def test_big_five_are_percentiles_that_follow_the_letters() -> None:
    found = sample()
    for trait, high, low in (("extraversion", "E", "I"), ("openness", "N", "S"), ("conscientiousness", "J", "P")):
        mean = {
            letter: sum(values[trait] for values in found if letter in values["mbti"])
            / sum(letter in values["mbti"] for values in found)
            for letter in (high, low)
        }
        assert mean[high] > mean[low] + 15
    for trait in ("openness", "conscientiousness", "extraversion", "agreeableness", "neuroticism"):
        assert sum(values[trait] for values in found) / SAMPLES == pytest.approx(50, abs=0.6)
        assert all(1 <= values[trait] <= 99 for values in found)


def pairs_of_independent(count: int, seed: int) -> int:
    tables = persona_tables()
    return len({pair for number in range(count) for pair in value_pairs(draw_values(tables, seed, number, 0))})


@pytest.mark.parametrize("count", [36, 500])
def test_a_design_meets_more_pairs_than_independent_draws(count: int) -> None:
    tables = persona_tables()
    designed = [make_design(tables, seed, count).pairs for seed in range(5)]
    independent = [pairs_of_independent(count, seed) for seed in range(5)]
    assert min(designed) > max(independent)
    assert max(designed) <= possible_pairs(tables)


def test_a_persona_is_the_same_whenever_it_is_made() -> None:
    tables = persona_tables()
    plan = make_design(tables, 3, 20)
    order = random.Random(0).sample(range(20), 20)
    made = {number: draw_persona(tables, plan, number) for number in order}
    assert [made[number] for number in range(20)] == [draw_persona(tables, plan, number) for number in range(20)]
    assert made[7].id == "p000007"
    assert made[7].demographic.age == made[7].values["age"]
