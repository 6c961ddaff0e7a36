"""State of the batch backend in one process: pilot, requests that are gathered, and the life cycle of each batch.

    OnDisk -> AtServer -> Fetched
       |        |  ^
       v        v  |
          NoRoom

Files are in batch_files.py, calls in batch_api.py.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from personagen.builder.llm.chat_protocol.learning import Negotiation
from personagen.builder.llm.requests import Reply, Request

MAX_PILOT_REQUESTS = 4
"""Upper bound on the requests that are sent first, to find out which parameters the server accepts."""

QUIET_TURNS = 10
"""Turns of the event loop into which the quiet time is divided."""


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """Upper bounds of one batch and of all requests that wait.

    Attributes:
        max_requests: requests per batch, as the API allows.
        max_bytes: bytes per batch; the API allows 200 MB.
        concurrency: requests that wait for batches at one time.
        first_requests: requests that are sent while it is unknown whether the server accepts their like.

    """

    max_requests: int = 50_000
    max_bytes: int = 190_000_000
    concurrency: int = 20_000
    first_requests: int = 1


@dataclass(slots=True)
class PendingRequest:
    """A request that is not answered yet.

    Attributes:
        request: the request.
        answer: future of its reply.
        negotiation: dialect in which it is sent; None: that of the server as known so far.
        limit: limit on completion tokens with which it was sent last; None: by an earlier process.
        cut: reply that was cut before its content; its tokens count.
        failures: batches that came back without its reply.
        needs_new_batch: whether to ignore the batch on disk that has it.

    """

    request: Request
    answer: asyncio.Future[Reply]
    negotiation: Negotiation | None = None
    limit: int | None = None
    cut: Reply | None = None
    failures: int = 0
    needs_new_batch: bool = False


class RequestGatherer:
    """Gathers the keys of requests until none has arrived for a while."""

    def __init__(self, quiet_s: float) -> None:
        """Wait for `quiet_s` seconds of an idle event loop."""
        self._turn_s = quiet_s / QUIET_TURNS
        self._keys: list[str] = []
        self._arrivals = 0

    def __len__(self) -> int:
        """Count the gathered keys."""
        return len(self._keys)

    def add(self, key: str) -> None:
        """Add a key; the quiet time starts anew."""
        self._keys.append(key)
        self._arrivals += 1

    async def take(self, max_keys: int) -> list[str]:
        """Remove and return all keys, once the quiet time has passed or there are `max_keys`.

        A turn counts as `quiet_s / QUIET_TURNS`, however long it took: in a busy event loop, callers had no turn in
        which to send a request.
        """
        quiet_turns = 0
        while quiet_turns < QUIET_TURNS and len(self._keys) < max_keys:
            arrivals = self._arrivals
            await asyncio.sleep(self._turn_s)
            quiet_turns = quiet_turns + 1 if arrivals == self._arrivals else 0
        keys, self._keys = self._keys, []
        return keys


class Pilot:
    """Requests that go first, while it is unknown whether the server accepts their like; the others are held back.

    A batch takes hours, so a parameter that the server refuses would cost a whole batch of thousands of requests. The
    first request goes alone; each one that comes to nothing doubles the number, so that a hopeless run ends soon.
    """

    def __init__(self, knows: Callable[[str], bool], first_requests: int) -> None:
        """Begin without requests; `knows` returns whether the server has accepted requests like that of a key."""
        self._knows = knows
        self._max_first = first_requests
        self._ended = 0  # since the number was raised
        self._first: set[str] = set()
        self._held: list[str] = []

    def admit(self, key: str) -> bool:
        """Return whether a request may be sent now; otherwise it is held back."""
        if self._knows(key):
            return True
        if len(self._first) < self._max_first:
            self._first.add(key)
            return True
        self._held.append(key)
        return False

    def end(self, key: str) -> list[str]:
        """Record that a request was answered or refused, and return the requests that may be sent now."""
        if key in self._first:
            self._first.discard(key)
            self._ended += 1
            if self._ended >= self._max_first:
                self._ended = 0
                self._max_first = max(self._max_first, min(2 * self._max_first, MAX_PILOT_REQUESTS))
        held, self._held = self._held, []
        return [held_key for held_key in held if self.admit(held_key)]

    def clear(self) -> None:
        """Forget the requests that are held back."""
        self._held.clear()


@dataclass(frozen=True, slots=True)
class OnDisk:
    """The requests are in a file.

    Attributes:
        maybe_created: whether an earlier process may have created the batch at the server.

    """

    maybe_created: bool


@dataclass(frozen=True, slots=True)
class AtServer:
    """The server has the batch under an id."""

    batch_id: str


@dataclass(frozen=True, slots=True)
class NoRoom:
    """The account's queue had no room for the batch when it was last created."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """The results are in a file.

    Attributes:
        by_this_process: False: by an earlier one, whose failures may have had causes that are gone.

    """

    by_this_process: bool


@dataclass(slots=True)
class PendingBatch:
    """A batch in use by this process.

    Attributes:
        token: name of its files, and metadata at the server.
        state: where it is in its life cycle.
        keys: requests to answer from its results.

    """

    token: str
    state: OnDisk | AtServer | NoRoom | Fetched
    keys: list[str] = field(default_factory=list)

    @property
    def takes_room(self) -> bool:
        """Whether it is, or may be, in the account's queue."""
        return isinstance(self.state, OnDisk | AtServer)

    @property
    def maybe_created(self) -> bool:
        """Whether the server may have it under an id that is not known here."""
        return isinstance(self.state, NoRoom) or (isinstance(self.state, OnDisk) and self.state.maybe_created)

    def record_created(self, batch_id: str) -> None:
        """Record that the server has the batch."""
        assert isinstance(self.state, OnDisk | NoRoom)
        self.state = AtServer(batch_id)

    def record_no_room(self) -> None:
        """Record that the server did not take the batch because the account's queue was full."""
        assert not isinstance(self.state, Fetched)
        self.state = NoRoom()

    def record_fetched(self) -> None:
        """Record that the results are on disk."""
        assert isinstance(self.state, AtServer)
        self.state = Fetched(by_this_process=True)

    def take_keys(self) -> list[str]:
        """Remove and return the requests that wait for the results."""
        keys, self.keys = self.keys, []
        return keys
