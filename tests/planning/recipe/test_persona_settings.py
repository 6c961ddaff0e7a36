"""The section `personas`: what it refuses before anything is drawn."""

import pytest

from personagen.builder.core.errors import RecipeError
from personagen.builder.planning import parse_recipe

REFUSED = (
    ("{where: {age: {min: a}}}", "where.age: got {'min': 'a'}, wanted {min: 20, max: 40} or {not: ...}"),
    ("{where: {age: {least: 3}}}", "where.age: got {'least': 3}, wanted {min: 20, max: 40} or {not: ...}"),
    ("{where: {age: {not: {not: 3}}}}", "where.age: got {'not': 3}, wanted {min: 20, max: 40} or {not: ...}"),
    ("{where: {age: {min: 3, max: 1}}}", "where.age: min 3 is above max 1; change one of them"),
    ("{where: {age: []}}", "where.age: got an empty list, wanted one value or more; leave the condition out"),
    (
        "{where: {age: [1.5]}}",
        "where.age: got 1.5, wanted text or a whole number; YAML needs quotes around yes, no, on, ",
    ),
    (
        "{where: {gender: yes}}",
        "where.gender: got True, wanted text or a whole number; YAML needs quotes around yes, no, ",
    ),
    ("{where: {gender: null}}", "where.gender: got None, wanted text or a whole number"),
    ("{where: {gender: [man, man]}}", "where.gender: the list names 'man' twice; name it once"),
    ("{where: [gender]}", 'where: got ["gender"], wanted a mapping'),
    ("{balance: [age, age]}", ": balance names 'age' twice; name it once"),
    (
        "{balance: [age], weights: {age: {16-19: 1}}}",
        ": 'age' is both in balance and in weights; leave it out of one of them",
    ),
    ("{weights: {age: {16-19: -1}}}", "weights.age.16-19: got -1, wanted greater than or equal to 0"),
    ("{weights: {age: {16-19: 0}}}", "weights.age: all shares are 0; raise one of them"),
    ("{attributes: {a: {}}}", "attributes.a: wanted either values or rows; name one of them"),
    (
        "{attributes: {a: {rows: [{when: {age: 3}, shares: {b: 1}}]}}}",
        "attributes.a: the last row has a condition, so some personas may have no value; add a row without `when`",
    ),
    ("{attributes: {A b: {values: {x: 1}}}}", 'attributes.A b: got "A b", wanted text that matches \''),
    ("{were: {age: 3}}", "unknown key 'personas.were', did you mean"),
)


@pytest.mark.parametrize(("personas", "message"), REFUSED)
def test_conditions_that_cannot_be_meant_are_refused(personas: str, message: str) -> None:
    with pytest.raises(RecipeError) as error:
        parse_recipe(f"personas: {personas}", "r")
    wanted = message if message.startswith("unknown") else f"personas{message if message[0] == ':' else '.' + message}"
    assert str(error.value).startswith(f"r: {wanted}")
