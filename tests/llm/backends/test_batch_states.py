"""Gathering of requests, and the life cycle of a batch: no server and no clock."""

import asyncio

import pytest

from personagen.builder.llm.backends.batch_states import (
    QUIET_TURNS,
    AtServer,
    Fetched,
    NoRoom,
    OnDisk,
    PendingBatch,
    RequestGatherer,
)


def gathered(arrivals: list[int], *, max_keys: int = 100) -> list[str]:
    """Add a key after each number of turns of the event loop, and return the first keys that are taken."""

    async def run() -> list[str]:
        gatherer = RequestGatherer(quiet_s=0.0)
        gatherer.add("0")
        taking = asyncio.create_task(gatherer.take(max_keys))
        for number, turns in enumerate(arrivals, 1):
            for _ in range(turns):
                await asyncio.sleep(0)
            gatherer.add(str(number))
        return await taking

    return asyncio.run(run())


def test_keys_are_gathered_until_the_loop_has_been_quiet() -> None:
    """Each arrival starts the quiet turns anew, so a stage of any number of requests is one batch."""
    assert gathered([QUIET_TURNS - 2] * 5) == ["0", "1", "2", "3", "4", "5"]
    assert gathered([QUIET_TURNS - 2, QUIET_TURNS + 5]) == ["0", "1"]


def test_full_batch_is_taken_without_waiting() -> None:
    assert gathered([1, 1, 1], max_keys=2) == ["0", "1"]


def test_keys_are_taken_once() -> None:
    async def run() -> None:
        gatherer = RequestGatherer(quiet_s=0.0)
        gatherer.add("a")
        assert len(gatherer) == 1
        assert await gatherer.take(9) == ["a"]
        assert len(gatherer) == 0

    asyncio.run(run())


def test_batch_from_disk_to_results() -> None:
    batch = PendingBatch("000001-a", OnDisk(maybe_created=False), ["one"])
    assert batch.takes_room and not batch.maybe_created
    batch.record_created("batch_1")
    assert batch.state == AtServer("batch_1") and batch.takes_room and not batch.maybe_created
    batch.record_fetched()
    assert batch.state == Fetched(by_this_process=True) and not batch.takes_room
    assert (batch.take_keys(), batch.take_keys()) == (["one"], [])


def test_batch_without_room_is_looked_for_before_it_is_created_again() -> None:
    """Its last creation may have succeeded although it was refused at first."""
    batch = PendingBatch("000001-a", OnDisk(maybe_created=False))
    batch.record_no_room()
    assert batch.state == NoRoom() and batch.maybe_created and not batch.takes_room
    batch.record_created("batch_1")
    batch.record_no_room()
    assert batch.state == NoRoom()


def test_batch_of_an_earlier_process_is_looked_for() -> None:
    assert PendingBatch("000001-a", OnDisk(maybe_created=True)).maybe_created


def test_impossible_transitions_fail() -> None:
    with pytest.raises(AssertionError):
        PendingBatch("000001-a", OnDisk(maybe_created=False)).record_fetched()
    with pytest.raises(AssertionError):
        PendingBatch("000001-a", AtServer("batch_1")).record_created("batch_2")
    for transition in (PendingBatch.record_no_room, PendingBatch.record_fetched):
        with pytest.raises(AssertionError):
            transition(PendingBatch("000001-a", Fetched(by_this_process=True)))
