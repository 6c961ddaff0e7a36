"""JSON objects in replies, as models write them."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personagen.builder.llm.chat_protocol.schema_repair import schema_violation
from personagen.builder.llm.json_replies import MAX_DEPTH, json_values, parse_json
from personagen.builder.llm.verbalized_sampling import SCHEMA as RESPONSES
from personagen.builder.writing.elaboration import PROSE_SCHEMA

PROSE = "A quiet man of 54 years. He mends nets, and says little."
TWO = {
    "type": "object",
    "properties": {"mood": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["mood", "age"],
}
"""A schema of two properties."""

WRAPPED = [
    "{json}",
    "Sure! Here it is:\n{json}\nLet me know if {or not} you need more [1].",
    "```json\n{json}\n```",
    "I fill {prose} in. {json}",
    '{"thought": "short"}\n{json}',
    '{json}\n{"note": "short"}',
    "[{json}]",
    '{"reply": {json}}',
    '{"reply": {"inner": [{json}]}}',
    '{"type": "object", "properties": {json}}',
    '{"prose": 7} {json}',
    "\ufeff\n {json}",
]
"""Places of the object."""


@pytest.mark.parametrize("shape", WRAPPED)
def test_the_object_is_found_anywhere(shape: str) -> None:
    found = parse_json(shape.replace("{json}", json.dumps({"prose": PROSE})), PROSE_SCHEMA)
    assert found["prose"] == PROSE


@pytest.mark.parametrize("shape", WRAPPED)
def test_an_object_of_several_properties_is_found_too(shape: str) -> None:
    assert parse_json(shape.replace("{json}", '{"mood": "calm", "age": 3, "more": 1}'), TWO)["age"] == 3


FAULTY = [
    '{"prose": "{x}",}',
    '{"prose": "{x}",,}',
    '{"prose": "{x}" // a remark\n}',
    '{/* a remark */ "prose": "{x}"}',
    "{'prose': '{x}'}",
    "{prose: '{x}'}",
    "{“prose”: “{x}”}",
    '{"prose": "{x}", "sure": True, "notes": None}',
    '{"prose": "{x}", "score": NaN}',
    '{"prose": "{x}", "score": +1.5}',
    json.dumps(json.dumps({"prose": "{x}"})),
    json.dumps({"reply": json.dumps({"prose": "{x}"})}),
]
"""Faults of models in an object with a text {x}."""


@pytest.mark.parametrize("shape", FAULTY)
def test_small_faults_do_not_matter(shape: str) -> None:
    assert parse_json(shape.replace("{x}", PROSE), PROSE_SCHEMA)["prose"] == PROSE


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"prose": "He said "go" and left."}', 'He said "go" and left.'),
        ('{"prose": "two\nlines\tand a \x07 bell"}', "two\nlines\tand a \x07 bell"),
        ('{"prose": "It\\\'s here, caf\\u00e9 \\ud83d\\ude00",}', "It's here, café 😀"),
        ('{"prose": "a\\nb\\\\c\\/d",}', "a\nb\\c/d"),
    ],
)
def test_strings_with_faults(text: str, value: str) -> None:
    assert parse_json(text, PROSE_SCHEMA)["prose"] == value


ALONE = [
    PROSE,
    f"```\n{PROSE}\n```",
    f"prose: {PROSE}",
    f"**Prose:** {PROSE}",
    json.dumps(PROSE),
    json.dumps([PROSE]),
    json.dumps({"text": PROSE}),
    json.dumps({"text": PROSE, "words": 12}),
    json.dumps({"reasoning": "He is quiet.", "description": PROSE}),
    json.dumps({"reply": {"text": PROSE}}),
]
"""The value of a single string without its key."""


@pytest.mark.parametrize("text", ALONE)
def test_a_single_string_needs_no_key(text: str) -> None:
    assert parse_json(text, PROSE_SCHEMA) == {"prose": PROSE}


def test_a_single_list_needs_no_key() -> None:
    responses = [{"text": "a", "probability": 0.5}]
    for reply in (responses, {"texts": responses}, {"responses": responses}, [{"responses": responses}]):
        assert parse_json(f"Here: {json.dumps(reply)}", RESPONSES) == {"responses": responses}


@pytest.mark.parametrize(
    "text",
    [
        "",
        " \n",
        "{",
        "}{",
        "{}{",
        '{"prose": "A quiet',
        f'{{"prose": "{PROSE}"',
        '{"prose": ' + "[" * 100_000,
    ],
)
def test_a_text_that_breaks_off_is_no_object(text: str) -> None:
    """Half a text is never taken for a whole one."""
    with pytest.raises(ValueError, match="it holds no JSON object") if text != "{}{" else pytest.raises(KeyError):
        parse_json(text, PROSE_SCHEMA)["prose"]


def test_plain_text_is_no_object_of_several_properties() -> None:
    for schema in (TWO, None, RESPONSES):
        with pytest.raises(ValueError, match="it holds no JSON object"):
            parse_json("calm, 3", schema)


def test_the_last_of_several_fitting_objects_counts() -> None:
    texts = [json.dumps({"prose": text}) for text in ("A first draft.", PROSE)]
    assert parse_json(" Better: ".join(texts), PROSE_SCHEMA)["prose"] == PROSE
    assert parse_json('{"a": 1} {"b": 2}') == {"b": 2}


def test_a_list_that_breaks_off_yields_its_whole_objects() -> None:
    text = '{"responses": [{"text": "a", "probability": 0.5}, {"text": "b", "probability": 0.4}, {"text": "c'
    assert [value["text"] for value in json_values(text)] == ["a", "b"]


def test_further_keys_violate_no_schema() -> None:
    assert schema_violation(json.dumps({"prose": PROSE, "mood": "glad"}), PROSE_SCHEMA) is None
    assert schema_violation(PROSE, PROSE_SCHEMA) is None
    assert schema_violation('{"prose": "short"}', PROSE_SCHEMA) == "at $.prose: 'short' is too short"
    assert schema_violation("{", PROSE_SCHEMA) == "it holds no JSON object"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.text(), JSON, max_size=5), st.booleans(), st.sampled_from(["", "Here: ", "```json\n"]))
def test_every_object_is_read_as_it_was_written(value: dict[str, Any], ascii_only: bool, before: str) -> None:
    assert parse_json(before + json.dumps(value, ensure_ascii=ascii_only)) == value


@given(st.dictionaries(st.text(min_size=1), st.text(), min_size=1, max_size=4))
def test_a_comma_too_many_changes_nothing(value: dict[str, str]) -> None:
    assert parse_json(json.dumps(value)[:-1] + ",}") == value


FRAGMENTS = [
    '{"',
    '"}',
    '{"a": ',
    "[",
    "]",
    "{",
    "}",
    '"',
    ",",
    ":",
    "\\",
    "'",
    "{'",
    "//",
    "/*",
    "*/",
    " ",
    "1",
    "null",
    "a",
]


@given(st.lists(st.sampled_from(FRAGMENTS), max_size=30).map("".join) | st.text())
def test_no_text_raises_anything_else(text: str) -> None:
    for schema in (None, PROSE_SCHEMA, TWO, RESPONSES):
        try:
            found = parse_json(text, schema)
        except ValueError:
            continue
        assert isinstance(found, dict)


@pytest.mark.parametrize(
    "unit", [*FRAGMENTS, '{"a": 1}', '{"a": [', "[/*", '{"a":"\\"', "{'a", '[{"a": "b"},', '"{\\"a\\": ', "```"]
)
def test_a_long_reply_of_anything_is_read(unit: str) -> None:
    """The time is linear: a quadratic search of as many characters would take hours."""
    text = unit * (200_000 // len(unit))
    for reply in (text, '{"prose": ' + text, f'[1] {{"prose": "{text}"}}'):
        try:
            assert isinstance(parse_json(reply, PROSE_SCHEMA), dict)
        except ValueError:
            continue


def test_objects_are_read_up_to_a_depth() -> None:
    def nested(depth: int) -> str:
        return '{"a": ' * depth + f'{{"prose": "{PROSE}",}}' + "}" * depth

    assert parse_json(nested(MAX_DEPTH - 1), PROSE_SCHEMA)["prose"] == PROSE
    assert parse_json(nested(MAX_DEPTH + 5), PROSE_SCHEMA)["prose"] == PROSE, "the search begins again further in"
