"""Answer requests from a journal alone: a backend that never calls a model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from personagen.builder.core.errors import MissingReplyError
from personagen.builder.core.prices import Price
from personagen.builder.llm.connect import BackendSettings
from personagen.builder.llm.models import EngineModel
from personagen.builder.llm.requests import Backend, Reply, Request

CONCURRENCY = 256
"""Rows that are begun at a time: none of them waits for a server."""


@dataclass(frozen=True, slots=True)
class ModelIdentity:
    """What identifies a model in the keys of its replies, and its licence.

    Attributes:
        backend: name of the backend.
        model: name of the model.
        revision: version of the model; None: not stated.
        licence: SPDX name of the model's licence; None: unknown.
        variant: settings of every request that change replies; see `Backend`.

    """

    backend: str
    model: str
    revision: str | None = None
    licence: str | None = None
    variant: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        """Return the names of backend and model, with the revision if there is one."""
        return f"{self.backend} {self.model}" + (f" at revision {self.revision}" if self.revision else "")


def identity_of_model(backend: Backend) -> ModelIdentity:
    """Return the identity of a connected model."""
    return ModelIdentity(backend.name, backend.model, backend.revision, backend.licence, dict(backend.variant))


class JournalOnly:
    """A backend whose replies are all in the journal; implements `Backend`."""

    paid = False
    adaptive = False
    concurrency = CONCURRENCY

    def __init__(self, identity: ModelIdentity) -> None:
        """Stand for a model; requests have the keys that they had when it was called."""
        self.name = identity.backend
        self.model = identity.model
        self.revision = identity.revision
        self.licence = identity.licence
        self.variant = identity.variant

    def token_limit(self, request: Request, cut_at: int | None = None) -> int:
        """Return the limit of the request; a reply that was cut gets no more room, since no call is made."""
        return request.sampling.max_tokens if cut_at is None else 0

    async def complete(self, request: Request) -> Reply:
        """Raise MissingReplyError: the journal has no reply to the request."""
        raise MissingReplyError(f"the journal has no reply to a request with seed {request.seed}")

    def stop(self) -> None:
        """Do nothing: no call is ever under way."""

    async def close(self) -> None:
        """Do nothing: there is no connection."""


def journal_only(
    identities: Sequence[ModelIdentity], choices: Sequence[BackendSettings], prices: Sequence[Price | None]
) -> tuple[EngineModel, ...]:
    """Return the models of an engine that answers from its journal alone; for the arguments see `connect_models`."""
    return tuple(
        EngineModel(JournalOnly(identity), choice, price, label=identity.model)
        for identity, choice, price in zip(identities, choices, prices, strict=True)
    )
