"""The first requests of a batch run, and whose fault a refused line is."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from personagen.builder.core.errors import BackendError, RequestError
from personagen.builder.llm.backends.batch_states import MAX_PILOT_REQUESTS, Pilot
from personagen.builder.llm.requests import Reply
from tests.helpers.asking import reply_of
from tests.helpers.batches import FATAL, answers, asks, error_body, expected, outcomes, texts
from tests.helpers.servers.fake_batches import FakeBatches
from tests.helpers.servers.fake_openai import Fault


def test_the_first_request_goes_alone_and_the_others_follow_its_answer(tmp_path: Path) -> None:
    """A batch of thousands must not be refused for a parameter."""
    with FakeBatches() as server:
        assert texts(answers(server.url, tmp_path, asks(9), first_requests=1)) == expected(asks(9))
    assert [len(batch.lines) for batch in server.batches] == [1, 8]


def test_a_refused_part_costs_one_line(tmp_path: Path) -> None:
    """A later process of the same run reads the same replies, with what was left out of their requests."""
    fault = Fault("status", times=1, status=400, body=error_body("no", param="seed"))
    with FakeBatches(faults=[fault]) as server:
        first = answers(server.url, tmp_path, asks(9), first_requests=1)
        assert [len(batch.lines) for batch in server.batches] == [1, 1, 8]
        assert answers(server.url, tmp_path, asks(9), first_requests=1) == first
    assert [reply.left_out for reply in first] == [("seed",)] * 9
    assert "seed" not in server.batches[-1].lines[0]["body"]


def test_a_later_process_knows_dialect_and_room_of_an_earlier_one(tmp_path: Path) -> None:
    """Its first request was answered by the earlier one, whose batch shows what was sent."""

    def answer(body: Mapping[str, Any]) -> tuple[int, Any]:
        if "seed" in body:
            return 400, error_body("no", param="seed")
        if body["max_tokens"] < 1000:
            choice = {"message": {"content": None, "reasoning_content": "Hm."}, "finish_reason": "length"}
            return 200, {"choices": [choice], "usage": {"prompt_tokens": 5, "completion_tokens": body["max_tokens"]}}
        return 200, reply_of("The bus was late.")

    with FakeBatches(answer=answer) as server:
        answers(server.url, tmp_path, asks(1), first_requests=1)
        assert [len(batch.lines) for batch in server.batches] == [1, 1, 1]
        replies = answers(server.url, tmp_path, asks(9), first_requests=1)
    assert [reply.left_out for reply in replies] == [("seed",)] * 9
    assert [len(batch.lines) for batch in server.batches] == [1, 1, 1, 8]


def test_the_pilot_doubles_with_each_request_that_comes_to_nothing() -> None:
    """A hopeless run must end after a few batches."""
    pilot = Pilot(lambda key: False, 1)
    waiting = {f"{number}" for number in range(40)}
    sent = {key for key in sorted(waiting) if pilot.admit(key)}
    sizes = []
    for _ in range(5):
        sizes.append(len(sent))
        waiting -= sent
        sent = {following for key in sorted(sent) for following in pilot.end(key)}
    assert sizes == [1, 2, 4, MAX_PILOT_REQUESTS, MAX_PILOT_REQUESTS]


def test_all_that_wait_are_sent_once_the_server_has_accepted_one() -> None:
    known: set[str] = set()
    pilot = Pilot(lambda key: bool(known), 1)
    assert [pilot.admit(key) for key in "abc"] == [True, False, False]
    known.add("a")
    assert pilot.end("a") == ["b", "c"]


@pytest.mark.parametrize(("status", "body", "message"), [case for case in FATAL if case[0] != 403])
def test_lines_with_an_error_of_the_account_end_the_run(
    tmp_path: Path, status: int, body: dict[str, Any], message: str
) -> None:
    """The next run sends them again, since the cause may be gone."""
    with FakeBatches(faults=[Fault("status", times=2, status=status, body=body)]) as server:
        for result in outcomes(server.url, tmp_path, asks(2)):
            with pytest.raises(BackendError, match=message):
                raise result if isinstance(result, BaseException) else AssertionError(result)
        assert texts(answers(server.url, tmp_path, asks(2))) == expected(asks(2))
    assert [len(batch.lines) for batch in server.batches] == [2, 2]


def test_a_line_with_an_error_of_the_account_among_answered_ones_is_refused(tmp_path: Path) -> None:
    """A gateway refuses single prompts with such a status."""
    with FakeBatches(faults=[Fault("status", seed=2, status=403, body=error_body("flagged"))]) as server:
        one, two, three = outcomes(server.url, tmp_path, asks(3))
    assert isinstance(one, Reply) and isinstance(three, Reply)
    with pytest.raises(RequestError, match=r"refused the request \(403\): 'flagged'$"):
        raise two if isinstance(two, BaseException) else AssertionError(two)
