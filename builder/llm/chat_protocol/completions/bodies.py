"""Decode the body of a reply: JSON in odd wrappings, lines of JSON, or an event stream that was not requested."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from personagen.builder.llm.thoughts import is_thought_name, words_of

DONE = "[DONE]"
"""Data of the event that ends a stream."""

BROKEN = {"message": "the event stream broke off", "code": 502}
"""Error of a stream that ends in the middle."""

_BLANKS = re.compile(r"\s+")
_FIELD = re.compile(r"(data|event|id|retry)?[ \t]?:[ \t]?(.*)")
_DECODER = json.JSONDecoder(strict=False)


def decode_body(data: bytes) -> dict[str, Any]:
    """Decode the body of a reply into the object of a chat completion; the events of a stream are put together.

    Raises:
        ValueError: the body holds no JSON object.

    """
    text = decode_text(data).strip()
    try:
        values, is_done = [_DECODER.decode(text)], True
    except (ValueError, RecursionError):
        values, is_done = _decode_several(text)
    objects = [value for value in _flattened(values) if isinstance(value, dict)]
    if not objects:
        raise ValueError("no JSON object")
    return _combine(objects, is_done)


def decode_text(data: bytes) -> str:
    """Decode the bytes of an answer: UTF-8 or UTF-16 with its mark, else Windows-1252 where UTF-8 fits less well."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16", "replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("utf-8-sig", "replace")
    damaged = text.count("\ufffd")
    if damaged <= sum(character > "\x7f" for character in text) - damaged:
        return text
    try:
        return data.decode("cp1252")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _flattened(values: Sequence[Any]) -> Iterator[Any]:
    """Yield the values, those of a list one by one; a string that holds JSON is decoded."""
    for value in values:
        if isinstance(value, str) and value.lstrip()[:1] == "{":
            try:
                yield _DECODER.decode(value.strip())
            except (ValueError, RecursionError):
                continue
        elif isinstance(value, list):
            yield from value
        else:
            yield value


def _decode_several(text: str) -> tuple[list[Any], bool]:
    """Decode lines of JSON and events; also return whether they end as a stream does.

    Raises:
        ValueError: a part of the text is neither.

    """
    values: list[Any] = []
    event: dict[str, list[str]] = {}
    is_done, position = False, 0
    while position < len(text):
        if text[position] in '{["':
            value, position = _decode_value(text, position)
            values.append(value)
        elif blanks := _BLANKS.match(text, position):
            if blanks[0].count("\n") > 1:
                values += _decode_event(event, is_last=False)
                event = {}
            position = blanks.end()
        elif line := _FIELD.match(text, position):
            is_done = is_done or (line[1] == "data" and line[2].strip() == DONE)
            event.setdefault(line[1] or "comment", []).append(line[2].strip())
            position = line.end()
        else:
            raise ValueError("neither JSON nor an event")
    return values + _decode_event(event, is_last=True), is_done


def _decode_value(text: str, position: int) -> tuple[Any, int]:
    """Decode the JSON at a position; also return the position behind it."""
    try:
        return _DECODER.raw_decode(text, position)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def _decode_event(event: dict[str, list[str]], *, is_last: bool) -> list[Any]:
    """Decode the data of an event: JSON on each of its lines, or on all of them together.

    The last one may have been broken off.
    """
    lines = [line for line in event.get("data", ()) if line not in ("", DONE)]
    values: list[Any] = []
    for data in (lines, ["\n".join(lines)]):
        try:
            values = [_DECODER.decode(line) for line in data if line]
            break
        except (ValueError, RecursionError):
            continue
    else:
        if not is_last:
            raise ValueError("an event holds no JSON")
        return [{"error": BROKEN}]
    if event.get("event") == ["error"]:
        return [value if isinstance(value, dict) and "error" in value else {"error": value} for value in values]
    return values


def _combine(objects: Sequence[dict[str, Any]], is_done: bool) -> dict[str, Any]:
    """Return the one completion among objects, or put the chunks of a stream together; an error goes first."""
    failed = next((entry for entry in objects if entry.get("error")), None)
    if failed is not None and len(objects) > 1:
        return {**failed, "choices": None}
    whole = [entry for entry in objects if (choices := _choices_of(entry)) and not any(map(_is_chunk, choices))]
    if whole:
        return whole[-1]
    return _assemble(objects, is_done) if any(map(_choices_of, objects)) else objects[-1]


def _is_chunk(choice: dict[str, Any]) -> bool:
    return "delta" in choice or ("text" in choice and "message" not in choice)


def _choices_of(entry: dict[str, Any]) -> list[dict[str, Any]]:
    choices = entry.get("choices")
    return [choice for choice in choices if isinstance(choice, dict)] if isinstance(choices, list) else []


@dataclass(slots=True)
class _StreamedChoice:
    """One choice of a stream, as far as its chunks have come.

    Attributes:
        fields: pieces of each field of the message.
        finish: its finish_reason; None: not named so far.
        logprobs: log probabilities of its tokens.
        error: error in a chunk; None: there is none.

    """

    fields: dict[str, list[Any]] = field(default_factory=dict)
    finish: Any = None
    logprobs: list[Any] = field(default_factory=list)
    error: Any = None

    def add(self, choice: dict[str, Any]) -> None:
        """Add what a chunk says of the choice."""
        delta = choice.get("delta", {"content": choice.get("text")})
        for name, piece in delta.items() if isinstance(delta, dict) else ():
            if piece is not None and (name in ("content", "refusal", "tool_calls") or is_thought_name(words_of(name))):
                self.fields.setdefault(name, []).append(piece)
        self.finish = choice.get("finish_reason") or self.finish
        self.error = choice.get("error") or self.error
        logprobs = choice.get("logprobs")
        tokens = logprobs.get("content") if isinstance(logprobs, dict) else None
        self.logprobs += tokens if isinstance(tokens, list) else []

    def to_choice(self, index: int) -> dict[str, Any]:
        """Build the choice of a completion."""
        message = {name: _joined(pieces) for name, pieces in self.fields.items()}
        choice = {"index": index, "message": {"role": "assistant", **message}, "finish_reason": self.finish}
        return choice | {"logprobs": {"content": self.logprobs} if self.logprobs else None, "error": self.error}


def _joined(pieces: list[Any]) -> Any:
    return "".join(pieces) if all(isinstance(piece, str) for piece in pieces) else pieces


def _assemble(chunks: Sequence[dict[str, Any]], is_done: bool) -> dict[str, Any]:
    """Put the chunks of a stream together; one without an end is an error, since its text breaks off."""
    streamed: dict[int, _StreamedChoice] = {}
    facts: dict[str, Any] = {}
    for chunk in chunks:
        for position, choice in enumerate(_choices_of(chunk)):
            index = choice.get("index")
            streamed.setdefault(index if type(index) is int else position, _StreamedChoice()).add(choice)
        facts |= {name: chunk[name] for name in ("model", "system_fingerprint") if chunk.get(name)}
        groq = chunk.get("x_groq")
        usage = chunk.get("usage") or (groq.get("usage") if isinstance(groq, dict) else None)
        facts |= {"usage": usage} if usage else {}
    if not is_done and not any(choice.finish or choice.error for choice in streamed.values()):
        facts["error"] = BROKEN
    return facts | {"choices": [choice.to_choice(index) for index, choice in sorted(streamed.items())]}
