"""Build the body of a chat completion in the dialect of a server."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from personagen.builder.core.errors import RequestError
from personagen.builder.llm.requests import Reply, Request, with_schema

FORMATS = ("json_schema", "json_object", "prompt")
"""Ways to request JSON, from the strictest one to the one that every server accepts."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """Parameters that a server accepts.

    Attributes:
        format: one of FORMATS.
        limit_name: its name of the limit on completion tokens.
        takes_n: whether it draws several candidates per call.
        takes_logprobs: whether it returns log probabilities.

    """

    format: str = FORMATS[0]
    limit_name: str = "max_tokens"
    takes_n: bool = True
    takes_logprobs: bool = True


def require_no_prefill(request: Request, backend: str) -> None:
    """Raise RequestError if a request has a prefill: chat completions cannot portably continue an assistant's turn."""
    if request.prefill:
        raise RequestError(
            f"backend {backend}: a prefill was requested, but chat completions cannot continue an assistant's turn; "
            "put the text into the prompt or use another backend"
        )


def missing_candidates(request: Request, reply: Reply) -> list[Request]:
    """Return a request for each candidate that a reply lacks; candidate i is drawn with seed + i.

    Empty for a reply with a problem: a content filter or a refusal would meet the other candidates too.
    """
    if reply.problem is not None:
        return []
    numbers = range(len(reply.candidates), request.candidates)
    return [replace(request, candidates=1, seed=(request.seed + number) % 2**31) for number in numbers]


def request_body(request: Request, model: str, dialect: Dialect) -> dict[str, Any]:
    """Build the JSON body of one call; parameters that are None are left out."""
    sampling = request.sampling
    in_prompt = request.schema is not None and dialect.format != "json_schema"
    messages = with_schema(request.messages, request.schema or {}) if in_prompt else request.messages
    body: dict[str, Any] = {
        "model": model,
        "messages": [{"role": message.role, "content": message.content} for message in messages],
        "seed": request.seed,
        dialect.limit_name: sampling.max_tokens,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "min_p": sampling.min_p,
        "repetition_penalty": sampling.repetition_penalty,
        "stop": list(request.stop) or None,
        "n": request.candidates if request.candidates > 1 and dialect.takes_n else None,
        "response_format": _response_format(request.schema, dialect),
        "logprobs": True if request.top_logprobs and dialect.takes_logprobs else None,
        "top_logprobs": request.top_logprobs if request.top_logprobs and dialect.takes_logprobs else None,
    }
    return {name: value for name, value in body.items() if value is not None}


def _response_format(schema: Mapping[str, Any] | None, dialect: Dialect) -> dict[str, Any] | None:
    if schema is None or dialect.format == "prompt":
        return None
    if dialect.format == "json_object":
        return {"type": "json_object"}
    return {"type": "json_schema", "json_schema": {"name": "reply", "strict": True, "schema": schema}}
