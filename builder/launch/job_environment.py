"""What a job has of this machine's environment: the server of each model, and secrets that it alone is shown."""

import ipaddress
import os
import re
import socket
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, unquote, urlsplit

from personagen.builder.core.endpoints.addresses import parse_address, require_api_version
from personagen.builder.core.endpoints.secrets import REFERENCE, SECRET_VALUE, is_secret_name
from personagen.builder.core.errors import LaunchError, raise_as
from personagen.builder.core.foreign_text import environment_secrets, holds_secret, quote

if TYPE_CHECKING:  # imported on use: `--help` does not need it
    from personagen.builder.planning.recipe import Recipe
    from personagen.builder.planning.recipe.sections.backends import BackendChoice

SERVER_KINDS = ("openai", "batch")
"""Kinds of backends that call a server."""

REQUEST_VARIABLES: Mapping[str, tuple[str, ...]] = {
    "OPENAI_ORG_ID": SERVER_KINDS,
    "OPENAI_PROJECT_ID": SERVER_KINDS,
    "OPENAI_CUSTOM_HEADERS": ("batch",),
}
"""Variables that change requests, besides the base URL and the key, with the kinds of backends that read them."""

LOCAL_NAMES = ("localhost", "localhost.localdomain", "ip6-localhost", "ip6-loopback")
"""Names of hosts that are this machine everywhere."""


def with_servers(recipe: "Recipe") -> "Recipe":
    """Return the recipe with the base URL of each model, which may be that of OPENAI_BASE_URL.

    Raises:
        LaunchError: the variable has no base URL, or no job can reach a server.

    """
    backend = recipe.backend
    if isinstance(backend, tuple):
        return recipe.model_copy(update={"backend": tuple(map(_with_server, backend))})
    return recipe.model_copy(update={"backend": _with_server(backend)})


def _with_server(choice: "BackendChoice") -> "BackendChoice":
    if choice.kind not in SERVER_KINDS:
        return choice
    source, url = "backend.base_url", choice.base_url
    if url is None:
        source, url = "OPENAI_BASE_URL", os.environ.get("OPENAI_BASE_URL", "").strip()
        if not url:  # OpenAI's own server, here and there
            return choice
    with raise_as(LaunchError, f"{source}: "):
        address = parse_address(url)
        require_api_version(address, choice.query or {})
    if is_loopback(urlsplit(address.origin).hostname or ""):
        raise LaunchError(
            f"{source}: got {quote(address.origin)}, which is this machine, and a job is not; wanted the URL of a "
            "server that jobs can reach"
        )
    return choice.model_copy(update={"base_url": url})


def require_variables(recipe: "Recipe", secrets: Sequence[str]) -> None:
    """Require that the jobs have the variables that the requests of a recipe depend on.

    Raises:
        LaunchError: the recipe names a variable, or this machine has one that changes requests, and the jobs have not.

    """
    named = {name for model in recipe.backends for name in REFERENCE.findall(f"{model.headers}{model.query}")}
    if missing := sorted(named - {*secrets}):
        raise LaunchError(f"the recipe reads ${{{missing[0]}}}, which the jobs do not have; add --secret {missing[0]}")
    for name, kinds in REQUEST_VARIABLES.items():
        if os.environ.get(name) and name not in secrets and any(model.kind in kinds for model in recipe.backends):
            raise LaunchError(
                f"{name} is set and changes requests, and the jobs do not have it; add --secret {name}, or unset it"
            )


def hub_variables() -> dict[str, str]:
    """Return the variables by which a job finds the Hub that runs it; empty: the public one, or one of this machine."""
    endpoint = os.environ.get("HF_ENDPOINT", "").strip()
    return {"HF_ENDPOINT": endpoint} if endpoint and not is_loopback(urlsplit(endpoint).hostname or "") else {}


def read_secrets(names: Sequence[str], token: str | None) -> dict[str, str]:
    """Return the secrets of the jobs by name, from this environment; HF_TOKEN is the token of this command.

    Args:
        names: names of environment variables.
        token: token that was given. None: HF_TOKEN, else that of `hf auth login`.

    Raises:
        LaunchError: a name is impossible, its variable is not set, or there is no token.

    """
    from huggingface_hub import get_token

    values = {"HF_TOKEN": token or get_token() or ""}
    for name in names:
        if not re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII):
            raise LaunchError(
                f"--secret: got {quote(name)}, wanted the name of an environment variable; never its value"
            )
        values[name] = values.get(name) or os.environ.get(name, "")
        if name != "HF_TOKEN" and not values[name]:
            raise LaunchError(f"--secret: the environment variable {name} is not set; set it")
    if not values["HF_TOKEN"]:
        raise LaunchError("no token for the jobs; log in with `hf auth login`, set HF_TOKEN, or give --token")
    return values


def require_public(option: str, text: str, secrets: Mapping[str, str]) -> None:
    """Require that a text that the page of a job shows holds no secret; `${NAME}` in a URL stands for one.

    Args:
        option: option of the text, for messages.
        text: the text.
        secrets: secrets of the jobs by name.

    Raises:
        LaunchError: the text holds a secret, or a reference to one that the jobs do not have.

    """
    if holds_secret(text, (*environment_secrets(), *secrets.values())) or _has_password(text):
        raise LaunchError(
            f"{option} holds a secret, which the page of a job shows; in the URL of a --requirement write ${{NAME}} in "
            "its place, and add --secret NAME"
        )
    if missing := sorted({*REFERENCE.findall(text)} - {*secrets}):
        raise LaunchError(f"{option} reads ${{{missing[0]}}}, which the jobs do not have; add --secret {missing[0]}")


def _has_password(text: str) -> bool:
    """Return whether a text has a URL with a user, a password or a parameter that is a secret, unless by reference."""
    if re.match(r"[^/@]*:[^/@]*@(?!sha\d+:)", text):  # an image has no scheme, and may have a digest
        return True
    for scheme, rest in re.findall(r"([A-Za-z][A-Za-z0-9+.-]*)://(\S*)", text):
        authority = unquote(re.split(r"[/?#]", rest, maxsplit=1)[0])
        user, at, host = authority.rpartition("@")
        name, colon, password = user.partition(":")
        secret = password if colon else "" if scheme.lower().endswith("ssh") else name
        if (at and not REFERENCE.fullmatch(secret) and secret) or not re.fullmatch(r"(\[.*\]|[^:]*)(:\d*)?", host):
            return True
        query = rest.partition("#")[0].partition("?")[2]
        if any(_is_secret(*pair) for pair in parse_qsl(query, keep_blank_values=True)):
            return True
    return False


def _is_secret(name: str, value: str) -> bool:
    return not REFERENCE.fullmatch(value) and bool(is_secret_name(name) or SECRET_VALUE.match(value))


def is_loopback(host: str) -> bool:
    """Return whether a host, as a URL names it, is the machine that asks."""
    name = host.rstrip(".").lower()
    if name in LOCAL_NAMES or name.endswith(".localhost"):
        return True
    address: ipaddress.IPv4Address | ipaddress.IPv6Address
    try:
        address = ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        try:
            address = ipaddress.IPv4Address(socket.inet_aton(name))  # 127.1 and 2130706433 are addresses too
        except (OSError, ValueError):
            return False
    address = getattr(address, "ipv4_mapped", None) or address
    return address.is_loopback or address.is_unspecified
