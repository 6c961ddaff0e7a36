"""Secrets in headers and queries: they come from environment variables and are written nowhere."""

import os
import re
from collections.abc import Mapping

REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
"""Reference to an environment variable."""

SECRET_NAME = re.compile(
    r"authori[sz]ation|authent|(^|[-_.])(x?auth|sig|pwd|pw|code)($|[-_.])"
    r"|key|token|secret|passw|passphrase|cookie|credential|signature|session",
    re.IGNORECASE,
)
"""Names of headers and parameters that carry a secret."""

SECRET_VALUE = re.compile(r"(Bearer|Basic|Token)\s+\S|sk-[\w-]{8}", re.IGNORECASE)
"""Beginning of a value that is a secret whatever its name."""

CLIENT_HEADERS = (
    "accept", "accept-encoding", "connection", "content-encoding", "content-length", "content-type", "expect", "host",
    "te", "trailer", "transfer-encoding", "upgrade",
)  # fmt: skip
"""Headers that the HTTP client sets."""


def is_secret_name(name: str) -> bool:
    """Return whether a header or parameter of this name carries a secret."""
    return SECRET_NAME.search(name) is not None


def validate_headers(headers: Mapping[str, str]) -> None:
    """Validate names and values of headers.

    Raises:
        ValueError: a name or value is impossible, the HTTP client sets the header, or a secret is written out; the
            message quotes no value.

    """
    names = [name.lower() for name in headers]
    for name, value in headers.items():
        if not re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", name):
            raise ValueError(f"got {name!r:.80}, wanted the name of an HTTP header, such as X-Title")
        if name.lower() in CLIENT_HEADERS:
            raise ValueError(f"{name} is set by the HTTP client; leave it out")
        if names.count(name.lower()) > 1:
            raise ValueError(f"names the header {name} twice; name it once")
        _validate_value(name, value)


def validate_query(query: Mapping[str, str]) -> None:
    """Validate the parameters of a query; errors are those of `validate_headers`."""
    for name, value in query.items():
        if not name or not name.isprintable():
            raise ValueError(f"got {name!r:.80}, wanted the name of a parameter, such as api-version")
        _validate_value(name, value)


def _validate_value(name: str, value: str) -> None:
    if "${" in REFERENCE.sub("", value):
        raise ValueError(f"{name}: wanted a reference such as ${{NAME}} to an environment variable")
    if not _is_sendable(value):
        raise ValueError(f"{name}: the value has characters that cannot be sent; wanted printable Latin ones")
    if REFERENCE.search(value) is None and (is_secret_name(name) or SECRET_VALUE.match(value)):
        raise ValueError(
            f"{name}: the value would be kept as plain text; put it into an environment variable and write "
            f"{name}: ${{NAME}}"
        )


def _is_sendable(value: str) -> bool:
    return value.isprintable() and all(ord(character) < 256 for character in value)


def resolve_references(values: Mapping[str, str]) -> tuple[dict[str, str], tuple[str, ...]]:
    """Replace each `${NAME}` in the values by the environment variable NAME.

    Returns:
        The values, and every secret in them: the variables, and the words of values that have one.

    Raises:
        ValueError: a variable is not set, or holds characters that cannot be sent; the message quotes no value.

    """
    resolved, secrets = dict[str, str](), list[str]()
    for name, value in values.items():
        variables = REFERENCE.findall(value)
        for variable in variables:
            content = os.environ.get(variable, "").strip()
            if not content:
                raise ValueError(f"{name}: the environment variable {variable} is not set; set it")
            if not _is_sendable(content):
                raise ValueError(
                    f"{name}: the environment variable {variable} has characters that cannot be sent; set it again"
                )
            secrets.append(content)
        resolved[name] = REFERENCE.sub(lambda match: os.environ[match[1]].strip(), value)
        # A server may repeat a part of "Bearer KEY" or "session=KEY".
        secrets += [word for word in re.split(r"[\s;,=]+", resolved[name]) if variables and len(word) >= 8]
    return resolved, tuple(dict.fromkeys(secrets))
