"""Convert the statuses and error bodies of a server into errors."""

import json
import re
from collections.abc import Mapping
from typing import Any

from personagen.builder.core.errors import BackendError, RequestError, TransientError
from personagen.builder.llm.chat_protocol.endpoint import Endpoint

OVERLOAD_STATUSES = (420, 429, 498, 503, 529)
"""Statuses of an overloaded server."""

TRANSIENT_STATUSES = (408, 409, 423, 424, 425, *OVERLOAD_STATUSES)
"""Statuses below 500 after which the same request may succeed, and those of an overload."""

QUOTA_CODES = ("insufficient_quota", "billing_hard_limit_reached", "billing_not_active", "insufficient_balance")
"""Codes of an account without credit: sent with the status of a rate limit, but no wait helps."""

_BUSY = re.compile(
    r"\b(?:is|are|still|currently|being)\s+(?:\w+\s+)?(?:loading|starting|warming|busy|overloaded|unavailable)\b"
    r"|\bbeing loaded\b|\boverloaded\b|\bat capacity\b|\bcapacity (?:exceeded|reached)\b|\btemporar(?:y|ily)\b"
    r"|\btoo many (?:concurrent )?requests\b"
    r"|\b(?:try|retry) (?:your request |the request |it )?(?:again )?(?:later|in \d|after|shortly)"
    r"|\bthrottl|\brate[ _-]?limit",
    re.IGNORECASE,
)


def status_error(
    status: int, answer: str, endpoint: Endpoint, *, wait: float | None = None, answered: bool = False
) -> BackendError | RequestError | TransientError:
    """Build the error of a status other than 200, without the key.

    Args:
        status: HTTP status of a call or of a line of a batch.
        answer: body of the answer.
        endpoint: the server that answered.
        wait: seconds to wait that the server asks for; None: not given.
        answered: whether the server has answered a request of this run. A refused key, model or account then costs one
            request: the caller ends the run if it happens again and again.

    """
    quoted = endpoint.quote(error_message(answer), limit=240)
    if str(parse_error(answer).get("code")) in QUOTA_CODES or str(parse_error(answer).get("type")) in QUOTA_CODES:
        status = 402
    account = {
        # The answer to a 401 is left out: it usually repeats a part of the key.
        401: "refused the key (401); check the environment variable OPENAI_API_KEY",
        402: f"has no credit left for this key (402): {quoted}; top up the account or use another key",
        404: f"has no model {endpoint.model!r} (404): {quoted}; check --model and --base-url",
        405: f"takes no chat completions at this address (405): {quoted}; check --base-url (it usually ends in /v1)",
    }
    if status in account:
        message = f"{endpoint.address} {account[status]}"
        return RequestError(message, status=status) if answered else BackendError(message)
    if status in OVERLOAD_STATUSES:
        kind = "limits the rate (429)" if status == 429 else f"is overloaded ({status})"
        return TransientError(f"{endpoint.address} {kind}: {quoted}", overload=True, limited=status == 429, wait=wait)
    if status in TRANSIENT_STATUSES or status >= 500:
        kind = "server error" if status >= 500 else "status"
        return TransientError(f"{endpoint.address} failed ({kind} {status}): {quoted}", wait=wait)
    if _BUSY.search(error_message(answer)):
        return TransientError(f"{endpoint.address} is busy ({status}): {quoted}", overload=True, wait=wait)
    if status == 403 and not answered:
        message = f"denied access (403): {quoted}; check what the key in OPENAI_API_KEY may do"
        return RequestError(f"{endpoint.address} {message}", status=status)
    return RequestError(f"{endpoint.address} refused the request ({status}): {quoted}", status=status)


def parse_answer(answer: str) -> Any:
    """Parse the body of an answer; a body that is no JSON is returned as it is."""
    try:
        return json.loads(answer)
    except (ValueError, RecursionError):
        return answer


def parse_error(answer: str) -> Mapping[str, Any]:
    """Parse the error object of an answer; empty: an unknown format."""
    body = parse_answer(answer)
    if isinstance(body, list) and body:  # Google wraps the object in a list
        body = body[0]
    error = body.get("error", body) if isinstance(body, Mapping) else None
    return error if isinstance(error, Mapping) else {}


def error_message(answer: str) -> str:
    """Return the sentence of an error answer; the whole body if its format is unknown.

    A gateway puts the sentence of the server behind it into `metadata.raw`.
    """
    error, body = parse_error(answer), parse_answer(answer)
    metadata = error.get("metadata")
    raw = metadata.get("raw") if isinstance(metadata, Mapping) else None
    texts = [error.get("message"), raw, error.get("detail"), error.get("msg")]
    if isinstance(body, Mapping):
        texts += [body.get("error"), body.get("detail"), body.get("message")]
    sentences = [text.strip() for text in texts if isinstance(text, str) and text.strip()]
    details = [entry for entry in (error.get("message"), error.get("detail")) if isinstance(entry, list | Mapping)]
    if not sentences and details:
        sentences = [json.dumps(details[0], ensure_ascii=False)]
    return ": ".join(dict.fromkeys(sentences)) if sentences else answer
