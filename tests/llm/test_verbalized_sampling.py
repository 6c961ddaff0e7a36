"""Verbalized sampling: one request for several texts, ordered at random by their stated probabilities."""

import asyncio
import json
from collections import Counter

import pytest

from personagen.builder.llm.requests import Ask, Candidate, Message, Reply, Request, Sampling
from personagen.builder.llm.verbalized_sampling import RESPONSES, SCHEMA, verbalized

REQUEST = Request((Message("user", "Write a post."),), Sampling(max_tokens=50), seed=7)


def answering(content: str, requests: list[Request] | None = None, problem: str | None = None) -> Ask:
    async def ask(request: Request) -> Reply:
        if requests is not None:
            requests.append(request)
        return Reply((Candidate(content, "stop"),) if problem is None else (), 10, 20, problem)

    return ask


def texts(content: str, request: Request = REQUEST) -> list[str]:
    reply = asyncio.run(verbalized(answering(content))(request))
    assert (reply.prompt_tokens, reply.completion_tokens) == (10, 20), "tokens are those of the one reply"
    return [candidate.text for candidate in reply.candidates]


def listed(*pairs: tuple[str, float]) -> str:
    return json.dumps({"responses": [{"text": text, "probability": share} for text, share in pairs]})


def test_several_texts_are_requested_as_json_with_room_for_all() -> None:
    requests: list[Request] = []
    asyncio.run(verbalized(answering(listed(("a", 0.5)), requests))(REQUEST))
    (request,) = requests
    assert request.schema == SCHEMA and request.candidates == 1 and request.stop == ()
    assert request.messages[0] == REQUEST.messages[0] and f"{RESPONSES} times" in request.messages[1].content
    assert request.sampling.max_tokens >= RESPONSES * 50 and request.seed == 7


def test_all_texts_become_candidates_likely_ones_first_more_often() -> None:
    pairs = (("rare", 0.1), ("common", 0.8), ("odd", 0.1))
    first = Counter(
        texts(listed(*pairs), Request(REQUEST.messages, REQUEST.sampling, seed=seed))[0] for seed in range(400)
    )
    assert sorted(texts(listed(*pairs))) == ["common", "odd", "rare"]
    assert first["common"] / 400 == pytest.approx(0.8, abs=0.07) and first["rare"] > 10
    assert texts(listed(*pairs)) == texts(listed(*pairs)), "the seed decides"


@pytest.mark.parametrize(
    "content",
    ["", "no JSON", "{}", '{"responses": 3}', '{"responses": [{"text": 1, "probability": 0.1}]}',
     '{"responses": [{"text": "a"}]}', '{"responses": [{"text": "a", "probability": -1}]}',
     '{"responses": [{"text": "a", "probability": "high"}]}', '{"responses": [["a", 0.1]]}'],
)  # fmt: skip
def test_malformed_reply_has_no_candidates(content: str) -> None:
    assert texts(content) == []


@pytest.mark.parametrize("bad", ['{"text": 1, "probability": 0.1}', '{"text": "b"}', "null", "7", '"b"'])
def test_a_bad_response_costs_itself_only(bad: str) -> None:
    assert texts(f'{{"responses": [{{"text": "a", "probability": 0.5}}, {bad}]}}') == ["a"]


def test_a_reply_that_breaks_off_keeps_its_whole_responses() -> None:
    content = listed(("a", 0.5), ("b", 0.3), ("c", 0.2))
    assert sorted(texts(content[: content.index('"c"') + 2])) == ["a", "b"]


def test_text_of_probability_zero_is_kept() -> None:
    assert sorted(texts(listed(("a", 0.0), ("b", 0)))) == ["a", "b"]


def test_prefill_is_part_of_the_prompt_and_cut_from_the_texts() -> None:
    requests: list[Request] = []
    request = Request((), REQUEST.sampling, seed=1, prefill="I am", stop=(".",), candidates=8)
    content = listed(("I am glad", 0.5), ("You are", 0.5))
    reply = asyncio.run(verbalized(answering(content, requests))(request))
    assert sorted(candidate.text for candidate in reply.candidates) == [" glad", "You are"]
    assert "I am" in requests[0].messages[-1].content and requests[0].prefill == ""


def test_request_for_json_and_unusable_reply_pass_unchanged() -> None:
    requests: list[Request] = []
    request = Request(REQUEST.messages, REQUEST.sampling, seed=1, schema={"type": "object"})
    asyncio.run(verbalized(answering("{}", requests))(request))
    assert requests == [request]
    reply = asyncio.run(verbalized(answering("", problem="filtered"))(REQUEST))
    assert reply.problem == "filtered"
