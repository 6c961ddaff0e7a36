"""The batch backend against a Batch API on loopback: how requests become batches, and results become replies."""

import asyncio
import json
import re
import time
from pathlib import Path
from typing import Any

import pytest

from personagen.builder.core.errors import BackendError, RequestError
from personagen.builder.llm.backends.batch_states import QUIET_TURNS
from personagen.builder.llm.backends.openai_batch import BatchLimits
from personagen.builder.llm.requests import Reply, request_key
from tests.helpers.batches import (
    FAST,
    KEY,
    answers,
    ask,
    asks,
    backend_of,
    error_body,
    expected,
    outcomes,
    refused,
    texts,
)
from tests.helpers.servers.fake_batches import FULL, FakeBatches, Fate, Trouble
from tests.helpers.servers.fake_openai import Fault

SCHEMA: dict[str, Any] = {"type": "object", "properties": {"age": {"type": "integer", "minimum": 18, "maximum": 20}}}


# Gathered into batches


def test_requests_sent_together_are_one_batch(tmp_path: Path) -> None:
    """A line is the body of a chat completion under the key of its request, by which its result is assigned."""
    with FakeBatches(polls=3) as server:
        replies = answers(server.url, tmp_path, asks(20))
    assert texts(replies) == expected(asks(20))
    assert (replies[0].prompt_tokens, replies[0].candidates[0].finish) == (4, "stop")
    (batch,) = server.batches
    backend = backend_of(server.url, tmp_path)
    assert batch.keys == [request_key(backend, request) for request in asks(20)]
    assert batch.lines[0]["body"] == {
        "model": "fake-1",
        "messages": [{"role": "system", "content": "You write."}, {"role": "user", "content": "Nr 1."}],
        "max_tokens": 100,
        "seed": 1,
    }
    token = batch.data["metadata"]["personagen"]
    assert sorted(path.name for path in tmp_path.joinpath("batches").iterdir()) == [
        f"{token}.json",
        f"{token}.jsonl",
        f"{token}.output.jsonl",
    ]
    assert tmp_path.joinpath("batches", f"{token}.jsonl").read_bytes() == server.uploads["file-in1"]
    assert batch.polls == 4


def test_identity(tmp_path: Path) -> None:
    """How many requests suit is not to be found out: a batch takes as long with one."""
    backend = backend_of("http://127.0.0.1:9/v1", tmp_path)
    assert (backend.name, backend.model, backend.revision, backend.licence) == ("batch", "fake-1", None, None)
    assert (backend.concurrency, backend.adaptive) == (20_000, False)
    assert KEY not in repr(vars(backend))


def test_requests_that_follow_a_batch_are_the_next_one(tmp_path: Path) -> None:
    """Each stage of rows that run side by side becomes one batch."""

    async def run(url: str) -> None:
        backend = backend_of(url, tmp_path)

        async def row(number: int) -> None:
            for stage in range(3):
                await backend.complete(ask(100 * number + stage))

        await asyncio.gather(*map(row, range(15)))
        await backend.close()

    with FakeBatches() as server:
        asyncio.run(run(server.url))
    assert [len(batch.lines) for batch in server.batches] == [15, 15, 15]
    assert server.repeated() == {}


def test_several_batches_may_be_under_way(tmp_path: Path) -> None:
    """A request that follows does not wait for the batch before it."""

    async def run(server: FakeBatches) -> list[Reply]:
        backend = backend_of(server.url, tmp_path)
        first = asyncio.gather(*map(backend.complete, asks(3)))
        while not server.waiting():
            await asyncio.sleep(0.01)
        second = asyncio.create_task(backend.complete(ask(9)))
        while len(server.waiting()) < 2:
            await asyncio.sleep(0.01)
        server.polls = 0
        replies = [*await first, await second]
        await backend.close()
        return replies

    with FakeBatches(polls=10**9) as server:
        assert texts(asyncio.run(run(server))) == expected([*asks(3), ask(9)])


def test_busy_loop_does_not_cut_a_stage_in_two(tmp_path: Path) -> None:
    """Callers had no turn in which to send a request, so time in which the event loop was busy is not quiet."""

    async def run(url: str) -> None:
        backend = backend_of(url, tmp_path)
        tasks = []
        for number in range(4):
            tasks.append(asyncio.create_task(backend.complete(ask(number))))
            for _ in range(QUIET_TURNS // 2):
                await asyncio.sleep(0)
                time.sleep(2 * FAST.quiet_s / QUIET_TURNS)  # blocks the loop, twice as long as the turn of a quiet one
        await asyncio.gather(*tasks)
        await backend.close()

    with FakeBatches() as server:
        asyncio.run(run(server.url))
    assert [len(batch.lines) for batch in server.batches] == [4]


@pytest.mark.parametrize(
    ("limits", "sizes"),
    [
        (BatchLimits(max_requests=4), [4, 4, 2]),
        (BatchLimits(max_bytes=1200), [4, 4, 2]),
        (BatchLimits(max_bytes=10), [1] * 10),
    ],
    ids=str,
)
def test_batches_keep_to_the_bounds(tmp_path: Path, limits: BatchLimits, sizes: list[int]) -> None:
    """Too many requests or bytes become several batches."""
    with FakeBatches() as server:
        assert texts(answers(server.url, tmp_path, asks(10), limits=limits)) == expected(asks(10))
    assert sorted((len(batch.lines) for batch in server.batches), reverse=True) == sizes
    assert server.repeated() == {}


def test_equal_requests_share_a_line(tmp_path: Path) -> None:
    """A cancelled caller does not cancel the other."""

    async def run(url: str) -> Reply:
        backend = backend_of(url, tmp_path)
        one, other = (asyncio.create_task(backend.complete(ask(1))) for _ in range(2))
        await asyncio.sleep(0)
        one.cancel()
        reply = await other
        assert one.cancelled()
        await backend.close()
        return reply

    with FakeBatches() as server:
        assert asyncio.run(run(server.url)).candidates[0].text == expected([ask(1)])[0]
    assert [len(batch.lines) for batch in server.batches] == [1]


def test_prefill_is_refused(tmp_path: Path) -> None:
    """Chat completions cannot continue an assistant's turn, so nothing is sent."""
    with FakeBatches() as server:
        refused(
            server.url, tmp_path, [ask(1, prefill="Dear")], RequestError, "^backend batch: a prefill was requested, but"
        )
    assert server.calls == []


def test_closing_cancels_no_batch(tmp_path: Path) -> None:
    """Batches go on at the server, and the next run gets their results."""

    async def run(server: FakeBatches) -> None:
        backend = backend_of(server.url, tmp_path)
        waiting = asyncio.create_task(backend.complete(ask(1)))
        while not server.waiting():
            await asyncio.sleep(0.01)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        await backend.close()

    with FakeBatches(polls=10**9) as server:
        asyncio.run(run(server))
        assert len(server.waiting()) == 1
        server.polls = 0
        assert texts(answers(server.url, tmp_path, [ask(1)])) == expected([ask(1)])
    assert server.repeated() == {}


# Parameters that a server refuses


@pytest.mark.parametrize(
    "fault", [Fault("ignore_n"), Fault("status", times=1, status=400, body=error_body("no", param="n"))]
)
def test_missing_candidates_are_drawn_with_further_seeds(tmp_path: Path, fault: Fault) -> None:
    """Each is a request in the next batch, and is paid for once."""
    with FakeBatches(faults=[fault]) as server:
        (reply,) = answers(server.url, tmp_path, [ask(2**31 - 1, candidates=3)])
        again = answers(server.url, tmp_path, [ask(2**31 - 1, candidates=3)])
    lines = [line["body"] for batch in server.batches for line in batch.lines]
    assert lines[0]["n"] == 3
    assert [body["seed"] for body in lines[-3:]] == [2**31 - 1, 0, 1]
    assert again == [reply] and len(reply.candidates) == 3 and reply.prompt_tokens == 3 * 4


def test_candidates_come_from_one_line(tmp_path: Path) -> None:
    """A server that accepts `n` gets one line."""
    with FakeBatches() as server:
        (reply,) = answers(server.url, tmp_path, [ask(1, candidates=3)])
    assert len({candidate.text for candidate in reply.candidates}) == 3
    assert len(server.batches) == 1


@pytest.mark.parametrize(
    ("formats", "kinds"),
    [
        (("json_schema",), ["json_schema", "json_object"]),
        (("json_schema", "json_object"), ["json_schema", "json_object", None]),
    ],
)
def test_refused_schema_moves_into_the_prompt(
    tmp_path: Path, formats: tuple[str, ...], kinds: list[str | None]
) -> None:
    """All refused lines go into the next batch; a later process reads the same replies."""
    with FakeBatches(faults=[Fault("refuse_format", formats=formats)]) as server:
        first = answers(server.url, tmp_path, asks(3, schema=SCHEMA))
        batches = len(server.batches)
        assert answers(server.url, tmp_path, asks(3, schema=SCHEMA)) == first
        assert len(server.batches) == batches
    sent = [
        [(line["body"].get("response_format") or {}).get("type") for line in batch.lines] for batch in server.batches
    ]
    assert sent == [[kind] * 3 for kind in kinds]
    assert json.dumps(SCHEMA) in server.batches[-1].lines[0]["body"]["messages"][0]["content"]
    assert all(18 <= json.loads(text)["age"] <= 20 for text in texts(first))


def test_max_completion_tokens_only_on_demand(tmp_path: Path) -> None:
    """The newer name of the limit is used after the 400 that asks for it."""
    message = "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."
    with FakeBatches(
        faults=[Fault("status", times=2, status=400, body=error_body(message, param="max_tokens"))]
    ) as server:
        answers(server.url, tmp_path, asks(2))
    assert [batch.lines[0]["body"].get("max_completion_tokens") for batch in server.batches] == [None, 100]


# Lines that fail


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (
            Fault("status", seed=2, status=400, body=error_body("max context is 4096")),
            r"request \(400\): 'max context is 4096'$",
        ),
        (Fault("content_filter", seed=2), r"v1: the content filter stopped the reply"),
        (Fault("empty_content", seed=2), r"v1: the reply has no content \(finish_reason stop\)$"),
        (Fault("status", seed=2, status=200, body="OK"), r"v1: the reply is no JSON object: got 'OK', expected a"),
    ],
)
def test_refused_line_costs_one_request(tmp_path: Path, fault: Fault, message: str) -> None:
    """The others have their replies; a later process gets the same outcomes and pays nothing."""
    with FakeBatches(faults=[fault]) as server:
        for _ in range(2):
            one, two, three = outcomes(server.url, tmp_path, asks(3))
            assert isinstance(one, Reply) and isinstance(three, Reply)
            problem = two.problem if isinstance(two, Reply) else str(two)
            assert problem is not None and re.search(message, problem)
            assert isinstance(two, Reply | RequestError)
    assert len(server.batches) == 1


@pytest.mark.parametrize("status", [429, 500, 503])
def test_line_that_failed_for_now_is_retried(tmp_path: Path, status: int) -> None:
    """It alone goes into the next batch."""
    with FakeBatches(faults=[Fault("status", seed=2, times=3, status=status)]) as server:
        assert texts(answers(server.url, tmp_path, asks(3))) == expected(asks(3))
    assert [len(batch.lines) for batch in server.batches] == [3, 1, 1, 1]
    assert [batch.lines[0]["body"]["seed"] for batch in server.batches[1:]] == [2, 2, 2]


def test_line_that_always_fails_is_given_up(tmp_path: Path) -> None:
    """After three further batches; a later run has three of its own."""
    with FakeBatches(faults=[Fault("status", status=429, times=7, body=error_body("slow down"))]) as server:
        message = r"v1 limits the rate \(429\): 'slow down', also in 3 further batches$"
        refused(server.url, tmp_path, [ask(1)], RequestError, message)
        assert len(server.batches) == 4
        assert texts(answers(server.url, tmp_path, [ask(1)])) == expected([ask(1)])
        assert len(server.batches) == 8


@pytest.mark.parametrize("listed", [True, False])
@pytest.mark.parametrize("status", ["expired", "cancelled"])
def test_rest_of_a_batch_that_ended_early_is_sent_again(tmp_path: Path, status: str, listed: bool) -> None:
    """Answered lines are used, whether or not the server lists the others."""
    with FakeBatches(fates={1: Fate(status, done=0.5, listed=listed)}) as server:
        assert texts(answers(server.url, tmp_path, asks(6))) == expected(asks(6))
    assert [len(batch.lines) for batch in server.batches] == [6, 3]
    assert server.batches[1].keys == server.batches[0].keys[3:]


def test_batches_that_always_expire_are_given_up(tmp_path: Path) -> None:
    """After three further batches without an answer."""
    with FakeBatches(fates={number: Fate("expired", done=0.0) for number in range(1, 5)}) as server:
        message = r"v1: the batch ended before this request had its turn, also in 3 further batches$"
        refused(server.url, tmp_path, asks(2), RequestError, message)
    assert len(server.batches) == 4


def test_no_request_is_sent_after_an_error_of_the_account(tmp_path: Path) -> None:
    """Later requests get the same error at once."""

    async def run(url: str) -> None:
        backend = backend_of(url, tmp_path)
        for number in (1, 2):
            with pytest.raises(BackendError, match=r"refused the key \(401\)"):
                await backend.complete(ask(number))
        await backend.close()

    with FakeBatches(faults=[Fault("status", status=401)]) as server:
        asyncio.run(run(server.url))
    assert len(server.batches) == 1


# Batches that fail


@pytest.mark.parametrize(
    ("errors", "message"),
    [
        (
            [
                {"code": "invalid_json_line", "message": f"Not\nparsed {KEY}", "line": 4},
                {"code": "other", "message": "x"},
            ],
            r"v1 refused batch batch_1 in line 4: 'invalid_json_line: Not\\nparsed \*\*\*'; put that right and run the",
        ),
        ([], r"v1 refused batch batch_1: 'no reason given'; put that right and run the same command to go on$"),
    ],
)
def test_refused_batch_ends_the_run(tmp_path: Path, errors: list[dict[str, Any]], message: str) -> None:
    """It costs nothing, so the next run creates it again."""
    with FakeBatches(fates={1: Fate("failed", errors)}) as server:
        refused(server.url, tmp_path, asks(3), BackendError, message)
        assert list(tmp_path.joinpath("batches").iterdir()) == []
        assert texts(answers(server.url, tmp_path, asks(3))) == expected(asks(3))
    assert server.repeated() == {}


def test_batch_waits_for_room_in_the_queue(tmp_path: Path) -> None:
    """A batch that finds no room beside another one of this run is created again, from the same file."""
    with FakeBatches(polls=8) as server:
        server.room = 5
        limits = BatchLimits(max_requests=4)
        assert texts(answers(server.url, tmp_path, asks(8), limits=limits)) == expected(asks(8))
    assert server.repeated() == {} and len(server.uploads) == 2
    assert [len(batch.lines) for batch in server.batches if batch.fate is None] == [4, 4]
    assert len([batch for batch in server.batches if batch.fate is FULL]) >= 1


def test_batch_waits_for_room_at_its_creation(tmp_path: Path) -> None:
    """As before, with an error of the creation itself."""
    body = error_body("Enqueued token limit reached", code="token_limit_exceeded")
    with FakeBatches(trouble=[Trouble("create", "status", nth=n, status=400, body=body) for n in (1, 2)]) as server:
        assert texts(answers(server.url, tmp_path, [ask(1)])) == expected([ask(1)])
    assert len(server.uploads) == 1


def test_batch_too_large_for_the_queue_is_split(tmp_path: Path) -> None:
    """Without other batches of this run, waiting would not help: halves do, and no request is dropped."""
    with FakeBatches() as server:
        server.room = 3
        assert texts(answers(server.url, tmp_path, asks(10))) == expected(asks(10))
    assert server.repeated() == {}
    assert max(len(batch.lines) for batch in server.batches if batch.fate is None) <= 3
