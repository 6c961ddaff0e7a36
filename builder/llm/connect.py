"""Connect to the backend that the settings name; no other module imports a backend."""

import os
from pathlib import Path
from typing import Protocol

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
    def rpm(self) -> int | None:
        """Upper bound on requests per minute; None: no limit."""

    @property
    def tpm(self) -> int | None:
        """Upper bound on tokens per minute, prompt and reply; None: no limit."""


def connect(settings: BackendSettings, folder: Path | None, api_key: str | None = None) -> Backend:
    """Load a local model, or connect to an endpoint.

    Args:
        settings: which backend and model.
        folder: folder of the batches; None: nothing may be written, so the kind "batch" uses plain calls.
        api_key: key of an endpoint; None: environment variable OPENAI_API_KEY.

    Raises:
        BackendError: an extra is missing, the model cannot be loaded, or a key is missing.

    """
    api_key = api_key or os.environ.get("OPENAI_API_KEY")
    model = settings.model or ""
    if settings.kind == "embedded":
        from personagen.builder.llm.backends.embedded import load_embedded

        return load_embedded()
    if settings.kind == "batch" and folder is not None:
        from personagen.builder.llm.backends.openai_batch import connect_batch

        return connect_batch(model=model, base_url=settings.base_url, api_key=api_key, folder=folder)
    if settings.kind in ("openai", "batch"):
        from personagen.builder.llm.backends.openai_chat import connect_openai

        concurrency = settings.concurrency or OPENAI_CONCURRENCY
        return connect_openai(model=model, base_url=settings.base_url, api_key=api_key, concurrency=concurrency)
    from personagen.builder.llm.backends.transformers_model import load_transformers

    return load_transformers(model=model)
