"""Replies on their way into segments: by size, by time, on request, and through faults of both disks."""

import asyncio
import re
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pyarrow as pa
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from personagen.builder.core.errors import FolderError
from personagen.builder.llm.requests import Reply
from personagen.builder.llm.storage.stored_replies import StoredReply, stored
from personagen.builder.planning.parts import Part
from personagen.builder.segments.sealing import Sealer, ShippingTimes, Worker, missing_segments, sealing
from personagen.builder.segments.segment import Header, Origin
from personagen.builder.segments.shared_folder import SharedFolder
from personagen.builder.segments.store import SegmentStore, open_store
from tests.helpers.flow import wait_until
from tests.helpers.parts.made_segments import ORIGIN, WORKER, join_all, reply_of, rows_of_replies, segment
from tests.helpers.parts.workers import headers_of

FAST = ShippingTimes(0.01, retry_s=0.01)
SELDOM = ShippingTimes(3_600.0, retry_s=0.01)


CostOf = Callable[[StoredReply], float | None]


def worker(folder: Path, origin: Origin = ORIGIN, cost_of: CostOf = lambda row: 0.5) -> Worker:
    return Worker(WORKER, folder / "own", Part(0, 4), origin, "host", cost_of)


def run(
    folder: Path,
    steps: Callable[[Sealer, list[str]], Awaitable[None]],
    times: ShippingTimes,
    store: SegmentStore | None = None,
    cost_of: CostOf = lambda row: 0.5,
) -> list[str]:
    """Run steps with a sealer, and return its warnings."""
    warnings: list[str] = []

    async def inner() -> None:
        place = store or open_store(str(folder / "store"))
        own = worker(folder, cost_of=cost_of)
        async with sealing(place, own, times=times, warn=warnings.append) as sealer:
            await steps(sealer, warnings)

    asyncio.run(inner())
    return warnings


async def until(holds: Callable[[], bool]) -> None:
    await asyncio.to_thread(wait_until, holds)


def shipped(folder: Path) -> list[Header]:
    return headers_of(folder / "store")


def test_segments_report_the_state_and_the_counts_of_a_part(tmp_path: Path) -> None:
    async def steps(sealer: Sealer, _: list[str]) -> None:
        sealer.counts.wanted, sealer.counts.accepted, sealer.counts.rejected = 9, 3, 1
        sealer.add(rows_of_replies(range(3)))

    assert run(tmp_path, steps, SELDOM) == []
    begun, complete = shipped(tmp_path)
    assert (begun.work.state, begun.work.replies, begun.order) == ("begun", 0, 0)
    work = complete.work
    assert (work.state, work.replies, work.wanted, work.accepted, work.rejected) == ("complete", 3, 9, 3, 1)
    assert (work.prompt_tokens, work.completion_tokens, work.cost, complete.order) == (9, 6, 1.5, 1)


def test_requests_that_failed_are_shipped_and_count_as_no_replies(tmp_path: Path) -> None:
    """A worker whose server refuses everything would look like one that gets ahead; its resumes send all again."""
    failed = [stored(f"f{number}", Reply((), 0, 0, problem="no", failed=True)) for number in range(3)]
    quoting = stored("quoting", reply_of('It said {"failed": true} and nothing else.'))

    async def steps(sealer: Sealer, warnings: list[str]) -> None:
        sealer.add([*failed, quoting, *rows_of_replies(range(2))])

    run(tmp_path, steps, SELDOM)
    assert [header.work.replies for header in headers_of(tmp_path / "store")] == [0, 3]
    assert join_all(tmp_path / "store").merged.total == 6


def test_an_error_leaves_a_part_stopped_and_its_replies_shipped(tmp_path: Path) -> None:
    async def steps(sealer: Sealer, _: list[str]) -> None:
        sealer.add(rows_of_replies(range(3)))
        raise KeyError("within")

    with pytest.raises(KeyError):
        run(tmp_path, steps, SELDOM)
    assert [(header.work.state, header.work.replies) for header in shipped(tmp_path)] == [("begun", 0), ("stopped", 3)]


@pytest.mark.parametrize("cause", ["size", "time", "request"])
def test_replies_are_sealed_by_size_by_time_and_on_request(tmp_path: Path, cause: str) -> None:
    times = {"size": ShippingTimes(3_600.0, 100), "time": ShippingTimes(0.3), "request": SELDOM}[cause]

    async def steps(sealer: Sealer, _: list[str]) -> None:
        sealer.add(rows_of_replies(range(3)))
        if cause == "request":
            sealer.request()
        await until(lambda: len(shipped(tmp_path)) == 2)

    run(tmp_path, steps, times)
    assert [header.work.state for header in shipped(tmp_path)] == ["begun", "working", "complete"]
    assert [header.work.replies for header in shipped(tmp_path)] == [0, 3, 0]


def test_a_request_without_replies_reports_the_state(tmp_path: Path) -> None:
    async def steps(sealer: Sealer, _: list[str]) -> None:
        sealer.request()
        await until(lambda: len(shipped(tmp_path)) == 2)

    run(tmp_path, steps, SELDOM)
    assert [header.work.state for header in shipped(tmp_path)] == ["begun", "working", "complete"]


def test_a_segment_that_cannot_be_written_is_named_once_and_its_replies_are_sealed_later(tmp_path: Path) -> None:
    """As on a full disk; the ticks go on meanwhile."""
    own, moved = tmp_path / "own", tmp_path / "moved"

    async def steps(sealer: Sealer, warnings: list[str]) -> None:
        own.rename(moved)
        sealer.add(rows_of_replies(range(3)))
        await until(lambda: bool(warnings))
        sealer.add(rows_of_replies(range(3, 5)))
        await asyncio.sleep(0.7)
        moved.rename(own)
        await until(lambda: len(shipped(tmp_path)) == 2)

    (line,) = run(tmp_path, steps, FAST)
    assert line == (
        f"cannot write a segment into {own}: no such file or directory; free some space or mend the folder, and run "
        "the same command again: the replies are in the journal beside it"
    )
    assert [header.work.replies for header in shipped(tmp_path)] == [0, 5, 0]


def short_of_memory(times: int) -> CostOf:
    """Return a cost of replies that cannot be computed the first times."""
    left = iter([MemoryError("no more memory")] * times)

    def cost_of(_: StoredReply) -> float | None:
        for error in left:
            raise error
        return 0.5

    return cost_of


def test_an_error_that_is_not_of_the_disk_takes_no_reply_away(tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    own = worker(tmp_path, cost_of=short_of_memory(1))
    sealer = Sealer(open_store(str(tmp_path / "store")), own, SELDOM, pytest.fail)
    sealer.add(rows_of_replies(range(3)))
    with pytest.raises(MemoryError):
        sealer.seal("working")
    sealer.seal("working")
    assert [header.work.replies for header in shipped(tmp_path)] == [3]


def test_an_error_of_the_ticks_ends_the_worker_and_its_replies_are_shipped(tmp_path: Path) -> None:
    """Without ticks nothing would be shipped until the end, and the last segment would say that all is well."""

    async def steps(sealer: Sealer, _: list[str]) -> None:
        sealer.add(rows_of_replies(range(3)))
        await asyncio.Event().wait()

    with pytest.raises(MemoryError, match="no more memory"):
        run(tmp_path, steps, FAST, cost_of=short_of_memory(1))
    assert [(header.work.state, header.work.replies) for header in shipped(tmp_path)] == [("begun", 0), ("stopped", 3)]


def test_replies_that_no_segment_can_hold_end_the_worker_and_its_part_is_not_complete(tmp_path: Path) -> None:
    async def steps(sealer: Sealer, _: list[str]) -> None:
        sealer.add([rows_of_replies([0])[0]._replace(key=b"\xff")])
        await asyncio.Event().wait()

    with pytest.raises(pa.ArrowInvalid, match="UTF8"):
        run(tmp_path, steps, FAST)
    assert [header.work.state for header in shipped(tmp_path)] == ["begun"]


def test_an_interrupt_of_a_worker_is_no_error_of_the_ticks(tmp_path: Path) -> None:
    async def steps(sealer: Sealer, _: list[str]) -> None:
        sealer.add(rows_of_replies(range(3)))
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.Event().wait()

    with pytest.raises(asyncio.CancelledError):
        run(tmp_path, steps, SELDOM)
    assert [(header.work.state, header.work.replies) for header in shipped(tmp_path)] == [("begun", 0), ("stopped", 3)]


def test_a_store_in_an_outage_gets_all_segments_later_and_none_is_made_for_the_tries(tmp_path: Path) -> None:
    store = tmp_path / "store"

    async def steps(sealer: Sealer, warnings: list[str]) -> None:
        store.rename(tmp_path / "away")
        store.write_text("in the way")
        sealer.add(rows_of_replies(range(3)))
        await until(lambda: bool(warnings))
        sealer.add(rows_of_replies(range(3, 5)))
        await asyncio.sleep(0.7)
        store.unlink()
        (tmp_path / "away").rename(store)
        await until(lambda: sum(header.work.replies for header in shipped(tmp_path)) == 5)

    (line,) = run(tmp_path, steps, FAST)
    assert re.fullmatch(
        rf"cannot (?:read|write) the segments in {store}: [^;]+; check the address and its access, and run the same "
        rf"command again; the segments are kept in {tmp_path / 'own'} and shipped later",
        line,
    )
    replies = [header.work.replies for header in shipped(tmp_path)]
    assert replies in ([0, 3, 2, 0], [0, 5, 0]) and join_all(store).merged.total == 5


class CountingFiles(MemoryFileSystem):
    """Files at an address that counts how often it is listed, and is out of order for a while."""

    cachable = False

    def __init__(self) -> None:
        super().__init__()
        self.lists = 0
        self.is_down = False

    def ls(self, path: str, detail: bool = True, **kwargs: Any) -> Any:
        self.lists += 1
        return super().ls(path, detail, **kwargs)

    def put_file(self, *args: Any, **kwargs: Any) -> None:
        if self.is_down:
            raise ConnectionError("down")
        super().put_file(*args, **kwargs)


def test_a_store_is_listed_at_the_first_and_the_last_segment_and_after_it_has_failed(tmp_path: Path) -> None:
    files, root = CountingFiles(), f"/counting{tmp_path}"
    store = SegmentStore(SharedFolder(f"memory:/{root}", root, "segments", files))
    (tmp_path / "own").mkdir()
    warnings: list[str] = []
    sealer = Sealer(store, worker(tmp_path), SELDOM, warnings.append)

    def seal(numbers: range) -> int:
        """Seal a segment for each reply; return how often the store was listed."""
        files.lists = 0
        for number in numbers:
            sealer.add(rows_of_replies([number]))
            sealer.seal("working")
        return files.lists

    assert seal(range(5)) == 1 and seal(range(5, 9)) == 0
    files.is_down = True
    seal(range(9, 11))
    files.is_down = False
    assert len(warnings) == 1 and seal(range(11, 15)) == 1
    files.lists = 0
    asyncio.run(sealer.finish("complete"))
    assert files.lists == 1 and join_all(f"memory:/{root}").merged.total == 15


def test_a_segment_that_the_store_has_lost_is_there_when_its_worker_has_ended(tmp_path: Path) -> None:
    async def steps(sealer: Sealer, _: list[str]) -> None:
        sealer.add(rows_of_replies(range(3)))
        sealer.request()
        await until(lambda: len(shipped(tmp_path)) == 2)
        shutil.rmtree(tmp_path / "store")

    assert run(tmp_path, steps, SELDOM) == []
    assert [header.work.state for header in shipped(tmp_path)] == ["begun", "working", "complete"]


def test_a_segment_that_is_damaged_before_it_is_shipped_is_not(tmp_path: Path) -> None:
    path = segment(tmp_path / "own", rows_of_replies(range(9)), order=7)
    path.write_bytes(path.read_bytes()[:-1])

    async def steps(_: Sealer, warnings: list[str]) -> None:
        assert warnings

    wanted = (
        rf"cannot ship all replies of part 0/4 to {tmp_path / 'store'}; they are in {tmp_path / 'own'}: run the same "
    )
    with pytest.raises(FolderError, match=wanted + "command again, which ships them"):
        run(tmp_path, steps, SELDOM)
    assert all(header.order != 7 for header in shipped(tmp_path))


def test_segments_that_are_sealed_at_once_by_several_threads_have_orders_of_their_own(tmp_path: Path) -> None:
    """The ticks of a worker go on while what it had left in its journal is sealed."""
    (tmp_path / "own").mkdir()
    sealer = Sealer(open_store(str(tmp_path / "store")), worker(tmp_path), SELDOM, pytest.fail)
    go = Event()

    def seal(number: int) -> None:
        go.wait()
        for step in range(5):
            sealer.add(rows_of_replies([5 * number + step]))
            sealer.seal("working")

    threads = [Thread(target=seal, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    go.set()
    for thread in threads:
        thread.join()
    headers = shipped(tmp_path)
    assert [header.order for header in headers] == list(range(20))
    assert sum(header.work.replies for header in headers) == join_all(tmp_path / "store").merged.total == 20
    assert missing_segments(open_store(str(tmp_path / "store")), tmp_path / "own") == []


def test_what_a_killed_worker_left_in_its_journal_is_sealed_in_segments_of_the_usual_size(tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    rows = rows_of_replies(range(1_200))
    times = ShippingTimes(segment_bytes=sum(len(row.reply) for row in rows[:400]))
    sealer = Sealer(open_store(str(tmp_path / "store")), worker(tmp_path), times, pytest.fail)
    sealer.add_unsealed(iter(rows))
    assert [header.work.replies for header in shipped(tmp_path)] == [500, 500]
    asyncio.run(sealer.finish("complete"))
    assert join_all(tmp_path / "store").merged.total == 1_200
