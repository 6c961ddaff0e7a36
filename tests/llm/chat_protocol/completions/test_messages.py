"""Messages in every shape: strings, parts, objects and lists at any depth."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personagen.builder.llm.chat_protocol.completions.messages import read_message
from tests.helpers.servers.behaviours.contents.shapes import SHAPES

TEXT = "On Monday the postman carried the ladder to the harbour."
THOUGHT = "First I look at who writes."
HALVES = (TEXT[:20], TEXT[20:])


@pytest.mark.parametrize("name", SHAPES)
def test_every_shape_of_the_table_holds_its_text_alone(name: str) -> None:
    assert read_message({"content": SHAPES[name][0](TEXT)}).text == TEXT


CONTENTS: list[Any] = [
    TEXT,
    [[[HALVES[0]], {"type": "text", "text": HALVES[1]}]],
    {"text": TEXT},
    {"parts": [{"text": HALVES[0]}, {"text": HALVES[1]}]},
    {"type": "message", "content": [{"type": "output_text", "text": TEXT}]},
    [{"type": "text", "text": {"value": TEXT, "annotations": []}}],
    [{"type": "image_url", "image_url": {"url": "http://example.org/text"}}, {"type": "text", "text": TEXT}],
    [{"type": "redacted_thinking", "data": "x"}, {"type": "text", "text": TEXT}],
    [None, 7, True, {"type": "text", "text": TEXT}, {"type": "text", "text": None}, {"type": 7}],
    [{"type": "thinking", "thinking": [{"type": "text", "text": THOUGHT}]}, TEXT],
    [{"type": "reasoning", "content": [{"type": "reasoning_text", "text": THOUGHT}]}, TEXT],
]


@pytest.mark.parametrize("content", CONTENTS)
def test_only_text_is_text(content: Any) -> None:
    assert read_message({"role": "assistant", "content": content}).text == TEXT


@pytest.mark.parametrize(
    ("message", "thoughts"),
    [
        ({"content": TEXT}, ""),
        ({"content": TEXT, "reasoning_content": THOUGHT}, THOUGHT),
        ({"content": None, "reasoning": THOUGHT}, THOUGHT),
        ({"content": "", "thinking": THOUGHT, "thinking_signature": "AAAA"}, THOUGHT),
        ({"reasoning": THOUGHT, "reasoning_details": [{"type": "reasoning.text", "text": THOUGHT}]}, THOUGHT),
        ({"content": [{"type": "thinking", "thinking": THOUGHT, "signature": "x"}, TEXT]}, THOUGHT),
        ({"content": TEXT, "reasoning_content": None}, ""),
    ],
)  # fmt: skip
def test_thoughts_are_kept_apart_and_counted_once(message: dict[str, Any], thoughts: str) -> None:
    content = read_message(message)
    assert content.thoughts == thoughts and content.text in (TEXT, "")


def test_an_object_that_is_no_part_is_the_json_that_was_requested() -> None:
    assert json.loads(read_message({"content": {"prose": TEXT, "mood": None}}).text) == {"prose": TEXT, "mood": None}


def test_refusals_and_tools_are_named() -> None:
    assert read_message({"content": None, "refusal": "No."}).refusal == "No."
    part = read_message({"content": [{"type": "refusal", "refusal": "No."}]})
    assert (part.refusal, part.text) == ("No.", "")
    assert read_message({"content": None, "tool_calls": [{"id": "c"}]}).calls_tool
    assert not read_message({"content": "", "tool_calls": [], "function_call": None, "refusal": None}).calls_tool


def test_depth_is_no_limit() -> None:
    content: Any = TEXT
    for _ in range(100_000):
        content = [content]
    assert read_message({"content": content}).text == TEXT


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["type", "text", "thinking", "value", "content", "refusal", "x"]), inner, max_size=4
        )
    ),
    max_leaves=10,
)


@given(VALUES, VALUES)
def test_any_message_is_read(content: Any, reasoning: Any) -> None:
    read = read_message({"content": content, "reasoning_content": reasoning, "refusal": content})
    assert all(isinstance(text, str) for text in (read.text, read.thoughts, read.refusal))
