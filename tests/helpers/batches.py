"""What tests of the batch backend share; `python -m tests.helpers.batches URL FOLDER COUNT` is a process to kill."""

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from personagen.builder.llm.backends.openai_batch import BatchBackend, connect_batch
from personagen.builder.llm.requests import Message, Reply, Request, Sampling
from tests.helpers.servers.fake_openai import contents

KEY = "sk-test-0123456789abcdef"
PACE = {
    "llm.backends.openai_batch.QUIET": 0.05,
    "llm.backends.openai_batch.QUEUE_FIRST": 0.01,
    "llm.backends.openai_batch.QUEUE_LONGEST": 0.05,
    "llm.backends.batch_api.POLL_FIRST": 0.005,
    "llm.backends.batch_api.POLL_LONGEST": 0.02,
    "llm.backends.batch_api.FIRST_PAUSE": 0.005,
    "llm.backends.batch_api.LONGEST_PAUSE": 0.02,
    "llm.backends.batch_api.REACH": 0.1,
    "llm.backends.batch_api.SETTLE": 0.005,
}
"""Constants of the backend for tests: a fake has no need of pauses."""


def hurry() -> None:
    """Set the constants for good, in a process of its own."""
    for name, value in PACE.items():
        module, constant = name.rsplit(".", 1)
        setattr(sys.modules[f"personagen.builder.{module}"], constant, value)


def ask(number: int, **changes: Any) -> Request:
    """Build a request; its seed is its number."""
    options: dict[str, Any] = {"sampling": Sampling(max_tokens=100), "seed": number} | changes
    return Request(messages=(Message("system", "You write."), Message("user", f"Nr {number}.")), **options)


def asks(count: int, **changes: Any) -> list[Request]:
    """Build several requests, numbered from 1."""
    return [ask(number, **changes) for number in range(1, count + 1)]


def backend_of(url: str, folder: Path, *, api_key: str | None = KEY) -> BatchBackend:
    """Make the backend of one process."""
    return connect_batch(model="fake-1", base_url=url, api_key=api_key, folder=folder / "batches")


def outcomes(url: str, folder: Path, requests: Sequence[Request]) -> list[Reply | BaseException]:
    """Ask all at once, as a process of its own would, and collect replies and errors."""

    async def run() -> list[Reply | BaseException]:
        backend = backend_of(url, folder)
        try:
            return await asyncio.gather(*map(backend.complete, requests), return_exceptions=True)
        finally:
            await backend.close()

    return asyncio.run(run())


def answers(url: str, folder: Path, requests: Sequence[Request]) -> list[Reply]:
    """Ask all at once; the first error is raised."""
    found = outcomes(url, folder, requests)
    for each in found:
        if isinstance(each, BaseException):
            raise each
    return [each for each in found if isinstance(each, Reply)]


def texts(replies: Sequence[Reply]) -> list[str]:
    """Take the first text of each."""
    return [reply.candidates[0].text for reply in replies]


def expected(requests: Sequence[Request]) -> list[str]:
    """Tell what the fake writes to requests without a schema."""
    bodies = [
        {"messages": [{"role": m.role, "content": m.content} for m in each.messages], "seed": each.seed}
        for each in requests
    ]
    return [contents(body)[0] for body in bodies]


def refused(url: str, folder: Path, requests: Sequence[Request], kind: type[Exception], message: str) -> None:
    """See that every request meets the same error, in one line and without the key."""
    for each in outcomes(url, folder, requests):
        with pytest.raises(kind, match=message) as caught:
            raise each if isinstance(each, BaseException) else AssertionError(each)
        assert "\n" not in str(caught.value)
        assert KEY[:12] not in str(caught.value)
        chain: BaseException | None = caught.value
        while chain is not None:
            assert KEY not in repr(vars(chain))
            chain = chain.__cause__ or chain.__context__


def said(message: str, **more: Any) -> dict[str, Any]:
    """Build the body of an OpenAI error."""
    return {"error": {"message": message, **more}}


FATAL = [
    (401, said(f"Incorrect API key: {KEY}"), r"v1 refused the key \(401\); check .* OPENAI_API_KEY$"),
    (403, said(f"not for {KEY}"), r"v1 denied access \(403\): 'not for \*\*\*'; check what the key"),
    (404, said("no such model"), r"v1 has no model 'fake-1' \(404\): 'no such model'; check --model and"),
    (
        429,
        said("none left", code="insufficient_quota"),
        r"v1 has no credit left for this key \(402\): 'none left'; top",
    ),
]


def main() -> None:
    """Ask so many requests, and end without a word."""
    hurry()
    url, folder, count = sys.argv[1:]
    outcomes(url, Path(folder), asks(int(count)))


if __name__ == "__main__":
    main()
