"""The chat completions protocol of OpenAI-compatible servers: request bodies, replies and errors.

Servers accept different parameters. A `Dialect` states what is known about one server; a parameter that it refuses in
clear words is not sent again.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from personagen.builder.core.errors import BackendError, RequestError, TransientError
from personagen.builder.llm.requests import Candidate, Message, Reply, Request, parse_json, with_schema

FORMATS = ("json_schema", "json_object", "prompt")
"""Ways to request JSON, from the strictest one to the one that every server accepts."""

OVERLOAD_STATUSES = (429, 503, 529)
"""Statuses of an overloaded server."""

TRANSIENT_STATUSES = (408, 409, 425, *OVERLOAD_STATUSES)
"""Statuses below 500 after which the same request may succeed, and those of an overload."""


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


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A server and its model, as messages name them.

    Attributes:
        address: base URL, without user and password.
        model: model name.
        secret: API key, removed from quoted answers; None: no key.

    """

    address: str
    model: str
    secret: str | None = field(repr=False)

    def quote(self, text: str, *, limit: int = 80) -> str:
        """Quote foreign text on one line, at most `limit` characters, control characters escaped, without the key."""
        if self.secret:
            # Before the cut, which could leave a part of the key.
            text = text.replace(self.secret, "***")
        return repr(text[:limit] + ("..." if len(text) > limit else ""))


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


def adapt_dialect(dialect: Dialect, body: Mapping[str, Any], answer: str) -> Dialect | None:
    """Return the dialect after a 400 or 422; None: the answer names no parameter that could be left out.

    Each change leaves fewer parameters to refuse, so resending after it ends.

    Args:
        dialect: the dialect so far. Calls in flight together get the same refusal, and only the first one may switch
            to the next format.
        body: the refused body.
        answer: body of the refusal.

    """
    error = parse_error(answer)
    text = f"{error.get('param')} {error_message(answer)}".lower()
    response_format = body.get("response_format")
    if response_format and re.search(r"response_format|json_schema|json_object", text):
        if response_format["type"] == dialect.format:
            return replace(dialect, format=FORMATS[FORMATS.index(dialect.format) + 1])
        return dialect
    if "max_tokens" in body and "max_completion_tokens" in text:
        return replace(dialect, limit_name="max_completion_tokens")
    if "logprobs" in body and "logprobs" in text:
        return replace(dialect, takes_logprobs=False)
    if "n" in body and (error.get("param") == "n" or re.search(r"['\"`]n['\"`]", text)):
        return replace(dialect, takes_n=False)
    return None


def schema_violation(text: str, schema: Mapping[str, Any]) -> str | None:
    """Describe on one line how a reply violates a JSON schema; None: it is valid."""
    import jsonschema

    try:
        value = parse_json(text)
    except ValueError as error:
        return f"it is not JSON ({error})"
    problem = jsonschema.exceptions.best_match(jsonschema.Draft202012Validator(schema).iter_errors(value))
    if problem is None:
        return None
    return f"at {problem.json_path}: {problem.message[:300]}"


def repair_request(request: Request, text: str, violation: str) -> Request:
    """Build the request for a correction: the chat so far, the invalid reply, and its violation of the schema."""
    instruction = (
        f"That does not satisfy the JSON schema: {violation}. Answer again, with the corrected JSON and nothing else."
    )
    turns = (Message("assistant", text), Message("user", instruction))
    return replace(request, messages=(*request.messages, *turns), candidates=1)


def parse_reply(text: str, request: Request, endpoint: Endpoint) -> Reply:
    """Parse the body of a chat completion; one that was paid for and is unusable becomes a reply with a problem.

    Raises:
        RequestError: the body is no chat completion.
        BackendError: the body is a web page, so the URL is not that of such a server.

    """
    if text.lstrip()[:1] == "<":
        raise BackendError(
            f"{endpoint.address} answered with a web page, not with JSON: got {endpoint.quote(text)}; "
            "check --base-url (it usually ends in /v1)"
        )
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        raise _unusable(endpoint, "is no JSON", text) from None
    choices = data.get("choices") if isinstance(data, dict) else None
    if not isinstance(choices, list):
        raise _unusable(endpoint, "has no list of choices", text)
    if not choices:
        raise _unusable(endpoint, "has empty choices", text)
    usage = data.get("usage")
    counts = usage if isinstance(usage, dict) else {}
    tokens = _token_count(counts.get("prompt_tokens")), _token_count(counts.get("completion_tokens"))
    parsed = [_parse_choice(choice, request, endpoint) for choice in choices]
    problem = next((choice for choice in parsed if isinstance(choice, str)), None)
    candidates = tuple(choice for choice in parsed if isinstance(choice, Candidate))
    return Reply(candidates if problem is None else (), *tokens, problem)


def _parse_choice(choice: Any, request: Request, endpoint: Endpoint) -> Candidate | str:
    """Parse one choice; a string is the reason why it is unusable."""
    message = choice.get("message") if isinstance(choice, dict) else None
    if not isinstance(message, dict):
        raise _unusable(endpoint, "has a choice without a message", json.dumps(choice))
    finish, content = choice.get("finish_reason"), message.get("content")
    if finish == "content_filter":
        return f"{endpoint.address}: the content filter stopped the reply (finish_reason content_filter)"
    if message.get("refusal"):
        return f"{endpoint.address}: the model refused: {endpoint.quote(str(message['refusal']))}"
    if not isinstance(content, str) or not content:
        hint = f"; max_tokens {request.sampling.max_tokens} may be too small" if finish == "length" else ""
        return f"{endpoint.address}: the reply has no content (finish_reason {finish}){hint}"
    # Names of a natural end differ between servers ("stop", "eos", none at all); only a cut matters.
    return Candidate(
        text=content,
        finish="length" if finish == "length" else "stop",
        first_logprobs=_first_logprobs(choice.get("logprobs")) if request.top_logprobs else None,
    )


def _first_logprobs(logprobs: Any) -> dict[str, float] | None:
    """Parse the log probabilities of the first token's alternatives; None: absent or malformed."""
    content = logprobs.get("content") if isinstance(logprobs, dict) else None
    first = content[0] if isinstance(content, list) and content else None
    top = first.get("top_logprobs") if isinstance(first, dict) else None
    alternatives = {
        entry["token"]: float(entry["logprob"])
        for entry in (top if isinstance(top, list) else [])
        if isinstance(entry, dict)
        and isinstance(entry.get("token"), str)
        and type(entry.get("logprob")) in (int, float)
    }
    return alternatives or None


def _unusable(endpoint: Endpoint, defect: str, text: str) -> RequestError:
    return RequestError(
        f"{endpoint.address}: the reply {defect}: got {endpoint.quote(text)}, expected a chat completion; "
        "check that --base-url points to an OpenAI-compatible server"
    )


def merge_replies(replies: list[Reply], max_candidates: int) -> Reply:
    """Merge the candidates of several calls, at most `max_candidates`, and sum their tokens.

    The merged reply has a problem only if no call returned a candidate.
    """
    candidates = tuple(candidate for reply in replies for candidate in reply.candidates)[:max_candidates]
    return Reply(
        candidates=candidates,
        prompt_tokens=sum(reply.prompt_tokens for reply in replies),
        completion_tokens=sum(reply.completion_tokens for reply in replies),
        problem=None if candidates else next((reply.problem for reply in replies if reply.problem), None),
    )


def status_error(
    status: int, answer: str, endpoint: Endpoint, *, wait: float | None = None
) -> BackendError | RequestError | TransientError:
    """Build the error of a status other than 200, without the key.

    Args:
        status: HTTP status of a call or of a line of a batch.
        answer: body of the answer.
        endpoint: the server that answered.
        wait: seconds to wait by its Retry-After; None: not given.

    """
    quoted = endpoint.quote(error_message(answer), limit=160)
    if parse_error(answer).get("code") == "insufficient_quota":
        status = 402  # sent as a 429, but no wait helps
    fatal = {
        # The answer to a 401 is left out: it usually repeats a part of the key.
        401: "refused the key (401); check the environment variable OPENAI_API_KEY",
        402: f"has no credit left for this key (402): {quoted}; top up the account or use another key",
        403: f"denied access (403): {quoted}; check what the key in OPENAI_API_KEY may do",
        404: f"has no model {endpoint.model!r} (404): {quoted}; check --model and --base-url",
    }
    if status in fatal:
        return BackendError(f"{endpoint.address} {fatal[status]}")
    if status == 429:
        return TransientError(f"{endpoint.address} limits the rate (429): {quoted}", overload=True, wait=wait)
    if status in TRANSIENT_STATUSES or status >= 500:
        kind = "server error" if status >= 500 else "status"
        overload = status in OVERLOAD_STATUSES
        return TransientError(f"{endpoint.address} failed ({kind} {status}): {quoted}", overload=overload, wait=wait)
    return RequestError(f"{endpoint.address} refused the request ({status}): {quoted}")


def parse_error(answer: str) -> dict[str, Any]:
    """Parse the error object of an answer in OpenAI's format; empty: another format."""
    try:
        body = json.loads(answer)
    except (ValueError, RecursionError):
        return {}
    error = body.get("error", body) if isinstance(body, dict) else None
    return error if isinstance(error, dict) else {}


def error_message(answer: str) -> str:
    """Return the message of an error answer: the usual field, else the whole body."""
    message = parse_error(answer).get("message")
    return message if isinstance(message, str) else answer


def _token_count(value: Any) -> int:
    """Return a token count unchanged, and 0 for any value that cannot be one."""
    return value if type(value) is int and 0 <= value < 2**31 else 0
