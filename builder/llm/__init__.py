"""Language models: turn a `Request` into a durable `Reply`.

A request is answered from the journal; otherwise admission control sends it to a backend within the rate limits and
the budget, retries it where that may help, and journals the reply before returning it.

May import `personagen.builder.core` only; `backends` is imported by `connect` only, when a backend is chosen.
"""

from personagen.builder.llm.connect import connect
from personagen.builder.llm.engine import Engine, start_engine, start_engine_of_models
from personagen.builder.llm.models import EngineModel, closing_models, connect_models
from personagen.builder.llm.requests import Backend, Reply, Request

__all__ = [
    "Backend",
    "Engine",
    "EngineModel",
    "Reply",
    "Request",
    "closing_models",
    "connect",
    "connect_models",
    "start_engine",
    "start_engine_of_models",
]
