"""Turn a recipe's choice of backend into one that answers."""

import os
from pathlib import Path

from personagen.builder.llm.requests import Backend
from personagen.builder.planning.sections import BackendChoice

OPENAI_CONCURRENCY = 64
"""Requests in flight at most where the recipe does not say; how many the endpoint bears is found below that."""


def connect(choice: BackendChoice, folder: Path | None, api_key: str | None = None) -> Backend:
    """Load or connect the backend; what it needs is imported here and nowhere else.

    Args:
        choice: the recipe's.
        folder: where batches are kept; None where nothing may be written: then nothing is sent as a batch either.
        api_key: key of an endpoint; None takes the environment's OPENAI_API_KEY.

    Raises:
        BackendError: an extra is missing, the model cannot be loaded, or a key is missing.

    """
    api_key = api_key or os.environ.get("OPENAI_API_KEY")
    if choice.kind == "embedded":
        from personagen.builder.llm.backends.embedded import load_embedded

        return load_embedded()
    if choice.kind == "batch" and folder is not None:
        from personagen.builder.llm.backends.openai_batch import connect_batch

        return connect_batch(
            model=choice.model or "",
            base_url=choice.base_url,
            api_key=api_key,
            folder=folder,
        )
    if choice.kind in ("openai", "batch"):
        from personagen.builder.llm.backends.openai_chat import connect_openai

        return connect_openai(
            model=choice.model or "",
            base_url=choice.base_url,
            api_key=api_key,
            concurrency=choice.concurrency or OPENAI_CONCURRENCY,
        )
    from personagen.builder.llm.backends.transformers_model import load_transformers

    return load_transformers(model=choice.model or "")
