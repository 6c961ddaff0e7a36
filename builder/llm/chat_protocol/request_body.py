"""Build the body of a chat completion in the dialect of a server.

Servers accept different parts of a request. Every part that can be left out, renamed or rewritten is a rung of a
ladder: level 0 is the part as requested, the last level is the form that no server can refuse.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

from personagen.builder.core.errors import RequestError
from personagen.builder.llm.requests import Message, Reply, Request, with_schema

LAST_LEVELS: Mapping[str, int] = {
    "temperature": 1,
    "top_p": 1,
    "min_p": 1,
    "repetition_penalty": 1,
    "seed": 1,
    "n": 1,
    "stop": 1,
    "logprobs": 1,
    "stream": 1,
    "reasoning_effort": 1,
    "system role": 1,  # 1: the system turn becomes a part of the user turn, and roles alternate
    "response_format": 3,  # 1: a schema without bounds, not strict; 2: any JSON object; 3: the schema is in the prompt
    "max_tokens": 2,  # 1: its newer name; 2: no limit
}
"""Optional parts of a request, by name, with the level at which each is no longer sent."""

LIMIT_NAMES = ("max_tokens", "max_completion_tokens")
"""Names of the limit on completion tokens, by level."""

FORMAT_TYPES = ("json_schema", "json_schema", "json_object")
"""Types of response_format, by level."""

PROMPT_FORMAT = LAST_LEVELS["response_format"]
"""Level at which the schema is written into the prompt and not enforced."""

UNENFORCED_FORMAT = 2
"""Level from which on the server does not enforce the schema itself."""

BOUNDS = frozenset({"minLength", "maxLength", "pattern", "format", "minimum", "maximum", "minItems", "maxItems"})
"""Keywords of a JSON schema that strict modes refuse."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """Parts of a request that a server refuses.

    Attributes:
        levels: level of each part that is not sent as requested, by name; see `LAST_LEVELS`.

    """

    levels: Mapping[str, int] = field(default_factory=dict)

    def level(self, part: str) -> int:
        """Return the level of a part; 0: it is sent as requested."""
        return self.levels.get(part, 0)

    def weakened(self, levels: Mapping[str, int]) -> "Dialect":
        """Return the dialect with the levels of some parts raised, each at most to its last one."""
        raised = {part: max(self.level(part), min(level, LAST_LEVELS[part])) for part, level in levels.items()}
        return Dialect({**self.levels, **{part: level for part, level in raised.items() if level}})

    def without(self, parts: Iterable[str]) -> "Dialect":
        """Return the dialect that leaves out, or rewrites to the last level, further parts."""
        return self.weakened({part: LAST_LEVELS[part] for part in parts})

    def left_out(self) -> tuple[str, ...]:
        """Return the names of all parts that are left out or rewritten; a renamed limit is neither."""
        lost = {part for part, level in self.levels.items() if part != "max_tokens" or level == LAST_LEVELS[part]}
        return tuple(part for part in LAST_LEVELS if part in lost)


def require_no_prefill(request: Request, backend: str) -> None:
    """Raise RequestError if a request has a prefill: chat completions cannot portably continue an assistant's turn."""
    if request.prefill:
        raise RequestError(
            f"backend {backend}: a prefill was requested, but chat completions cannot continue an assistant's turn; "
            "put the text into the prompt or use another backend"
        )


def missing_candidates(request: Request, reply: Reply) -> list[Request]:
    """Return a request for each candidate that a reply lacks; candidate i is drawn with seed + i.

    Empty for a reply with a problem: a content filter or a refusal would meet the other candidates too. A candidate
    with a problem is an answer and not missing.
    """
    if reply.problem is not None:
        return []
    numbers = range(len(reply.candidates), request.candidates)
    return [replace(request, candidates=1, seed=(request.seed + number) % 2**31) for number in numbers]


def request_body(
    request: Request, model: str, dialect: Dialect, *, limit: int, extra: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Build the JSON body of one call; parameters that are None are left out.

    Args:
        request: the request.
        model: model name.
        dialect: parts that the server refuses.
        limit: upper bound on the completion tokens of a candidate.
        extra: parts that replace those of the same name; null leaves a part out. None: none.

    """
    sampling, logprobs = request.sampling, request.top_logprobs if not dialect.level("logprobs") else 0
    limit_level = dialect.level("max_tokens")
    body: dict[str, Any] = {
        "model": model,
        "messages": [{"role": message.role, "content": message.content} for message in _messages(request, dialect)],
        "seed": request.seed,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "min_p": sampling.min_p,
        "repetition_penalty": sampling.repetition_penalty,
        "stop": list(request.stop) or None,
        "n": request.candidates if request.candidates > 1 else None,
        "response_format": _response_format(request.schema, dialect.level("response_format")),
        "stream": False,
    }
    for name in dialect.levels.keys() & body.keys():
        body[name] = body[name] if name == "response_format" else None
    if limit_level < LAST_LEVELS["max_tokens"] and not (extra or {}).keys() & set(LIMIT_NAMES):
        body[LIMIT_NAMES[limit_level]] = limit
    body |= {"logprobs": True, "top_logprobs": logprobs} if logprobs else {}
    body |= {name: value for name, value in (extra or {}).items() if not dialect.level(name)}
    return {name: value for name, value in body.items() if value is not None}


def levels_of(body: Mapping[str, Any]) -> dict[str, int]:
    """Return the optional parts of a body, each with the level at which it was sent."""
    parts = {part: 0 for part in LAST_LEVELS if part in body and part not in ("response_format", "max_tokens")}
    if isinstance(response_format := body.get("response_format"), Mapping):
        strict = response_format.get("json_schema", {}).get("strict") is True
        parts["response_format"] = 2 if response_format.get("type") == "json_object" else int(not strict)
    parts.update(("max_tokens", level) for level, name in enumerate(LIMIT_NAMES) if name in body)
    roles = [message["role"] for message in body["messages"]]
    if "system" in roles or any(role == following for role, following in pairwise(roles)):
        parts["system role"] = 0
    return parts


def dialect_of(sent: Mapping[str, int], full: Mapping[str, int]) -> Dialect:
    """Return the dialect in which a request was sent.

    Args:
        sent: optional parts of its body, with their levels.
        full: those of its body in the dialect of a server that accepts everything.

    """
    levels = {part: sent.get(part, LAST_LEVELS[part]) for part in full}
    return Dialect({part: level for part, level in levels.items() if level})


def merge_turns(messages: Iterable[Message]) -> tuple[Message, ...]:
    """Rewrite a chat for a model without a system role: system turns join the user's, and roles alternate."""
    merged: list[Message] = []
    for message in messages:
        role = "user" if message.role == "system" else message.role
        if merged and merged[-1].role == role:
            merged[-1] = Message(role, f"{merged[-1].content}\n\n{message.content}")
        else:
            merged.append(Message(role, message.content))
    return tuple(merged)


def _messages(request: Request, dialect: Dialect) -> tuple[Message, ...]:
    messages = request.messages
    if request.schema is not None and dialect.level("response_format") >= UNENFORCED_FORMAT:
        messages = with_schema(messages, request.schema)
    return merge_turns(messages) if dialect.level("system role") else messages


def _response_format(schema: Mapping[str, Any] | None, level: int) -> dict[str, Any] | None:
    if schema is None or level == PROMPT_FORMAT:
        return None
    if FORMAT_TYPES[level] == "json_object":
        return {"type": "json_object"}
    named = {"name": "reply", "schema": schema if level == 0 else _unbounded(schema)}
    return {"type": "json_schema", "json_schema": named | ({"strict": True} if level == 0 else {})}


def _unbounded(schema: Any) -> Any:
    """Remove the bounds of values from a JSON schema; property names that look like keywords stay."""
    if isinstance(schema, list):
        return [_unbounded(part) for part in schema]
    if not isinstance(schema, Mapping):
        return schema
    return {
        name: {key: _unbounded(part) for key, part in value.items()} if name == "properties" else _unbounded(value)
        for name, value in schema.items()
        if name not in BOUNDS
    }
