"""Parse the base URL of a server as people write it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from personagen.builder.core.endpoints.secrets import SECRET_VALUE, is_secret_name

API_PATHS = re.compile(r"/chat/completions$|(?<=/v1)/(chat|completions|responses|models|embeddings|messages)$")
"""Paths behind a base URL that people copy with it."""

AZURE_HOSTS = re.compile(r"\.(openai|cognitiveservices|services\.ai)\.azure\.com(:\d+)?$")
"""Hosts of Azure's resources."""

AZURE_MODELS_PATH = "/models"
"""Path at which a resource of Azure serves models of all publishers."""

AZURE_DEPLOYMENT = re.compile(r"(?P<resource>.*/openai)/deployments/(?P<name>[^/]+)$")
"""Path of a deployment in Azure's classic addresses."""

LOCAL_HOST = re.compile(r"(localhost|127\.|10\.|192\.168\.|\[|[^.]+(:|/|$))")
"""Beginning of a host that is named without a scheme and usually speaks plain HTTP."""


@dataclass(frozen=True, slots=True)
class Address:
    """Base URL of a server in parts.

    Attributes:
        origin: scheme, host and port: "https://host:8443".
        path: path without a slash at its end and without "/chat/completions"; "" for none.
        query: parameters behind the path, such as api-version.

    """

    origin: str
    path: str
    query: Mapping[str, str]

    @property
    def is_azure(self) -> bool:
        """Whether the host is a resource of Azure, or the path that of its classic addresses."""
        return bool(AZURE_HOSTS.search(self.origin) or self.deployment)

    @property
    def is_versioned(self) -> bool:
        """Whether calls name a version of Azure's API, and have the key in `api-key`."""
        return bool(self.deployment or (AZURE_HOSTS.search(self.origin) and self.path == AZURE_MODELS_PATH))

    @property
    def deployment(self) -> str | None:
        """Deployment that one of Azure's classic addresses names; None: another form of address."""
        match = AZURE_DEPLOYMENT.match(self.path)
        return match["name"] if match else None


def parse_address(text: str) -> Address:
    """Parse a base URL: blanks, double slashes and "/chat/completions" are removed, a query is split off.

    Raises:
        ValueError: the text is no URL of a server, or holds a password; the message quotes neither password nor query.

    """
    text = text.strip()
    parts = _split(text)
    if parts.fragment or text.endswith("#"):
        raise ValueError(f"got a fragment (#...) behind {_quoted(text)}; leave it out")
    _validate_path(parts.netloc + parts.path)
    path = API_PATHS.sub("", re.sub("/{2,}", "/", parts.path).rstrip("/"))
    return Address(f"{parts.scheme}://{parts.netloc.lower()}", path, _parameters(parts.query))


def require_api_version(address: Address, query: Mapping[str, str]) -> None:
    """Raise ValueError if an address needs a version of Azure's API, and neither it nor `query` names one."""
    if address.is_versioned and "api-version" not in {**address.query, **query}:
        shown = f"{address.origin}{address.path}"
        raise ValueError(f"got {shown!r} without a version of Azure's API; write {shown}?api-version=2024-10-21")


def _split(text: str) -> SplitResult:
    """Split a URL; raise ValueError unless it names a server."""
    shown = _quoted(text)
    rest = re.sub(r"^[a-z+.-]*:?/+", "", text, flags=re.IGNORECASE)
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    # The second pattern: a password with a slash, which no port has.
    if "@" in unquote(authority) or re.match(r"https?://[^/?#]*:(?!\d*/)[^/?#]*/[^?#]*@", text, re.IGNORECASE):
        raise ValueError("holds a user or password; leave them out and set OPENAI_API_KEY")
    if not re.match(r"https?://", text, re.IGNORECASE):
        raise ValueError(f"got {shown}, wanted a URL{_with_scheme(text)}")
    if re.search(r"[\s\\<>\"{}|^`\x00-\x1f\x7f]", text):
        raise ValueError(f"got {shown}, wanted a URL without blanks and brackets, such as http://localhost:8000/v1")
    try:
        parts = urlsplit(text)
        host = parts.hostname
    except ValueError:
        host = None
    if host in (None, "", "http", "https") or ("%" in str(host) and ":" not in str(host)):
        raise ValueError(f"got {shown}, wanted a host behind the scheme, such as http://localhost:8000/v1")
    try:
        valid_port = parts.port is None or parts.port > 0
    except ValueError:
        valid_port = False
    if not valid_port:
        raise ValueError(f"got {shown}, wanted a port from 1 to 65535, such as http://localhost:8000/v1")
    return parts


def _validate_path(path: str) -> None:
    """Raise ValueError for a host and a path that carry parameters: they stand in messages."""
    if re.search(r"[;?#\x00-\x1f\x7f]", plain := unquote(path)):
        raise ValueError("has parameters in its path (behind ';', or an encoded '?' or '#'); leave them out")
    for part in plain.split("/"):
        name, sign, _ = part.partition("=")
        if SECRET_VALUE.match(part) or (sign and is_secret_name(name)):
            raise ValueError("holds a secret in its path; leave it out and set OPENAI_API_KEY, or write backend.query")


def _quoted(text: str) -> str:
    """Quote a URL without user, password, query and fragment, and without what stands in place of a port."""
    shown = re.sub(r".*(@|%40)", "***@", text, flags=re.DOTALL | re.IGNORECASE)
    shown = re.sub(r"([?#;]|%3b|%3f|%23).*", "", shown, flags=re.DOTALL | re.IGNORECASE)
    return repr(re.sub(r"^(\w+:/+[^/:\[\]]*):(?!\d*(/|$)|[^/]{1,4}(/|$))[^/]*", r"\1:***", shown)[:80])


def _with_scheme(text: str) -> str:
    """Return what to write for a host without a scheme; an example if the text names no host."""
    if not re.fullmatch(r"[\w.-]+(:\d+)?(/[\w./-]*)?|\[[\da-fA-F:]+\](:\d+)?(/[\w./-]*)?", text):
        return " such as http://localhost:8000/v1"
    return f"; write {'http' if LOCAL_HOST.match(text) else 'https'}://{text}"


def _parameters(query: str) -> dict[str, str]:
    """Parse the query of a base URL; raise ValueError for a parameter that holds a secret."""
    parameters = dict(parse_qsl(query, keep_blank_values=True))
    bare = [unquote(part) for part in query.split("&") if "=" not in part]  # a key without a name
    for name, value in parameters.items():
        if is_secret_name(name) or SECRET_VALUE.match(value) or name in bare:
            shown = name if name not in bare and re.fullmatch(r"[A-Za-z_-]{1,32}", name) else "PARAMETER"
            raise ValueError(
                f"holds a secret in its query ({shown!r}); leave it out and write backend.query: {{{shown}: ${{NAME}}}}"
            )
    return parameters
