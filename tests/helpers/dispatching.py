"""Put a journal and a dispatcher in front of the fake server."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from personagen.builder.llm.admission.control import make_admission_control
from personagen.builder.llm.admission.outages import OutageDetector
from personagen.builder.llm.admission.retries import RetryTiming
from personagen.builder.llm.backends.openai_chat import ChatTimeouts, OpenAIBackend, connect_openai
from personagen.builder.llm.budget import Budget
from personagen.builder.llm.dispatcher import Dispatcher
from personagen.builder.llm.journal import Journal
from personagen.builder.llm.requests import Ask, Message, Reply, Request, Sampling
from personagen.builder.llm.storage.opening import JournalFile

FAST = RetryTiming(first_pause_s=0.01, max_pause_s=0.02, failing_s=0.0, outage_s=60.0, grace_s=60.0)
"""Retries after milliseconds; an outage and the grace period are longer than any delay of a busy machine."""


def ask_for(text: str, *, seed: int = 1) -> Request:
    """Build a small request."""
    return Request((Message("user", text),), Sampling(max_tokens=50), seed)


async def until(condition: Callable[[], object], *, seconds: float = 60.0) -> None:
    """Let the event loop run until a condition holds; AssertionError if it never does."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.002)


def with_model(
    url: str,
    path: Path | JournalFile,
    use: Callable[[OpenAIBackend, Journal], Awaitable[None]],
    *,
    concurrency: int = 16,
    timeouts: ChatTimeouts | None = None,
) -> None:
    """Open the journal and a backend, use both in an event loop, and close them."""

    async def run() -> None:
        journal = Journal(path)
        backend = connect_openai(model="fake-1", base_url=url, api_key=None, concurrency=concurrency, timeouts=timeouts)
        try:
            await use(backend, journal)
        finally:
            journal.close()
            await backend.close()

    asyncio.run(run())


def dispatcher(
    backend: OpenAIBackend, journal: Journal, budget: Budget | None = None, timing: RetryTiming = FAST
) -> Dispatcher:
    """Build a dispatcher whose limit on requests in flight is that of the backend from the start."""
    admission = make_admission_control(
        budget or Budget(), concurrency=backend.concurrency, adaptive=False, outages=OutageDetector(min_pause_s=0.01)
    )
    return Dispatcher(backend, journal, admission, timing)


def asker(backend: OpenAIBackend, journal: Journal) -> Ask:
    """Build the `Ask` of a row."""
    return dispatcher(backend, journal).ask(0)


def outcomes(
    url: str,
    path: Path,
    requests: list[Request],
    *,
    concurrency: int = 4,
    timing: RetryTiming = FAST,
    timeouts: ChatTimeouts | None = None,
) -> list[Reply | BaseException]:
    """Send all requests together; return replies and errors."""
    results: list[Reply | BaseException] = []

    async def use(backend: OpenAIBackend, journal: Journal) -> None:
        run = dispatcher(backend, journal, timing=timing)
        asked = [run.ask(priority)(request) for priority, request in enumerate(requests)]
        results.extend(await asyncio.gather(*asked, return_exceptions=True))
        await run.drain()

    with_model(url, path, use, concurrency=concurrency, timeouts=timeouts)
    return results
