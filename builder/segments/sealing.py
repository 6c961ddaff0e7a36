"""Seal the replies of a worker into segments and ship them: by size, by time, on request and at the end."""

import asyncio
import os
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from threading import Lock

from personagen.builder.core.errors import FolderError
from personagen.builder.core.event_loop import compute_in_thread, run_to_end
from personagen.builder.core.files import make_folder
from personagen.builder.llm.storage.stored_replies import StoredReply
from personagen.builder.planning.parts import Part
from personagen.builder.segments.segment import Header, Origin, Work, digest_of, parse_name, read_replies, write_segment
from personagen.builder.segments.store import DamagedSegmentError, SegmentStore, local_store

SEGMENT_BYTES = 8 * 2**20
"""Encoded replies after which a segment is sealed: about 14,000 replies of 600 bytes, 2 MB on the disk."""

SHIP_EVERY_S = 60.0
"""Seconds after which replies are shipped by default: what a machine that is lost for good can lose."""

TICK_S = 0.2
"""Seconds between two looks at what is to be sealed."""

BATCH = 500
"""Replies of a journal that are read at a time."""

CREATE_SEALED = "CREATE TEMP TABLE sealed (key TEXT, checksum INTEGER, PRIMARY KEY (key, checksum)) WITHOUT ROWID"
"""Replies that are in a segment: a request may have two, of which the second had more room."""

TRIES = 5
"""Tries to ship the last segments before a worker ends; between them are `RETRY_S`, twice as long each time."""

RETRY_S = 1.0
"""Seconds before the second try."""


LAST_STATES = ("stopped", "complete")
"""States of a worker at its last segment."""


@dataclass(frozen=True, slots=True)
class Worker:
    """A worker and what it fills.

    Attributes:
        id: id of its folder, twelve hexadecimal digits.
        folder: folder of its segments, on its own disk.
        part: its part.
        origin: its run.
        host: name of its machine.
        cost_of: returns the cost of a reply; None: its model has no price.

    """

    id: str
    folder: Path
    part: Part
    origin: Origin
    host: str
    cost_of: Callable[[StoredReply], float | None]


@dataclass(frozen=True, slots=True)
class ShippingTimes:
    """When replies are sealed and shipped.

    Attributes:
        every_s: seconds after which replies are shipped.
        segment_bytes: encoded replies after which a segment is sealed.
        retry_s: seconds before the second of the last tries.

    """

    every_s: float = SHIP_EVERY_S
    segment_bytes: int = SEGMENT_BYTES
    retry_s: float = RETRY_S


@dataclass(slots=True)
class PartCounts:
    """Counts of a part, as its segments report them."""

    wanted: int = 0
    accepted: int = 0
    rejected: int = 0


class Sealer:
    """Replies of a worker on their way from its journal into the store.

    Attributes:
        counts: counts of the part, kept by its owner.

    """

    def __init__(self, store: SegmentStore, worker: Worker, times: ShippingTimes, warn: Callable[[str], None]) -> None:
        """Begin without replies; `warn` receives one line when shipping fails."""
        self.counts = PartCounts()
        self._store = store
        self._worker = worker
        self._times = times
        self._warn = warn
        self._lock = Lock()
        self._turn = Lock()  # segments are sealed and shipped one after the other, by whichever thread
        self._rows: list[StoredReply] = []
        self._bytes = 0
        self._began = time.time()
        self._due = time.monotonic() + times.every_s
        self._is_requested = False
        self._failed = False
        self._unshipped: list[Path] | None = None  # None: the store is to be asked what it has
        names = [parse_name(path.name) for path in worker.folder.iterdir()]
        self._order = max((name.order + 1 for name in names if name is not None), default=0)

    def add_unsealed(self, rows: Iterable[StoredReply]) -> None:
        """Take over replies that an interrupted worker left in its journal, and seal them as they come.

        Raises:
            FolderError: a segment cannot be written.

        """
        rest = iter(rows)
        while batch := list(islice(rest, BATCH)):
            self.add(batch)
            if self._bytes >= self._times.segment_bytes:
                self.seal("begun")

    def add(self, rows: Iterable[StoredReply]) -> None:
        """Take over replies that are in the journal; may be called from any thread."""
        with self._lock:
            for row in rows:
                self._rows.append(row)
                self._bytes += len(row.reply)

    def request(self) -> None:
        """Have all replies sealed and shipped soon; may be called by a signal."""
        self._is_requested = True

    @property
    def is_due(self) -> bool:
        """Whether something is to be sealed or shipped now."""
        is_late = time.monotonic() >= self._due
        has_work = bool(self._rows) or self._failed
        return self._is_requested or self._bytes >= self._times.segment_bytes or (is_late and has_work)

    def go_on(self) -> None:
        """Seal and ship what is due; where no reply has come, only ship what could not be shipped. See `seal`."""
        if self._rows or self._is_requested:
            self.seal("working")
        else:
            self._due = time.monotonic() + self._times.every_s
            self.ship()

    def seal(self, state: str) -> None:
        """Seal all replies into a segment on this disk, and ship what is not shipped.

        A segment without replies reports the state of the worker. The store is asked what it has at the first segment,
        at the last one, and after it has failed: to list it costs more than to write a segment.

        Raises:
            FolderError: the segment cannot be written. If it cannot be shipped, it is shipped next time.

        """
        with self._turn:
            self._is_requested, self._due = False, time.monotonic() + self._times.every_s
            with self._lock:
                rows, self._rows, self._bytes = self._rows, [], 0
            worker = self._worker
            try:
                header = Header(worker.part, worker.id, self._order, worker.origin, self._work(state, rows))
                path = write_segment(worker.folder, header, rows)
            except BaseException as error:
                self.add(rows)  # else no segment would ever have them
                if not isinstance(error, OSError):
                    raise
                reason = os.strerror(error.errno).lower() if error.errno else str(error)
                raise FolderError(
                    f"cannot write a segment into {worker.folder}: {reason}; free some space or mend the folder, and "
                    "run the same command again: the replies are in the journal beside it"
                ) from error
            self._order += 1
            if state in LAST_STATES:
                self._unshipped = None
            elif self._unshipped is not None:
                self._unshipped.append(path)
        self.ship()

    def _work(self, state: str, rows: Sequence[StoredReply]) -> Work:
        costs = [self._worker.cost_of(row) for row in rows]
        return Work(
            state=state,
            host=self._worker.host,
            began=self._began,
            sealed=time.time(),
            wanted=self.counts.wanted,
            accepted=self.counts.accepted,
            rejected=self.counts.rejected,
            replies=sum(not row.is_failure() for row in rows),
            prompt_tokens=sum(row.prompt_tokens for row in rows),
            completion_tokens=sum(row.completion_tokens for row in rows),
            cost=None if None in costs else sum(cost for cost in costs if cost is not None),
        )

    def ship(self) -> bool:
        """Ship the sealed segments that the store does not have; return whether it has all of them now."""
        with self._turn:
            try:
                if self._unshipped is None:
                    self._unshipped = missing_segments(self._store, self._worker.folder)
                while self._unshipped:
                    put_whole(self._store, self._unshipped[0])
                    del self._unshipped[0]
            except FolderError as error:
                self._unshipped = None
                if not self._failed:
                    self._warn(f"{error}; the segments are kept in {self._worker.folder} and shipped later")
                self._failed = True
                return False
            self._failed = False
            return True

    async def finish(self, state: str) -> None:
        """Seal and ship the last replies. Raises FolderError if the store takes them at none of some tries."""
        await compute_in_thread(lambda: self.seal(state))
        pause_s = self._times.retry_s
        for _ in range(TRIES - 1):
            if not self._failed:
                return
            await asyncio.sleep(pause_s)
            pause_s *= 2
            await compute_in_thread(self.ship)
        if self._failed:
            raise FolderError(
                f"cannot ship all replies of part {self._worker.part} to {self._store.url}; they are in "
                f"{self._worker.folder}: run the same command again, which ships them"
            )


def missing_segments(store: SegmentStore, folder: Path) -> list[Path]:
    """Return the segments of a folder that a store does not have, or has with another size, in their order.

    Raises:
        FolderError: the folder or the store cannot be read.

    """
    there, here = store.sizes(), local_store(folder).sizes()
    return [folder / file for file, size in here.items() if there.get(file) != size]


def ship_missing(store: SegmentStore, folder: Path) -> None:
    """Ship the segments of a folder that a store does not have; a damaged one replaces none.

    Raises:
        FolderError: a segment is damaged, or the store cannot be read or written.

    """
    for path in missing_segments(store, folder):
        put_whole(store, path)


def put_whole(store: SegmentStore, path: Path) -> None:
    """Ship a segment unless it is damaged; see `ship_missing`."""
    if not local_store(path.parent).folder.attempt("read", lambda: is_whole(path)):
        raise FolderError(
            f"{path} was cut or altered since it was sealed; run the same command again, which seals its replies anew"
        )
    store.put(path)


def is_whole(path: Path) -> bool:
    """Return whether the bytes of a segment have the digest of its name."""
    name = parse_name(path.name)
    return name is not None and digest_of(path).startswith(name.digest)


@asynccontextmanager
async def sealing(
    store: SegmentStore, worker: Worker, *, times: ShippingTimes, warn: Callable[[str], None]
) -> AsyncIterator[Sealer]:
    """Seal and ship replies within the context; at its end, whatever the cause, all that are left.

    A first segment without replies reports that the worker has begun, and the last one whether its part is complete.

    Raises:
        FolderError: the first or the last segment cannot be written, or the last one cannot be shipped.
        Exception: no segment can be made, for another reason than those of the disk; within the context all is
            cancelled.

    """
    make_folder(worker.folder)
    sealer = Sealer(store, worker, times, warn)
    await compute_in_thread(lambda: sealer.seal("begun"))
    state = "stopped"
    try:
        async with _ticking(sealer, times.retry_s, warn):
            yield sealer
        state = "complete"
    finally:
        await run_to_end(lambda: sealer.finish(state))


@asynccontextmanager
async def _ticking(sealer: Sealer, pause_s: float, warn: Callable[[str], None]) -> AsyncIterator[None]:
    """Seal and ship what is due within the context.

    An error of the ticks cancels what is within the context, and is raised at its end: without ticks nothing would be
    shipped any more.
    """
    owner, is_within = asyncio.current_task(), True
    assert owner is not None
    cancellations = owner.cancelling()

    def end(ticks: asyncio.Task[None]) -> None:
        if is_within and not ticks.cancelled():
            owner.cancel()

    ticks = asyncio.create_task(_tick(sealer, pause_s, warn))
    ticks.add_done_callback(end)
    try:
        yield
    finally:
        is_within = False
        ticks.cancel()
        await asyncio.wait([ticks])
        if not ticks.cancelled() and (error := ticks.exception()) is not None:
            if owner.cancelling() > cancellations:
                owner.uncancel()
            raise error


async def _tick(sealer: Sealer, pause_s: float, warn: Callable[[str], None]) -> None:
    reported = ""
    while True:
        await asyncio.sleep(TICK_S)
        if sealer.is_due:
            try:
                await compute_in_thread(sealer.go_on)
                reported = ""
            except FolderError as error:  # the replies are in the journal, and the last segment raises it again
                if str(error) != reported:
                    warn(str(error))
                reported = str(error)
                await asyncio.sleep(pause_s)


def mend_store(store: SegmentStore, folder: Path) -> None:
    """Ship a worker's segments again that the store has lost, or has in another form.

    Raises:
        FolderError: the store cannot be read or written.

    """
    ship_missing(store, folder)
    for path in sorted(path for path in folder.iterdir() if parse_name(path.name) is not None):
        try:
            with store.local(path.name):
                pass
        except DamagedSegmentError:
            store.put(path)


def unsealed(journal: Path, segments: Iterable[Path]) -> Iterator[StoredReply]:
    """Yield the replies of a journal that are in none of some segments: an interrupted worker left them.

    Memory does not grow with the number of replies.
    """
    query = (
        "SELECT CAST(key AS BLOB), prompt_tokens, completion_tokens, CAST(reply AS BLOB), checksum FROM replies "
        "WHERE NOT EXISTS (SELECT 1 FROM temp.sealed WHERE sealed.key = replies.key AND sealed.checksum = ifnull("
        "replies.checksum, -1))"
    )
    with closing(sqlite3.connect(journal)) as database:
        database.execute(CREATE_SEALED)
        for path in segments:
            keys = ((row.key.decode(), row.checksum) for row in read_replies(path))
            database.executemany("INSERT OR IGNORE INTO sealed VALUES (?, ?)", keys)
        for values in database.execute(query):
            yield StoredReply(*values)
