"""Convert HTTP statuses and error bodies into errors."""

import json
from typing import Any

from personagen.builder.core.errors import BackendError, RequestError, TransientError
from personagen.builder.llm.chat_protocol.endpoint import Endpoint

OVERLOAD_STATUSES = (429, 503, 529)
"""Statuses of an overloaded server."""

TRANSIENT_STATUSES = (408, 409, 425, *OVERLOAD_STATUSES)
"""Statuses below 500 after which the same request may succeed, and those of an overload."""


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
