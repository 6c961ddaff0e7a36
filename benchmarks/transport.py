"""HTTP client of the `openai` backend: `python benchmarks/transport.py`, about a minute.

The same 500 chat completions, 50 in flight, from one server on loopback that answers after 100 ms: by the client of
the `openai` package with either of its transports, by our backend, and by bare aiohttp. Rounds take turns.
"""

import asyncio
import json
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import aiohttp
import openai

from benchmarks.pipeline.measure import Server
from personagen.builder.llm.backends.openai_chat import connect_openai
from personagen.builder.llm.requests import Message, Request, Sampling

REQUESTS, IN_FLIGHT, LATENCY, ROUNDS = 500, 50, 0.1, 5
MESSAGES = [{"role": "system", "content": "You write. " * 40}, {"role": "user", "content": "These are facts. " * 60}]

One = Callable[[int], Awaitable[object]]


async def spread(one: One) -> None:
    """Make all calls with a bounded number in flight."""
    left = iter(range(REQUESTS))

    async def work() -> None:
        for number in left:
            await one(number)

    await asyncio.gather(*(work() for _ in range(IN_FLIGHT)))


async def by_package(url: str, http_client: Any) -> None:
    """Use the client of the `openai` package."""
    async with openai.AsyncOpenAI(api_key="none", base_url=url, http_client=http_client, max_retries=0) as client:
        await spread(
            lambda number: client.chat.completions.create(model="m", messages=MESSAGES, seed=number, max_tokens=100)  # type: ignore[arg-type]
        )


async def by_backend(url: str) -> None:
    """Use the backend, which also parses and validates the reply."""
    backend = connect_openai(model="m", base_url=url, api_key=None, concurrency=IN_FLIGHT)
    messages = tuple(Message(each["role"], each["content"]) for each in MESSAGES)
    await spread(lambda number: backend.complete(Request(messages, Sampling(100), number)))
    await backend.close()


async def by_aiohttp(url: str) -> None:
    """Use aiohttp alone."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def one(number: int) -> None:
            body = {"model": "m", "messages": MESSAGES, "seed": number, "max_tokens": 100}
            async with session.post(f"{url}/chat/completions", json=body) as response:
                json.loads(await response.read())

        await spread(one)


WAYS: dict[str, Callable[[str], Awaitable[None]]] = {
    "openai package": lambda url: by_package(url, openai.DefaultAsyncHttpxClient()),
    "openai package over aiohttp": lambda url: by_package(url, openai.DefaultAioHttpClient()),
    "backend openai": by_backend,
    "aiohttp alone": by_aiohttp,
}


def main() -> None:
    """Measure and print."""
    figures: dict[str, list[tuple[float, float]]] = {name: [] for name in WAYS}
    with Server() as server:
        server.reset(latency=LATENCY)
        for _ in range(ROUNDS):
            for name, way in WAYS.items():
                wall, cpu = time.perf_counter(), time.process_time()
                asyncio.run(way(server.url))  # type: ignore[arg-type]
                figures[name].append((time.perf_counter() - wall, time.process_time() - cpu))
    ideal = REQUESTS / IN_FLIGHT * LATENCY
    print(f"{REQUESTS} calls, {IN_FLIGHT} in flight, {LATENCY * 1000:.0f} ms; median of {ROUNDS} rounds")
    print(f"{'':28} {'time / ideal':>12} {'CPU ms a call':>14}")
    for name, rounds in figures.items():
        wall, cpu = (statistics.median(column) for column in zip(*rounds, strict=True))
        print(f"{name:28} {wall / ideal:12.2f} {1000 * cpu / REQUESTS:14.2f}")


if __name__ == "__main__":
    main()
