"""What goes over the wire to an OpenAI-compatible server, and what comes back: bodies, replies, refusals.

Servers differ in what they take. A `Dialect` is what is known of one of them; what it refuses in clear words is learnt
once and not sent again.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from personagen.builder.core.errors import BackendError, RequestError, TransientError
from personagen.builder.llm.requests import Candidate, Message, Reply, Request, parse_json, with_schema

FORMATS = ("json_schema", "json_object", "prompt")
"""How to ask for JSON, from the strictest way to the one that every server takes."""

OVERLOADED = (429, 503, 529)
"""Statuses by which a server says that it has too much to do."""

TRANSIENT = (408, 409, 425, *OVERLOADED)
"""Statuses that may be gone a moment later, besides all of 500 and more."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """What a server takes.

    Attributes:
        format: one of FORMATS.
        limit_name: what it calls the bound on tokens.
        takes_n: whether it draws several candidates a call.
        takes_logprobs: whether it tells log probabilities.

    """

    format: str = FORMATS[0]
    limit_name: str = "max_tokens"
    takes_n: bool = True
    takes_logprobs: bool = True


@dataclass(frozen=True, slots=True)
class Server:
    """How to speak of a server in messages.

    Attributes:
        address: its base URL, without user and password.
        model: the model that is asked.
        secret: the key, to be cut out of what the server says; None where there is none.

    """

    address: str
    model: str
    secret: str | None = field(repr=False)

    def quote(self, text: str, *, limit: int = 80) -> str:
        """Quote foreign text on one line, at most `limit` characters, control characters escaped, without the key."""
        if self.secret:
            # Before the cut, which might leave a part of the key.
            text = text.replace(self.secret, "***")
        return repr(text[:limit] + ("..." if len(text) > limit else ""))


def request_body(request: Request, model: str, dialect: Dialect, *, seed: int, count: int) -> dict[str, Any]:
    """Make the JSON body of one call for `count` candidates; sampling parameters that are None are left out."""
    sampling = request.sampling
    in_prompt = request.schema is not None and dialect.format != "json_schema"
    messages = with_schema(request.messages, request.schema or {}) if in_prompt else request.messages
    body: dict[str, Any] = {
        "model": model,
        "messages": [{"role": message.role, "content": message.content} for message in messages],
        "seed": seed,
        dialect.limit_name: sampling.max_tokens,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "min_p": sampling.min_p,
        "repetition_penalty": sampling.repetition_penalty,
        "stop": list(request.stop) or None,
        "n": count if count > 1 and dialect.takes_n else None,
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


def learn(dialect: Dialect, body: Mapping[str, Any], answer: str) -> Dialect | None:
    """Read from a 400 or 422 what the server does not take; None if it says nothing of the kind.

    Args:
        dialect: what is known by now: calls in flight at the same time get the same refusal, and only the first one
            may move on to the next format.
        body: what was sent.
        answer: the body of the refusal.

    Each lesson leaves fewer things to refuse, so asking again after it ends.
    """
    error = error_object(answer)
    text = f"{error.get('param')} {message_of(answer)}".lower()
    sent = body.get("response_format")
    if sent and re.search(r"response_format|json_schema|json_object", text):
        if sent["type"] == dialect.format:
            return replace(dialect, format=FORMATS[FORMATS.index(dialect.format) + 1])
        return dialect
    if "max_tokens" in body and "max_completion_tokens" in text:
        return replace(dialect, limit_name="max_completion_tokens")
    if "logprobs" in body and "logprobs" in text:
        return replace(dialect, takes_logprobs=False)
    if "n" in body and (error.get("param") == "n" or re.search(r"['\"`]n['\"`]", text)):
        return replace(dialect, takes_n=False)
    return None


def violation(text: str, schema: Mapping[str, Any]) -> str | None:
    """Say in one line how a reply violates a schema; None where it does not."""
    import jsonschema

    try:
        value = parse_json(text)
    except ValueError as error:
        return f"it is not JSON ({error})"
    problem = jsonschema.exceptions.best_match(jsonschema.Draft202012Validator(schema).iter_errors(value))
    if problem is None:
        return None
    return f"at {problem.json_path}: {problem.message[:300]}"


def repair_request(request: Request, text: str, problem: str) -> Request:
    """Ask for a correction: the chat so far, the reply, and what is wrong with it."""
    wish = f"That does not satisfy the JSON schema: {problem}. Answer again, with the corrected JSON and nothing else."
    turns = (Message("assistant", text), Message("user", wish))
    return replace(request, messages=(*request.messages, *turns))


def read_reply(text: str, request: Request, server: Server) -> Reply:
    """Read the body of a chat completion; one that was paid for and cannot be used is a reply with a problem.

    Raises:
        RequestError: it is no chat completion.
        BackendError: it is a web page, so this is no such server.

    """
    if text.lstrip()[:1] == "<":
        raise BackendError(
            f"{server.address} answered with a web page, not with JSON: got {server.quote(text)}; "
            "check --base-url (it usually ends in /v1)"
        )
    try:
        reply = json.loads(text)
    except (ValueError, RecursionError):
        raise _unusable(server, "is no JSON", text) from None
    choices = reply.get("choices") if isinstance(reply, dict) else None
    if not isinstance(choices, list):
        raise _unusable(server, "has no list of choices", text)
    if not choices:
        raise _unusable(server, "has empty choices", text)
    usage = reply.get("usage")
    counts = usage if isinstance(usage, dict) else {}
    tokens = _count(counts.get("prompt_tokens")), _count(counts.get("completion_tokens"))
    read = [_candidate(choice, request, server) for choice in choices]
    problem = next((each for each in read if isinstance(each, str)), None)
    candidates = tuple(each for each in read if isinstance(each, Candidate))
    return Reply(candidates if problem is None else (), *tokens, problem)


def _candidate(choice: Any, request: Request, server: Server) -> Candidate | str:
    """Read one choice, or say why it cannot be used."""
    message = choice.get("message") if isinstance(choice, dict) else None
    if not isinstance(message, dict):
        raise _unusable(server, "has a choice without a message", json.dumps(choice))
    finish, content = choice.get("finish_reason"), message.get("content")
    if finish == "content_filter":
        return f"{server.address}: the content filter stopped the reply (finish_reason content_filter)"
    if message.get("refusal"):
        return f"{server.address}: the model refused: {server.quote(str(message['refusal']))}"
    if not isinstance(content, str) or not content:
        hint = f"; max_tokens {request.sampling.max_tokens} may be too small" if finish == "length" else ""
        return f"{server.address}: the reply has no content (finish_reason {finish}){hint}"
    # Names for a natural end differ between servers ("stop", "eos", none at all); only a cut matters.
    return Candidate(
        text=content,
        finish="length" if finish == "length" else "stop",
        first_logprobs=_first_logprobs(choice.get("logprobs")) if request.top_logprobs else None,
    )


def _first_logprobs(told: Any) -> dict[str, float] | None:
    """Read the tokens that might have come first; None where the server tells none, or something else."""
    content = told.get("content") if isinstance(told, dict) else None
    first = content[0] if isinstance(content, list) and content else None
    top = first.get("top_logprobs") if isinstance(first, dict) else None
    found = {
        each["token"]: float(each["logprob"])
        for each in (top if isinstance(top, list) else [])
        if isinstance(each, dict) and isinstance(each.get("token"), str) and type(each.get("logprob")) in (int, float)
    }
    return found or None


def _unusable(server: Server, what: str, text: str) -> RequestError:
    return RequestError(
        f"{server.address}: the reply {what}: got {server.quote(text)}, expected a chat completion; "
        "check that --base-url points to an OpenAI-compatible server"
    )


def joined(replies: list[Reply], most: int) -> Reply:
    """Put the candidates of several calls together, at most `most` of them; tokens are summed.

    A problem of one is a problem of all only where nothing else came back.
    """
    candidates = tuple(each for reply in replies for each in reply.candidates)[:most]
    return Reply(
        candidates=candidates,
        prompt_tokens=sum(reply.prompt_tokens for reply in replies),
        completion_tokens=sum(reply.completion_tokens for reply in replies),
        problem=None if candidates else next((reply.problem for reply in replies if reply.problem), None),
    )


def status_error(
    status: int, answer: str, server: Server, *, wait: float | None = None
) -> BackendError | RequestError | TransientError:
    """Say what a status other than 200 means, without the key.

    Args:
        status: HTTP status, of a call or of a line of a batch.
        answer: body of the answer.
        server: who answered.
        wait: seconds to wait by its Retry-After; None where it does not say.

    """
    said = server.quote(message_of(answer), limit=160)
    if error_object(answer).get("code") == "insufficient_quota":
        status = 402  # sent as a 429 that no waiting cures
    for_all = {
        # What the server says to a 401 is left out: it usually repeats a part of the key.
        401: "refused the key (401); check the environment variable OPENAI_API_KEY",
        402: f"has no credit left for this key (402): {said}; top up the account or use another key",
        403: f"denied access (403): {said}; check what the key in OPENAI_API_KEY may do",
        404: f"has no model {server.model!r} (404): {said}; check --model and --base-url",
    }
    if status in for_all:
        return BackendError(f"{server.address} {for_all[status]}")
    if status == 429:
        return TransientError(f"{server.address} limits the rate (429): {said}", overload=True, wait=wait)
    if status in TRANSIENT or status >= 500:
        what = "server error" if status >= 500 else "status"
        overload = status in OVERLOADED
        return TransientError(f"{server.address} failed ({what} {status}): {said}", overload=overload, wait=wait)
    return RequestError(f"{server.address} refused the request ({status}): {said}")


def error_object(answer: str) -> dict[str, Any]:
    """Find the error in the body of an answer, the way OpenAI words it; empty where it is worded otherwise."""
    try:
        body = json.loads(answer)
    except (ValueError, RecursionError):
        return {}
    error = body.get("error", body) if isinstance(body, dict) else None
    return error if isinstance(error, dict) else {}


def message_of(answer: str) -> str:
    """Find what the server said: the usual message field, else the whole body."""
    message = error_object(answer).get("message")
    return message if isinstance(message, str) else answer


def _count(value: Any) -> int:
    """Take a token count as it is, and anything that cannot be one for 0."""
    return value if type(value) is int and 0 <= value < 2**31 else 0
