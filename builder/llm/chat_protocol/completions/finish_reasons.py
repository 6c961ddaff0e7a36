"""Classify the words by which servers say why a reply ended.

Sources: the references of OpenAI, Azure, Anthropic, Gemini, Cohere, Mistral, DeepSeek, Z.ai, Bedrock, text-generation-
inference, vLLM, SGLang, llama.cpp and LM Studio, read on 2026-11-28.
"""

import re
from typing import Any, Literal

from personagen.builder.llm.thoughts import words_of

End = Literal["natural", "limit", "filtered", "failed", "malformed", "tools", "unknown"]
"""Why a reply ended: by itself, at a limit of tokens, by a filter, by a failure of the server, with output that the
server could not parse, with the call of a tool, or in a way that is not known."""

NATURAL = frozenset(
    {
        "stop", "stop_sequence", "stop_sequences", "stop_token", "stop_string", "stop_string_found", "stop_word",
        "stop_words", "stop_trigger", "stopped", "eos", "eos_token", "eos_found", "eog_token", "end", "end_turn",
        "end_of_turn", "end_of_text", "end_of_sequence", "end_of_message", "complete", "completed", "completion",
        "done", "finish", "finished", "success", "succeeded", "normal",
    }
)  # fmt: skip
"""Words of a natural end, in lower case with underscores. Every other word is no proof that a text is whole."""

LIMITS = frozenset(
    {
        "length", "limit", "max_tokens", "max_token", "max_output_tokens", "max_new_tokens", "max_completion_tokens",
        "max_length", "max_predicted_tokens_reached", "model_length", "token_limit", "token_limit_reached",
        "context_length", "context_length_reached", "context_length_exceeded", "context_limit",
        "model_context_window_exceeded",
    }
)  # fmt: skip
"""Words of an end at a limit of tokens."""

_OTHERS: tuple[tuple[End, re.Pattern[str]], ...] = (
    ("malformed", re.compile(r"malformed|unexpected_tool|too_many_tool|invalid")),
    ("tools", re.compile(r"tool|function_call|action")),
    (
        "filtered",
        re.compile(
            r"filter|safety|unsafe|recitation|block|prohibited|spii|guardrail|refus|sensitive|moderat|toxic|polic"
        ),
    ),
    (
        "failed",
        re.compile(
            r"error|abort|cancel|fail|insufficient|time_?out|network|disconnect|unavailab|overload|interrupt|preempt"
            r"|unloaded|reject|exhausted"
        ),
    ),
)


def classify_end(word: Any) -> End:
    """Classify a finish_reason, in any spelling; "unknown": the server names none, or one that is not known."""
    name = "_".join(words_of(word.rpartition(".")[2])) if isinstance(word, str) else ""
    if name in NATURAL:
        return "natural"
    if name in LIMITS:
        return "limit"
    return next((end for end, pattern in _OTHERS if pattern.search(name)), "unknown")


def failure_status(word: Any) -> int:
    """Return the HTTP status that stands for the end of a reply by a failure: 503 if the server lacked capacity."""
    return 503 if re.search(r"insufficient|overload|unavailab|exhausted|preempt", str(word).lower()) else 500
