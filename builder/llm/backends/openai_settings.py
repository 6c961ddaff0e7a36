"""Where an OpenAI-compatible server is and with which key it is asked: what both backends that ask one share."""

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from personagen.builder.core.errors import BackendError
from personagen.builder.llm.backends.openai_protocol import Server

if TYPE_CHECKING:
    import openai

HOSTED = "https://api.openai.com/v1"


def check_settings(base_url: str | None, api_key: str | None, *, backend: str = "openai") -> tuple[str, str | None]:
    """Check where requests go and with which key: the base URL, OpenAI's own for None, and the key, None for none.

    Args:
        base_url: where "/chat/completions" hangs, say "http://127.0.0.1:8000/v1"; None means OpenAI's own server.
        api_key: value of OPENAI_API_KEY; None is fine where `base_url` is given, since local servers need no key.
        backend: the backend's name, for messages.

    Raises:
        BackendError: no key for OpenAI's server, a key with impossible characters, or a base URL that is none or holds
            a password.

    """
    key = (api_key or "").strip()
    if not key and base_url is None:
        raise BackendError(
            f"backend {backend}: no API key; set the environment variable OPENAI_API_KEY, or name a server of your own "
            "with --base-url"
        )
    if not (key.isascii() and key.isprintable()):
        raise BackendError(f"backend {backend}: OPENAI_API_KEY holds characters that no key can have; set it again")
    if base_url is not None and not re.match(r"https?://[^/]", base_url):
        raise BackendError(
            f"backend {backend}: --base-url {base_url!r} is no URL; expected something like http://127.0.0.1:8000/v1"
        )
    if base_url is not None and "@" in urlsplit(base_url).netloc:
        raise BackendError(
            f"backend {backend}: --base-url holds a user or password; leave them out and set OPENAI_API_KEY instead"
        )
    return base_url or HOSTED, key or None


def make_client(
    *, base_url: str | None, api_key: str | None, backend: str = "openai"
) -> tuple["openai.AsyncOpenAI", str | None]:
    """Make a client of the `openai` package that repeats nothing by itself, and tell its key; see `check_settings`."""
    import openai

    url, key = check_settings(base_url, api_key, backend=backend)
    # The base URL is always given, lest OPENAI_BASE_URL send the prompts elsewhere than the recipe says.
    return openai.AsyncOpenAI(api_key=key or "none", base_url=url, max_retries=0), key


def server_of(client: "openai.AsyncOpenAI", model: str, secret: str | None) -> Server:
    """Describe a client's server for messages."""
    return Server(str(client.base_url).rstrip("/"), model, secret)
