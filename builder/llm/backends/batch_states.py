"""State of the batch backend in one process: requests that are gathered, and the life cycle of each batch.

    OnDisk -> AtServer -> Fetched
       |        |  ^
       v        v  |
          NoRoom

Files are in batch_files.py, calls in batch_api.py.
"""

import asyncio
from dataclasses import dataclass, field

QUIET_TURNS = 10
"""Turns of the event loop into which the quiet time is divided."""


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
