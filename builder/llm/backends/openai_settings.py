"""Address, key and headers of an OpenAI-compatible server, shared by the `openai` and the `batch` backend."""

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypedDict
from urllib.parse import quote

from personagen.builder.core.endpoints.addresses import (
    AZURE_DEPLOYMENT,
    Address,
    parse_address,
    require_api_version,
)
from personagen.builder.core.endpoints.secrets import is_secret_name, resolve_references
from personagen.builder.core.errors import BackendError, raise_as
from personagen.builder.core.foreign_text import environment_secrets
from personagen.builder.llm.chat_protocol.endpoint import CHAT_PATH, Endpoint
from personagen.builder.version import __version__

if TYPE_CHECKING:
    import openai

HOSTED_URL = "https://api.openai.com/v1"
"""Base URL of OpenAI's own server."""

KEY_HEADERS = ("authorization", "api-key", "x-api-key", "x-goog-api-key")
"""Headers in place of which the key of the environment is not sent."""


class ServerOptions(TypedDict, total=False):
    """Optional settings of a server, as a recipe states them; None or missing: the default.

    Attributes:
        headers: headers of every call; `${NAME}` stands for an environment variable.
        query: parameters behind the path of every call; `${NAME}` as in headers.
        body: parts of every request body; None: leave that part out.
        timeout: timeout of a call in seconds.
        thinking_tokens: room for thoughts in the limit of every request, in tokens; None: learnt from replies.
        reasoning_effort: how much a reasoning model thinks, by the server's word for it.
        warn: receives one line about each part of a request that the server refuses.

    """

    headers: Mapping[str, str] | None
    query: Mapping[str, str] | None
    body: Mapping[str, Any] | None
    timeout: float | None
    thinking_tokens: int | None
    reasoning_effort: str | None
    warn: Callable[[str], None]


def report_nothing(message: str) -> None:
    """Receive a line and report it nowhere."""


def make_endpoint(
    model: str, base_url: str | None, api_key: str | None, options: ServerOptions, *, backend: str = "openai"
) -> Endpoint:
    """Build the endpoint of one model at one server.

    Args:
        model: the model as the server names it.
        base_url: URL before "/chat/completions", e.g. "http://127.0.0.1:8000/v1"; None: the environment variable
            OPENAI_BASE_URL, else OpenAI's own server.
        api_key: value of OPENAI_API_KEY; None is allowed at other servers than OpenAI's, since local ones need no key.
        options: headers, query and body of every call.
        backend: name of the backend, for messages.

    Raises:
        BackendError: no key for OpenAI's server, a key with impossible characters, a base URL that is none, or an
            environment variable that is missing.

    """
    key = _validate_key(api_key, backend)
    environment_url = os.environ.get("OPENAI_BASE_URL", "").strip()
    if not key and base_url is None and not environment_url and not _has_key(options.get("headers") or {}):
        raise BackendError(
            f"backend {backend}: no API key; set the environment variable OPENAI_API_KEY, or name a server of your own "
            "with --base-url"
        )
    source = "--base-url" if base_url is not None or not environment_url else "OPENAI_BASE_URL"
    with raise_as(BackendError, f"backend {backend}: {source}: "):
        address = parse_address(environment_url or HOSTED_URL if base_url is None else base_url)
    with raise_as(BackendError, f"backend {backend}: query: "):
        query, query_secrets = resolve_references(options.get("query") or {})
    with raise_as(BackendError, f"backend {backend}: {source}: "):
        address = _completed(replace(address, query={**address.query, **query}), model)
        require_api_version(address, {})
    with raise_as(BackendError, f"backend {backend}: headers: "):
        headers, header_secrets = resolve_references(options.get("headers") or {})
    effort = options.get("reasoning_effort")
    endpoint = Endpoint(
        address=f"{address.origin}{address.path}",
        model=model,
        headers=_merge(_identity(address, key, headers), headers),
        query=address.query,
        body={**({"reasoning_effort": effort} if effort else {}), **(options.get("body") or {})},
        secrets=(*((key,) if key else ()), *header_secrets, *query_secrets, *environment_secrets()),
    )
    return replace(endpoint, alternatives=_alternatives(endpoint, address))


def _validate_key(api_key: str | None, backend: str) -> str | None:
    key = (api_key or "").strip()
    if not (key.isascii() and key.isprintable()):
        raise BackendError(f"backend {backend}: OPENAI_API_KEY has characters that no key can have; set it again")
    return key or None


def _completed(address: Address, model: str) -> Address:
    """Return the address with the path that its server is known to have, if it names none."""
    if not address.is_azure:
        return address if address.path else replace(address, path="/v1")
    if address.path.lower() not in ("", "/openai", "/openai/deployments"):
        return address
    # A version that is a date belongs to the classic addresses.
    if address.query.get("api-version", "")[:1].isdigit():
        return replace(address, path=f"/openai/deployments/{quote(model, safe='')}")
    return replace(address, path="/openai/v1")


def _alternatives(endpoint: Endpoint, address: Address) -> tuple[str, ...]:
    """Return the URL of chat completions with "/v1" behind the path, or without it."""
    if address.is_azure or endpoint.address == HOSTED_URL:
        return ()
    path = address.path.removesuffix("/v1") if address.path.endswith("/v1") else f"{address.path}/v1"
    return (replace(endpoint, address=f"{address.origin}{path}").chat_url,)


def _identity(address: Address, key: str | None, headers: Mapping[str, str]) -> dict[str, str]:
    """Build the headers that name client, account and key.

    Organisation and project come from the variables that OpenAI's own client reads. A header of the recipe that
    carries a key replaces that of the environment. Without a key a placeholder is sent, unless another header carries
    a secret.
    """
    variables = {"OpenAI-Organization": "OPENAI_ORG_ID", "OpenAI-Project": "OPENAI_PROJECT_ID"}
    identity = {header: os.environ[name] for header, name in variables.items() if os.environ.get(name)}
    identity["User-Agent"] = f"personagen/{__version__}"
    if _has_key(headers):
        return identity
    if address.is_versioned:
        return identity | ({"api-key": key} if key else {})
    if key or not any(map(is_secret_name, headers)):
        identity["Authorization"] = f"Bearer {key or 'none'}"
    return identity


def _has_key(headers: Mapping[str, str]) -> bool:
    return any(name.lower() in KEY_HEADERS for name in headers)


def _merge(headers: Mapping[str, str], more: Mapping[str, str]) -> dict[str, str]:
    """Return both headers; where names are equal but for their case, the second value is taken."""
    names = {name.lower() for name in more}
    return {name: value for name, value in headers.items() if name.lower() not in names} | dict(more)


def batch_target(endpoint: Endpoint) -> tuple[str, str]:
    """Return the base URL of files and batches, and the path of chat completions that lines of a batch name.

    Azure's classic addresses serve files and batches beside the deployments, and its lines name a path without "/v1"
    (https://learn.microsoft.com/azure/ai-services/openai/how-to/batch).

    Raises:
        BackendError: the address names another deployment than the model, which the lines of a batch name.

    """
    deployment = AZURE_DEPLOYMENT.match(endpoint.address)
    if deployment and deployment["name"] != quote(endpoint.model, safe=""):
        raise BackendError(
            f"backend batch: --model is {endpoint.model!r} and --base-url names the deployment "
            f"{deployment['name']!r}; name one of them in both, for requests of a batch name their deployment"
        )
    is_azure = deployment or parse_address(endpoint.address).is_azure
    return deployment["resource"] if deployment else endpoint.address, CHAT_PATH if is_azure else f"/v1{CHAT_PATH}"


def make_client(endpoint: Endpoint, base_url: str) -> "openai.AsyncOpenAI":
    """Build a client of the `openai` package that never retries, and never follows a redirect with the key."""
    import openai

    async def remove_key(request: Any) -> None:
        request.headers.pop("Authorization", None)

    # The client insists on a key of its own, which the endpoint may leave out.
    has_key = any(name.lower() == "authorization" for name in endpoint.headers)
    hooks = {} if has_key else {"request": [remove_key]}
    return openai.AsyncOpenAI(
        api_key="none",
        base_url=base_url,
        max_retries=0,
        default_headers=endpoint.headers,
        default_query=dict(endpoint.query),
        http_client=openai.DefaultAsyncHttpxClient(follow_redirects=False, event_hooks=hooks),
    )
