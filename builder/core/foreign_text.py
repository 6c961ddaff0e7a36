"""The one door for text from outside to a terminal, a file or a log: secrets are removed, odd characters escaped.

`printable`                 text for a terminal
`redact`, `redact_json`     text and JSON values without secrets
`quote`                     foreign text within a message of one line
`holds_secret`              texts that are rejected as a whole
"""

import base64
import html
import json
import os
import re
import sys
import unicodedata
from collections.abc import Iterator, Mapping
from functools import lru_cache, partial
from typing import Any
from urllib.parse import quote as quote_url
from urllib.parse import quote_plus, unquote

MASK = "***"
"""Text in place of a secret."""

MIN_ENCODED_CHARS = 8
"""Least length of a secret whose base64 forms are removed too; those of shorter ones occur in any text."""

MIN_CERTAIN_CHARS = 12
"""Least length from which on a secret of plain letters is no word by chance."""

MIN_MASKED_CHARS = 16
"""Least length of a secret that is also found where a server shows its beginning or its end only."""

MAX_TREE_DEPTH = 100
"""Depth of a JSON value below which nothing is kept."""

SECRET_VARIABLE = re.compile(
    r"(^|_)(API_?KEY|KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIALS?)(_\w{1,12})?$", re.IGNORECASE
)
"""Names of environment variables that hold a secret."""

ESCAPE = re.compile(
    r"\\+(?:u([0-9a-fA-F]{4})|u\{([0-9a-fA-F]{1,6})\}|U([0-9a-fA-F]{8})|x([0-9a-fA-F]{2})|x\{([0-9a-fA-F]{1,6})\})"
)
"""Escaped characters of JSON and of programming languages."""

_KEY_CHARS = r"[\w+/=.-]"
_CUT_MARKS = r"(?:\*{3,}|\.{3,}|…|•{3,}|[xX]{4,})"


def printable(text: str) -> str:
    """Return text for a terminal: without secrets of the environment, odd characters as escape sequences.

    A terminal interprets control characters, and format characters reorder what it shows.
    """
    text = _without_hidden(text, environment_secrets())
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def quote(text: str, secrets: tuple[str, ...] = (), *, limit: int = 80) -> str:
    """Quote foreign text on one line, at most `limit` characters, control characters escaped, without secrets."""
    # Redacted before the cut, which could leave a part of a secret.
    text = _without_hidden(text, secrets)
    return repr(text[:limit] + ("..." if len(text) > limit else ""))


def _without_hidden(text: str, secrets: tuple[str, ...], *, mask: str = MASK) -> str:
    """Return a text without secrets: the mask alone if it holds one in a form that cannot be cut out.

    Whole secrets are removed first, then hidden ones are looked for, and parts last: a part of a hidden secret that is
    removed would leave the rest.
    """
    whole = _sub(_whole_pattern(secrets), text, mask)
    return mask if holds_secret(whole, secrets) else _sub(_part_pattern(secrets), whole, mask)


def _sub(pattern: re.Pattern[str] | None, text: str, mask: str) -> str:
    return text if pattern is None else pattern.sub(mask, text)


def redact(text: str, secrets: tuple[str, ...], *, mask: str = MASK) -> str:
    """Replace every secret in a text by a mask: as it is, URL-encoded, escaped as in JSON, in base64 or hex, or cut."""
    return _sub(_part_pattern(secrets), _sub(_whole_pattern(secrets), text, mask), mask)


def redact_json(value: Any, secrets: tuple[str, ...], *, mask: str = MASK, depth: int = 0) -> Any:
    """Redact every string of a JSON value, keys included; parts below `MAX_TREE_DEPTH` become null.

    A string that holds a secret in a form that cannot be cut out is replaced as a whole.
    """
    if isinstance(value, str):
        if _has_form(value, secrets):
            return _without_hidden(value, secrets, mask=mask)
        return mask if holds_secret(value, secrets) else value
    if not isinstance(value, list | Mapping) or not secrets:
        return value
    if depth == MAX_TREE_DEPTH:
        return None
    part_of = partial(redact_json, secrets=secrets, mask=mask, depth=depth + 1)
    if isinstance(value, list):
        return [part_of(part) for part in value]
    return {part_of(str(key)): part_of(part) for key, part in value.items()}


def holds_secret(text: str, secrets: tuple[str, ...]) -> bool:
    """Return whether a text holds a secret in any form, also one that is split by invisible characters.

    Secrets that may be words, such as the key "none" of a local server, do not count.
    """
    certain = certain_secrets(secrets)
    if not certain:
        return False
    unescaped = _unescaped(text)
    return any(_has_form(form, certain) for form in {text, unescaped, _plain(text), _plain(unescaped)})


def _has_form(text: str, secrets: tuple[str, ...]) -> bool:
    return any(form in text for form in _all_forms(secrets))


@lru_cache(maxsize=16)
def certain_secrets(secrets: tuple[str, ...]) -> tuple[str, ...]:
    """Return the secrets that cannot be words of a text."""
    return tuple(filter(_is_certain, secrets))


def _is_certain(secret: str) -> bool:
    return len(secret) >= MIN_CERTAIN_CHARS or (len(secret) >= 8 and any(char.isdigit() for char in secret))


def environment_secrets() -> tuple[str, ...]:
    """Return the values of environment variables that hold a secret, without those that may be words."""
    values = (value.strip() for name, value in os.environ.items() if _is_secret_variable(name))
    return tuple(sorted({value for value in values if _is_certain(value) and not os.path.isabs(value)}))  # noqa: PTH117


@lru_cache(maxsize=1024)
def _is_secret_variable(name: str) -> bool:
    return SECRET_VARIABLE.search(name) is not None


def _resolved_escape(match: re.Match[str]) -> str:
    digits = next(filter(None, match.groups()))
    number = int(digits, 16)
    return chr(number) if number <= sys.maxunicode else match[0]


def _unescaped(text: str) -> str:
    """Resolve the escapes of JSON, of programs, of URLs (also twice) and of HTML in a text."""
    if "\\" in text:
        text = ESCAPE.sub(_resolved_escape, text).replace("\\/", "/")
    if "%" in text:
        text = unquote(unquote(text))
    return html.unescape(text) if "&" in text else text


def _plain(text: str) -> str:
    """Return a text in compatibility form without control and format characters and marks of emphasis."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    return "".join(char for char in text if char.isprintable() and char not in "*`\u034f\ufe0e\ufe0f")


@lru_cache(maxsize=16)
def _whole_pattern(secrets: tuple[str, ...]) -> re.Pattern[str] | None:
    """Compile the pattern of all forms of the secrets; None: no secrets."""
    forms = _all_forms(secrets)
    return re.compile("|".join(map(re.escape, forms))) if forms else None


@lru_cache(maxsize=16)
def _part_pattern(secrets: tuple[str, ...]) -> re.Pattern[str] | None:
    """Compile the pattern of secrets of which a server shows a part; None: no long secrets."""
    patterns = []
    for secret in secrets:
        if len(secret) >= MIN_MASKED_CHARS:
            start, end = re.escape(secret[:3]), re.escape(secret[-3:])
            patterns += [rf"{start}{_KEY_CHARS}{{0,40}}?{_CUT_MARKS}{_KEY_CHARS}{{0,20}}"]
            patterns += [rf"{_CUT_MARKS}{_KEY_CHARS}{{0,40}}?{end}"]
            most = max(MIN_CERTAIN_CHARS, 3 * len(secret) // 5)
            patterns += [rf"{re.escape(secret[:most])}{_KEY_CHARS}{{0,200}}", re.escape(secret[-most:])]
    return re.compile("|".join(patterns)) if patterns else None


@lru_cache(maxsize=16)
def _all_forms(secrets: tuple[str, ...]) -> tuple[str, ...]:
    """Return the forms of all secrets, the longest first."""
    forms = {form for secret in secrets if secret for form in _forms(secret) if form}
    return tuple(sorted(forms, key=lambda form: (-len(form), form)))


def _forms(secret: str) -> Iterator[str]:
    """Yield the forms in which a text can hold a secret."""
    yield secret
    for encoded in (quote_url(secret, safe=""), quote_url(secret), quote_plus(secret)):
        yield encoded
        yield re.sub("%[0-9A-F]{2}", lambda match: match[0].lower(), encoded)
    yield json.dumps(secret)[1:-1]
    yield json.dumps(secret, ensure_ascii=False)[1:-1]
    yield repr(secret)[1:-1]
    yield html.escape(secret)
    if len(secret) >= MIN_ENCODED_CHARS:
        yield from (secret.lower(), secret.upper())
        digits = secret.encode("utf-8", "surrogatepass").hex()
        yield from (digits, digits.upper())
        yield from _base64_forms(secret.encode("utf-8", "surrogatepass"))


def _base64_forms(secret: bytes) -> Iterator[str]:
    """Yield the base64 characters that depend on a secret alone, for each of its three positions in a longer text."""
    for offset in range(3):
        encoded = base64.b64encode(b"\0" * offset + secret).decode("ascii")
        certain = encoded[(8 * offset + 5) // 6 : 8 * (offset + len(secret)) // 6]
        yield certain
        yield certain.translate(str.maketrans("+/", "-_"))
