"""Parts of a request body that a recipe sets."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

OWN_PARTS = (
    "messages", "model", "stream", "stream_options", "n", "tools", "tool_choice", "parallel_tool_calls", "functions",
    "function_call", "prompt", "input", "modalities", "audio", "best_of", "echo", "suffix",
)  # fmt: skip
"""Parts that requests need as they are, or that change what a reply is."""

OTHER_KEYS: Mapping[str, str] = {
    "max_tokens": "draw.max_tokens and backend.thinking_tokens",
    "max_completion_tokens": "draw.max_tokens and backend.thinking_tokens",
    "seed": "seed",
    "response_format": "elaborate",
    "reasoning_effort": "backend.reasoning_effort",
}
"""Parts that other keys of a recipe set: a body may leave them out and not set them."""

MAX_BODY_CHARS = 100_000
"""Upper bound on the JSON of a body: every request carries it."""

SECRET_PART = re.compile(r"api[-_]?key|authori[sz]ation|access[-_]?token|secret|passw|credential", re.IGNORECASE)
"""Names of parts that hold a secret. Not "token" and "key" alone: many parameters count tokens."""


def validate_body(body: Mapping[str, Any]) -> None:
    """Validate the parts of a request body that a recipe sets.

    Raises:
        ValueError: a part is not the recipe's to set, holds a secret, or is no JSON data; the message quotes no value.

    """
    try:
        size = len(json.dumps(body, allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        reason = str(error).splitlines()[0] if isinstance(error, TypeError | ValueError) else "nested too deeply"
        raise ValueError(f"wanted JSON data; got something else ({reason})") from None
    if size > MAX_BODY_CHARS:
        raise ValueError(f"got {size} characters of JSON, wanted {MAX_BODY_CHARS} at most; leave some parts out")
    for name, value in body.items():
        if name in OWN_PARTS:
            raise ValueError(f"{name} is set by PersonaGen; leave it out")
        if name in ("extra_body", "body"):
            raise ValueError(f"{name} is an argument of a client, not a part of a request; write its keys without it")
        if name in OTHER_KEYS and value is not None:
            raise ValueError(f"{name} is set by {OTHER_KEYS[name]}; write it there, or null to leave it out")
    for name, value in _parts(body):
        if not isinstance(name, str):
            raise ValueError(f"wanted JSON data, whose keys are text; got the key {name!r:.80}")
        if isinstance(value, str) and (SECRET_PART.search(name) or re.match(r"\$\{\w*\}$|Bearer\s|sk-[\w-]{8}", value)):
            raise ValueError(
                f"{name} holds a secret, and the body is part of the release; use backend.headers, whose values are not"
            )


def _parts(value: Any, name: Any = "") -> Iterator[tuple[Any, Any]]:
    """Yield each name and value at any depth; items of a list have the name of the list."""
    yield name, value
    if isinstance(value, Mapping):
        for key, part in value.items():
            yield from _parts(part, key)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _parts(part, name)
