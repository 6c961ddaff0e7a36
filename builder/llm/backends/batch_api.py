"""Calls of OpenAI's Batch API: patient with what fails for a while, and told in our own errors."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import openai
from openai.pagination import AsyncCursorPage
from openai.types import Batch, FileObject

from personagen.builder.core.errors import BackendError, TransientError
from personagen.builder.core.retry_after import retry_after
from personagen.builder.llm.backends.openai_protocol import Server, error_object, message_of, status_error

FIRST_PAUSE, LONGEST_PAUSE, LONGEST_WISH = 0.5, 60.0, 900.0
"""Seconds before a call is repeated: the first time, after many, and at most where the server asks for more."""

SETTLE = 5.0
"""Seconds after which a batch whose creation was not confirmed is in the account's list, if it was created."""

REACH = 3.0
"""Seconds in which a server that was never reached is tried again."""

OUTAGE = 6 * 3600.0
"""Seconds for which a server that was reached before may fail: the batch goes on meanwhile, or so one hopes."""

CONNECT_PATIENCE, PATIENCE, TRANSFER_PATIENCE = 4.0, 60.0, 600.0
"""Seconds for a connection, for an answer, and for an answer to or with a large file."""

POLL_FIRST, POLL_LONGEST, POLL_GROWTH = 1.0, 60.0, 1.5
"""Seconds between two looks at a batch: the first time, at most, and by what they grow."""

OVER = ("completed", "failed", "expired", "cancelled")
QUEUE_FULL = "token_limit_exceeded"
"""How OpenAI says that an account has too many tokens waiting in batches: at once, or as the error of a batch."""

MARK = "personagen"
"""Key of the metadata by which a batch is found again."""

T = TypeVar("T")


class BatchCalls:
    """A client and its server. A call that may succeed later is repeated; pauses grow and differ."""

    def __init__(self, client: openai.AsyncOpenAI, server: Server) -> None:
        """Take a client that repeats nothing by itself: a batch created again after a lost answer is paid twice."""
        self._server = server
        self._quick = client.with_options(timeout=openai.Timeout(PATIENCE, connect=CONNECT_PATIENCE))
        self._long = client.with_options(timeout=openai.Timeout(TRANSFER_PATIENCE, connect=CONNECT_PATIENCE))
        self._client = client
        self._reached = False

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def upload(self, path: Path) -> str:
        """Upload an input and tell the file's id; done again it costs nothing.

        Raises:
            BackendError: the server cannot be reached, has no Batch API, or refuses the key or the file.

        """

        async def attempt() -> str:
            with path.open("rb") as file:
                made = await self._long.files.create(file=(path.name, file, "application/jsonl"), purpose="batch")
            return self._expected(made, FileObject, id=str).id

        return await self._patiently(attempt)

    async def create(self, token: str, file: str) -> str | None:
        """Create a batch and tell its id; None where the account's queue is full.

        An attempt whose answer got lost may have made the batch, so each further one looks for it first.

        Raises:
            BackendError: as for `upload`.

        """
        doubtful = False

        async def attempt() -> str | None:
            nonlocal doubtful
            if doubtful:
                await asyncio.sleep(SETTLE)
                if (found := await self._look(token)) is not None:
                    return found
            doubtful = True
            try:
                made = await self._quick.batches.create(
                    input_file_id=file,
                    endpoint="/v1/chat/completions",
                    completion_window="24h",
                    metadata={MARK: token},
                )
            except openai.APIStatusError as error:
                if error_object(error.response.text).get("code") == QUEUE_FULL:
                    return None
                raise
            return self._expected(made, Batch, id=str).id

        return await self._patiently(attempt)

    async def find(self, token: str) -> str | None:
        """Find a batch that was created under a token, and tell its id; one that failed is none.

        Raises:
            BackendError: as for `upload`.

        """
        await asyncio.sleep(SETTLE)  # whoever created it may have died a moment ago
        return await self._patiently(lambda: self._look(token))

    async def _look(self, token: str) -> str | None:
        page = await self._page(self._quick.batches.list(limit=100))
        while True:
            for batch in page.data:
                if (batch.metadata or {}).get(MARK) == token and batch.status != "failed":
                    return batch.id
            if not page.has_next_page():
                return None
            page = await self._page(page.get_next_page())

    async def _page(self, call: Awaitable[AsyncCursorPage[Batch]]) -> AsyncCursorPage[Batch]:
        try:
            return self._expected(await call, AsyncCursorPage[Batch], data=list)
        except AttributeError as error:  # the client stumbles over a page that is no JSON
            return self._expected(str(error), AsyncCursorPage[Batch])

    async def outcome(self, token: str, batch: str) -> Batch:
        """Wait until the batch of a token is over: looked at after a second first, and once a minute in the end.

        Raises:
            BackendError: the server fails for too long, refuses the key, or does not know the batch.

        """
        pause = POLL_FIRST
        while True:
            found = await self._patiently(lambda: self._quick.batches.retrieve(batch), (f"batch {batch}", token))
            if self._expected(found, Batch, status=str).status in OVER:
                return found
            await asyncio.sleep(pause)
            pause = min(pause * POLL_GROWTH, POLL_LONGEST)

    async def content(self, token: str, file: str) -> bytes:
        """Download a file of the batch of a token.

        Raises:
            BackendError: the server fails for too long, refuses the key, or does not have the file any more.

        """

        async def attempt() -> bytes:
            return (await self._long.files.content(file)).content

        return await self._patiently(attempt, (f"file {file}", token))

    async def _patiently(self, call: Callable[[], Awaitable[T]], missing: tuple[str, str] | None = None) -> T:
        """Repeat a call until it succeeds or its failure is final.

        Args:
            call: what to do.
            missing: what a 404 means: a thing, and the token of its batch. None means that there is no such API.

        """
        began, pause = time.monotonic(), FIRST_PAUSE
        while True:
            try:
                result = await call()
            except openai.OpenAIError as error:
                problem = self._translated(error, missing)
            else:
                self._reached = True
                return result
            # Raised out here, so that the original, which holds the headers, is not part of it.
            if not isinstance(problem, TransientError):
                raise problem
            self._reached = self._reached or not problem.unreachable
            patience = OUTAGE if self._reached else REACH
            if time.monotonic() - began >= patience:
                more = f"; gave up after {patience / 3600:g} h: run the same command to go on" if self._reached else ""
                raise BackendError(f"{problem}{more}")
            await asyncio.sleep(max(pause * random.uniform(0.5, 1.0), min(problem.wait or 0.0, LONGEST_WISH)))
            pause = min(pause * 2, LONGEST_PAUSE)

    def _translated(self, error: openai.OpenAIError, missing: tuple[str, str] | None) -> BackendError | TransientError:
        address = self._server.address
        if isinstance(error, openai.APIStatusError):
            return self._refusal(error, missing)
        if not isinstance(error, openai.APIConnectionError):
            return BackendError(
                f"{address} answered with something unusable: {self._server.quote(str(error), limit=160)}"
            )
        cause = error.__cause__ or error
        reason = self._server.quote(f"{type(cause).__name__}: {cause}", limit=160)
        if type(cause).__name__.startswith("Connect"):
            return TransientError(
                f"cannot reach {address}: {reason}; check --base-url and that the server runs", unreachable=True
            )
        return TransientError(f"{address}: the connection broke: {reason}")

    def _refusal(self, error: openai.APIStatusError, missing: tuple[str, str] | None) -> BackendError | TransientError:
        address, status, answer = self._server.address, error.status_code, error.response.text
        said = self._server.quote(message_of(answer), limit=160)
        if status in (404, 405) and missing is None:
            return BackendError(
                f"{address} has no Batch API ({status}): {said}; use --backend openai, or check --base-url"
            )
        if status == 404 and missing is not None:
            thing, token = missing
            return BackendError(
                f"{address} does not know {thing} (404): {said}; go on with the server and the key that made it, or "
                f"delete batches/{token}.jsonl in the run's folder to pay for its requests again"
            )
        problem = status_error(status, answer, self._server, wait=retry_after(error.response.headers))
        # Refused is not a text here, but all of them.
        return problem if isinstance(problem, TransientError) else BackendError(str(problem))

    def _expected(self, answer: object, kind: type[T], **parts: type) -> T:
        """Hold an answer to what it should be: the client hands on whatever a web server says with status 200."""
        if not isinstance(answer, kind) or not all(isinstance(getattr(answer, name), of) for name, of in parts.items()):
            raise BackendError(
                f"{self._server.address} answered with something else than the Batch API does: got "
                f"{self._server.quote(str(answer))}; check --base-url (it usually ends in /v1)"
            )
        return answer
