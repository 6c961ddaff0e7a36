"""The `batch` backend: OpenAI's Batch API, at half the price, with results within a day.

Requests are gathered until none has arrived for a moment, and sent as one batch; requests that follow its results make
the next batch. So one stage of all rows becomes one batch without the stages knowing of it. Every batch is on disk
before it is sent (batch_files.py), so that a later process continues with it.
"""

import asyncio
from collections.abc import Coroutine, Iterable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Unpack

from personagen.builder.core.errors import BackendError, RequestError, TransientError
from personagen.builder.core.retry_after import retry_after
from personagen.builder.llm.backends.batch_api import BatchApi, BatchTiming
from personagen.builder.llm.backends.batch_files import BatchFolder, LineResult
from personagen.builder.llm.backends.batch_states import (
    AtServer,
    BatchLimits,
    Fetched,
    OnDisk,
    PendingBatch,
    PendingRequest,
    Pilot,
    RequestGatherer,
)
from personagen.builder.llm.backends.openai_settings import (
    ServerOptions,
    batch_target,
    make_client,
    make_endpoint,
    report_nothing,
)
from personagen.builder.llm.chat_protocol.endpoint import Endpoint
from personagen.builder.llm.chat_protocol.learning import DialectLearner, Negotiation
from personagen.builder.llm.chat_protocol.replies import merge_replies, parse_reply
from personagen.builder.llm.chat_protocol.request_body import (
    Dialect,
    dialect_of,
    levels_of,
    missing_candidates,
    request_body,
    require_no_prefill,
)
from personagen.builder.llm.chat_protocol.statuses import status_error
from personagen.builder.llm.chat_protocol.token_room import TokenRoom
from personagen.builder.llm.requests import Reply, Request, has_text, request_key, with_tokens_of

UNSTREAMED = {"stream": None}
"""Part that a line of a batch does not have: results of batches are never streamed."""

MAX_FURTHER_BATCHES = 3
"""Further batches for a request that its batch did not answer."""


class BatchBackend:
    """Answers requests by batches; built by `connect_batch`. One process at a time may use its folder.

    Attributes:
        name: "batch".
        model: the model as the server names it.
        revision: None: servers do not state the revision of the weights.
        licence: None, for the same reason.
        concurrency: upper bound on requests that wait at one time.
        paid: True.
        adaptive: False: a batch of a few requests takes as long as one of many.
        variant: parts of every request body that the recipe sets.

    """

    name = "batch"
    revision: str | None = None
    licence: str | None = None
    paid = True
    adaptive = False

    def __init__(
        self, endpoint: Endpoint, options: ServerOptions, *, folder: Path, timing: BatchTiming, limits: BatchLimits
    ) -> None:
        """Use an endpoint, and the folder of the files of the batches."""
        self.model = endpoint.model
        self.variant: Mapping[str, Any] = endpoint.body
        self.concurrency = limits.concurrency
        self._timing = timing
        self._max_requests = limits.max_requests
        self._max_bytes = limits.max_bytes
        self._endpoint = endpoint
        base_url, chat_path = batch_target(endpoint)
        self._api = BatchApi(make_client(endpoint, base_url), endpoint, timing, chat_path=chat_path)
        self._folder = BatchFolder(folder, chat_path=chat_path)
        self._learner = DialectLearner(endpoint, warn=options.get("warn", report_nothing), can_search=False)
        self._room = TokenRoom(options.get("thinking_tokens"))
        self._answered = False
        self._requests: dict[str, PendingRequest] = {}  # by key
        self._pilot = Pilot(self._knows, limits.first_requests)
        self._gatherer = RequestGatherer(timing.quiet_s)
        self._sender: asyncio.Task[None] | None = None
        self._batches: dict[str, PendingBatch] = {}  # by token
        self._tasks: set[asyncio.Task[None]] = set()
        self._problem: Exception | None = None

    def token_limit(self, request: Request, cut_at: int | None = None) -> int:
        """Return the limit of the request, and the room for thoughts that replies have shown to be needed."""
        if cut_at is not None:
            self._room.record_cut(request, cut_at)
        return self._room.limit(request)

    async def complete(self, request: Request) -> Reply:
        """Answer one request, after minutes or hours; candidates that the server leaves out are requested one by one.

        Sampling parameters that are None are not sent, so the server's own defaults apply. Candidate i of a server that
        ignores `n` is drawn with seed + i. `mean_logprob` is None. A reply that violates the schema is not repaired.

        Raises:
            RequestError: the request was refused, its reply is unusable, or batch after batch did not answer it; also
                for a prefill, since chat completions cannot portably continue an assistant's turn.
            BackendError: the server cannot be reached, refuses the key or a whole batch, or lacks the model or the
                Batch API. Batches under way go on at the server.
            FolderError: the folder of the batches cannot be read or written.

        """
        require_no_prefill(request, self.name)
        reply = await self._answer_of(request)
        further = await asyncio.gather(*map(self._answer_of, missing_candidates(request, reply)))
        return merge_replies([reply, *further], request.candidates)

    def stop(self) -> None:
        """Cancel the calls that wait for batches; the batches go on at the server, and a later run reads them."""
        for pending in self._requests.values():
            pending.answer.cancel()

    async def close(self) -> None:
        """Stop waiting and close the connections; batches go on at the server."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._api.close()

    async def _answer_of(self, request: Request) -> Reply:
        if self._problem is not None:
            raise self._problem
        key = request_key(self, request)
        if key not in self._requests:
            self._requests[key] = PendingRequest(request, asyncio.get_running_loop().create_future())
            if self._pilot.admit(key):
                self._gather(key)
        # Shielded: a cancelled caller must not cancel another that awaits the same reply.
        return await asyncio.shield(self._requests[key].answer)

    def _gather(self, key: str) -> None:
        self._gatherer.add(key)
        if self._sender is None or self._sender.done():
            self._sender = self._start(self._send_gathered())

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(self._guarded(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _guarded(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except Exception as error:  # any error: otherwise the callers would wait for ever
            self._problem = self._problem or error
            self._pilot.clear()
            for key in list(self._requests):
                self._refuse(key, error)

    async def _send_gathered(self) -> None:
        while self._gatherer:
            await self._send(await self._gatherer.take(self._max_requests))

    async def _send(self, keys: list[str]) -> None:
        """Assign each request to the batch on disk that has it, or to a new one."""
        await asyncio.to_thread(self._folder.load)
        new: list[str] = []
        assigned: dict[str, list[str]] = {}
        for key in keys:
            token = None if self._requests[key].needs_new_batch else self._folder.find(key)
            new.append(key) if token is None else assigned.setdefault(token, []).append(key)
        for token, assigned_keys in assigned.items():
            self._assign(token, assigned_keys, maybe_created=True)
        bodies = self._bodies(new)  # built in the thread: thousands take a while
        bounds = {"max_requests": self._max_requests, "max_bytes": self._max_bytes}
        tokens = await asyncio.to_thread(self._folder.write, bodies, **bounds)
        for token in tokens:
            count = self._folder.size(token)
            self._assign(token, new[:count], maybe_created=False)
            new = new[count:]

    def _bodies(self, keys: list[str]) -> Iterable[tuple[str, dict[str, Any]]]:
        for key, pending in ((key, self._requests[key]) for key in keys):
            pending.limit = self._room.limit(pending.request)
            yield key, self._body(pending, self._negotiation(key).dialect)

    def _negotiation(self, key: str) -> Negotiation:
        return self._requests[key].negotiation or Negotiation(self._learner.dialect)

    def _body(self, pending: PendingRequest, dialect: Dialect) -> dict[str, Any]:
        limit = pending.limit or self._room.limit(pending.request)
        extra = {**self._endpoint.body, **UNSTREAMED}
        return request_body(pending.request, self.model, dialect, limit=limit, extra=extra)

    def _knows(self, key: str) -> bool:
        return self._learner.knows(partial(self._body, self._requests[key]))

    def _assign(self, token: str, keys: list[str], *, maybe_created: bool) -> None:
        """Let a batch answer requests; a batch under way answers them once its results are fetched."""
        batch = self._batches.get(token)
        if batch is None:
            has_results = self._folder.has_results(token)
            state = Fetched(by_this_process=False) if has_results else OnDisk(maybe_created)
            batch = self._batches[token] = PendingBatch(token, state, keys)
            self._start(self._process(batch))
        else:
            batch.keys += keys
            if isinstance(batch.state, Fetched):
                self._start(self._process(batch))

    async def _process(self, batch: PendingBatch) -> None:
        """Answer the requests of a batch from its results, which are fetched first if they are not on disk."""
        if isinstance(batch.state, Fetched) or await self._fetch(batch):
            await self._answer(batch)
        else:
            self._split(batch)

    async def _fetch(self, batch: PendingBatch) -> bool:
        """Get the results of a batch on disk; False: the account's queue has no room for a batch of this size."""
        token, pause_s = batch.token, self._timing.queue_first_s
        file: str | None = None
        if (known_id := self._folder.batch_of(token)) is not None:
            batch.record_created(known_id)
        while True:
            if not isinstance(batch.state, AtServer):
                batch_id = await self._api.find(token) if batch.maybe_created else None
                if batch_id is None:
                    file = file or await self._api.upload(self._folder.input(token))
                    batch_id = await self._api.create(token, file)
                if batch_id is not None:
                    self._folder.note(token, batch_id)
                    batch.record_created(batch_id)
            if isinstance(batch.state, AtServer):
                over = await self._api.wait_until_over(token, batch.state.batch_id)
                if over.status != "failed":
                    content = await self._api.results_of(token, over)
                    await asyncio.to_thread(self._folder.keep_results, token, content)
                    batch.record_fetched()
                    return True
                if (error := self._api.failure_of(over)) is not None:
                    # Nothing was paid; the next run makes the batch anew, with other requests or permissions.
                    self._folder.forget(token)
                    raise error
            batch.record_no_room()
            alone = not any(other.takes_room for other in self._batches.values() if other is not batch)
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, self._timing.queue_max_s)
            if alone and self._folder.size(token) > 1:
                return False

    def _split(self, batch: PendingBatch) -> None:
        """Send the requests of a batch in smaller ones: it found no room although no other batch was waiting."""
        self._max_requests = max(1, self._folder.size(batch.token) // 2)
        self._folder.forget(batch.token)
        del self._batches[batch.token]
        for key in batch.take_keys():
            self._gather_again(key)

    async def _answer(self, batch: PendingBatch) -> None:
        """Answer the waiting requests of a fetched batch, all of them before an error that ends the run is raised."""
        assert isinstance(batch.state, Fetched)
        keys, is_new = batch.take_keys(), batch.state.by_this_process
        results = await asyncio.to_thread(self._folder.results, batch.token, keys)
        fatal: BackendError | None = None
        for key in keys:
            if key in self._requests:
                fatal = self._finish(key, results.get(key), is_new=is_new) or fatal
        if fatal is not None:
            raise fatal

    def _finish(self, key: str, line: LineResult | None, *, is_new: bool) -> BackendError | None:
        """Answer, refuse or resend one request; returns an error that concerns all requests.

        Args:
            key: key of the request.
            line: its result; None: it was not carried out.
            is_new: whether this process fetched it; the cause of an older failure, such as an account without credit,
                may be gone.

        """
        if line is None:
            self._retry(key, f"{self._endpoint.address}: the batch ended before this request had its turn", is_new)
            return None
        if line.status == 200:
            try:
                self._accept(key, line)
            except RequestError as error:
                self._refuse(key, error)
            except TransientError as error:
                self._retry(key, str(error), is_new)
            except BackendError as error:
                return error
            return None
        return self._finish_refused(key, line, is_new=is_new)

    def _finish_refused(self, key: str, line: LineResult, *, is_new: bool) -> BackendError | None:
        """Resend a request in another dialect, refuse it, or retry it; see `_finish`."""
        pending = self._requests[key]
        negotiation = pending.negotiation = self._negotiation(key)
        if line.sent is not None and self._learner.record_refusal(negotiation, line.status, line.text, line.sent):
            self._gather_again(key)
            return None
        wait_s = retry_after({}, line.text) or 0.0
        problem = status_error(line.status, line.text, self._endpoint, answered=self._answered)
        if isinstance(problem, RequestError):
            self._refuse(key, problem)
        elif is_new and wait_s > self._timing.max_server_wait_s:
            return BackendError(f"{problem}; it asks to wait {wait_s:.0f} s: run the same command then to go on")
        elif not is_new or isinstance(problem, TransientError):
            self._retry(key, str(problem), is_new)
        else:
            return problem
        return None

    def _accept(self, key: str, line: LineResult) -> None:
        """Answer a request with the reply in its line, or send it again if the reply was cut before its content."""
        pending = self._requests[key]
        if pending.limit is None:
            pending.limit = line.limit or self._room.limit(pending.request)
            self._room.record_sent(pending.request, pending.limit)
        data = line.text.encode("utf-8", "surrogatepass")
        reply = parse_reply(data, pending.request, self._endpoint, limit=pending.limit)
        sent = dialect_of(line.levels, levels_of(self._body(pending, Dialect())))
        negotiation = pending.negotiation or Negotiation(sent, named=dict(sent.levels))
        self._learner.record_acceptance(negotiation, self._body(pending, sent), reply)
        self._room.record_reply(pending.request, reply)
        self._answered = self._answered or has_text(reply)
        reply = reply if pending.cut is None else with_tokens_of(reply, pending.cut)
        if reply.cut_at is not None and reply.cut_at < self._room.limit(pending.request):
            pending.cut = reply
            self._gather_again(key)
        else:
            self._resolve(key, replace(reply, left_out=sent.left_out()))

    def _resolve(self, key: str, reply: Reply) -> None:
        answer = self._requests.pop(key).answer
        if not answer.done():
            answer.set_result(reply)
        self._release(key)

    def _release(self, key: str) -> None:
        """Send the requests that the end of a pilot request permits."""
        for held_key in self._pilot.end(key):
            self._gather(held_key)

    def _refuse(self, key: str, error: Exception) -> None:
        answer = self._requests.pop(key).answer
        if not answer.done():
            answer.set_exception(error)
            answer.exception()  # retrieved: all callers may have been cancelled
        self._release(key)

    def _retry(self, key: str, reason: str, is_new: bool) -> None:
        pending = self._requests[key]
        pending.failures += is_new
        if pending.failures > MAX_FURTHER_BATCHES:
            self._refuse(key, RequestError(f"{reason}, also in {MAX_FURTHER_BATCHES} further batches"))
        else:
            self._gather_again(key)

    def _gather_again(self, key: str) -> None:
        if key in self._requests:
            self._requests[key].needs_new_batch = True
            self._gather(key)


def connect_batch(
    *,
    model: str,
    base_url: str | None,
    api_key: str | None,
    folder: Path,
    timing: BatchTiming | None = None,
    limits: BatchLimits | None = None,
    **options: Unpack[ServerOptions],
) -> BatchBackend:
    """Build a backend for one model of one server, without sending anything.

    See `make_endpoint` for model, address, key, options and errors; the folder of the batches is created at the first
    request. `timing` and `limits` None: the defaults.
    """
    endpoint = make_endpoint(model, base_url, api_key, options, backend="batch")
    timing = timing or BatchTiming()
    if (timeout_s := options.get("timeout")) is not None:
        timing = replace(timing, answer_s=timeout_s, transfer_s=max(timeout_s, timing.transfer_s))
    return BatchBackend(endpoint, options, folder=folder, timing=timing, limits=limits or BatchLimits())
