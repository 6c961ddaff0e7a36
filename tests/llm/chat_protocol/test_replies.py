"""Replies from bodies: candidates with their problems, ends, tokens, limits, and the model that answered."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personagen.builder.core.errors import BackendError, RequestError, TransientError
from personagen.builder.llm.chat_protocol.endpoint import Endpoint
from personagen.builder.llm.chat_protocol.replies import MAX_NAME_CHARS, merge_replies, parse_reply
from personagen.builder.llm.chat_protocol.request_body import missing_candidates
from personagen.builder.llm.requests import Candidate, Message, Reply, Request, Sampling

ENDPOINT = Endpoint("http://127.0.0.1:1/v1", "m", secrets=("sk-secret-0123",))
LIMIT = 300
REQUEST = Request((Message("user", "Say something."),), Sampling(LIMIT), seed=7, candidates=2)
TEXT = "The clerk counted the boxes in the cellar."
THOUGHT = "First I look at who writes."


def choice(content: Any = TEXT, finish: Any = "stop", index: int = 0, **more: Any) -> dict[str, Any]:
    return {"index": index, "message": {"role": "assistant", "content": content} | more, "finish_reason": finish}


def body_of(*choices: Any, usage: Any = None, **more: Any) -> bytes:
    return json.dumps({"model": "m", "choices": list(choices), "usage": usage} | more).encode()


def parsed(*choices: Any, **more: Any) -> Reply:
    return parse_reply(body_of(*choices, **more), REQUEST, ENDPOINT, limit=LIMIT)


@pytest.mark.parametrize(
    ("finish", "expected"),
    [("stop", "stop"), ("eos_token", "stop"), ("length", "length"), (None, "length"), ("banana", "length")],
)
def test_only_a_known_end_is_natural(finish: Any, expected: str) -> None:
    assert parsed(choice(finish=finish)).candidates == (Candidate(TEXT, expected),)


def test_a_text_beside_a_tool_call_is_judged_as_cut() -> None:
    assert parsed(choice(finish="tool_calls", tool_calls=[{}])).candidates == (Candidate(TEXT, "length"),)


BAD = [
    (choice("", "content_filter"), r"the content filter stopped the reply \(finish_reason content_filter\)$"),
    (choice("I", "SAFETY"), r"the content filter stopped the reply \(finish_reason SAFETY\)$"),
    ({"index": 0, "finish_reason": "content_filter"}, "the content filter stopped"),
    (choice(None), r"the reply has no content \(finish_reason stop\)$"),
    (choice("", "length"), rf"no content \(finish_reason length\); max_tokens {LIMIT} may be too small$"),
    (choice(None, reasoning_content=THOUGHT), "the reply has no content"),
    (choice(None, "tool_calls", tool_calls=[{}]), r"no content \(finish_reason tool_calls\); the model called a tool$"),
    (choice(None, refusal="I cannot."), "the model refused: 'I cannot.'$"),
    (choice([{"type": "refusal", "refusal": "No."}]), "the model refused: 'No.'$"),
    (choice("x", "MALFORMED_FUNCTION_CALL"), r"the reply is malformed \(finish_reason MALFORMED_FUNCTION_CALL\)$"),
    (choice(None, "two\nlines \x1b[31m" + "x" * 99), r"no content \(finish_reason twolines \[31mx{27}\)$"),
]
"""Choices without a usable text that were paid for, and their problems."""


@pytest.mark.parametrize(("bad", "problem"), BAD)
def test_a_bad_choice_costs_itself_only(bad: dict[str, Any], problem: str) -> None:
    """It counts as answered, so that it is not requested once more; alone it is the problem of the reply."""
    alone = parsed(bad, usage={"prompt_tokens": 9, "completion_tokens": 5})
    assert (alone.candidates, alone.prompt_tokens, alone.completion_tokens) == ((), 9, 5)
    assert alone.problem is not None and alone.problem.startswith("http://127.0.0.1:1/v1: ")
    with pytest.raises(AssertionError, match=problem):
        raise AssertionError(alone.problem)
    both = parsed(bad, choice(index=1))
    assert both.problem is None and both.candidates[1] == Candidate(TEXT, "stop")
    assert (both.candidates[0].text, both.candidates[0].problem) == ("", alone.problem)
    assert missing_candidates(REQUEST, both) == []


@pytest.mark.parametrize("bad", [None, 7, {}, {"index": 0, "finish_reason": "stop"}, {"message": "text"}])
def test_a_choice_without_a_message_costs_itself_only(bad: Any) -> None:
    candidates = parsed(bad, choice(index=1)).candidates
    assert [candidate.text for candidate in candidates] == ["", TEXT] and candidates[0].problem
    with pytest.raises(RequestError, match="the reply has a choice without a message: got '"):
        parsed(bad)


FAILED = [
    (choice("The clerk had", "error") | {"error": {"code": 502, "message": "idle timeout"}}, r"\(server error 502\)"),
    (choice("The clerk had", "abort"), r"\(server error 500\): 'the reply ended with finish_reason abort'"),
    (choice("The", "insufficient_system_resource"), r"503"),
    (choice('{"error": {"message": "Internal server error", "code": 500}}'), r"\(server error 500\): 'Internal"),
]
"""Choices that report a failure."""


@pytest.mark.parametrize(("failed", "message"), FAILED)
def test_a_failure_in_the_only_choice_is_that_of_the_call(failed: dict[str, Any], message: str) -> None:
    with pytest.raises(TransientError, match=message):
        parsed(failed)
    both = parsed(failed, choice(index=1))
    assert [candidate.text for candidate in both.candidates] == ["", TEXT]
    assert "failed (50" in (both.candidates[0].problem or "")


def test_bodies_that_are_no_completion() -> None:
    for data, kind, message in (
        (b"<!DOCTYPE html>", BackendError, "answered with a web page, not with JSON: got '<!DOCTYPE html>'; check --"),
        (b"\xef\xbb\xbf <html>", BackendError, "web page"),
        (b" \n", TransientError, "v1: the reply is empty$"),
        (b"OK", RequestError, "the reply is no JSON object: got 'OK', expected a chat completion; check that --base"),
        (b'{"choices": []}', RequestError, "the reply has empty choices: got '"),
        (b'{"choices": [], "prompt_feedback": {"block_reason": "SAFETY"}}', RequestError,
         "has empty choices: the prompt was blocked, 'SAFETY': got"),
        (b'{"response": "x", "done": true}', RequestError, "the reply has no list of choices: got '"),
        (b'{"error": {"code": 429, "message": "slow"}, "choices": null}', TransientError, r"limits the rate \(429\)"),
    ):  # fmt: skip
        with pytest.raises(kind, match=message):
            parse_reply(data, REQUEST, ENDPOINT, limit=LIMIT)


def test_choices_are_ordered_by_their_index() -> None:
    assert [c.text for c in parsed(choice("b", index=1), choice("a", index=0)).candidates] == ["a", "b"]
    assert [c.text for c in parsed(choice("b") | {"index": None}, choice("a")).candidates] == ["b", "a"]


def test_texts_of_other_shapes_are_read() -> None:
    assert parsed({"text": TEXT, "finish_reason": "stop"}).candidates == (Candidate(TEXT, "stop"),)
    assert parsed(choice([{"type": "thinking", "thinking": THOUGHT}, {"type": "text", "text": TEXT}])).candidates == (
        Candidate(TEXT, "stop"),
    )
    stream = b'data: {"choices": [{"index": 0, "delta": {"content": "a"}, "finish_reason": "stop"}]}\n\ndata: [DONE]'
    assert parse_reply(stream, REQUEST, ENDPOINT, limit=LIMIT).candidates == (Candidate("a", "stop"),)


FULL = {"prompt_tokens": 9, "completion_tokens": LIMIT}
CUTS = [
    (choice(None, "length", reasoning_content=THOUGHT), None, LIMIT),
    (choice("", "MAX_TOKENS"), None, LIMIT),
    (choice(" \n", "length"), None, LIMIT),
    (choice(f"<think>{THOUGHT}", "length"), None, LIMIT),
    (choice(f"<think>{THOUGHT}</think>\n", "length"), None, LIMIT),
    (choice(None, "stop", reasoning_content=THOUGHT), FULL, LIMIT),
    (choice(None, "stop", reasoning_content=THOUGHT), {**FULL, "completion_tokens": LIMIT - 1}, None),
    (choice(f"<think>{THOUGHT}", "stop"), None, None),
    (choice(f"<think>{THOUGHT}</think>{TEXT}", "length"), None, None),
    (choice(TEXT, "length"), FULL, None),
    (choice(None, "stop"), None, None),
]
"""Choices, usage, and the limit at which a reply without content was cut."""


@pytest.mark.parametrize(("entry", "usage", "cut_at"), CUTS)
def test_a_reply_without_content_names_the_limit_at_which_it_was_cut(
    entry: Any, usage: Any, cut_at: int | None
) -> None:
    assert parsed(entry, usage=usage).cut_at == cut_at
    assert parsed(choice(index=1), entry, usage=None).cut_at == (None if usage else cut_at)


def test_hidden_thoughts_may_fill_their_room_in_an_estimate() -> None:
    """Some servers hide both the thoughts and their number."""
    room = LIMIT + 1_000

    def tokens(*choices: Any) -> int:
        return parse_reply(body_of(*choices), REQUEST, ENDPOINT, limit=room).completion_tokens

    assert tokens(choice(TEXT)) == room
    assert tokens(choice(TEXT, reasoning_content=THOUGHT)) < 60
    assert tokens(choice(f"<think>{THOUGHT}</think>{TEXT}")) < 60


def test_thoughts_and_cut_choices_count_in_an_estimate() -> None:
    hidden = parsed(choice(None, "length"))
    assert hidden.estimated and hidden.completion_tokens == LIMIT
    apart = parsed(choice(TEXT, reasoning_content=THOUGHT * 40))
    assert apart.estimated and apart.completion_tokens >= len(THOUGHT) * 40 / 3
    details = {"completion_tokens_details": {"reasoning_tokens": 4}}
    stated = parsed(choice(), usage={"prompt_tokens": 9, "completion_tokens": 5, **details})
    assert (stated.estimated, stated.completion_tokens, stated.thought_tokens) == (False, 5, 4)


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({}, None),
        ({"model": None}, None),
        ({"model": "m", "system_fingerprint": None}, None),
        ({"model": "other"}, "other"),
        ({"model": "other", "system_fingerprint": "fp_1"}, "other (fp_1)"),
        ({"system_fingerprint": "fp_1"}, "m (fp_1)"),
        ({"model": 7, "system_fingerprint": [1]}, None),
        ({"model": "a\x1b[31m\nb sk-secret-0123"}, "a[31mb ***"),
        ({"model": "x" * 5000}, "x" * MAX_NAME_CHARS),
    ],
)
def test_the_model_that_answered_is_named_if_it_differs(fields: dict[str, Any], name: str | None) -> None:
    assert parsed(choice(), **fields).answered_by == name


def test_merged_replies_keep_what_any_of_them_says() -> None:
    bad = Candidate("", "stop", problem="v1: filtered")
    good = Candidate("a", "stop")
    first = Reply((bad,), 1, 2, estimated=True, cut_at=300)
    merged = merge_replies(
        [first, Reply((good,), 10, 20, answered_by="o", left_out=("seed", "n"), thought_tokens=7), first], 9
    )
    assert merged == Reply((bad, good, bad), 12, 24, None, True, "o", ("seed", "n"), thought_tokens=7, cut_at=300)
    unusable = merge_replies([Reply((), 1, 2, "v1: filtered"), Reply((), 3, 4, "v1: refused")], 2)
    assert unusable == Reply((), 4, 6, "v1: filtered")
    assert merge_replies([Reply((), 1, 2, "v1: filtered"), Reply((good,), 3, 4)], 2) == Reply((good,), 4, 6)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["message", "content", "finish_reason", "text", "type", "logprobs", "error", "index"]),
            inner,
        )
    ),
    max_leaves=10,
)


@given(st.lists(VALUES, max_size=3), VALUES)
def test_any_body_is_a_reply_or_an_error(choices: list[Any], usage: Any) -> None:
    data = json.dumps({"choices": choices, "usage": usage}).encode()
    try:
        reply = parse_reply(data, REQUEST, ENDPOINT, limit=LIMIT)
    except (RequestError, TransientError, BackendError) as error:
        assert "\n" not in str(error)
    else:
        assert bool(reply.candidates) == (reply.problem is None)
        assert reply.prompt_tokens > 0 and reply.completion_tokens >= 0
