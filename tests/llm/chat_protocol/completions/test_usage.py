"""Tokens of a reply: those that a server states, and estimates from above."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personagen.builder.core.prices import Amount
from personagen.builder.llm.budget import token_upper_bound
from personagen.builder.llm.chat_protocol.completions.usage import (
    MAX_BYTES_PER_TOKEN,
    MAX_TOKENS_PER_CALL,
    WrittenChoice,
    count_tokens,
    reasoning_tokens,
)
from personagen.builder.llm.requests import Message, Request, Sampling

LIMIT = 400
REQUEST = Request((Message("system", "You write."), Message("user", "Say something.")), Sampling(LIMIT), seed=1)
PROMPT = token_upper_bound(REQUEST).prompt
TEXT = WrittenChoice(size=240, at_limit=False)
BOUND = 240 // 3 + 8


def counted(usage: Any, *choices: WrittenChoice) -> tuple[int, int, bool]:
    amount, is_estimated = count_tokens(usage, REQUEST, choices or (TEXT,), LIMIT)
    return amount.prompt, amount.completion, is_estimated


@pytest.mark.parametrize(
    ("usage", "prompt", "completion"),
    [
        ({"prompt_tokens": 200, "completion_tokens": 60, "total_tokens": 260}, 200, 60),
        ({"prompt_tokens": 200.0, "completion_tokens": 60.0}, 200, 60),
        ({"input_tokens": 200, "output_tokens": 60}, 200, 60),
        ({"promptTokenCount": 200, "candidatesTokenCount": 60}, 200, 60),
        ({"prompt_tokens": 200, "total_tokens": 260}, 200, 60),
        ({"completion_tokens": 60, "total_tokens": 260}, 200, 60),
        ({"prompt_tokens": 0, "completion_tokens": 60, "total_tokens": 260}, 200, 60),
        ({"prompt_tokens": 200, "completion_tokens": 60, "total_tokens": 1100}, 200, 900),
        ({"prompt_tokens": 200, "completion_tokens": 60, "total_tokens": 10}, 200, 60),
    ],
)
def test_tokens_that_a_server_states(usage: Any, prompt: int, completion: int) -> None:
    """The total may count thoughts that the completion does not."""
    assert counted(usage) == (prompt, completion, False)


ODD: list[Any] = [
    None, {}, [200, 60], "260", 7, {"prompt_tokens": None}, {"prompt_tokens": "200", "completion_tokens": "60"},
    {"prompt_tokens": -1, "completion_tokens": -1}, {"prompt_tokens": True, "completion_tokens": True},
    {"prompt_tokens": 1.5, "completion_tokens": float("nan")}, {"prompt_tokens": 10**18, "completion_tokens": 2**40},
    {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}, {"completion_tokens": float("inf")},
]  # fmt: skip
"""Usage that states nothing, or nothing that can be."""


@pytest.mark.parametrize("usage", ODD)
def test_unknown_tokens_are_estimated_from_above(usage: Any) -> None:
    assert counted(usage) == (PROMPT, BOUND, True)


def test_a_part_that_is_known_counts() -> None:
    assert counted({"prompt_tokens": 200}) == (200, BOUND, True)
    assert counted({"completion_tokens": 60, "prompt_tokens": "many"}) == (PROMPT, 60, True)


def test_a_total_is_kept_and_its_dearer_part_estimated_from_above() -> None:
    assert counted({"total_tokens": 260}) == (260 - BOUND, BOUND, True)
    assert counted({"total_tokens": 30}) == (0, 30, True)


def test_a_choice_that_was_cut_has_as_many_tokens_as_the_limit() -> None:
    assert counted(None, WrittenChoice(0, at_limit=True)) == (PROMPT, LIMIT, True)
    assert counted(None, WrittenChoice(9000, at_limit=True)) == (PROMPT, 3008, True)
    assert counted(None, WrittenChoice(240, at_limit=False, may_hide_thoughts=True)) == (PROMPT, LIMIT, True)
    assert counted(None, TEXT, WrittenChoice(0, at_limit=True)) == (PROMPT, BOUND + LIMIT, True)


def test_a_count_of_one_choice_of_several_is_an_estimate() -> None:
    """llama.cpp states the tokens of one of n choices."""
    usage = {"prompt_tokens": 200, "completion_tokens": 60, "total_tokens": 260}
    assert counted(usage, TEXT) == (200, 60, False)
    assert counted(usage, TEXT, TEXT) == (200, 2 * BOUND, True), f"{480 / 60} bytes per token"
    assert MAX_BYTES_PER_TOKEN < 480 / 60
    assert counted({**usage, "completion_tokens": 120, "total_tokens": 320}, TEXT, TEXT) == (200, 120, False)


def test_a_reply_without_a_word_may_have_no_tokens() -> None:
    assert counted({"prompt_tokens": 200, "completion_tokens": 0}, WrittenChoice(0, at_limit=False)) == (200, 0, False)


@pytest.mark.parametrize(
    ("usage", "tokens"),
    [
        ({"completion_tokens": 900, "completion_tokens_details": {"reasoning_tokens": 840}}, 840),
        ({"output_tokens_details": {"reasoning_tokens": 840.0}}, 840),
        ({"reasoning_tokens": 840}, 840),
        ({"thoughtsTokenCount": 840}, 840),
        ({"completion_tokens_details": {"thinking_tokens": 840}}, 840),
        ({"completion_tokens_details": {"reasoning_tokens": -1}, "reasoning_tokens": True}, 0),
        ({"completion_tokens_details": [840]}, 0),
        (None, 0),
        ("840", 0),
    ],
)
def test_tokens_of_thoughts(usage: Any, tokens: int) -> None:
    assert reasoning_tokens(usage) == tokens


KEYS = ["prompt_tokens", "completion_tokens", "total_tokens", "input_tokens", "x"]
COUNTS = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.integers())
CHOICES = st.lists(st.builds(WrittenChoice, st.integers(0, 10**6), st.booleans()), min_size=1, max_size=4)


@given(st.dictionaries(st.sampled_from(KEYS), COUNTS) | COUNTS, CHOICES, st.text())
def test_no_written_text_is_free(usage: Any, choices: list[WrittenChoice], text: str) -> None:
    """Whatever a server states."""
    request = replace(REQUEST, messages=(Message("user", text),))
    amount, _ = count_tokens(usage, request, choices, LIMIT)
    assert isinstance(amount, Amount)
    assert 0 < amount.tokens <= 3 * MAX_TOKENS_PER_CALL
    assert amount.completion > 0 or not any(choice.size for choice in choices)


@pytest.mark.parametrize(("completion", "is_estimated"), [(1, True), (5, True), (6, False), (60, False)])
def test_a_count_that_the_text_cannot_have_is_estimated(completion: int, is_estimated: bool) -> None:
    expected = BOUND if is_estimated else completion
    assert counted({"prompt_tokens": 200, "completion_tokens": completion}) == (200, expected, is_estimated)
