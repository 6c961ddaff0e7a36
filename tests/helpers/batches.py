"""Helpers for tests of the batch backend; `python -m tests.helpers.batches URL FOLDER COUNT` is a process to kill."""

import asyncio
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Unpack

import pytest

from personagen.builder.llm.backends.batch_api import BatchTiming
from personagen.builder.llm.backends.batch_states import BatchLimits
from personagen.builder.llm.backends.openai_batch import BatchBackend, connect_batch
from personagen.builder.llm.backends.openai_settings import ServerOptions
from personagen.builder.llm.requests import Message, Reply, Request, Sampling
from tests.helpers.servers.fake_openai import contents

KEY = "sk-test-0123456789abcdef"
FAST = BatchTiming(
    quiet_s=0.05,
    queue_first_s=0.01,
    queue_max_s=0.05,
    poll_first_s=0.005,
    poll_max_s=0.02,
    retry_first_s=0.005,
    retry_max_s=0.02,
    listing_s=0.005,
    unreachable_s=0.1,
)
"""Pauses of milliseconds: the fake server needs no longer ones."""

PATIENT = replace(FAST, quiet_s=2.0)
"""Requests of a whole stage are gathered, however long a busy disk takes to journal the replies that they follow."""


def ask(number: int, **changes: Any) -> Request:
    """Build a request; its seed is its number."""
    options: dict[str, Any] = {"sampling": Sampling(max_tokens=100), "seed": number} | changes
    return Request(messages=(Message("system", "You write."), Message("user", f"Nr {number}.")), **options)


def asks(count: int, **changes: Any) -> list[Request]:
    """Build several requests, numbered from 1."""
    return [ask(number, **changes) for number in range(1, count + 1)]


def backend_of(
    url: str,
    folder: Path,
    *,
    api_key: str | None = KEY,
    timing: BatchTiming = FAST,
    limits: BatchLimits | None = None,
    first_requests: int = 100_000,
    **options: Unpack[ServerOptions],
) -> BatchBackend:
    """Build the backend of one process, whose batches are in `folder/batches`; by default no request goes first."""
    return connect_batch(
        model="fake-1",
        base_url=url,
        api_key=api_key,
        folder=folder / "batches",
        timing=timing,
        limits=replace(limits or BatchLimits(), first_requests=first_requests),
        **options,
    )


def outcomes(
    url: str,
    folder: Path,
    requests: Sequence[Request],
    *,
    timing: BatchTiming = FAST,
    limits: BatchLimits | None = None,
    **options: Unpack[ServerOptions],
) -> list[Reply | BaseException]:
    """Send all requests together, as a separate process would, and return replies and errors."""

    async def run() -> list[Reply | BaseException]:
        backend = backend_of(url, folder, timing=timing, limits=limits, **options)
        try:
            return await asyncio.gather(*map(backend.complete, requests), return_exceptions=True)
        finally:
            await backend.close()

    return asyncio.run(run())


def answers(
    url: str,
    folder: Path,
    requests: Sequence[Request],
    *,
    limits: BatchLimits | None = None,
    **options: Unpack[ServerOptions],
) -> list[Reply]:
    """Send all requests together; the first error is raised."""
    results = outcomes(url, folder, requests, limits=limits, **options)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return [result for result in results if isinstance(result, Reply)]


def texts(replies: Sequence[Reply]) -> list[str]:
    """Return the first text of each reply."""
    return [reply.candidates[0].text for reply in replies]


def expected(requests: Sequence[Request]) -> list[str]:
    """Return the texts that the fake server writes for requests without a schema."""
    bodies = [
        {"messages": [{"role": m.role, "content": m.content} for m in request.messages], "seed": request.seed}
        for request in requests
    ]
    return [contents(body)[0] for body in bodies]


def refused(
    url: str,
    folder: Path,
    requests: Sequence[Request],
    kind: type[Exception],
    message: str,
    timing: BatchTiming = FAST,
) -> None:
    """Assert that every request gets the same error, in one line and without the key."""
    for result in outcomes(url, folder, requests, timing=timing):
        with pytest.raises(kind, match=message) as caught:
            raise result if isinstance(result, BaseException) else AssertionError(result)
        assert "\n" not in str(caught.value)
        assert KEY[:12] not in str(caught.value)
        chain: BaseException | None = caught.value
        while chain is not None:
            assert KEY not in repr(vars(chain))
            chain = chain.__cause__ or chain.__context__


def error_body(message: str, **more: Any) -> dict[str, Any]:
    """Build the body of an OpenAI error."""
    return {"error": {"message": message, **more}}


FATAL = [
    (401, error_body(f"Incorrect API key: {KEY}"), r"v1 refused the key \(401\); check .* OPENAI_API_KEY$"),
    (403, error_body(f"not for {KEY}"), r"v1 denied access \(403\): 'not for \*\*\*'; check what the key"),
    (404, error_body("no such model"), r"v1 has no model 'fake-1' \(404\): 'no such model'; check --model and"),
    (
        429,
        error_body("none left", code="insufficient_quota"),
        r"v1 has no credit left for this key \(402\): 'none left'; top",
    ),
]


def main() -> None:
    """Send COUNT requests through a backend whose batches are in FOLDER."""
    url, folder, count = sys.argv[1:]
    outcomes(url, Path(folder), asks(int(count)))


if __name__ == "__main__":
    main()
