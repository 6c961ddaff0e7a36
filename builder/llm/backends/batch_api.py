"""Client of OpenAI's Batch API: retries failures that may pass, and raises PersonaGen's errors."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import openai
from openai.pagination import AsyncCursorPage
from openai.types import Batch, FileObject

from personagen.builder.core.errors import BackendError, TransientError
from personagen.builder.core.retry_after import retry_after
from personagen.builder.llm.backends.batch_files import is_results
from personagen.builder.llm.chat_protocol.endpoint import Endpoint, redirect_target
from personagen.builder.llm.chat_protocol.statuses import OVERLOAD_STATUSES, error_message, parse_error, status_error

FINAL_STATUSES = ("completed", "failed", "expired", "cancelled")

QUEUE_FULL = "token_limit_exceeded"
"""OpenAI's error code of an account with too many tokens in batches: of the creation, or of a batch that failed."""

TOKEN_KEY = "personagen"  # noqa: S105
"""Metadata key of the token by which a batch is found again."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class BatchTiming:
    """Times of the batch backend, in seconds.

    Attributes:
        quiet_s: time without a new request after which the gathered requests are sent as a batch.
        queue_first_s: pause before a batch that the account's queue had no room for is created again; it doubles.
        queue_max_s: upper bound on that pause.
        poll_first_s: pause after the first look at a batch.
        poll_growth: factor by which that pause grows per look.
        poll_max_s: upper bound on that pause.
        retry_first_s: pause before a failed call is retried; it doubles and is drawn from its upper half.
        retry_max_s: upper bound on that pause.
        max_server_wait_s: upper bound on the wait that a server may ask for.
        listing_s: time after which a created batch appears in the account's list.
        unreachable_s: time after which the run stops if the server was never reached.
        outage_s: time after which the run stops if a server that was reached before fails; its batches go on meanwhile.
        connect_s: timeout of a connection.
        answer_s: timeout of a call.
        transfer_s: timeout of a call that sends or receives a large file.

    """

    quiet_s: float = 1.0
    queue_first_s: float = 60.0
    queue_max_s: float = 900.0
    poll_first_s: float = 1.0
    poll_growth: float = 1.5
    poll_max_s: float = 60.0
    retry_first_s: float = 0.5
    retry_max_s: float = 60.0
    max_server_wait_s: float = 900.0
    listing_s: float = 5.0
    unreachable_s: float = 3.0
    outage_s: float = 6 * 3600.0
    connect_s: float = 4.0
    answer_s: float = 60.0
    transfer_s: float = 600.0


class BatchApi:
    """The Batch API of one server; calls that may succeed later are retried with growing random pauses."""

    def __init__(self, client: openai.AsyncOpenAI, endpoint: Endpoint, timing: BatchTiming, *, chat_path: str) -> None:
        """Wrap a client that never retries: a batch created again after a lost answer would be paid for twice.

        Args:
            client: client of the server.
            endpoint: the server, for messages.
            timing: times of retries and polls.
            chat_path: path of the chat completions that the lines of a batch name.

        """
        self._endpoint = endpoint
        self._chat_path = chat_path
        self._timing = timing
        self._quick = client.with_options(timeout=openai.Timeout(timing.answer_s, connect=timing.connect_s))
        self._long = client.with_options(timeout=openai.Timeout(timing.transfer_s, connect=timing.connect_s))
        self._client = client
        self._reached = False

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def upload(self, path: Path) -> str:
        """Upload an input file and return its id; a second upload costs nothing.

        Raises:
            BackendError: the server cannot be reached, has no Batch API, or refuses the key or the file.

        """

        async def attempt() -> str:
            with path.open("rb") as file:
                uploaded = await self._long.files.create(file=(path.name, file, "application/jsonl"), purpose="batch")
            return self._require(uploaded, FileObject, id=str).id

        return await self._retry(attempt)

    async def create(self, token: str, file: str) -> str | None:
        """Create a batch and return its id; None: the account's queue is full.

        An attempt whose answer was lost may have created the batch, so each retry looks for it first.

        Raises:
            BackendError: as for `upload`.

        """
        maybe_created = False

        async def attempt() -> str | None:
            nonlocal maybe_created
            if maybe_created:
                await asyncio.sleep(self._timing.listing_s)
                if (batch_id := await self._find_listed(token)) is not None:
                    return batch_id
            maybe_created = True
            try:
                created = await self._quick.batches.create(
                    input_file_id=file,
                    endpoint=self._chat_path,  # type: ignore[arg-type]  # Azure's path has no "/v1"
                    completion_window="24h",
                    metadata={TOKEN_KEY: token},
                )
            except openai.APIStatusError as error:
                if parse_error(error.response.text).get("code") == QUEUE_FULL:
                    return None
                raise
            return self._require(created, Batch, id=str).id

        return await self._retry(attempt)

    async def find(self, token: str) -> str | None:
        """Return the id of the batch that was created under a token; None: no such batch, or it failed.

        Raises:
            BackendError: as for `upload`.

        """
        await asyncio.sleep(self._timing.listing_s)  # a process that died just now may have created it
        return await self._retry(lambda: self._find_listed(token))

    async def _find_listed(self, token: str) -> str | None:
        page = await self._page(self._quick.batches.list(limit=100))
        while True:
            for batch in page.data:
                if (batch.metadata or {}).get(TOKEN_KEY) == token and batch.status != "failed":
                    return batch.id
            if not page.has_next_page():
                return None
            page = await self._page(page.get_next_page())

    async def _page(self, call: Awaitable[AsyncCursorPage[Batch]]) -> AsyncCursorPage[Batch]:
        try:
            return self._require(await call, AsyncCursorPage[Batch], data=list)
        except AttributeError as error:  # raised by the client for a page that is no JSON
            return self._require(str(error), AsyncCursorPage[Batch])

    async def wait_until_over(self, token: str, batch_id: str) -> Batch:
        """Poll the batch of a token until its status is final; the pauses grow.

        Raises:
            BackendError: the server fails for too long, refuses the key, or does not know the batch.

        """
        pause_s = self._timing.poll_first_s
        while True:
            batch = await self._retry(lambda: self._quick.batches.retrieve(batch_id), (f"batch {batch_id}", token))
            if self._require(batch, Batch, status=str).status in FINAL_STATUSES:
                return batch
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * self._timing.poll_growth, self._timing.poll_max_s)

    def failure_of(self, over: Batch) -> BackendError | None:
        """Build the error of a batch that failed; None: it failed because the account's queue was full."""
        errors = (over.errors.data if over.errors else None) or []
        if any(error.code == QUEUE_FULL for error in errors):
            return None
        reason = f"{errors[0].code}: {errors[0].message}" if errors else "no reason given"
        line = f" in line {errors[0].line}" if errors and errors[0].line is not None else ""
        return BackendError(
            f"{self._endpoint.address} refused batch {over.id}{line}: {self._endpoint.quote(reason, limit=200)}; "
            "put that right and run the same command to go on"
        )

    async def results_of(self, token: str, over: Batch) -> bytes:
        """Download the results of a batch that is over, errors of single requests included, as lines.

        Raises:
            BackendError: as for `download`, or a file holds something else.

        """
        content = b""
        for file in (over.output_file_id, over.error_file_id):
            if file:
                part = await self.download(token, file)
                if not is_results(part):
                    raise BackendError(
                        f"{self._endpoint.address} answered with something else than the results of batch {over.id}: "
                        f"got {self._endpoint.quote(part.decode('utf-8', 'replace'))}; run the same command to try "
                        "again"
                    )
                content += part.rstrip(b"\n") + b"\n"
        return await asyncio.to_thread(self._endpoint.redact_lines, content)

    async def download(self, token: str, file: str) -> bytes:
        """Download a file of the batch of a token.

        Raises:
            BackendError: the server fails for too long, refuses the key, or no longer has the file.

        """

        async def attempt() -> bytes:
            return (await self._long.files.content(file)).content

        return await self._retry(attempt, (f"file {file}", token))

    async def _retry(self, call: Callable[[], Awaitable[T]], missing: tuple[str, str] | None = None) -> T:
        """Retry a call until it succeeds or its failure is final.

        Args:
            call: makes the call.
            missing: meaning of a 404: the missing thing, and the token of its batch; None: the server has no such API.

        """
        timing = self._timing
        began, pause_s = time.monotonic(), timing.retry_first_s
        while True:
            try:
                result = await call()
            except openai.OpenAIError as error:
                problem = self._to_problem(error, missing)
            else:
                self._reached = True
                return result
            # Raised outside of the handler, so that the original, whose headers show the key, is not its context.
            if not isinstance(problem, TransientError):
                raise problem
            self._reached = self._reached or not problem.unreachable
            patience_s = timing.outage_s if self._reached else timing.unreachable_s
            if time.monotonic() - began >= patience_s:
                hint = f"; gave up after {patience_s / 3600:g} h: run the same command to go on"
                raise BackendError(f"{problem}{hint if self._reached else ''}")
            server_wait_s = min(problem.wait or 0.0, timing.max_server_wait_s)
            await asyncio.sleep(max(pause_s * random.uniform(0.5, 1.0), server_wait_s))
            pause_s = min(pause_s * 2, timing.retry_max_s)

    def _to_problem(self, error: openai.OpenAIError, missing: tuple[str, str] | None) -> BackendError | TransientError:
        address = self._endpoint.address
        if isinstance(error, openai.APIStatusError):
            return self._to_refusal(error, missing)
        if not isinstance(error, openai.APIConnectionError):
            return BackendError(
                f"{address} answered with something unusable: {self._endpoint.quote(str(error), limit=160)}"
            )
        cause = error.__cause__ or error
        reason = self._endpoint.quote(f"{type(cause).__name__}: {cause}", limit=160)
        if type(cause).__name__.startswith("Connect"):
            return TransientError(
                f"cannot reach {address}: {reason}; check --base-url and that the server runs", unreachable=True
            )
        return TransientError(f"{address}: the connection broke: {reason}")

    def _to_refusal(
        self, error: openai.APIStatusError, missing: tuple[str, str] | None
    ) -> BackendError | TransientError:
        address, status, answer = self._endpoint.address, error.status_code, error.response.text
        if 300 <= status < 400:
            url, location = str(error.request.url), error.response.headers.get("location")
            path = url.partition("?")[0].removeprefix(str(self._client.base_url).rstrip("/"))
            base_url = redirect_target(self._endpoint, url, location, path=path).partition("?")[0].removesuffix(path)
            quoted = self._endpoint.quote(base_url, limit=160)
            return BackendError(f"{address} redirects to {quoted}; write --base-url {quoted}")
        quoted = self._endpoint.quote(error_message(answer), limit=160)
        if status in (404, 405) and missing is None:
            return BackendError(
                f"{address} has no Batch API ({status}): {quoted}; use --backend openai, or check --base-url"
            )
        if status == 404 and missing is not None:
            thing, token = missing
            return BackendError(
                f"{address} does not know {thing} (404): {quoted}; go on with the server and the key that made it, or "
                f"delete batches/{token}.jsonl in the run's folder to pay for its requests again"
            )
        wait = retry_after(error.response.headers, answer if status in OVERLOAD_STATUSES else "")
        problem = status_error(status, answer, self._endpoint, wait=wait)
        # A refused call concerns all requests of the batch, not one.
        return problem if isinstance(problem, TransientError) else BackendError(str(problem))

    def _require(self, answer: object, kind: type[T], **attributes: type) -> T:
        """Return an answer of the expected type; the client passes on any answer with status 200."""
        if not isinstance(answer, kind) or not all(
            isinstance(getattr(answer, name), expected) for name, expected in attributes.items()
        ):
            raise BackendError(
                f"{self._endpoint.address} answered with something else than the Batch API does: got "
                f"{self._endpoint.quote(str(answer))}; check --base-url (it usually ends in /v1)"
            )
        return answer
