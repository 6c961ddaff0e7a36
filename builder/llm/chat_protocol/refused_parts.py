"""Find the parts of a request that the answer of a server refuses.

Servers name a part in a field (`param`, `field`), in the path of a validation error (`loc`), or in a sentence only.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from personagen.builder.llm.chat_protocol.statuses import parse_answer

MAX_ANSWER_CHARACTERS = 8_000
"""Characters of an answer that are searched; a refusal names its part at the beginning."""

NAME_FIELDS = ("param", "parameter", "field", "path")
"""Fields of an error object that name the refused part."""

ECHOES = ("input", "flagged_input", "failed_generation", "request", "request_body", "messages", "prompt", "ctx")
"""Fields of an error that repeat the request or the reply."""

ALIASES: Mapping[str, str] = {
    "max_completion_tokens": "max_tokens",
    "max_new_tokens": "max_tokens",
    "max_output_tokens": "max_tokens",
    "maxOutputTokens": "max_tokens",
    "num_predict": "max_tokens",
    "topP": "top_p",
    "minP": "min_p",
    "repeat_penalty": "repetition_penalty",
    "top_logprobs": "logprobs",
    "json_schema": "response_format",
    "responseSchema": "response_format",
    "responseMimeType": "response_format",
    "format": "response_format",
    "candidateCount": "n",
    "candidate_count": "n",
    "best_of": "n",
    "stopSequences": "stop",
    "stop_sequences": "stop",
    "reasoning": "reasoning_effort",
    "effort": "reasoning_effort",
    "role": "system role",
    "system": "system role",
    "system_instruction": "system role",
}
"""Other names of parts in fields and paths of errors."""

_QUOTE = "['\"`\u2018\u201c]"

SENTENCES: Mapping[str, re.Pattern[str]] = {
    part: re.compile(pattern, re.IGNORECASE)
    for part, pattern in {
        "temperature": r"\btemperature\b",
        "top_p": r"\btop[_ -]?p\b|\bnucleus\b",
        "min_p": r"\bmin[_ -]?p\b",
        "repetition_penalty": r"\brepe(?:at|tition)[_ -]?penalt(?:y|ies)\b",
        "seed": r"\bseeds?\b|\bseeding\b",
        "n": rf"{_QUOTE}n['\"`\u2019\u201d]"
        r"|(?<![\w\\'])n ?(?:>|<|=|:|!|must|is|should|not|cannot|can only|has to|was)"
        r"|(?:parameter|field|argument|property|name|supplied|value of)s?:? ?n\b"
        r"|completion choices?|\bmultiple (?:choices|completions|candidates|outputs|generations|responses)"
        r"|(?:number|count) of (?:choices|completions|candidates|generations|responses|samples)"
        r"|\b(?:one|single) (?:choice|completion|candidate|generation)\b|\bbest_of\b|\bcandidate_?count\b",
        "stop": rf"\Astop ?:|{_QUOTE}stop['\"`\u2019\u201d]|\bstop[_ -]?(?:sequence|word|string|token)s?"
        r"|\bstop\b(?= (?:is|parameter|must|not|should|field|has))"
        r"|(?:parameter|field|argument|name|supplied)s?:? ?stop\b|: ?stop\W*\Z",
        "logprobs": r"log[_ ]?prob",
        "stream": rf"{_QUOTE}stream['\"`\u2019\u201d]|\bstream\b(?= (?:is|parameter|must|not|should|field|has))"
        r"|(?:parameter|field|argument|name|supplied)s?:? ?stream\b|: ?stream\W*\Z",
        "reasoning_effort": r"\breasoning[_. ]?effort\b|\breasoning\b.{0,40}\bsupported\b",
        "system role": r"\bsystem[_ ]?(?:role|message|prompt|instruction|turn)s?\b"
        r"|\bdeveloper (?:role|message|instruction)s?\b"
        r"|\broles?\b.{0,40}\b(?:system|alternate|alternating)|\b(?:system|alternate|alternating)\b.{0,40}\broles?\b"
        rf"|{_QUOTE}system['\"`\u2019\u201d]|\bmessages?(?:\.\d+|\[\d+\])\.role\b"
        r"|\b(?:unexpected|unsupported|invalid|unknown) role\b|\brole must be\b",
        "response_format": r"response[_ ]?format|json[_ ]?schema|json[_ ]?object|\bjson[_ ]?mode\b"
        r"|structured[_ ]?outputs?|\bguided|\bgrammar\b|\bschema\b",
        "max_tokens": r"\bmax(?:imum)?_?(?:completion_?|output_?|new_?)?tokens\b"
        r"|\bmax(?:imum)? (?:number of )?(?:completion|output|new) tokens",
    }.items()
}
"""Mentions of each part in a sentence."""

_ASIDES = re.compile(
    r"https?://\S+|\bdid you (?:mean|forget|intend)\b[^?]*"
    r"|\b(?:input_value|input|got|received)=.*?(?=, input_type|\n|$)"
    r"|\b(?:not|must be) one of ?[\[({].*?[\])}]"
    r"|(?<!not )\b(?:supported|allowed|valid|permitted|accepted|available|known|recogni[sz]ed|expected)"
    r"(?: \w+){0,2}(?: are| is| include)? ?:.*?(?=[.;]\s|\n|$)",
    re.IGNORECASE,
)
"""What a sentence says beside the refusal: pages to read, values that were sent, and parts that are accepted."""

_SCHEMA_ALONE = re.compile(r"\bschema\b(?<!json.schema)", re.IGNORECASE)
"""A word for a schema of replies, and for that of requests."""

_CONFLICT = re.compile(
    r"\bboth\b|\btogether\b|\bsimultaneous|\bat the same time\b|\bin combination\b|\bonly one of\b|\bmutually\b"
    r"|\bconflict|\bincompatible\b|\bwhen\b",
    re.IGNORECASE,
)

_SCHEMA_CONTENT = re.compile(
    r"invalid (?:json[_ ]?)?schema|\bstrict\b|permitted|keyword|min_?length|max_?length|additional_?properties"
    r"|\bproperties\b|\brequired\b.{0,40}\bschema|schema.{0,60}\b(?:not valid|unsupported|complex|too)\b",
    re.IGNORECASE,
)
"""Refusals of what a schema says, and not of schemas."""

_FORMAT_TYPE = re.compile(r"json_schema|json_object|\btype\b", re.IGNORECASE)
"""Refusals of a type of response_format, and not of the whole part."""

IMPORTANCE = (
    "stream", "reasoning_effort", "n", "logprobs", "min_p", "repetition_penalty", "stop", "top_p", "seed",
    "response_format", "system role", "temperature", "max_tokens",
)  # fmt: skip
"""Parts from the one to give up first, where a server refuses a combination of several."""


def refused_parts(answer: str, sent: Mapping[str, int]) -> frozenset[str]:
    """Return the parts that an answer refuses.

    Args:
        answer: body of the answer.
        sent: parts that the request had, by name; see `levels_of`.

    Returns:
        Names of sent parts; empty: the answer names none.

    """
    data = parse_answer(answer[:MAX_ANSWER_CHARACTERS])
    named = frozenset(part for name in _names(data) for part in _parts_in(name) if part in sent)
    if named:
        return named
    sentence = " ".join(_strings(data)) or answer[:MAX_ANSWER_CHARACTERS]
    mentioned = _mentioned(_ASIDES.sub(" ", sentence), sent) or _mentioned(sentence, sent)
    if len(mentioned) > 1 and _CONFLICT.search(sentence):
        return frozenset([next(part for part in IMPORTANCE if part in mentioned)])
    return frozenset(mentioned)


def _mentioned(sentence: str, sent: Mapping[str, int]) -> set[str]:
    """Return the sent parts that a sentence mentions; a schema beside another part is that of requests."""
    mentioned = {part for part, pattern in SENTENCES.items() if part in sent and pattern.search(sentence)}
    if len(mentioned) > 1 and not SENTENCES["response_format"].search(_SCHEMA_ALONE.sub(" ", sentence)):
        mentioned.discard("response_format")
    return mentioned


def next_levels(answer: str, parts: Iterable[str], sent: Mapping[str, int]) -> dict[str, int]:
    """Return the level at which to send each refused part next.

    A schema with refused keywords is sent without them, a refused type of response_format is replaced by the next one,
    and a refused response_format is left out.
    """
    levels = {part: sent[part] + 1 for part in parts}
    if levels.get("response_format") == 1 and not _SCHEMA_CONTENT.search(answer):
        levels["response_format"] = 2 if _FORMAT_TYPE.search(answer) else 3
    return levels


def names_a_part(answer: str) -> bool:
    """Return whether an answer names a part in a field or a path, and not in a sentence only."""
    return any(_parts_in(name) for name in _names(parse_answer(answer[:MAX_ANSWER_CHARACTERS])))


def _parts_in(name: str) -> frozenset[str]:
    """Return the parts that a name such as "messages[0].role" or "generation_config.seed" stands for."""
    words = [word for word in re.split(r"[^A-Za-z_]+", name) if word]
    return frozenset(part for word in words if (part := ALIASES.get(word, word)) in SENTENCES)


def _names(data: Any) -> Iterator[str]:
    """Yield the names of parts in fields and paths of an error, at any depth."""
    if isinstance(data, list):
        for entry in data:
            yield from _names(entry)
    if not isinstance(data, Mapping):
        return
    for key, value in data.items():
        if key in NAME_FIELDS and isinstance(value, str):
            yield value
        elif key in ("loc", "path") and isinstance(value, list):
            yield ".".join(map(str, value))
        elif key in ("unrecognized_arguments", "unsupported_params") and isinstance(value, list):
            yield from (entry for entry in value if isinstance(entry, str))
        elif key not in ECHOES:
            yield from _names(value)


def _strings(data: Any) -> Iterator[str]:
    """Yield all sentences of an error, without what it repeats of the request."""
    if isinstance(data, str):
        yield data
    elif isinstance(data, list):
        for entry in data:
            yield from _strings(entry)
    elif isinstance(data, Mapping):
        for key, value in data.items():
            if key not in ("param", "loc", "type", "object", "status", *ECHOES):
                yield from _strings(value)
