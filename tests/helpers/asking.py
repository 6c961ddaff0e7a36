"""Send single requests through the openai backend."""

import asyncio
from collections.abc import Sequence
from typing import Any, Unpack

from personagen.builder.llm.backends.openai_chat import ChatTimeouts, connect_openai
from personagen.builder.llm.backends.openai_settings import ServerOptions
from personagen.builder.llm.requests import Message, Reply, Request, Sampling

KEY = "sk-test-0123456789abcdef"


def ask(text: str = "Say something.", **changes: Any) -> Request:
    """Build a request with one system and one user turn."""
    options: dict[str, Any] = {"sampling": Sampling(max_tokens=100), "seed": 7} | changes
    return Request(messages=(Message("system", "You write."), Message("user", text)), **options)


def answers(
    url: str | None,
    requests: Sequence[Request],
    *,
    api_key: str | None = KEY,
    concurrency: int = 4,
    timeouts: ChatTimeouts | None = None,
    **options: Unpack[ServerOptions],
) -> list[Reply]:
    """Send all requests together through one fresh backend; the first error is raised."""

    async def run() -> list[Reply]:
        backend = connect_openai(
            model="fake-1", base_url=url, api_key=api_key, concurrency=concurrency, timeouts=timeouts, **options
        )
        limit = asyncio.Semaphore(concurrency)

        async def complete(request: Request) -> Reply:
            async with limit:
                return await backend.complete(request)

        try:
            return await asyncio.gather(*[complete(request) for request in requests])
        finally:
            await backend.close()

    return asyncio.run(run())


def answer(
    url: str | None,
    request: Request,
    *,
    api_key: str | None = KEY,
    timeouts: ChatTimeouts | None = None,
    **options: Unpack[ServerOptions],
) -> Reply:
    """Send one request through a fresh backend."""
    return answers(url, [request], api_key=api_key, timeouts=timeouts, **options)[0]


def reply_of(content: str) -> dict[str, Any]:
    """Build a completion with this content, of two prompt and three completion tokens."""
    choice = {"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": "stop"}
    return {"choices": [choice], "usage": {"prompt_tokens": 2, "completion_tokens": 3}}
