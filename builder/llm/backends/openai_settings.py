"""Address and key of an OpenAI-compatible server, shared by the `openai` and the `batch` backend."""

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from personagen.builder.core.errors import BackendError
from personagen.builder.llm.chat_protocol.endpoint import Endpoint

if TYPE_CHECKING:
    import openai

HOSTED_URL = "https://api.openai.com/v1"
"""Base URL of OpenAI's own server."""


def validate_settings(base_url: str | None, api_key: str | None, *, backend: str = "openai") -> tuple[str, str | None]:
    """Validate base URL and key, and return both with defaults filled in.

    Args:
        base_url: URL before "/chat/completions", e.g. "http://127.0.0.1:8000/v1"; None: OpenAI's own server.
        api_key: value of OPENAI_API_KEY; None is allowed with a `base_url`, since local servers need no key.
        backend: name of the backend, for messages.

    Returns:
        Base URL, and key or None.

    Raises:
        BackendError: no key for OpenAI's server, a key with impossible characters, or a base URL that is no URL or
            has a password in it.

    """
    key = (api_key or "").strip()
    if not key and base_url is None:
        raise BackendError(
            f"backend {backend}: no API key; set the environment variable OPENAI_API_KEY, or name a server of your own "
            "with --base-url"
        )
    if not (key.isascii() and key.isprintable()):
        raise BackendError(f"backend {backend}: OPENAI_API_KEY has characters that no key can have; set it again")
    if base_url is not None and not re.match(r"https?://[^/]", base_url):
        raise BackendError(
            f"backend {backend}: --base-url {base_url!r} is no URL; expected something like http://127.0.0.1:8000/v1"
        )
    if base_url is not None and "@" in urlsplit(base_url).netloc:
        raise BackendError(
            f"backend {backend}: --base-url has a user or password in it; remove them and set OPENAI_API_KEY instead"
        )
    return base_url or HOSTED_URL, key or None


def make_client(
    *, base_url: str | None, api_key: str | None, backend: str = "openai"
) -> tuple["openai.AsyncOpenAI", str | None]:
    """Build a client of the `openai` package that never retries; return it with its key. See `validate_settings`."""
    import openai

    url, key = validate_settings(base_url, api_key, backend=backend)
    # The base URL is always passed: otherwise OPENAI_BASE_URL could redirect the prompts.
    return openai.AsyncOpenAI(api_key=key or "none", base_url=url, max_retries=0), key


def endpoint_of(client: "openai.AsyncOpenAI", model: str, secret: str | None) -> Endpoint:
    """Return the endpoint of a client, for messages."""
    return Endpoint(str(client.base_url).rstrip("/"), model, secret)
