"""The `openai` client of both backends that speak to such a server: where it is, the key, and what must not be told."""

import re
import time
from email.utils import parsedate_to_datetime
from typing import Any

import openai

from personagen.builder.errors import BackendError
from personagen.builder.openai_wire import Server

HOSTED = "https://api.openai.com/v1"


def server_of(client: openai.AsyncOpenAI, model: str, secret: str | None) -> Server:
    """Describe a client's server for messages."""
    # A user and password in the URL are secrets as well.
    address = re.sub(r"//[^/@]*@", "//", str(client.base_url)).rstrip("/")
    return Server(address, model, secret)


def make_client(
    *, base_url: str | None, api_key: str | None, backend: str = "openai"
) -> tuple[openai.AsyncOpenAI, str | None]:
    """Make a client that repeats nothing by itself, and tell the key that it holds; nothing is sent yet.

    Args:
        base_url: where "/chat/completions" hangs, say "http://127.0.0.1:8000/v1"; None means OpenAI's own server.
        api_key: value of OPENAI_API_KEY; None is fine where `base_url` is given, since local servers need no key.
        backend: the backend's name, for messages.

    Raises:
        BackendError: no key for OpenAI's server, a key with impossible characters, or a base URL that is none.

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
    # The base URL is always given, lest OPENAI_BASE_URL send the prompts elsewhere than the recipe says.
    client = openai.AsyncOpenAI(api_key=key or "none", base_url=base_url or HOSTED, max_retries=0)
    return client, key or None


def retry_after(headers: Any) -> float | None:
    """Read how many seconds a server asks to wait: retry-after-ms, else Retry-After in seconds or as a date."""
    try:
        if "retry-after-ms" in headers:
            seconds = float(headers["retry-after-ms"]) / 1000
        elif (value := headers.get("retry-after")) is None:
            return None
        elif re.fullmatch(r"\s*[\d.]+\s*", value):
            seconds = float(value)
        else:
            seconds = parsedate_to_datetime(value).timestamp() - time.time()
    except (ValueError, TypeError, OverflowError):
        return None
    return max(0.0, seconds) if seconds < float("inf") else None
