"""Ties of attributes: what the lists say of the tables, against the tables themselves and against draws."""

from itertools import combinations

import pytest

from personagen.builder.core.package_data import read_yaml
from personagen.builder.planning import make_plan, parse_recipe
from personagen.builder.planning.personas.chances import Chances
from personagen.builder.planning.personas.steps import steps_of
from personagen.builder.planning.personas.tables import persona_tables
from personagen.builder.planning.personas.ties import (
    independent_lines,
    independent_pairs,
    indirect_lines,
    indirect_pairs,
    parents_of,
)

TABLES = persona_tables()
EARLY = {"age", "gender", "work", "mbti", "country", "occupation"}
"""Attributes that few others are drawn before: their joint distributions take no time."""

DISCRETE = {"age": "age_band", "occupation": "occupation_group"}


@pytest.mark.parametrize("pair", [pair for pair in independent_pairs(TABLES) if set(pair) <= EARLY])
def test_the_joint_distribution_of_independent_attributes_is_a_product(pair: tuple[str, str]) -> None:
    names = [DISCRETE.get(name, name) for name in pair]
    chances = Chances(steps_of(TABLES), {}, dict.fromkeys(names))
    joint = chances.cells()
    margins = [
        {label: sum(chance for cell, chance in joint.items() if cell[position] == label)
         for label in {cell[position] for cell in joint}}
        for position in (0, 1)
    ]  # fmt: skip
    assert len(joint) == len(margins[0]) * len(margins[1])
    for (first, second), chance in joint.items():
        assert chance == pytest.approx(margins[0][first] * margins[1][second], rel=1e-9, abs=1e-15)


def test_an_attribute_tied_through_others_is_independent_given_them() -> None:
    """Gender and education, through age, work, country and occupation: within one of their combinations."""
    assert indirect_pairs(TABLES)["gender", "education"] == ("age", "work", "country", "occupation")
    accepted = {
        "age": frozenset({35}), "work": frozenset({"employed"}), "country": frozenset({"India"}),
        "occupation": frozenset({"nurse"}),
    }  # fmt: skip
    joint = Chances(steps_of(TABLES), accepted, {"gender": None, "education": None}).cells()
    total = sum(joint.values())
    for (gender, education), chance in joint.items():
        of_gender = sum(other for cell, other in joint.items() if cell[0] == gender)
        of_education = sum(other for cell, other in joint.items() if cell[1] == education)
        assert chance == pytest.approx(of_gender * of_education / total)


def test_every_pair_is_tied_directly_or_through_others_or_not_at_all() -> None:
    independent, indirect, parents = set(independent_pairs(TABLES)), set(indirect_pairs(TABLES)), parents_of(TABLES)
    direct = {(one, other) for one, other in combinations(parents, 2) if one in parents[other]}
    assert independent | indirect | direct == set(combinations(parents, 2))
    assert not independent & indirect and not (independent | indirect) & direct
    assert {("gender", "occupation"), ("country", "occupation"), ("country", "religion")} <= direct


def test_a_tie_is_a_condition_of_a_row_or_a_rule_in_the_files() -> None:
    named: dict[str, set[str]] = {}
    for file in ("demographic.yaml", "sociocultural.yaml"):
        for entry in read_yaml(file)["attributes"]:
            conditions = [row.get("when") or {} for row in entry.get("rows", ())]
            conditions += [{**countries["when"], "gender": 0} for countries in entry.get("employment", ())]
            named[entry["name"]] = {name for when in conditions for name in when}
    for rule in read_yaml("coherence.yaml")["rules"]:
        for name in rule["never"]:
            named[name] |= set(rule["when"])
    same = {"occupation_group": "occupation"}
    for name, names in named.items():
        assert parents_of(TABLES)[name] == {same.get(other, other) for other in names} - {name}


def test_lines_name_each_pair_once() -> None:
    lines = independent_lines(TABLES)
    assert lines[0] == "neuroticism: all others" and "age: gender" in lines
    count = 0
    for line in lines:
        names, others = (part.split(", ") for part in line.split(": "))
        count += len(parents_of(TABLES)) - 1 if others == ["all others"] else len(names) * len(others)
    assert count == len(independent_pairs(TABLES))
    listed = [line.split(" (")[0].split(": ")[1].split(", ") for line in indirect_lines(TABLES)]
    assert sum(map(len, listed)) == len(indirect_pairs(TABLES))


def test_attributes_of_the_recipe_are_among_them() -> None:
    text = (
        "personas: {attributes: {accent: {rows: [{when: {country: Kenya}, shares: {soft: 1}}, {shares: {hard: 1}}]}}}"
    )
    tables = make_plan(parse_recipe(text, "r")).people.tables
    assert ("age", "accent") in independent_pairs(tables)
    assert indirect_pairs(tables)["religion", "accent"] == ("country",)
