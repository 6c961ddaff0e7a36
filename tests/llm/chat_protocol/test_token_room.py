"""Limits on completion tokens that grow with thoughts and shrink at the demand of a server."""

import pytest

from personagen.builder.llm.chat_protocol.token_room import ROOM_STEPS, TokenRoom
from personagen.builder.llm.requests import Candidate, Message, Reply, Request, Sampling


def request_of(max_tokens: int = 300, *, schema: bool = False) -> Request:
    """Build a request with a limit."""
    return Request((Message("user", "Go."),), Sampling(max_tokens), seed=1, schema={} if schema else None)


def test_the_limit_is_that_of_the_recipe_until_a_reply_is_cut() -> None:
    """A reply that was cut before its content raises the limit by one step; other kinds of requests follow."""
    room, text, prose = TokenRoom(), request_of(), request_of(100, schema=True)
    assert room.limit(text) == 300
    limits = [300]
    for _ in range(len(ROOM_STEPS) + 1):
        room.record_reply(text, Reply((), 9, 9, problem="no content", cut_at=limits[-1]))
        limits.append(room.limit(text))
    assert limits == [300, *(300 + step for step in ROOM_STEPS), 300 + ROOM_STEPS[-1]]
    assert room.limit(prose) == 100 + ROOM_STEPS[-1]


def test_replies_cut_at_the_same_limit_raise_it_once() -> None:
    """Requests in flight together are cut together."""
    room, text = TokenRoom(), request_of()
    for _ in range(8):
        room.record_reply(text, Reply((), 9, 9, problem="no content", cut_at=300))
    assert room.limit(text) == 300 + ROOM_STEPS[0]


def test_reported_thoughts_get_twice_their_room() -> None:
    """The count is over all candidates."""
    room, text = TokenRoom(), request_of()
    room.record_reply(text, Reply((Candidate("Fine.", "stop"),) * 2, 9, 1010, thought_tokens=1000))
    assert room.limit(text) == 300 + 2 * 500


def test_thinking_tokens_are_room_from_the_start() -> None:
    assert TokenRoom(2000).limit(request_of()) == 2300


@pytest.mark.parametrize(
    ("answer", "limit", "later"),
    [
        ("max_tokens is too large: 5000. This model supports at most 4096 completion tokens", 4096, 4096),
        ("Range of max_tokens should be [1, 2048], the value is too large", 2048, 2048),
        ("maximum context length is 4,096 tokens, you requested 300 in the messages and 5000", 4096, 5000),
        ("Invalid 'max_output_tokens': below the minimum. Expected a value >= 5200 tokens", None, 5000),
        ("max_tokens is not supported", None, 5000),
        ("temperature must be at most 1", None, 5000),
    ],
)
def test_a_refused_limit_is_replaced_by_the_one_that_the_server_names(
    answer: str, limit: int | None, later: int
) -> None:
    """A limit that depends on the prompt holds for that request only."""
    room, text = TokenRoom(), request_of(5000)
    assert room.refused_limit(5000, answer) == limit
    assert room.limit(text) == later


def test_a_limit_below_the_minimum_is_raised() -> None:
    """A judge asks for a single token, which some servers refuse."""
    answer = (
        "Invalid 'max_output_tokens': integer below minimum value. Expected a value >= 16, but got 1 tokens instead."
    )
    assert TokenRoom().refused_limit(1, answer) == 16
