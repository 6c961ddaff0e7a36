"""Connect to the backend that the settings name; no other module imports a backend."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from personagen.builder.llm.requests import Backend

OPENAI_CONCURRENCY = 64
"""Default upper bound on requests in flight at an endpoint; admission control adapts the number below it."""


class BackendSettings(Protocol):
    """Choice of a backend and rate limits of its requests, as a recipe's `backend` section states them."""

    @property
    def kind(self) -> str:
        """Name of the backend: "embedded", "openai", "batch" or "transformers"."""

    @property
    def model(self) -> str | None:
        """Model name; None for the embedded backend, which has one model only."""

    @property
    def base_url(self) -> str | None:
        """OpenAI-compatible endpoint; None: OpenAI's own."""

    @property
    def concurrency(self) -> int | None:
        """Upper bound on requests in flight; None: the backend's default."""

    @property
    def headers(self) -> Mapping[str, str] | None:
        """Headers of every call; `${NAME}` stands for an environment variable. None: no further ones."""

    @property
    def query(self) -> Mapping[str, str] | None:
        """Parameters behind the path of every call; `${NAME}` as in headers. None: those of `base_url`."""

    @property
    def body(self) -> Mapping[str, Any] | None:
        """Parts of every request body; a part that is None is left out. None: the usual body."""

    @property
    def timeout(self) -> float | None:
        """Timeout of a call in seconds; None: the backend's default."""

    @property
    def thinking_tokens(self) -> int | None:
        """Room for thoughts in the limit of every request, in tokens; None: learnt from the replies."""

    @property
    def reasoning_effort(self) -> str | None:
        """How much a reasoning model thinks, by its own word for it; None: its default."""

    @property
    def rpm(self) -> int | None:
        """Upper bound on requests per minute; None: no limit."""

    @property
    def tpm(self) -> int | None:
        """Upper bound on tokens per minute, prompt and reply; None: no limit."""


def connect(
    settings: BackendSettings,
    folder: Path | None,
    api_key: str | None = None,
    *,
    warn: Callable[[str], None] = lambda _: None,
) -> Backend:
    """Load a local model, or connect to an endpoint.

    Args:
        settings: which backend and model.
        folder: folder of the batches; None: nothing may be written, so the kind "batch" uses plain calls.
        api_key: key of an endpoint; None: environment variable OPENAI_API_KEY.
        warn: receives one line about each way in which the backend departs from the settings.

    Raises:
        BackendError: an extra is missing, the model cannot be loaded, or a key or environment variable is missing.

    """
    model = settings.model or ""
    if settings.kind == "embedded":
        from personagen.builder.llm.backends.embedded import load_embedded

        return load_embedded()
    if settings.kind in ("openai", "batch"):
        return _connect_server(settings, folder, api_key or os.environ.get("OPENAI_API_KEY"), warn)
    from personagen.builder.llm.backends.transformers_loading import load_transformers

    return load_transformers(
        model=model,
        reasoning_effort=settings.reasoning_effort,
        thinking_tokens=settings.thinking_tokens,
        warn=warn,
    )


def _connect_server(
    settings: BackendSettings, folder: Path | None, api_key: str | None, warn: Callable[[str], None]
) -> Backend:
    """Build the backend of an endpoint; see `connect`."""
    server: dict[str, Any] = {"model": settings.model or "", "base_url": settings.base_url, "api_key": api_key}
    names = ("headers", "query", "body", "timeout", "thinking_tokens", "reasoning_effort")
    options = {name: getattr(settings, name) for name in names} | {"warn": warn}
    if settings.kind == "batch" and folder is not None:
        from personagen.builder.llm.backends.openai_batch import connect_batch

        return connect_batch(**server, folder=folder, **options)
    from personagen.builder.llm.backends.openai_chat import connect_openai

    return connect_openai(**server, concurrency=settings.concurrency or OPENAI_CONCURRENCY, **options)
