"""Find the error in a reply with status 200, and the status that it should have had."""

import json
import re
from collections.abc import Mapping
from typing import Any

from personagen.builder.core.errors import BackendError, RequestError, TransientError
from personagen.builder.core.retry_after import retry_after
from personagen.builder.llm.chat_protocol.endpoint import Endpoint
from personagen.builder.llm.chat_protocol.statuses import OVERLOAD_STATUSES, status_error

MESSAGE_KEYS = (
    "message",
    "msg",
    "error_msg",
    "error_message",
    "errorMessage",
    "status_msg",
    "detail",
    "error",
    "errors",
)
CODE_KEYS = ("code", "error_code", "errorCode", "status_code", "http_status", "status")

MAX_ERROR_CHARS = 600
"""Length above which a text is no report of an error."""

MIN_SERVICE_PHRASES = 2
"""Different phrases of servers from which on a text that begins like an error is one: real texts have fewer."""

_ERROR_OPENING = re.compile(
    r"\W{0,4}(?:(?:\w{1,20} ){0,2}(?:error|exception|failure)\b|an? (?:\w{1,20} ){0,3}error\b"
    r"|(?:the |your |this )?(?:rate|request|server|service|model|upstream|provider|connection|quota|api)\b"
    r"|too many requests|something went wrong|sorry|oops|we(?:'re| are)\b|bad gateway|gateway time|http\b|\d{3}\b"
    r"|unable to|failed to|could not)",
    re.IGNORECASE,
)
_SERVICE_PHRASES = re.compile(
    r"\b(?:upstream|providers?|bad gateway|gateway time-?out|internal (?:server )?error|server error|service (?:is )?"
    r"(?:temporarily |currently )?unavailable|temporarily unavailable|processing (?:your|the|this) request|request id"
    r"|contact (?:support|us at)|(?:try|retry)(?: again)? (?:later|shortly|in (?:a )?(?:few |\d))|retry your request"
    r"|rate limit|upgrade your plan|quota|too many requests|status code|http \d{3}|error code|timed out|overloaded"
    r"|api (?:key|error|request)|generating (?:the|a|your) re(?:ply|sponse)|completion tokens|tokens per)\b",
    re.IGNORECASE,
)

_STATUSES: tuple[tuple[int, str], ...] = (
    (402, r"insufficient.?(?:quota|balance|credit|fund)|billing|out of credits?|no credit|payment|arrear|余额"),
    (
        429,
        r"rate.?limit|too.?many.?requests|throttl|exhausted|quota|requests? per|tokens? per|slow.?down|concurren|限流",
    ),
    (503, r"overload|unavailable|capacity|\bbusy|loading|insufficient.?system|temporar|try again|retry later|繁忙"),
    (401, r"api.?key|authenticat|unauthori[sz]ed|invalid.{0,12}token|credential"),
    (404, r"model.?not.?found|unknown.?model|no such model|not.?found|does not exist|invalid.?model"),
    (403, r"permission|forbidden|access.?denied|not.?allowed"),
    (504, r"time.?out|timed out|deadline"),
    (
        400,
        r"filter|moderat|inappropriate|sensitive|inspection|polic|invalid|bad.?request|context|too.?long|validat|unsupported",
    ),
    (
        500,
        r"server|internal|provider|upstream|backend|engine|connection|disconnect|network|cuda|out of memory|unexpected",
    ),
)
"""Statuses by what codes, types and messages of errors say of them, the first match first."""


def require_no_error(body: Mapping[str, Any], endpoint: Endpoint) -> None:
    """Raise the error that a reply with status 200 reports, as if it had come with its own status.

    Raises:
        BackendError, RequestError, TransientError: see `status_error`.

    """
    error = find_error(body)
    if error is not None:
        raise to_exception(error, endpoint)


def find_error(body: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the error that an object reports, with a text under "message"; None: it reports none."""
    error = body.get("error")
    if isinstance(error, list):
        error = next((entry for entry in error if entry), None)
    if isinstance(error, Mapping) and any(error.values()):
        return _normalized(error)
    if (isinstance(error, str) and error.strip()) or error is True:
        return _normalized(body)
    if "error" in (body.get("object"), body.get("type"), body.get("status")):
        return _normalized(body)
    return None if body.get("choices") else _bare_error(body)


def error_in_text(text: str) -> dict[str, Any] | None:
    """Return the error that a gateway put into the text of a message, as JSON or as words; None: the text is none."""
    start = text[:MAX_ERROR_CHARS].strip()
    if start[:1] == "{":
        return _error_in_json(text) if '"error"' in start else None
    if len(text) > MAX_ERROR_CHARS or not _ERROR_OPENING.match(start):
        return None
    phrases = {phrase.lower() for phrase in _SERVICE_PHRASES.findall(start)}
    return {"message": start, "type": "server_error"} if len(phrases) >= MIN_SERVICE_PHRASES else None


def _error_in_json(text: str) -> dict[str, Any] | None:
    try:
        value = json.loads(text, strict=False)
    except (ValueError, RecursionError):
        return None
    return find_error({"error": value.get("error")}) if isinstance(value, dict) else None


def _bare_error(body: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the error that an object without choices has under keys of its own."""
    status = body.get("base_resp")
    if isinstance(status, Mapping) and status.get("status_code"):
        return _normalized(status)
    if any(isinstance(body.get(key), str) and body[key].strip() for key in MESSAGE_KEYS if key != "message"):
        return _normalized(body)
    has_message = isinstance(body.get("message"), str) and bool(body["message"].strip())
    return _normalized(body) if has_message and any(body.get(key) for key in CODE_KEYS) else None


def _normalized(error: Mapping[str, Any]) -> dict[str, Any]:
    """Return an error in OpenAI's form; what a gateway quotes of its provider is part of the message."""
    texts = [error.get(key) for key in MESSAGE_KEYS]
    message = next((text for text in texts if isinstance(text, str) and text.strip()), None)
    if message is None:
        message = json.dumps(dict(error), ensure_ascii=False)
    metadata = error.get("metadata")
    raw = metadata.get("raw") if isinstance(metadata, Mapping) else None
    if isinstance(raw, str) and raw and raw not in message:
        message = f"{message}: {raw}"
    code = next((error[key] for key in CODE_KEYS if _is_code(error.get(key))), None)
    named = {"code": code, "type": error.get("type"), "param": error.get("param")}
    return {"message": message, **{key: value for key, value in named.items() if value is not None}}


def _is_code(value: Any) -> bool:
    return type(value) in (int, str) and value not in (0, 200, "", "0", "200", "error")


def to_exception(error: Mapping[str, Any], endpoint: Endpoint) -> BackendError | RequestError | TransientError:
    """Convert an error in OpenAI's form into the exception of the status that it stands for."""
    status, answer = error_status(error), json.dumps({"error": error}, ensure_ascii=False)
    wait = retry_after({}, answer) if status in OVERLOAD_STATUSES else None
    return status_error(status, answer, endpoint, wait=wait)


def error_status(error: Mapping[str, Any]) -> int:
    """Return the HTTP status that an error stands for: its code, else what its words say, else 400."""
    code, kind, message = (str(error.get(key) or "") for key in ("code", "type", "message"))
    if re.fullmatch(r"[45]\d\d", code):
        return int(code)
    if re.fullmatch(r"[45]\d{4}", code):
        return _long_code_status(code, message)
    named = [_words_status(text) for text in (code, kind, message)]
    statuses = [status for status in named if status is not None]
    # "invalid_request_error" and "server_error" are said of everything: more special words decide first.
    return next((status for status in statuses if status not in (400, 500)), statuses[0] if statuses else 400)


def _long_code_status(code: str, message: str) -> int:
    """Return the status in a code such as FastChat's 42901; its 403xx mean wrong parameters (except 40301: model)."""
    if code.startswith("403"):
        return 404 if code == "40301" else _words_status(message) or 400
    return int(code[:3])


def _words_status(text: str) -> int | None:
    words = text[:2000].lower()
    return next((status for status, pattern in _STATUSES if re.search(pattern, words)), None)
