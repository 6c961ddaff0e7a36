"""Count the tokens of a reply: as its server states them, or estimated from above."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from personagen.builder.core.prices import Amount
from personagen.builder.llm.budget import MIN_BYTES_PER_TOKEN, TOKENS_PER_TURN, token_upper_bound
from personagen.builder.llm.requests import Request

MAX_TOKENS_PER_CALL = 50_000_000
"""Upper bound on a credible count; the largest context windows have ten million tokens."""

MAX_BYTES_PER_TOKEN = 7.0
"""Upper bound on the mean bytes per token of a text; above it, a server counted one choice of several (llama.cpp)."""

IMPOSSIBLE_BYTES_PER_TOKEN = 32
"""Mean bytes per token that no text has; above it, the count is of something else than the reply."""

PROMPT_KEYS = ("prompt_tokens", "input_tokens", "promptTokens", "inputTokens", "prompt_token_count", "promptTokenCount")
COMPLETION_KEYS = (
    "completion_tokens", "output_tokens", "completionTokens", "outputTokens", "generated_tokens",
    "candidates_token_count", "candidatesTokenCount",
)  # fmt: skip
TOTAL_KEYS = ("total_tokens", "totalTokens", "total_token_count", "totalTokenCount")
REASONING_KEYS = (
    "reasoning_tokens", "reasoningTokens", "thinking_tokens", "thoughts_tokens", "thoughts_token_count",
    "thoughtsTokenCount",
)  # fmt: skip
DETAIL_KEYS = ("completion_tokens_details", "output_tokens_details", "completionTokensDetails", "outputTokensDetails")


@dataclass(frozen=True, slots=True)
class WrittenChoice:
    """What a server wrote as one choice.

    Attributes:
        size: UTF-8 bytes of its text, its thoughts and its refusal.
        at_limit: whether it ended at the limit on tokens.
        may_hide_thoughts: whether the model had room for thoughts and the reply shows none.

    """

    size: int
    at_limit: bool
    may_hide_thoughts: bool = False


def count_tokens(usage: Any, request: Request, choices: Sequence[WrittenChoice], limit: int) -> tuple[Amount, bool]:
    """Return the tokens of a reply, and whether they are an estimate.

    A count that is missing or impossible is estimated from above: three bytes per token, the limit for a choice that
    ended there or may hide thoughts.

    Args:
        usage: `usage` of the reply, whatever it is.
        request: the request.
        choices: what the server wrote.
        limit: limit on completion tokens per choice that was sent.

    """
    prompt, completion, total = (_count(usage, keys) for keys in (PROMPT_KEYS, COMPLETION_KEYS, TOTAL_KEYS))
    size = sum(choice.size for choice in choices)
    if completion == 0 and size:
        completion = None
    if len(choices) > 1 and completion is not None and size > MAX_BYTES_PER_TOKEN * completion:
        completion = total = None
    prompt = prompt or None  # every request has a turn
    if total and prompt is not None and total > prompt:
        completion = max(completion or 0, total - prompt)  # some servers count thoughts in the total only
    elif total and completion is not None and total > completion:
        prompt = prompt or total - completion
    if completion is not None and size > IMPOSSIBLE_BYTES_PER_TOKEN * (completion + 2):
        completion = None
    if prompt is not None and completion is not None:
        return Amount(prompt, completion), False
    bound = _upper_bound(request, choices, limit)
    if total and prompt is None and completion is None:
        completion = min(total, bound.completion)  # the dearer kind first
        return Amount(total - completion, completion), True
    return Amount(
        bound.prompt if prompt is None else prompt, bound.completion if completion is None else completion
    ), True


def reasoning_tokens(usage: Any) -> int:
    """Return the tokens that a server states for thoughts; 0: it states none."""
    details = [usage.get(key) for key in DETAIL_KEYS] if type(usage) is dict else []
    return max(_count(counts, REASONING_KEYS) or 0 for counts in (usage, *details))


def _upper_bound(request: Request, choices: Sequence[WrittenChoice], limit: int) -> Amount:
    completion = 0
    for choice in choices:
        tokens = int(choice.size / MIN_BYTES_PER_TOKEN) + TOKENS_PER_TURN
        completion += max(tokens, limit) if choice.at_limit or choice.may_hide_thoughts else tokens
    return Amount(token_upper_bound(request).prompt, completion)


def _count(counts: Any, keys: Sequence[str]) -> int | None:
    """Return the first credible count, a whole number and no truth value; None: there is none."""
    if type(counts) is not dict:
        return None
    for key in keys:
        value = counts.get(key)
        is_whole = type(value) is int or (isinstance(value, float) and value.is_integer())
        if value is not None and is_whole and 0 <= value <= MAX_TOKENS_PER_CALL:
            return int(value)
    return None
