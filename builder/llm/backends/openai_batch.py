"""The `batch` backend: OpenAI's Batch API, at half the price and within a day.

Requests are gathered until nothing new has been asked for a moment, and go off as one batch; when it is back, what is
asked next makes the next one. So a stage of all rows becomes one batch, and the stages know nothing of it. Whatever is
under way is on disk first (batch_folder.py): a later process goes on with the same batches.
"""

import asyncio
import time
from collections.abc import Coroutine, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import openai

from personagen.builder.core.errors import BackendError, RequestError, TransientError
from personagen.builder.llm.backends.batch_api import QUEUE_FULL, BatchCalls
from personagen.builder.llm.backends.batch_files import BatchFolder, Line, is_results
from personagen.builder.llm.backends.openai_protocol import (
    Dialect,
    joined,
    learn,
    read_reply,
    request_body,
    status_error,
)
from personagen.builder.llm.backends.openai_settings import make_client, server_of
from personagen.builder.llm.requests import Reply, Request, request_key

CONCURRENCY = 20_000
"""Requests that may wait for batches at one time."""

LINES, BYTES = 50_000, 190_000_000
"""Requests and bytes of one batch at most; the API takes 50,000 and 200 MB."""

QUIET = 1.0
"""Seconds without a new request after which the batch goes off."""

TRIES = 3
"""How often a request is asked again that a batch did not answer."""

QUEUE_FIRST, QUEUE_LONGEST = 60.0, 900.0
"""Seconds before a batch is created again that found the account's queue full, the first time and at most."""


@dataclass(slots=True)
class _Waiting:
    """A request that is not answered yet.

    Attributes:
        request: what is asked.
        answer: where the reply goes.
        again: how often a batch came back without it.
        anew: whether it must go into a new batch, though an old one holds it.

    """

    request: Request
    answer: asyncio.Future[Reply]
    again: int = 0
    anew: bool = False


class BatchBackend:
    """Answers requests by batches; built by `connect_batch`. One process at a time may use its folder.

    Attributes:
        name: "batch".
        model: the model as the server names it.
        revision: None, because a server does not tell which weights it runs.
        licence: None, for the same reason.
        concurrency: requests that may wait at one time.
        adaptive: False: a batch is as slow with a few requests as with many.

    """

    def __init__(self, client: openai.AsyncOpenAI, *, model: str, secret: str | None, folder: Path) -> None:
        """Take a client that repeats nothing; `secret` is the key to keep out of messages, `folder` keeps batches."""
        self.name = "batch"
        self.model = model
        self.revision: str | None = None
        self.licence: str | None = None
        self.concurrency = CONCURRENCY
        self.adaptive = False
        self._server = server_of(client, model, secret)
        self._calls = BatchCalls(client, self._server)
        self._folder = BatchFolder(folder)
        self._loaded = False
        self._dialect = Dialect()
        self._lines = LINES
        self._waiting: dict[str, _Waiting] = {}
        self._asked: list[str] = []
        self._last_asked = 0.0
        self._gathering = False
        self._wanted: dict[str, list[str]] = {}  # by token, what its batch is to answer
        self._carried: set[str] = set()  # tokens that a task sees to
        self._queued: set[str] = set()  # tokens whose batch is at the server
        self._full: set[str] = set()  # batches that found no room when they were last created
        self._fetched: set[str] = set()  # tokens whose results came in this process
        self._tasks: set[asyncio.Task[None]] = set()
        self._problem: Exception | None = None

    async def complete(self, request: Request) -> Reply:
        """Answer one request, after minutes or hours; where the server gives too few candidates, more are asked for.

        Sampling parameters that are None are not sent, so the server's own defaults hold. Candidate i of a server that
        ignores `n` is drawn with seed + i. `mean_logprob` is None. A reply that violates the schema is not repaired.

        Raises:
            RequestError: the request was refused, its reply is unusable, or batch after batch did not answer it; also
                for a prefill, since a chat completion cannot portably continue an assistant's turn.
            BackendError: the server cannot be reached, refuses the key or a whole batch, or lacks the model or the
                Batch API. Batches under way go on at the server.
            FolderError: the folder of the batches cannot be read or written.

        """
        if request.prefill:
            raise RequestError(
                "backend batch: a prefill was asked for, but chat completions cannot continue an assistant's turn; "
                "put the text into the prompt or use another backend"
            )
        reply = await self._ask(request)
        # A filter or a refusal would meet the others too.
        have = range(len(reply.candidates), request.candidates) if reply.problem is None else ()
        single = [replace(request, candidates=1, seed=(request.seed + number) % 2**31) for number in have]
        more = await asyncio.gather(*(self._ask(each) for each in single))
        return joined([reply, *more], request.candidates)

    async def close(self) -> None:
        """Stop waiting and close the connections; batches go on at the server."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._calls.close()

    async def _ask(self, request: Request) -> Reply:
        if self._problem is not None:
            raise self._problem
        key = request_key(self, request)
        if key not in self._waiting:
            self._waiting[key] = _Waiting(request, asyncio.get_running_loop().create_future())
            self._gather(key)
        # Shielded: who gives up must not cut off another that waits for the same reply.
        return await asyncio.shield(self._waiting[key].answer)

    def _gather(self, key: str) -> None:
        self._asked.append(key)
        self._last_asked = time.monotonic()
        if not self._gathering:
            self._gathering = True
            self._start(self._send_when_quiet())

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(self._guarded(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _guarded(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except Exception as error:  # whatever it is, nobody may wait for ever
            self._problem = self._problem or error
            for key in list(self._waiting):
                self._refuse(key, error)

    async def _send_when_quiet(self) -> None:
        """Send off what is asked, as long as there is anything."""
        while self._asked:
            await self._quiet()
            asked, self._asked = self._asked, []
            await self._send(asked)
        self._gathering = False

    async def _quiet(self) -> None:
        """Return when nothing was asked for QUIET seconds, or a batch is full.

        Time in which the loop was busy does not count: those who would ask had no turn.
        """
        while len(self._asked) < self._lines and (rest := self._last_asked + QUIET - time.monotonic()) > 0:
            wanted, before = min(rest, QUIET / 10), time.monotonic()
            await asyncio.sleep(wanted)
            self._last_asked += max(0.0, time.monotonic() - before - wanted)

    async def _send(self, keys: list[str]) -> None:
        """Have each request answered by the batch that holds it, else by a new one."""
        if not self._loaded:
            await asyncio.to_thread(self._folder.load)
            self._loaded = True
        new: list[str] = []
        for key in keys:
            token = None if self._waiting[key].anew else self._folder.find(key)
            new.append(key) if token is None else self._wanted.setdefault(token, []).append(key)
        for token in self._wanted.keys() - self._carried:
            self._carry_on(token, ours=False)
        bodies = self._bodies(new, self._dialect)  # made in the thread: thousands take a while
        for token in await asyncio.to_thread(self._folder.write, bodies, lines=self._lines, size=BYTES):
            count = self._folder.size(token)
            self._wanted[token], new = new[:count], new[count:]
            self._carry_on(token, ours=True)

    def _bodies(self, keys: list[str], dialect: Dialect) -> Iterable[tuple[str, dict[str, Any]]]:
        for key in keys:
            request = self._waiting[key].request
            yield key, request_body(request, self.model, dialect, seed=request.seed, count=request.candidates)

    def _carry_on(self, token: str, *, ours: bool) -> None:
        self._carried.add(token)
        self._start(self._carry(token, ours=ours))

    async def _carry(self, token: str, *, ours: bool) -> None:
        """See a batch through to its replies; `ours` tells that no earlier process can have created it."""
        try:
            taken = self._folder.has_results(token) or await self._fetch(token, ours=ours)
            while taken and (keys := self._wanted.pop(token, [])):
                await self._answer(token, keys)
        finally:
            self._carried.discard(token)
            self._queued.discard(token)
            self._full.discard(token)
        if not taken:
            self._split(token)

    async def _fetch(self, token: str, *, ours: bool) -> bool:
        """Get the results of a batch on disk; False where the account's queue has no room for a batch of this size."""
        batch, file, pause = self._folder.batch_of(token), None, QUEUE_FIRST
        while True:
            if batch is None and not ours:
                batch = await self._calls.find(token)
            if batch is None:
                file = file or await self._calls.upload(self._folder.input(token))
                batch = await self._calls.create(token, file)
            if batch is not None:
                self._folder.note(token, batch)
                self._queued.add(token)
                over = await self._calls.outcome(token, batch)
                self._queued.discard(token)
                if over.status != "failed":
                    self._full.discard(token)
                    await self._keep(token, over)
                    return True
                self._check_failure(token, over)
            self._full.add(token)
            # One that is being created may be what takes the room.
            alone = not ((self._carried - self._full) | self._queued) - {token}
            await asyncio.sleep(pause)
            pause = min(pause * 2, QUEUE_LONGEST)
            if alone and self._folder.size(token) > 1:
                return False
            batch, ours = None, False

    async def _keep(self, token: str, over: openai.types.Batch) -> None:
        content = b""
        for file in (over.output_file_id, over.error_file_id):
            if file:
                part = await self._calls.content(token, file)
                if not is_results(part):
                    raise BackendError(
                        f"{self._server.address} answered with something else than the results of batch {over.id}: got "
                        f"{self._server.quote(part.decode('utf-8', 'replace'))}; run the same command to try again"
                    )
                content += part.rstrip(b"\n") + b"\n"
        await asyncio.to_thread(self._folder.keep_results, token, content)
        self._fetched.add(token)

    def _check_failure(self, token: str, over: openai.types.Batch) -> None:
        """Pass over a batch that failed because the queue was full; any other failure is one of all requests."""
        errors = (over.errors.data if over.errors else None) or []
        if any(error.code == QUEUE_FULL for error in errors):
            return
        # Nothing was paid; made anew by the next run, which may know better, or be allowed to.
        self._folder.forget(token)
        said = f"{errors[0].code}: {errors[0].message}" if errors else "no reason given"
        line = f" in line {errors[0].line}" if errors and errors[0].line is not None else ""
        raise BackendError(
            f"{self._server.address} refused batch {over.id}{line}: {self._server.quote(said, limit=200)}; "
            "put that right and run the same command to go on"
        )

    def _split(self, token: str) -> None:
        """Ask for the requests of a batch again in smaller ones: it found no room although no other was waiting."""
        self._lines = max(1, self._folder.size(token) // 2)
        self._folder.forget(token)
        for key in self._wanted.pop(token, []):
            self._ask_anew(key)

    async def _answer(self, token: str, keys: list[str]) -> None:
        """Hand out what came back, all of it before what ends the run."""
        results = await asyncio.to_thread(self._folder.results, token, keys)
        final: BackendError | None = None
        for key in keys:
            if key in self._waiting:
                final = self._settle(key, results.get(key), old=token not in self._fetched) or final
        if final is not None:
            raise final

    def _settle(self, key: str, line: Line | None, *, old: bool) -> BackendError | None:
        """Answer, refuse or ask again one request; returns what concerns all of them.

        Args:
            key: the request's.
            line: what came back for it; None where it was not carried out.
            old: whether an earlier process got it: a key without credit then may be a good one now.

        """
        waiting = self._waiting[key]
        if line is None:
            self._again(key, f"{self._server.address}: the batch ended before this request had its turn", old=old)
            return None
        if line.status == 200:
            try:
                self._give(key, read_reply(line.text, waiting.request, self._server))
            except RequestError as error:
                self._refuse(key, error)
            except BackendError as error:
                return error
            return None
        lesson = None if line.sent is None else learn(self._dialect, line.sent, line.text)
        if lesson is not None:
            self._dialect = lesson
            self._ask_anew(key)
            return None
        problem = status_error(line.status, line.text, self._server)
        if isinstance(problem, RequestError):
            self._refuse(key, problem)
        elif old or isinstance(problem, TransientError):
            self._again(key, str(problem), old=old)
        else:
            return problem
        return None

    def _give(self, key: str, reply: Reply) -> None:
        answer = self._waiting.pop(key).answer
        if not answer.done():
            answer.set_result(reply)

    def _refuse(self, key: str, error: Exception) -> None:
        answer = self._waiting.pop(key).answer
        if not answer.done():
            answer.set_exception(error)
            answer.exception()  # looked at: whoever asked may have given up

    def _again(self, key: str, why: str, *, old: bool) -> None:
        waiting = self._waiting[key]
        if not old:
            waiting.again += 1
        if waiting.again > TRIES:
            self._refuse(key, RequestError(f"{why}, also in {TRIES} further batches"))
        else:
            self._ask_anew(key)

    def _ask_anew(self, key: str) -> None:
        if key in self._waiting:
            self._waiting[key].anew = True
            self._gather(key)


def connect_batch(*, model: str, base_url: str | None, api_key: str | None, folder: Path) -> BatchBackend:
    """Make a backend for one model of one server; nothing is sent yet.

    Args:
        model: the model as the server names it.
        base_url: see `make_client`; so is `api_key`.
        api_key: value of OPENAI_API_KEY.
        folder: where the batches are kept; made where needed.

    Raises:
        BackendError: see `make_client`.

    """
    client, secret = make_client(base_url=base_url, api_key=api_key, backend="batch")
    return BatchBackend(client, model=model, secret=secret, folder=folder)
