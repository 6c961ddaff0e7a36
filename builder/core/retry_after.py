"""Find the time that a server asks its clients to wait: in the headers of an answer, else in its body."""

import re
import time
from collections.abc import Iterator, Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime

MAX_BODY_CHARS = 20_000
"""Characters of a body that are searched."""

MAX_RELATIVE_S = 10**8
"""Number above which a reset is a Unix time and no duration, in seconds; above a thousand times as much, in ms."""

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_UNIT = r"(?:ms|milliseconds?|millis|seconds?|secs?|s|minutes?|mins?|m|hours?|hrs?|h|days?|d)"
_PART = re.compile(rf"(\d{{1,12}}(?:\.\d{{0,9}})?|\.\d{{1,9}})\s{{0,2}}({_UNIT})(?![a-z])", re.IGNORECASE)
_DURATION = rf"(?:(?:\d{{1,12}}(?:\.\d{{0,9}})?|\.\d{{1,9}})\s{{0,2}}{_UNIT}(?![a-z])[\s,]{{0,2}}(?:and\s)?){{1,4}}"
_SENTENCE = re.compile(
    r"\b(?:try(?:ing)?(?: it)? again|re-?try(?:ing)?(?: again| this request| your request)?|re-?send|wait(?: for)?"
    r"|available(?: again)?|resets?|reset time|cool-?down)(?: (?:in|after|for|within|at least|another|is))?"
    rf"\s{{0,2}}:?\s{{0,2}}(?:about |approximately |~)?({_DURATION}|\d{{1,9}}(?:\.\d{{1,9}})?(?![\d.]*\s?[a-z%]))",
    re.IGNORECASE,
)
_FIELD = re.compile(
    r"[\"']?(?:retry[-_ ]?after|retry[-_ ]?delay|retry[-_ ]?in|wait[-_ ]?(?:time|for)|estimated[-_ ]time)"
    r"[-_ ]?(ms|milliseconds|s|secs?|seconds)?[\"']?\s{0,2}[:=]\s{0,2}[\"']?"
    rf"({_DURATION}|\d{{1,12}}(?:\.\d{{1,9}})?)",
    re.IGNORECASE,
)
_KINDS = ("-requests", "-tokens", "-input-tokens", "-output-tokens", "")
_PREFIXES = ("x-ratelimit-", "ratelimit-", "anthropic-ratelimit-", "x-rate-limit-")


def retry_after(headers: Mapping[str, str], body: str = "") -> float | None:
    """Return the seconds that a server asks to wait, 0 or more.

    The first that is given counts: retry-after-ms, Retry-After (seconds or a date), the reset of an exhausted limit in
    the headers of rate limits, a duration in the body ("try again in 8.2s", "retryDelay": "8s"). A date counts from the
    server's own clock where the answer has a Date header (RFC 9110, section 6.6.1): the local one may be wrong or jump.

    Args:
        headers: response headers, looked up by lower-case name.
        body: body of the answer; "": none. Pass that of a 429 or 503 only: other answers may speak of times too.

    Returns:
        None: no wait is given, or none that can be parsed.

    """
    requested = _requested(headers)
    if requested is not None:
        return requested
    resets = list(_exhausted(headers))
    return max(resets or _stated(body[:MAX_BODY_CHARS]), default=None)


def _requested(headers: Mapping[str, str]) -> float | None:
    """Parse the headers whose only purpose is the wait."""
    try:
        if "retry-after-ms" in headers:
            seconds = float(headers["retry-after-ms"]) / 1000
        elif (value := headers.get("retry-after")) is None:
            return None
        else:
            is_number = re.fullmatch(r"\s*[\d.]+\s*", value)
            seconds = float(value) if is_number else _duration(value) or _to_unix(value) - _now(headers)
    except (ValueError, TypeError, OverflowError):
        return None
    return max(0.0, seconds) if seconds < float("inf") else None


def _to_unix(date: str) -> float:
    return parsedate_to_datetime(date).timestamp()


def _now(headers: Mapping[str, str]) -> float:
    """Return the Unix time of the server, or that of this machine if the answer has no valid Date header."""
    try:
        return _to_unix(headers["date"])
    except (KeyError, ValueError, TypeError, OverflowError):
        return time.time()


def _exhausted(headers: Mapping[str, str]) -> Iterator[float]:
    """Yield the seconds until each exhausted limit is reset; a limit whose remainder is not given counts if alone."""
    resets: list[tuple[str | None, float]] = []
    for remaining, reset in _limits(headers):
        seconds = _reset_seconds(reset, _now(headers))
        if seconds is not None:
            resets.append((remaining, seconds))
    exhausted = [seconds for remaining, seconds in resets if remaining is not None and _is_zero(remaining)]
    unknown = [seconds for remaining, seconds in resets if remaining is None]
    yield from exhausted or (unknown if len(resets) == 1 else [])


def _limits(headers: Mapping[str, str]) -> Iterator[tuple[str | None, str]]:
    """Yield the remainder (None: not given) and the reset of each limit."""
    for prefix in _PREFIXES:
        for kind in _KINDS:
            names = (f"{prefix}%s{kind}", f"{prefix}{kind[1:]}-%s") if kind else (f"{prefix}%s",)
            for name in names:
                reset = headers.get(name % "reset")
                if reset is not None:
                    yield headers.get(name % "remaining"), reset
    # RateLimit: "default";r=0;t=30, and its older form: limit=100, remaining=0, reset=30
    policies = headers.get("ratelimit", "")
    for policy in policies.split(",") if ";" in policies else [policies]:
        fields = dict(re.findall(r"\b(r|t|remaining|reset)\s?=\s?(\d{1,12})", policy))
        reset = fields.get("t", fields.get("reset"))
        if reset is not None:
            yield fields.get("r", fields.get("remaining")), reset


def _is_zero(remaining: str) -> bool:
    try:
        return float(remaining) <= 0
    except ValueError:
        return False


def _reset_seconds(value: str, now: float) -> float | None:
    """Parse a reset: a duration ("1m2.5s"), seconds, a Unix time in seconds or milliseconds, or a date.

    `now`: Unix time that the last two are compared with.
    """
    value = value.strip()
    if re.fullmatch(r"\d{1,15}(?:\.\d{0,9})?", value):
        number = float(value)
        if number > MAX_RELATIVE_S:
            number = number / (1000 if number > 1000 * MAX_RELATIVE_S else 1) - now
        return max(0.0, number)
    if (seconds := _duration(value)) is not None:
        return seconds
    try:
        # ISO 8601 as Anthropic writes it, or a date of RFC 9110.
        moment = datetime.fromisoformat(value) if value[:4].isdigit() else parsedate_to_datetime(value)
        return max(0.0, moment.timestamp() - now)
    except (ValueError, TypeError, OverflowError):
        return None


def _stated(body: str) -> Iterator[float]:
    """Yield the seconds in the sentences and fields of a body that speak of a wait."""
    for match in _SENTENCE.finditer(body):
        yield _seconds(match[1], "s")
    for match in _FIELD.finditer(body):
        yield _seconds(match[2], "ms" if (match[1] or "").lower().startswith("m") else "s")


def _seconds(text: str, unit: str) -> float:
    duration = _duration(text)
    return float(text) * _SECONDS[unit] if duration is None else duration


def _duration(text: str) -> float | None:
    """Parse a duration such as "1m2.5s", "120ms" or "5 minutes"; None: it is none."""
    parts = _PART.findall(text)
    if not parts or re.sub(r"[\s,]|and", "", _PART.sub("", text)):
        return None
    return sum(float(number) * _SECONDS[_unit(name.lower())] for number, name in parts)


def _unit(name: str) -> str:
    """Return the symbol of a unit of time."""
    return "ms" if name.startswith(("ms", "mil")) else name[0]
