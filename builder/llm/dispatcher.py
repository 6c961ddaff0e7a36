"""Answer requests from the journal, or call the backend (with retries) and journal the reply before returning it.

The stages know an `Ask` and none of this.
"""

import asyncio
from dataclasses import replace

from personagen.builder.core.errors import BackendError, RequestError, TransientError
from personagen.builder.core.event_loop import INTERRUPTS
from personagen.builder.llm.admission.control import AdmissionControl, Slot
from personagen.builder.llm.admission.retries import RequestFailures, RetryTiming, require_retry, retry_pause
from personagen.builder.llm.budget import token_upper_bound
from personagen.builder.llm.journal import Journal
from personagen.builder.llm.requests import (
    Ask,
    Backend,
    Reply,
    Request,
    has_text,
    readable,
    request_key,
    with_tokens_of,
)

ACCOUNT_STATUSES = (401, 402, 403, 404, 405)
"""Statuses of a refused key, account, model or address; gateways send some of them for single prompts too."""

MAX_ACCOUNT_REFUSALS = 24
"""Refusals with such a status, without a reply between, after which a run ends."""


class Dispatcher:
    """Answers the requests of a run; for use from one event loop."""

    def __init__(
        self,
        backend: Backend,
        journal: Journal,
        admission: AdmissionControl,
        timing: RetryTiming | None = None,
        *,
        model: str | None = None,
    ) -> None:
        """Combine a backend, its journal and its limits.

        Args:
            backend: answers the requests.
            journal: replies so far.
            admission: limits on the requests.
            timing: times of retries; None: the defaults.
            model: name that the replies are recorded under, if several models share the journal; None: one model.

        """
        self._model = model
        self._backend = backend
        self._journal = journal
        self._admission = admission
        self._timing = timing or RetryTiming()
        self._under_way: dict[str, asyncio.Task[Reply]] = {}
        self._failed: dict[str, RequestError] = {}
        self._in_flight: set[asyncio.Task[Reply]] = set()
        self._account_refusals = 0
        self._fatal: BackendError | None = None
        self._is_draining = False

    def ask(self, priority: int) -> Ask:
        """Return the `Ask` of a row; among waiting requests, those of the lowest priority number are sent first.

        Equal requests under way are sent once, since the rows of a persona share its background. A request that has
        failed is not sent again in this run: otherwise the rows of a persona could have different backgrounds. A later
        run sends it again, unless its journal keeps failures.
        """

        async def ask(request: Request) -> Reply:
            key = request_key(self._backend, request)
            journaled = self._journal.get(key, self._model)
            if journaled is not None and not self._has_more_room(request, journaled) and not journaled.failed:
                return readable(journaled)
            if journaled is not None and journaled.failed and self._journal.keeps_failures:
                raise RequestError(str(journaled.problem))
            if key in self._failed:
                raise self._failed[key]
            task = self._under_way.get(key)
            if task is None:
                task = self._under_way[key] = asyncio.create_task(self._fetch(priority, key, request, journaled))
                task.add_done_callback(lambda done: self._finish(key, done))
            # Shielded: a cancelled row must not cancel the other rows that await the same reply.
            return readable(await asyncio.shield(task))

        return ask

    async def drain(self) -> None:
        """Send no further request, and wait for the replies to those in flight, since they are paid for.

        Requests that wait for admission or before a retry are cancelled at once. A cancellation ends the wait; replies
        that have arrived by then are journaled.
        """
        self._is_draining = True
        self._admission.close()
        self._backend.stop()
        for task in set(self._under_way.values()) - self._in_flight:
            task.cancel()
        try:
            await asyncio.sleep(0)  # the backend may have cancelled requests that it had not sent
            if self._in_flight:
                await asyncio.wait(self._in_flight, timeout=self._grace_s())
        finally:
            if self._in_flight:
                await asyncio.wait(self._in_flight, timeout=self._timing.arrival_s)
            remaining = list(self._under_way.values())
            for task in remaining:
                task.cancel()
            await asyncio.gather(*remaining, return_exceptions=True)

    def _grace_s(self) -> float | None:
        """Return the seconds that requests in flight have to be answered; None: until their timeouts."""
        interrupts, grace_s = INTERRUPTS.get(), self._timing.grace_s
        if interrupts is None or not self._backend.paid:
            return grace_s
        return interrupts.grace_s(self._admission.in_flight, grace_s) if self._journal.is_durable else 0.0

    async def _fetch(self, priority: int, key: str, request: Request, earlier: Reply | None) -> Reply:
        """Send a request, and journal its failure too: without it, a replay would lack the reply.

        `earlier`: failure in an earlier run, or reply that was cut before its content. None: there is none.
        """
        try:
            return await self._send(priority, key, request, earlier)
        except RequestError as error:
            failure = Reply((), 0, 0, problem=str(error), model=self._model, failed=True)
            cut = self._journal.get(key, self._model)
            if cut is not None:
                failure = replace(with_tokens_of(failure, cut), cut_at=cut.cut_at)
            await self._journal.put(key, failure)
            raise

    async def _send(self, priority: int, key: str, request: Request, cut: Reply | None) -> Reply:
        """Send a request until it is answered, and journal the reply; one cut before its content is sent once more.

        `cut`: earlier reply that was cut before its content; its tokens were paid for and count.
        """
        task = asyncio.current_task()
        assert task is not None
        failures = RequestFailures()
        while True:
            slot = await self._admit(priority, request)
            if (problem := self._journal.problem or self._fatal) is not None:
                self._admission.record_abort(slot)  # a reply that cannot be journaled should not be paid for
                raise problem
            self._in_flight.add(task)
            pause_s = 0.0
            try:
                reply = await self._backend.complete(request)
            except TransientError as error:
                pause_s = self._record_failure(error, slot, failures)
            except BaseException as error:
                self._admission.record_abort(slot)
                self._require_account(error)
                if isinstance(error, BackendError):
                    self._fatal = self._fatal or error
                raise
            else:
                self._admission.record_reply(slot, reply)
                self._account_refusals = 0
                reply = reply if cut is None else with_tokens_of(reply, cut)
                reply = reply if self._model is None else replace(reply, model=self._model)
                await self._journal.put(key, reply)
                if not self._has_more_room(request, reply):
                    return reply
                cut = reply
            finally:
                self._in_flight.discard(task)
            await self._pause(pause_s)

    def _record_failure(self, error: TransientError, slot: Slot, failures: RequestFailures) -> float:
        """Record a failure that may pass; return the seconds until the next try, or raise what ends the tries."""
        admission, timing = self._admission, self._timing
        admission.record_failure(slot, error, max_wait_s=timing.max_server_wait_s)
        failures.add(slot.sent, admission.clock(), admission.last_reply_at, in_outage=admission.is_outage)
        require_retry(error, failures, admission, timing)
        return retry_pause(error, failures.outside_outages, timing, is_loading=admission.last_reply_at is None)

    async def _pause(self, seconds: float) -> None:
        """Wait before the next try of a request; CancelledError once the run is drained."""
        if self._is_draining:
            raise asyncio.CancelledError
        self._admission.retrying += 1
        try:
            await asyncio.sleep(seconds)
        finally:
            self._admission.retrying -= 1

    async def _admit(self, priority: int, request: Request) -> Slot:
        """Wait until a request may be sent, with the limit that it is sent with: replies may raise it meanwhile."""
        while True:
            limit = self._backend.token_limit(request)
            slot = await self._admission.acquire(priority, token_upper_bound(request, limit))
            if self._backend.token_limit(request) <= limit:
                return slot
            self._admission.record_abort(slot)

    def _has_more_room(self, request: Request, reply: Reply) -> bool:
        """Return whether a reply was cut before its content, and would have more room for thoughts now."""
        if reply.cut_at is None or has_text(reply):
            return False
        return reply.cut_at < self._backend.token_limit(request, reply.cut_at)

    def _require_account(self, error: BaseException) -> None:
        """Raise BackendError if the server refuses key, account or model again and again, with no reply between."""
        if isinstance(error, RequestError) and error.status in ACCOUNT_STATUSES:
            self._account_refusals += 1
            if self._account_refusals >= MAX_ACCOUNT_REFUSALS and self._fatal is None:
                self._fatal = BackendError(
                    f"{error}; {self._account_refusals} times in a row: run the same command to go on"
                )
                raise self._fatal from error

    def _finish(self, key: str, task: "asyncio.Task[Reply]") -> None:
        del self._under_way[key]
        # Retrieved in any case: asyncio logs an exception that no row awaits any more.
        if not task.cancelled() and isinstance(error := task.exception(), RequestError):
            self._failed[key] = error
