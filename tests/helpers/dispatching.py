"""Put a journal and a dispatcher in front of the fake server."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from personagen.builder.llm.admission import open_gate
from personagen.builder.llm.backends.openai_chat import OpenAIBackend, connect_openai
from personagen.builder.llm.budget import Budget
from personagen.builder.llm.dispatcher import Dispatcher
from personagen.builder.llm.journal import Journal
from personagen.builder.llm.requests import Ask, Message, Reply, Request, Sampling


def ask_for(text: str, *, seed: int = 1) -> Request:
    """Build a small request."""
    return Request((Message("user", text),), Sampling(max_tokens=50), seed)


def with_model(
    url: str, path: Path, use: Callable[[OpenAIBackend, Journal], Awaitable[None]], *, concurrency: int = 16
) -> None:
    """Open the journal and a backend, use both in an event loop, and close them."""

    async def run() -> None:
        journal = Journal(path)
        backend = connect_openai(model="fake-1", base_url=url, api_key=None, concurrency=concurrency)
        try:
            await use(backend, journal)
        finally:
            journal.close()
            await backend.close()

    asyncio.run(run())


def dispatcher(backend: OpenAIBackend, journal: Journal, budget: Budget | None = None) -> Dispatcher:
    """Put a gate and the journal before a backend; as many requests as it takes may be in flight from the start."""
    gate = open_gate(budget or Budget(), concurrency=backend.concurrency, adaptive=False)
    return Dispatcher(backend, journal, gate)


def asker(backend: OpenAIBackend, journal: Journal) -> Ask:
    """Make the `Ask` of a row."""
    return dispatcher(backend, journal).ask(0)


def outcomes(url: str, path: Path, requests: list[Request], *, concurrency: int = 4) -> list[Reply | BaseException]:
    """Ask for everything at once; return replies and errors."""
    found: list[Reply | BaseException] = []

    async def use(backend: OpenAIBackend, journal: Journal) -> None:
        run = dispatcher(backend, journal)
        asked = [run.ask(turn)(request) for turn, request in enumerate(requests)]
        found.extend(await asyncio.gather(*asked, return_exceptions=True))
        await run.drain()

    with_model(url, path, use, concurrency=concurrency)
    return found
