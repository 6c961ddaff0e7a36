"""Words for the end of a reply."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personagen.builder.llm.chat_protocol.completions.finish_reasons import (
    LIMITS,
    NATURAL,
    classify_end,
    failure_status,
)

ENDS: dict[str, list[Any]] = {
    "natural": [
        "stop", "STOP", "FinishReason.STOP", "eos", "eos_token", "end_turn", "endTurn", "stop_sequence", "COMPLETE",
        "eosFound", "stopStringFound", "completed", "end-turn",
    ],
    "limit": [
        "length", "max_tokens", "MAX_TOKENS", "maxTokens", "max_output_tokens", "model_length", "MaxTokens",
        "contextLengthReached", "maxPredictedTokensReached", "model_context_window_exceeded", "FinishReason.MAX_TOKENS",
    ],
    "filtered": [
        "content_filter", "contentFilter", "SAFETY", "RECITATION", "PROHIBITED_CONTENT", "BLOCKLIST", "SPII",
        "IMAGE_SAFETY", "sensitive", "refusal", "guardrail_intervened", "content_filtered", "ERROR_TOXIC",
    ],
    "failed": [
        "error", "ERROR", "abort", "aborted", "cancelled", "canceled", "insufficient_system_resource", "network_error",
        "timeout", "failed", "modelUnloaded", "rejected", "preempted",
    ],
    "malformed": ["malformed_function_call", "MALFORMED_RESPONSE", "malformed_model_output", "UNEXPECTED_TOOL_CALL"],
    "tools": ["tool_calls", "tool_use", "toolCalls", "function_call"],
    "unknown": [
        None, "", "banana", "OTHER", "FINISH_REASON_UNSPECIFIED", "incomplete", "pause_turn", 1, True, ["stop"],
    ],
}  # fmt: skip


@pytest.mark.parametrize(("end", "word"), [(end, word) for end, words in ENDS.items() for word in words])
def test_words_of_public_servers(end: str, word: Any) -> None:
    assert classify_end(word) == end


@given(st.text() | st.none() | st.integers())
def test_an_unknown_word_is_no_natural_end(word: Any) -> None:
    """Only the words on the lists are: a text with any other end is judged as a cut one."""
    letters = "_".join("".join(c if c.isalpha() else " " for c in str(word).lower()).split())
    if classify_end(word) == "natural":
        assert letters.split("_")[-1] in {name.split("_")[-1] for name in NATURAL}
    assert NATURAL.isdisjoint(LIMITS)


def test_a_lack_of_capacity_is_an_overload() -> None:
    assert failure_status("insufficient_system_resource") == 503
    assert failure_status("error") == failure_status("abort") == 500
