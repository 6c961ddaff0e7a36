"""Attribute tables: conditions, the row that applies, coherence rules, inversion, sources."""

import pytest

from personagen.builder.core.errors import RecipeError
from personagen.builder.core.package_data import read_yaml
from personagen.builder.planning.personas.tables import (
    Condition,
    Distribution,
    Rule,
    Table,
    coherence_rules,
    known_values,
    parse_condition,
    persona_tables,
)

YOUNG = Condition(age=(16, 29))
PETS = Table(
    "pet",
    ((YOUNG, {"cat": 30, "dog": 70}), (Condition(), {"cat": 50, "dog": 25, "snake": 25, "yeti": 0})),
    (Rule(Condition((("home", frozenset({"flat"})),)), "pet", frozenset({"dog"}), "no garden"),),
    ("age", "home"),
)


def test_a_condition_needs_every_attribute_and_the_age_within_both_bounds() -> None:
    condition = parse_condition({"work": ["employed", "student"], "age": {"min": 18, "max": 30}})
    assert condition.attributes() == ("work", "age")
    assert condition.holds({"work": "student", "age": 18}) and condition.holds({"work": "student", "age": 30})
    assert not condition.holds({"work": "student", "age": 17}) and not condition.holds({"work": "student", "age": 31})
    assert not condition.holds({"work": "retired", "age": 18})


def test_a_missing_attribute_fails_a_condition_and_no_condition_always_holds() -> None:
    assert not parse_condition({"work": ["employed"]}).holds({"age": 20})
    assert not parse_condition({"age": {"max": 30}}).holds({"work": "employed"})
    assert parse_condition(None).holds({})


def test_the_first_row_whose_condition_holds_applies() -> None:
    assert PETS.distribution({"age": 20}).probabilities == {"cat": 0.3, "dog": 0.7}
    assert PETS.distribution({"age": 30}).probabilities == {"cat": 0.5, "dog": 0.25, "snake": 0.25}


def test_a_rule_removes_values_and_the_others_keep_their_proportions() -> None:
    probabilities = PETS.distribution({"age": 30, "home": "flat"}).probabilities
    assert probabilities == pytest.approx({"cat": 2 / 3, "snake": 1 / 3})


def test_rules_that_forbid_every_value_are_an_error() -> None:
    only_dogs = Table("pet", ((Condition(), {"dog": 100}),), PETS.rules, ("home",))
    with pytest.raises(
        RecipeError, match=r"^no value of 'pet' is left for \{'home': 'flat'\}; a coherence rule is too"
    ):
        only_dogs.distribution({"home": "flat"})


def test_a_draw_inverts_the_cumulative_distribution() -> None:
    dice = Distribution({"a": 0.25, "b": 0.5, "c": 0.25}, ("a", "b", "c"), (0.25, 0.75, 1.0))
    assert [dice.draw(uniform) for uniform in (0.0, 0.24, 0.25, 0.74, 0.75, 0.99)] == ["a", "a", "b", "b", "c", "c"]


def test_a_draw_above_a_sum_that_rounding_left_below_1_is_the_last_value() -> None:
    assert Distribution({"a": 0.5, "b": 0.5}, ("a", "b"), (0.5, 1 - 1e-9)).draw(1 - 1e-12) == "b"


def test_attributes_that_no_rule_restricts_have_the_percentages_of_the_file() -> None:
    restricted = {rule.attribute for rule in coherence_rules()}
    tables = {table.name: table for table in persona_tables().tables}
    plain = [
        entry
        for file in ("demographic.yaml", "sociocultural.yaml")
        for entry in read_yaml(file)["attributes"]
        if "shares" in entry and entry["name"] not in restricted
    ]
    assert {entry["name"] for entry in plain} >= {"age", "gender", "mbti"}
    for entry in plain:
        expected = {value: percentage / 100 for value, percentage in entry["shares"].items() if percentage > 0}
        assert tables[entry["name"]].distribution({}).probabilities == pytest.approx(expected), entry["name"]


def test_every_table_states_its_source() -> None:
    for file in ("demographic.yaml", "sociocultural.yaml"):
        for entry in read_yaml(file)["attributes"]:
            assert {"source", "licence", "date", "approximate", "note"} <= set(entry), entry["name"]
            for percentages in [row["shares"] for row in entry.get("rows", [entry])]:
                assert sum(percentages.values()) == pytest.approx(100, abs=0.01), entry["name"]


def test_known_values_are_those_of_the_table() -> None:
    assert known_values("gender") == {"woman", "man", "nonbinary"}
    assert "16-19" in known_values("age")
    with pytest.raises(KeyError):
        known_values("shoe size")
