"""Bodies of chat completions and of errors."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tests.helpers.servers.behaviours.records import OddAnswer, OddCall

PROMPT_TOKENS, TEXT_TOKENS = 200, 60
"""Tokens of every prompt and of every text."""

THOUGHT = (
    "Okay, so I have a person of 54 years here who lives near the coast. I should keep it short and plain. "
    "The word must not appear. Maybe a bus ride works."
)
"""A thought of a reasoning model."""

MARKS = ("54 years", "must not appear", "short and plain", "bus ride works")
"""Parts of the thought; a text with one of them holds a thought."""


def message_of(text: str) -> dict[str, Any]:
    """Build an ordinary message."""
    return {"role": "assistant", "content": text}


def completion(
    call: OddCall,
    texts: Sequence[str | None] | None = None,
    *,
    finish: Any = "stop",
    message: Callable[[Any], Mapping[str, Any]] = message_of,
    usage: bool = True,
    written: int | None = None,
    **more: Any,
) -> dict[str, Any]:
    """Build a chat completion.

    Args:
        call: the request.
        texts: texts of the choices; None: the ordinary ones.
        finish: finish_reason of each choice.
        message: builds the message of a text.
        usage: whether the reply states the tokens.
        written: completion tokens; None: those of the texts.
        more: further keys of the reply, which replace the usual ones.

    """
    texts = call.texts if texts is None else texts
    choices = [{"index": index, "message": message(text), "finish_reason": finish} for index, text in enumerate(texts)]
    count = TEXT_TOKENS * len(choices) if written is None else written
    tokens = {"prompt_tokens": PROMPT_TOKENS, "completion_tokens": count, "total_tokens": PROMPT_TOKENS + count}
    reply = {"id": "c", "object": "chat.completion", "created": 1, "model": call.body.get("model"), "choices": choices}
    return reply | ({"usage": tokens} if usage else {}) | more


def reply(call: OddCall, texts: Sequence[str | None] | None = None, **options: Any) -> OddAnswer:
    """Build the answer with a usable chat completion; see `completion`."""
    return OddAnswer(body=completion(call, texts, **options))


def useless(call: OddCall, texts: Sequence[str | None] | None = None, **options: Any) -> OddAnswer:
    """Build the answer with a chat completion that is paid for and holds no usable text; see `completion`."""
    return OddAnswer(body=completion(call, texts, **options), use="unusable")


def fail(status: int, message: str, headers: Mapping[str, str] | None = None, **fields: Any) -> OddAnswer:
    """Build an error as OpenAI words it."""
    error = {"message": message, "type": "invalid_request_error", "param": None, "code": None} | fields
    return OddAnswer(status, {"error": error}, headers or {})


def halves(text: str) -> str:
    """Cut a text in the middle of a word."""
    middle = len(text) // 2
    while not (text[middle - 1].isalpha() and text[middle].isalpha()):
        middle += 1
    return text[:middle]


def half(call: OddCall, finish: Any, **options: Any) -> OddAnswer:
    """Build the answer with texts that break off; their complete sentences may be used."""
    return OddAnswer(body=completion(call, [halves(text) for text in call.texts], finish=finish, **options))


def event(data: Mapping[str, Any] | str) -> str:
    """Format one event of a stream."""
    return f"data: {data if isinstance(data, str) else json.dumps(data)}\n\n"


def chunk(delta: Mapping[str, Any], finish: str | None = None, **more: Any) -> dict[str, Any]:
    """Build one chunk of a streamed completion."""
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]} | more


def stream(call: OddCall, *, width: int = 40) -> list[str]:
    """Build the events of a streamed completion of the first text, without the end of the stream."""
    text = call.texts[0]
    parts = [event(chunk({"content": text[start : start + width]})) for start in range(0, len(text), width)]
    return [event(chunk({"role": "assistant", "content": ""})), *parts, event(chunk({}, "stop"))]
