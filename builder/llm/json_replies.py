"""Find the JSON object in a reply, as models write it: between talk, in a fence, wrapped, or with small faults."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from personagen.builder.llm.thoughts import is_thought_name, words_of

MAX_DEPTH = 24
"""Nesting of objects and lists that is read; schemas of this project have three levels."""

MAX_NODES = 2_000
"""Values among which the object that a schema describes is searched for."""

MAX_STARTS = 1_000
"""Brackets without JSON behind them after which a reply is searched no further."""

WORK_PER_CHARACTER = 8
"""Bound on the characters that are decoded per character of a reply: each brace may begin an object."""

_STRICT = json.JSONDecoder(strict=False)
_START = re.compile(r"[{\[]")
_BLANK = re.compile(r"(?:\s+|//[^\n]*|/\*[^*]{0,2000}\*/)*")
_WORD = re.compile(r"[^\W\d]\w*|[-+]?\d[\d.eE+-]*")
_QUOTES = {'"': '"', "'": "'", "“": "”", "”": "”", "„": "“", "‘": "’", "«": "»"}
_CONSTANTS: Mapping[str, Any] = {"true": True, "false": False, "null": None, "none": None}
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}
_AFTER_VALUE = re.compile(r"\s*(?:[,:}\]]|/[/*]|\Z)")
_FENCE = re.compile(r"```[\w-]{0,20}\s*")
_TYPES: Mapping[str, tuple[type, ...]] = {
    "string": (str,), "array": (list,), "object": (dict,), "number": (int, float), "integer": (int,),
    "boolean": (bool,), "null": (type(None),),
}  # fmt: skip


def parse_json(text: str, schema: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the JSON object in a reply.

    Of several objects, the last one that has the properties that the schema requires, at any depth; else the last one.
    Further keys stay. If the schema has a single property, its value may stand under another key or alone; plain text
    without any JSON is the value of a single string. The time is linear in the length of the text.

    Args:
        text: the reply, without thoughts.
        schema: JSON schema of the object; None: any object.

    Raises:
        ValueError: the reply contains no such object.

    """
    values = list(json_values(text))
    objects = [value for value in values if isinstance(value, dict)]
    if schema is not None:
        described = [node for value in reversed(values) for node in _nodes(value) if _satisfies(node, schema)]
        if described:
            return dict(described[0])
        single = _single_property(schema)
        if single is not None:
            found, value = _lone_value(text, values, *single)
            if found:
                return {single[0]: value}
    nested = [node for value in values for node in _nodes(value) if isinstance(node, dict)]
    if not objects and not nested:
        raise ValueError("it holds no JSON object")
    return dict(objects[-1] if objects else nested[-1])


def json_values(text: str) -> Iterator[Any]:
    """Yield the JSON objects and lists in a text, in order; those inside another are part of it.

    The inside of one that breaks off is searched too, so that a list that was cut yields its whole objects.
    """
    if text.lstrip()[:1] == '"':  # a string that may hold JSON
        try:
            yield _STRICT.decode(text.strip())
        except (ValueError, RecursionError):
            pass
        else:
            return
    position, starts, work = 0, 0, WORK_PER_CHARACTER * len(text) + 1_000
    while work > 0 and starts < MAX_STARTS and (start := _START.search(text, position)):
        value, position, read = _decode_at(text, start.start())
        work -= read
        starts += value is None
        if value is not None:
            yield value


def _decode_at(text: str, start: int) -> tuple[Any, int, int]:
    """Decode the object or list at a bracket; return it, the position behind it, and the characters that were read.

    None, and the position behind the bracket, if there is none.
    """
    read = 0
    try:
        value, end = _STRICT.raw_decode(text, start)
        return value, end, end - start
    except json.JSONDecodeError as error:  # an open string was read to the end
        read = (len(text) if error.msg.startswith("Unterminated") else error.pos) - start
    except (ValueError, RecursionError):
        read = len(text) - start
    tolerant = _TolerantDecoder(text)
    try:
        value, end = tolerant.value(start, 0)
        return value, end, read + end - start
    except ValueError:
        return None, start + 1, read + tolerant.furthest - start + 1


class _TolerantDecoder:
    """Decodes JSON with the faults that models make.

    It accepts commas too many, comments, quotation marks of other kinds, quotes inside a string that are not escaped,
    line ends in strings, keys without quotes, and the constants of Python.

    Attributes:
        furthest: position up to which the text was read.

    """

    def __init__(self, text: str) -> None:
        """Read from a text."""
        self._text = text
        self.furthest = 0

    def value(self, position: int, depth: int) -> tuple[Any, int]:
        """Decode the value at a position; return it and the position behind it.

        Raises:
            ValueError: there is no value, or it is nested too deeply.

        """
        position = self._skip(position)
        character = self._text[position : position + 1]
        if character in ("{", "["):
            if depth >= MAX_DEPTH:
                raise ValueError("nested too deeply")
            return self._object(position, depth) if character == "{" else self._list(position, depth)
        if character and character in _QUOTES:
            return self._string(position)
        word = _WORD.match(self._text, position)
        if word is None:
            raise ValueError("no value")
        if word[0].lower() in _CONSTANTS:
            return _CONSTANTS[word[0].lower()], word.end()
        return json.loads(word[0].removeprefix("+")), word.end()

    def _skip(self, position: int) -> int:
        match = _BLANK.match(self._text, position)
        self.furthest = match.end() if match else position
        return self.furthest

    def _object(self, position: int, depth: int) -> tuple[dict[str, Any], int]:
        found: dict[str, Any] = {}
        position = self._skip(position + 1)
        while self._text[position : position + 1] != "}":
            key, position = self._key(position)
            position = self._skip(position)
            if self._text[position : position + 1] != ":":
                raise ValueError("no colon after a key")
            found[key], position = self.value(position + 1, depth + 1)
            position = self._next(position, "}")
        return found, position + 1

    def _list(self, position: int, depth: int) -> tuple[list[Any], int]:
        found: list[Any] = []
        position = self._skip(position + 1)
        while self._text[position : position + 1] != "]":
            value, position = self.value(position, depth + 1)
            found.append(value)
            position = self._next(position, "]")
        return found, position + 1

    def _next(self, position: int, end: str) -> int:
        """Return the position of the next entry or of the end."""
        position = self._skip(position)
        if self._text[position : position + 1] not in (",", end):
            raise ValueError("no comma between entries")
        while self._text[position : position + 1] == ",":
            position = self._skip(position + 1)
        return position

    def _key(self, position: int) -> tuple[str, int]:
        if self._text[position : position + 1] in _QUOTES and position < len(self._text):
            return self._string(position)
        word = _WORD.match(self._text, position)
        if word is None:
            raise ValueError("no key")
        return word[0], word.end()

    def _string(self, position: int) -> tuple[str, int]:
        """Decode a string; a quotation mark inside it ends it only if a comma, a colon or a bracket follows."""
        closing = _QUOTES[self._text[position]]
        pieces: list[str] = []
        position += 1
        pattern = re.compile(rf"[\\{closing}]")
        while match := pattern.search(self._text, position):
            pieces.append(self._text[position : match.start()])
            position = self.furthest = match.end()
            if match[0] == "\\":
                piece, position = self._escape(position)
                pieces.append(piece)
            elif _AFTER_VALUE.match(self._text, position):
                return _paired("".join(pieces)), position
            else:
                pieces.append(match[0])
        self.furthest = len(self._text)
        raise ValueError("a string without an end")

    def _escape(self, position: int) -> tuple[str, int]:
        """Decode what follows a backslash; one before another character than JSON's escapes is left out."""
        character = self._text[position : position + 1]
        digits = self._text[position + 1 : position + 5]
        if character == "u" and re.fullmatch(r"[0-9a-fA-F]{4}", digits):
            return chr(int(digits, 16)), position + 5
        return _ESCAPES.get(character, character), position + 1


def _paired(text: str) -> str:
    """Join surrogates that were escaped one by one."""
    if not any("\ud800" <= character <= "\udfff" for character in text):
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _nodes(root: Any) -> Iterator[Any]:
    """Yield a value and all values inside it, the outer ones first; strings that hold JSON are decoded."""
    waiting = [(root, 0)]
    for value, depth in waiting:  # grows meanwhile
        node = _inner(value) if isinstance(value, str) else value
        if node is None:
            continue
        yield node
        if depth < MAX_DEPTH and len(waiting) < MAX_NODES:
            inside = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
            waiting += [(entry, depth + 1) for entry in inside if isinstance(entry, dict | list | str)]


def _inner(text: str) -> Any:
    """Decode a string that holds a JSON object or list; None: it holds none."""
    stripped = text.strip()
    if stripped[:1] not in ("{", "["):
        return None
    value, end, _ = _decode_at(stripped, 0)
    return value if end == len(stripped) else None


def _satisfies(node: Any, schema: Mapping[str, Any]) -> bool:
    """Return whether a value is an object with the properties that a schema requires, each of its type."""
    properties: Mapping[str, Any] = schema.get("properties", {})
    required: Sequence[str] = schema.get("required", list(properties))
    return (
        isinstance(node, dict)
        and bool(required)
        and all(name in node and _has_type(node[name], properties.get(name, {})) for name in required)
    )


def _has_type(value: Any, schema: Mapping[str, Any]) -> bool:
    """Return whether a value has the type that a schema names; True for a schema that names none."""
    kinds = schema.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if isinstance(value, bool) and "boolean" not in kinds:
        return not kinds
    return not kinds or any(isinstance(value, _TYPES.get(kind, ())) for kind in kinds)


def _single_property(schema: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return name and type of the only property of a schema; None: it has several, or another kind of value."""
    properties = schema.get("properties", {})
    if len(properties) != 1:
        return None
    ((name, described),) = properties.items()
    kind = described.get("type")
    return (name, kind) if kind in ("string", "array") else None


def _lone_value(text: str, values: Sequence[Any], name: str, kind: str) -> tuple[bool, Any]:
    """Find the value of a single property under another key, or alone; return whether there is one."""
    for value in reversed(values):
        if isinstance(value, _TYPES[kind]):
            return True, value
        if kind == "string" and isinstance(value, list) and len(value) == 1 and isinstance(value[0], str):
            return True, value[0]
        for node in _nodes(value):
            fitting = _fitting(node, kind) if isinstance(node, dict) and name not in node else []
            if len(fitting) == 1:
                return True, fitting[0]
    if kind != "string" or values or "{" in text:
        return False, None
    plain = _without_fence(text.strip())
    label = rf"[\"'*_]{{0,3}}{re.escape(name)}[\"'*_]{{0,3}}\s?:[*_]{{0,2}}\s*"
    plain = plain[match.end() :] if (match := re.match(label, plain, re.IGNORECASE)) else plain
    return bool(plain), plain


def _fitting(node: Mapping[str, Any], kind: str) -> list[Any]:
    """Return the values of a type in an object, thoughts left out."""
    pairs = ((words_of(str(key)), value) for key, value in node.items())
    return [value for words, value in pairs if _has_type(value, {"type": kind}) and not is_thought_name(words)]


def _without_fence(text: str) -> str:
    """Remove the fence around a text."""
    fence = _FENCE.match(text)
    return text[fence.end() :].removesuffix("```").rstrip() if fence else text
