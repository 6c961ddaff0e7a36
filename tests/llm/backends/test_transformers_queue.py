"""Rows that share a batch of the transformers backend, and the size of its batches: no model is needed."""

import random

from personagen.builder.llm.backends.transformers_queue import (
    CONFIRMATIONS,
    MIN_GAIN,
    START_ROWS,
    BatchRow,
    BatchSizer,
    QueuedRequest,
    choose_rows,
)
from personagen.builder.llm.requests import Message, Request, Sampling

SAMPLINGS = (Sampling(24, 1.0), Sampling(24, 0.0), Sampling(24, 0.0, repetition_penalty=3.0))


def row(length: int, sampling: Sampling = SAMPLINGS[0], stop: tuple[str, ...] = ()) -> BatchRow:
    request = Request((Message("user", "x"),), sampling, seed=1, stop=stop)
    return BatchRow(QueuedRequest(request, prompt=[1] * length), 0)


def test_batch_has_the_oldest_row_and_rows_of_similar_length() -> None:
    lengths = [50, 9, 52, 100, 47, 8, 51, 300]
    waiting = [row(length) for length in lengths]
    assert [len(row.queued.prompt) for row in choose_rows(waiting, 4)] == [47, 50, 51, 52]
    assert [len(row.queued.prompt) for row in choose_rows(waiting[7:] + waiting[:7], 3)] == [52, 100, 300]
    assert len(choose_rows(waiting, 100)) == 8
    assert choose_rows(waiting, 1) == waiting[:1]


def test_only_rows_of_one_group_share_a_batch() -> None:
    waiting = [row(5), row(5, SAMPLINGS[1]), row(5, stop=("x",)), row(6)]
    assert choose_rows(waiting, 4) == [waiting[0], waiting[3]]


def test_every_row_is_written() -> None:
    """However many short rows arrive, a long one is written when it is the oldest, at the latest."""
    source = random.Random(5)
    waiting = [row(source.randrange(1, 20)) for _ in range(10)] + [row(900)]
    longest = waiting[-1]
    for _ in range(11):
        oldest = waiting[0]
        batch = choose_rows(waiting, 4)
        assert oldest in batch
        waiting = [other for other in waiting if other not in batch] + [row(source.randrange(1, 20)) for _ in range(4)]
    assert longest not in waiting


def test_size_is_doubled_while_that_increases_the_speed() -> None:
    sizer = BatchSizer()
    speeds = {START_ROWS: 100.0, 2 * START_ROWS: 190.0, 4 * START_ROWS: 300.0, 8 * START_ROWS: 310.0}
    for _ in range(9):
        sizer.record_batch(sizer.size, speeds[sizer.size])
    assert sizer.size == 8 * START_ROWS, "faster than half of it, but not worth another doubling"
    worse = BatchSizer()
    for _ in range(9):
        worse.record_batch(worse.size, 100.0 / worse.size)
    assert worse.size == START_ROWS


def test_one_slow_batch_does_not_fix_the_size() -> None:
    sizer = BatchSizer()
    sizer.record_batch(START_ROWS, 100.0)
    for _ in range(CONFIRMATIONS - 1):
        sizer.record_batch(2 * START_ROWS, 20.0)
    sizer.record_batch(2 * START_ROWS, 100.0 * MIN_GAIN)
    assert sizer.size == 4 * START_ROWS


def test_incomplete_batches_do_not_change_the_size() -> None:
    sizer = BatchSizer()
    sizer.record_batch(START_ROWS - 1, 1000.0)
    assert sizer.size == START_ROWS


def test_size_is_halved_and_stays_below_that_of_a_batch_without_memory() -> None:
    sizer = BatchSizer()
    sizer.record_batch(START_ROWS, 100.0)
    assert not sizer.record_out_of_memory(2 * START_ROWS)
    for number in range(9):
        assert sizer.size == START_ROWS
        sizer.record_batch(START_ROWS, 1000.0 * number)


def test_row_that_exceeds_the_memory_alone_does_not_change_the_size() -> None:
    """It fails in ever smaller batches, which is no evidence on other rows."""
    sizer = BatchSizer()
    sizer.record_batch(START_ROWS, 100.0)
    size = sizer.size
    while not sizer.record_out_of_memory(sizer.size):
        pass
    assert sizer.size == size
