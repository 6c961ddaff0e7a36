"""Personas of recipes with `personas:`: every one fits, is coherent, and covers pairs better than independent draws."""

from collections import Counter
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from personagen.builder.core.errors import RecipeError
from personagen.builder.planning import Plan, make_plan, parse_recipe
from personagen.builder.planning.personas.drawing import Persona, draw_values, value_pairs
from personagen.builder.planning.personas.tables import coherence_rules

NURSES = """
rows: 500
situations_per_persona: 1
personas:
  where:
    occupation: [nurse, "*teacher"]
    country: [Brazil, Japan]
    age: {min: 20, max: 40}
    gender: [woman, man]
  balance: [gender]
"""


def planned(personas: str, rows: int = 200) -> Plan:
    return make_plan(parse_recipe(f"rows: {rows}\nsituations_per_persona: 1\npersonas: {personas}", "r"))


@cache
def drawn(text: str, count: int) -> list[Persona]:
    plan = make_plan(parse_recipe(text, "r"))
    return [plan.people.persona(number) for number in range(count)]


def refusal(personas: str) -> str:
    with pytest.raises(RecipeError) as error:
        planned(personas)
    return str(error.value)


def incoherent(values: dict[str, Any]) -> list[str]:
    return [rule.why for rule in coherence_rules() if values[rule.attribute] in rule.never and rule.when.holds(values)]


def test_nurses_and_teachers_in_brazil_and_japan_balanced_by_gender() -> None:
    people = drawn(NURSES, 500)
    for persona in people:
        assert persona.demographic.occupation == "nurse" or persona.demographic.occupation.endswith("teacher")
        assert persona.sociocultural.country in ("Brazil", "Japan")
        assert 20 <= persona.demographic.age <= 40
        assert incoherent(dict(persona.values)) == []
    assert Counter(persona.demographic.gender for persona in people) == {"woman": 250, "man": 250}
    design = make_plan(parse_recipe(NURSES, "r")).people
    independent = {
        pair
        for number in range(500)
        for pair in value_pairs(draw_values(design.tables, 0, number, 0, design.design.constraints))  # type: ignore[attr-defined]
    }
    assert len({pair for persona in people for pair in value_pairs(persona.values)}) > len(independent)
    assert design.pairs_met <= design.pairs_possible


CONDITIONS = {
    "age": ["{min: 30}", "{max: 29}", "{min: 35, max: 44}", "[20, 30, 40]", "20-24", "{not: {min: 30}}"],
    "gender": ["woman", "{not: man}"],
    "occupation_group": ["professionals", "[technicians, managers]"],
    "isco08": ['"2*"', '["2221", "23*"]'],
    "country": ["{not: [China, India]}", "[Kenya, Ghana, Fiji]"],
    "education": ["[bachelor, master]", "{not: doctorate}"],
    "household": ["alone", "{not: alone}"],
    "religion": ["none", "Muslim"],
    "openness": ["{min: 60}"],
    "mbti": ['"I*"', '"*TJ"'],
    "accent": ["soft"],
}
ACCENT = "attributes: {accent: {rows: [{when: {country: Kenya}, shares: {soft: 1}}, {shares: {soft: 1, hard: 2}}]}}"


@given(st.sets(st.sampled_from(sorted(CONDITIONS)), min_size=1, max_size=3), st.data())
@settings(deadline=None, max_examples=25)
def test_every_persona_meets_any_conditions(names: set[str], data: st.DataObject) -> None:
    chosen = {name: data.draw(st.sampled_from(CONDITIONS[name])) for name in sorted(names)}
    where = ", ".join(f"{name}: {condition}" for name, condition in chosen.items())
    try:
        plan = planned(f"{{where: {{{where}}}, {ACCENT}}}", 30)
    except RecipeError as error:
        assert str(error).startswith("personas.where: ")
        assert {"age", "occupation_group", "isco08"} & names  # young professionals are rare, technicians no "2*"
        return
    for number in range(30):
        persona = plan.people.persona(number)
        assert plan.people.tables.where.holds(persona.values)
        assert incoherent(dict(persona.values)) == []
        assert persona.attributes == {"accent": persona.values["accent"]}


def test_weights_replace_the_shares_of_an_attribute() -> None:
    plan = planned("{weights: {country: {Brazil: 3, Japan: 1}}}", 400)
    people = [plan.people.persona(number) for number in range(400)]
    assert Counter(persona.sociocultural.country for persona in people) == {"Brazil": 300, "Japan": 100}


def test_a_weight_of_a_pattern_is_that_of_all_its_values_together() -> None:
    plan = planned('{weights: {occupation: {nurse: 1, "*teacher": 1, surgeon: 0}}}', 200)
    jobs = Counter(plan.people.persona(number).demographic.occupation for number in range(200))
    assert jobs["nurse"] == 100 and len(jobs) > 5 and "surgeon" not in jobs


def test_weights_of_ages_are_those_of_bands() -> None:
    plan = planned("{weights: {age: {16-19: 1, 20-40: 1}}}", 100)
    assert sum(plan.people.persona(number).demographic.age < 20 for number in range(100)) == 50


def test_balanced_attributes_have_equally_frequent_combinations() -> None:
    plan = planned("{where: {gender: [woman, man]}, balance: [gender, age]}", 400)
    people = [plan.people.persona(number).values for number in range(400)]
    assert set(Counter((values["gender"], values["age_band"]) for values in people).values()) == {20}


def test_balanced_and_weighted_attributes_are_met_together() -> None:
    plan = planned(
        "{where: {gender: [woman, man]}, balance: [gender], weights: {work: {employed: 4, student: 1}}}", 2000
    )
    people = [plan.people.persona(number).values for number in range(2000)]
    assert abs(sum(values["gender"] == "woman" for values in people) - 1000) <= 5
    assert abs(sum(values["work"] == "employed" for values in people) - 1600) <= 5


def test_combinations_that_cannot_be_balanced_are_named() -> None:
    plan = planned("{balance: [age, work]}")
    assert plan.people.notes == (
        "personas.balance: no persona is 16-19 and retired, 20-24 and retired, 25-29 and retired and 10 more "
        "combinations; the others are equally frequent",
    )
    assert planned("{balance: [gender]}").people.notes == ()


def test_the_cell_of_a_persona_says_nothing_of_its_emotions() -> None:
    """Two cells and four emotions, two per persona: an alternation would give each gender two of the emotions."""
    personas = "{where: {gender: [woman, man]}, balance: [gender]}"
    recipe = f"{{rows: 400, emotions: [joy, fear, anger, sadness], personas: {personas}}}"
    plan = make_plan(parse_recipe(recipe, "r"))
    for emotion in ("joy", "fear", "anger", "sadness"):
        rows = [plan.turn(emotion, turn) for turn in range(100)]
        women = sum(plan.people.persona(row.persona).demographic.gender == "woman" for row in rows)
        assert 30 <= women <= 70


def test_attributes_of_the_recipe_shift_no_other_draw() -> None:
    plain, more = planned("{}"), planned("{attributes: {accent: {values: {soft: 60, hard: 40}}}}")
    for number in range(200):
        one, other = plain.people.persona(number), more.people.persona(number)
        assert (one.demographic, one.sociocultural) == (other.demographic, other.sociocultural)
        assert one.attributes == {} and other.attributes["accent"] in ("soft", "hard")
    where = "{where: {gender: woman}, "
    some, same = planned(where + "}"), planned(where + "attributes: {accent: {values: {soft: 60, hard: 40}}}}")
    for number in range(50):
        assert some.people.persona(number).demographic == same.people.persona(number).demographic


def test_attributes_of_the_recipe_have_their_shares_under_their_conditions() -> None:
    rows = "[{when: {age: {max: 39}}, shares: {soft: 1}}, {shares: {soft: 1, hard: 3}}]"
    plan = planned(f"{{attributes: {{accent: {{rows: {rows}}}}}}}", 1000)
    people = [plan.people.persona(number).values for number in range(1000)]
    assert {values["accent"] for values in people if values["age"] <= 39} == {"soft"}
    old = [values["accent"] for values in people if values["age"] > 39]
    assert 0.65 < old.count("hard") / len(old) < 0.85


def test_attributes_can_depend_on_each_other_in_any_order() -> None:
    text = (
        "{attributes: {one: {rows: [{when: {two: x}, shares: {a: 1}}, {shares: {b: 1}}]}, two: {values: {x: 1, y: 1}}}}"
    )
    plan = planned(text, 40)
    for number in range(40):
        attributes = plan.people.persona(number).attributes
        assert attributes["one"] == ("a" if attributes["two"] == "x" else "b")


def test_the_order_of_keys_changes_nothing() -> None:
    one = planned(
        "{weights: {gender: {woman: 2, man: 1}}, attributes: {x: {values: {a: 1, b: 1}}, y: {values: {c: 1}}}}"
    )
    other = planned(
        "{attributes: {y: {values: {c: 1}}, x: {values: {b: 1, a: 1}}}, weights: {gender: {man: 1, woman: 2}}}"
    )
    assert one.recipe.fingerprint() == other.recipe.fingerprint()
    for number in range(60):
        assert one.people.persona(number) == other.people.persona(number)


def test_an_empty_section_is_no_section() -> None:
    plain = make_plan(parse_recipe("", "r"))
    for text in ("personas: {}", "personas: {where: {}, balance: [], attributes: {}}"):
        empty = make_plan(parse_recipe(text, "r"))
        assert empty.recipe.fingerprint() == plain.recipe.fingerprint()
        assert empty.people.persona(3) == plain.people.persona(3)


CHANGE = "; change one of the conditions"
CIRCLE = (
    "{attributes: {a: {rows: [{when: {b: x}, shares: {c: 1}}, {shares: {c: 1}}]}, "
    "b: {rows: [{when: {a: c}, shares: {x: 1}}, {shares: {x: 1}}]}}}"
)
UNKNOWN_IN_ROW = "{attributes: {a: {rows: [{when: {hat: x}, shares: {c: 1}}, {shares: {c: 1}}]}}}"
REFUSED = (
    (
        "{where: {age: 17, occupation: surgeon}}",
        "where: no persona has age 17 and occupation surgeon: needs a medical degree and specialist training "
        f"(rule on occupation){CHANGE}",
    ),
    (
        "{where: {age: {max: 17}, work: retired, country: Kenya}}",
        "where: no persona has age 16 to 17 and work retired: the table of work has no such value where age is 16 to "
        f"17{CHANGE}",
    ),
    (
        "{where: {country: Fiji, occupation: judge, gender: nonbinary}}",
        "where: only 3e-09 of the personas have country Fiji and gender nonbinary and occupation judge (1 in ",
    ),
    ("{where: {age: {min: 90}}}", "where.age: no value of age is left; known: 16 to 85"),
    (
        "{where: {gender: {not: [woman, man, nonbinary]}}}",
        "where.gender: no value of gender is left; known: woman, man, nonbinary",
    ),
    ("{where: {gender: {min: 3}}}", "where.gender: got min or max, but gender is no number; known: woman, man, "),
    ("{where: {hat: red}}", "where.hat: personas have no attribute 'hat'; known: age, agreeableness, "),
    ("{where: {occupation: surgen}}", "where.occupation: unknown value 'surgen', did you mean 'surgeon'?; known: "),
    ('{where: {occupation: "*surgen"}}', "where.occupation: no value matches '*surgen'; known: student, "),
    ("{balance: [openness]}", "balance: openness is a number from 1 to 99, wanted attributes with named values"),
    ("{balance: [hat]}", "balance: personas have no attribute 'hat'; known: "),
    ("{weights: {hat: {red: 1}}}", "weights.hat: personas have no attribute 'hat'; known: "),
    (
        '{weights: {occupation: {nurse: 1, "n*": 1}}}',
        "weights.occupation: 'nurse' is both 'nurse' and 'n*'; name each value once",
    ),
    (
        "{where: {country: Kenya}, weights: {country: {Brazil: 1}}}",
        f"weights.country: personas.where accepts none of the values{CHANGE}",
    ),
    (
        "{where: {age: 17}, weights: {work: {student: 1, retired: 1}}}",
        "weights.work: no persona has age 17 and work retired: the table of work has no such value where age is "
        f"17{CHANGE}",
    ),
    (
        "{attributes: {gender: {values: {a: 1}}}}",
        "attributes.gender: releases have an attribute of this name already; choose another name",
    ),
    (CIRCLE, "attributes: the conditions of a, b depend on each other; change one of them"),
    (UNKNOWN_IN_ROW, "attributes.a.rows.0.when.hat: personas have no attribute 'hat'; known: "),
)


@pytest.mark.parametrize(("personas", "message"), REFUSED)
def test_what_cannot_be_drawn_is_refused_with_the_reason(personas: str, message: str) -> None:
    assert refusal(personas).startswith(f"personas.{message}")
    assert "\n" not in refusal(personas)


def test_shares_that_cannot_be_met_are_refused() -> None:
    message = refusal("{weights: {work: {retired: 3, employed: 1}, age: {16-19: 1, 60-70: 1}}}")
    assert message.startswith("personas: the shares cannot be met together: ")
    assert message.endswith("; change weights or balance")
    assert refusal("{balance: [occupation, country, education]}") == (
        "personas: balance and weights have 85,536 combinations of occupation, country, education, wanted at most "
        "20,000; name fewer attributes"
    )
