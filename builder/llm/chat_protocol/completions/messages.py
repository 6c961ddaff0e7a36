"""Read the message of a chat completion: its text, its thoughts and its refusal."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from personagen.builder.llm.thoughts import is_thought_name, words_of

Kind = Literal["text", "thought", "refusal", "other"]
"""What a part of a message holds; "other": neither a text nor a thought, such as an image."""

TEXT_WORDS = frozenset(
    {
        "text", "message", "output", "content", "string", "markdown", "paragraph", "answer", "response", "final",
        "completion",
    }
)  # fmt: skip
"""Words in the type of a part that holds text of the reply; a part without a type does too."""

VALUE_KEYS: Mapping[Kind, tuple[str, ...]] = {
    "text": ("text", "value", "content", "parts", "output_text"),
    "thought": ("thinking", "reasoning", "thought", "summary", "content", "text", "value"),
    "refusal": ("refusal", "text", "value"),
    "other": (),
}
"""Keys of a part under which its text is, in order of preference."""


@dataclass(frozen=True, slots=True)
class MessageContent:
    """What a message holds.

    Attributes:
        text: text of the reply; "": none.
        thoughts: thoughts in fields or parts of their own, which are no part of the text; "": none.
        refusal: why the model refuses; "": it does not.
        calls_tool: whether it calls a tool.

    """

    text: str
    thoughts: str
    refusal: str
    calls_tool: bool


USUAL_FIELDS = ("role", "content", "refusal", "tool_calls", "function_call")
"""Fields of a message that hold no thoughts."""


def read_message(message: Mapping[str, Any]) -> MessageContent:
    """Read a message whose content is a string, an object, or a list of strings and parts at any depth.

    An object that is no part is the JSON that a request asked for, already parsed; it becomes text again.
    """
    content = message.get("content")
    if content is None:
        content = message.get("text")
    pieces: dict[str, list[str]] = {"text": [], "thought": [], "refusal": [], "other": []}
    for kind, piece in _pieces(content, "text"):
        pieces[kind].append(piece)
    refusal = message.get("refusal")
    return MessageContent(
        text="".join(pieces["text"]),
        # Gateways repeat one thought under several keys.
        thoughts="".join(pieces["thought"]) + max(_thought_fields(message), key=len, default=""),
        refusal=refusal if isinstance(refusal, str) and refusal else "".join(pieces["refusal"]),
        calls_tool=bool(message.get("tool_calls") or message.get("function_call")),
    )


def _thought_fields(message: Mapping[str, Any]) -> Iterator[str]:
    """Yield the text of each field such as `reasoning_content`."""
    for name, value in message.items():
        if name in USUAL_FIELDS:
            continue
        words = words_of(name)
        if is_thought_name(words) and "signature" not in words:
            yield "".join(piece for _, piece in _pieces(value, "thought"))


def _pieces(content: Any, kind: Kind) -> Iterator[tuple[Kind, str]]:
    """Yield the strings in a content with their kinds, in order; without recursion, since depth is the server's."""
    waiting: list[tuple[Any, Kind]] = [(content, kind)]
    while waiting:
        part, kind = waiting.pop()
        if isinstance(part, str):
            yield kind, part
        elif isinstance(part, list):
            waiting += [(item, kind) for item in reversed(part)]
        elif isinstance(part, dict):
            waiting += reversed(_inside(part, kind))


def _inside(part: Mapping[str, Any], kind: Kind) -> list[tuple[Any, Kind]]:
    """Return the values of a part with their kinds."""
    kind = _kind_of(part, kind)
    values = [part[key] for key in VALUE_KEYS[kind] if part.get(key) is not None]
    if kind == "thought":  # a summary and the thought itself may both be there
        return [(value, kind) for value in values if not isinstance(value, bool)]
    if not values and kind == "text" and "type" not in part:
        return [(json.dumps(part, ensure_ascii=False), kind)]
    return [(value, kind) for value in values[:1]]


def _kind_of(part: Mapping[str, Any], kind: Kind) -> Kind:
    """Return the kind of a part by its type; one inside a thought is a thought."""
    name = part.get("type")
    words = words_of(name) if isinstance(name, str) else ()
    if kind == "thought" or part.get("thought") is True or is_thought_name(words):
        return "thought"
    if "refusal" in words:
        return "refusal"
    return kind if not words or not TEXT_WORDS.isdisjoint(words) else "other"
