"""Which rows share a batch of the transformers backend, and how many: no model is needed."""

import random

from personagen.builder.llm.backends.transformers_queue import GAIN, START, TRIES, Job, Pace, Row, choose_rows
from personagen.builder.llm.requests import Message, Request, Sampling

SAMPLINGS = (Sampling(24, 1.0), Sampling(24, 0.0), Sampling(24, 0.0, repetition_penalty=3.0))


def row(length: int, sampling: Sampling = SAMPLINGS[0], stop: tuple[str, ...] = ()) -> Row:
    request = Request((Message("user", "x"),), sampling, seed=1, stop=stop)
    return Row(Job(request, prompt=[1] * length), 0)


def test_the_oldest_is_in_the_batch_with_those_of_similar_length() -> None:
    lengths = [50, 9, 52, 100, 47, 8, 51, 300]
    waiting = [row(length) for length in lengths]
    assert [len(each.job.prompt) for each in choose_rows(waiting, 4)] == [47, 50, 51, 52]
    assert [len(each.job.prompt) for each in choose_rows(waiting[7:] + waiting[:7], 3)] == [52, 100, 300]
    assert len(choose_rows(waiting, 100)) == 8
    assert choose_rows(waiting, 1) == waiting[:1]


def test_only_rows_of_one_group_share_a_batch() -> None:
    waiting = [row(5), row(5, SAMPLINGS[1]), row(5, stop=("x",)), row(6)]
    assert choose_rows(waiting, 4) == [waiting[0], waiting[3]]


def test_nobody_starves() -> None:
    """However many short ones arrive, a long one is written when it is the oldest, at the latest."""
    source = random.Random(5)
    waiting = [row(source.randrange(1, 20)) for _ in range(10)] + [row(900)]
    awkward = waiting[-1]
    for _ in range(11):
        oldest = waiting[0]
        batch = choose_rows(waiting, 4)
        assert oldest in batch
        waiting = [each for each in waiting if each not in batch] + [row(source.randrange(1, 20)) for _ in range(4)]
    assert awkward not in waiting


def test_a_batch_is_doubled_while_that_pays() -> None:
    pace = Pace()
    speeds = {START: 100.0, 2 * START: 190.0, 4 * START: 300.0, 8 * START: 310.0}
    for _ in range(9):
        pace.succeeded(pace.size, speeds[pace.size])
    assert pace.size == 8 * START, "faster than half of it, but not worth another doubling"
    worse = Pace()
    for _ in range(9):
        worse.succeeded(worse.size, 100.0 / worse.size)
    assert worse.size == START


def test_one_slow_batch_is_not_believed() -> None:
    pace = Pace()
    pace.succeeded(START, 100.0)
    for _ in range(TRIES - 1):
        pace.succeeded(2 * START, 20.0)
    pace.succeeded(2 * START, 100.0 * GAIN)
    assert pace.size == 4 * START


def test_batches_that_are_not_full_say_nothing() -> None:
    pace = Pace()
    pace.succeeded(START - 1, 1000.0)
    assert pace.size == START


def test_a_batch_is_halved_and_never_again_as_large_as_what_failed() -> None:
    pace = Pace()
    pace.succeeded(START, 100.0)
    assert not pace.failed(2 * START)
    for number in range(9):
        assert pace.size == START
        pace.succeeded(START, 1000.0 * number)


def test_a_row_that_fits_nowhere_spoils_no_pace() -> None:
    """It fails in ever smaller batches: that says nothing about the others."""
    pace = Pace()
    pace.succeeded(START, 100.0)
    size = pace.size
    while not pace.failed(pace.size):
        pass
    assert pace.size == size
