"""Parse the body of a chat completion into a reply."""

import json
from typing import Any

from personagen.builder.core.errors import BackendError, RequestError
from personagen.builder.llm.chat_protocol.endpoint import Endpoint
from personagen.builder.llm.requests import Candidate, Reply, Request


def parse_reply(data: bytes, request: Request, endpoint: Endpoint, *, limit: int) -> Reply:
    """Parse the body of a chat completion; one that was paid for and is unusable becomes a reply with a problem.

    Args:
        data: body of the answer.
        request: the request.
        endpoint: the server that answered.
        limit: limit on completion tokens per candidate that was sent.

    Raises:
        RequestError: the body is no chat completion.
        BackendError: the body is a web page, so the URL is not that of such a server.

    """
    text = data.decode("utf-8", "replace")
    if text.lstrip()[:1] == "<":
        raise BackendError(
            f"{endpoint.address} answered with a web page, not with JSON: got {endpoint.quote(text)}; "
            "check --base-url (it usually ends in /v1)"
        )
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        raise _unusable(endpoint, "is no JSON", text) from None
    choices = body.get("choices") if isinstance(body, dict) else None
    if not isinstance(choices, list):
        raise _unusable(endpoint, "has no list of choices", text)
    if not choices:
        raise _unusable(endpoint, "has empty choices", text)
    usage = body.get("usage")
    counts = usage if isinstance(usage, dict) else {}
    tokens = _token_count(counts.get("prompt_tokens")), _token_count(counts.get("completion_tokens"))
    parsed = [_parse_choice(choice, request, endpoint, limit) for choice in choices]
    problem = next((choice for choice in parsed if isinstance(choice, str)), None)
    candidates = tuple(choice for choice in parsed if isinstance(choice, Candidate))
    return Reply(candidates if problem is None else (), *tokens, problem)


def _parse_choice(choice: Any, request: Request, endpoint: Endpoint, limit: int) -> Candidate | str:
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
        hint = f"; max_tokens {limit} may be too small" if finish == "length" else ""
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


def _token_count(value: Any) -> int:
    """Return a token count unchanged, and 0 for any value that cannot be one."""
    return value if type(value) is int and 0 <= value < 2**31 else 0
