"""How a request becomes a durable reply: from the journal, else from the backend and into the journal.

A request passes the gate, is sent again where that may help, and its reply is kept before anybody uses it. The stages
know an `Ask` and nothing of this.
"""

import asyncio
import random
from collections.abc import Sequence
from typing import TypeVar

from personagen.builder.core.errors import BackendError, RequestError, TransientError
from personagen.builder.llm.admission import Gate
from personagen.builder.llm.budget import token_upper_bound
from personagen.builder.llm.journal import Journal
from personagen.builder.llm.requests import Ask, Backend, Reply, Request, request_key

GRACE = 5.0
"""Seconds that a run which stops waits for replies under way."""

RETRIES = 6
"""Failures after which a request is given up while others are answered: then it is the request that is at fault."""

TURNED_AWAY = 300.0
"""Seconds for which a server may turn a request away as one too many before that counts as its fault."""

OUTAGE = 120.0
"""Seconds without any reply after which the run stops: then it is the server."""

LONGEST_WAIT = 900.0
"""Seconds that a server may ask to wait; a run that would wait longer stops instead."""

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
"""Seconds before a request is sent again: doubled each time, and drawn from the upper half."""


_Result = TypeVar("_Result")


async def all_of(tasks: "Sequence[asyncio.Task[_Result]]") -> list[_Result]:
    """Wait for all tasks; the first failure ends the others."""
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class Dispatcher:
    """Answers the requests of a run; use it from one event loop."""

    def __init__(self, backend: Backend, journal: Journal, gate: Gate) -> None:
        """Take what answers, what keeps, and what limits."""
        self._backend = backend
        self._journal = journal
        self._gate = gate
        self._asked: dict[str, asyncio.Task[Reply]] = {}
        self._refused: dict[str, RequestError] = {}
        self._in_flight: set[asyncio.Task[Reply]] = set()

    def ask(self, turn: int) -> Ask:
        """Make the `Ask` of a row; of requests that wait, those of the lowest turn are sent first.

        Equal requests under way are sent once: rows of one persona share its background. A request that was refused is
        not sent again in this run, else the rows of one persona might differ in its background.
        """

        async def ask(request: Request) -> Reply:
            key = request_key(self._backend, request)
            known = self._journal.get(key)
            if known is not None:
                return known
            if key in self._refused:
                raise self._refused[key]
            task = self._asked.get(key)
            if task is None:
                task = self._asked[key] = asyncio.create_task(self._fetch(turn, key, request))
                task.add_done_callback(lambda done: self._finish(key, done))
            # Shielded: a row that is given up must not cut off the others that wait for the same reply.
            return await asyncio.shield(task)

        return ask

    async def drain(self) -> None:
        """Send nothing more; let requests in flight arrive, for they are paid for, but not for ever."""
        self._gate.close()
        if self._in_flight:
            await asyncio.wait(self._in_flight, timeout=GRACE)
        left = list(self._asked.values())
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    async def _fetch(self, turn: int, key: str, request: Request) -> Reply:
        """Send a request until it is answered, and keep the reply."""
        task = asyncio.current_task()
        assert task is not None
        most = token_upper_bound(request)
        failed: list[float] = []
        while True:
            ticket = await self._gate.enter(turn, most)
            if self._journal.problem is not None:  # what cannot be kept should not be paid for
                self._gate.dropped(ticket)
                raise self._journal.problem
            self._in_flight.add(task)
            try:
                reply = await self._backend.complete(request)
            except TransientError as error:
                self._gate.failed(ticket, error)
                failed.append(self._gate.clock())
                pause = self._pause(error, failed)
            except BaseException:
                self._gate.dropped(ticket)
                raise
            else:
                self._gate.succeeded(ticket, reply)
                await self._journal.put(key, reply)
                return reply
            finally:
                self._in_flight.discard(task)
            await asyncio.sleep(pause)

    def _pause(self, error: TransientError, failed: Sequence[float]) -> float:
        """Say how long to wait before the next try, or raise what ends the tries.

        Args:
            error: the last failure.
            failed: when the request failed, by the gate's clock, this time included.

        Raises:
            BackendError: the server cannot be reached at all, has been silent for long, or asks for a long wait.
            RequestError: others are answered, and this request never is.

        """
        answered = self._gate.answered_at
        if error.unreachable and answered is None:
            raise BackendError(str(error)) from error
        if error.wait is not None and error.wait > LONGEST_WAIT:
            raise BackendError(
                f"{error}; it asks to wait {error.wait:.0f} s: run the same command then to go on"
            ) from error
        silent_since = max(failed[0], self._gate.closed_until, failed[0] if answered is None else answered)
        if failed[-1] - silent_since > OUTAGE:
            raise BackendError(
                f"{error}; nothing was answered for {OUTAGE:.0f} s: run the same command to go on"
            ) from error
        tried = not error.overload or failed[-1] - failed[0] >= TURNED_AWAY
        if tried and len(failed) >= RETRIES and answered is not None and answered > failed[0]:
            raise RequestError(f"{error}, {len(failed)} times in a row") from error
        own = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (len(failed) - 1)) * random.uniform(0.5, 1.0)
        # Never less than our own: a server that asks for no wait at all would be asked without end.
        return float(max(own, (error.wait or 0.0) * random.uniform(1.0, 1.1)))

    def _finish(self, key: str, task: "asyncio.Task[Reply]") -> None:
        del self._asked[key]
        # Looked at in any case, so that nobody is told of an error that no row waits for any more.
        if not task.cancelled() and isinstance(error := task.exception(), RequestError):
            self._refused[key] = error
