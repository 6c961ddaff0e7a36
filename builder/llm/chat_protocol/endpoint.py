"""A server and its model: where requests go, what every request carries, and what no message shows."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit

from personagen.builder.core.errors import BackendError
from personagen.builder.core.foreign_text import MASK, certain_secrets, holds_secret, quote, redact, redact_json

CHAT_PATH = "/chat/completions"
"""Path of the chat completions behind a base URL."""

REMOVED_SECRET = "[secret removed]"  # noqa: S105
"""Text in place of a secret in a decoded answer."""

STANDARD_PORTS: Mapping[str, int] = {"http": 80, "https": 443}
"""Ports of URLs that name none."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A server and its model; built by `make_endpoint`.

    Attributes:
        address: base URL as messages name it: scheme, host, port and path, without user, password and query.
        model: model name.
        headers: headers of every call, the key's included; without Content-Type and Accept.
        query: parameters behind the path of every call.
        body: parts of every request body, as the recipe sets them; None: leave that part out.
        secrets: key, and values from environment variables; removed from quoted answers.
        alternatives: further URLs of chat completions to try after a 404 before any success.
        path: path of the chat completions behind the address.

    """

    address: str
    model: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    query: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: Mapping[str, Any] = field(default_factory=dict, repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)
    alternatives: tuple[str, ...] = field(default=(), repr=False)
    path: str = CHAT_PATH

    @property
    def chat_url(self) -> str:
        """URL of the chat completions, for calls and not for messages: its query may hold a secret."""
        return f"{self.address}{self.path}{'?' if self.query else ''}{urlencode(self.query)}"

    def at(self, chat_url: str) -> "Endpoint":
        """Return the endpoint with another URL of its chat completions: an alternative, or the target of a redirect."""
        parts = urlsplit(chat_url)
        path = next((end for end in (CHAT_PATH, f"{CHAT_PATH}/") if parts.path.endswith(end)), "")
        address = f"{parts.scheme}://{parts.netloc}{parts.path.removesuffix(path)}"
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        return replace(self, address=address, path=path, query=query, alternatives=())

    def redact(self, text: str) -> str:
        """Replace every secret in a text by ***; see `foreign_text.redact`."""
        return redact(text, self.secrets).replace(REMOVED_SECRET, MASK)

    def redact_answer(self, body: Any) -> Any:
        """Replace every secret in a decoded answer by `REMOVED_SECRET`; secrets that may be words of a text stay."""
        return redact_json(body, certain_secrets(self.secrets), mask=REMOVED_SECRET)

    def redact_lines(self, lines: bytes) -> bytes:
        """Redact lines of JSON as `redact_answer` does, and other lines as text."""
        return b"\n".join(map(self._redact_line, lines.split(b"\n")))

    def _redact_line(self, line: bytes) -> bytes:
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            return self.redact(line.decode("utf-8", "replace")).encode()
        redacted = self.redact_answer(value)
        return line if redacted == value else json.dumps(redacted).encode()

    def holds_secret(self, text: str) -> bool:
        """Return whether a text of an answer holds a secret, or held one that `redact_answer` has removed."""
        return REMOVED_SECRET in text or holds_secret(text, self.secrets)

    def quote(self, text: str, *, limit: int = 80) -> str:
        """Quote foreign text on one line, at most `limit` characters, control characters escaped, without secrets."""
        return quote(self.redact(text), limit=limit)


def redirect_target(endpoint: Endpoint, url: str, location: str | None, *, path: str = CHAT_PATH) -> str:
    """Return the URL that a redirected call goes to: one of the same server, since the call carries the key.

    Args:
        endpoint: the server that answered.
        url: URL of the call.
        location: header Location of the answer; None: it has none.
        path: path of the call behind the base URL.

    Raises:
        BackendError: the redirect leads to another server, leaves HTTPS, or names no URL.

    """
    try:
        target = urlsplit(urljoin(url, (location or "").strip()))
        same = location and target.username is None and _is_same_server(url, target.geturl())
    except ValueError:
        same, target = False, urlsplit("")
    if same:
        return target._replace(fragment="").geturl()
    if not location or target.scheme not in STANDARD_PORTS or not target.hostname or target.username is not None:
        raise BackendError(f"{endpoint.address} redirects to no usable URL: check --base-url")
    base = f"{target.scheme}://{target.netloc}{target.path.rstrip('/').removesuffix(path)}"
    quoted = endpoint.quote(base, limit=160)
    raise BackendError(f"{endpoint.address} redirects to {quoted}; write --base-url {quoted} if that is meant")


def _is_same_server(url: str, target: str) -> bool:
    """Return whether two URLs have one host and port, or the second is the HTTPS side of the first."""
    (scheme, host, port), (target_scheme, target_host, target_port) = map(_server, (url, target))
    if host != target_host or not host:
        return False
    if scheme == target_scheme:
        return port == target_port
    upgraded = (scheme, target_scheme) == ("http", "https")
    return upgraded and (port == target_port or (port, target_port) == (80, 443))


def _server(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or STANDARD_PORTS.get(parts.scheme)
