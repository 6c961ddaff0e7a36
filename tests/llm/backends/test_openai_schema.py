"""JSON from the openai backend: in the strictest way that the server accepts, with one turn of repair."""

import json
import re

import pytest

from personagen.builder.llm.requests import Message, Request, Sampling
from tests.helpers.asking import answer, answers, ask, reply_of
from tests.helpers.servers.fake_openai import SCHEMA, FakeOpenAI, Fault


def test_schema_is_sent_strictly() -> None:
    """A server with structured output gets the schema in response_format and not in the prompt."""
    with FakeOpenAI() as server:
        reply = answer(server.url, ask(schema=SCHEMA))
    body = server.requests[0]
    expected = {"type": "json_schema", "json_schema": {"name": "reply", "strict": True, "schema": SCHEMA}}
    assert body["response_format"] == expected
    assert body["messages"][0]["content"] == "You write."
    assert set(json.loads(reply.candidates[0].text)) == set(SCHEMA["properties"])


@pytest.mark.parametrize(
    ("formats", "expected"),
    [
        (("json_schema",), ["json_schema", "json_object", "json_object"]),
        (("json_schema", "json_object"), ["json_schema", "json_object", None, None]),
    ],
    ids=["json_object", "prompt only"],
)
def test_refused_schema_moves_into_the_prompt_once(formats: tuple[str, ...], expected: list[str | None]) -> None:
    """A refused format is not sent again in the same run."""
    with FakeOpenAI(faults=[Fault("refuse_format", formats=formats)]) as server:
        replies = answers(server.url, [ask("One.", schema=SCHEMA), ask("Two.", schema=SCHEMA)], concurrency=1)
    assert [body.get("response_format", {}).get("type") for body in server.requests] == expected
    assert json.dumps(SCHEMA) in server.requests[-1]["messages"][0]["content"]
    assert all(18 <= json.loads(reply.candidates[0].text)["age"] <= 20 for reply in replies)


def test_a_refused_schema_costs_one_call_however_many_are_waiting() -> None:
    """The first request of its kind finds out the format, and the others wait for it."""
    with FakeOpenAI(faults=[Fault("refuse_format", formats=("json_schema",))], latency=0.05) as server:
        answers(server.url, [ask(f"Nr {number}.", schema=SCHEMA) for number in range(4)])
    kinds = [body["response_format"]["type"] for body in server.requests]
    assert kinds == ["json_schema"] + ["json_object"] * 4


SMALL = {"type": "object", "properties": {"age": {"type": "integer"}}, "required": ["age"]}
VIOLATIONS = [
    ('{"age": "ten"}', r"at \$\.age: 'ten' is not of type 'integer'"),
    ('{"years": 10}', r"at \$: 'age' is a required property"),
    ("ten", r"it holds no JSON object"),
]


@pytest.mark.parametrize(("content", "problem"), VIOLATIONS)
def test_reply_that_violates_the_schema_is_sent_back_once(content: str, problem: str) -> None:
    """If the server cannot enforce the schema; the tokens of both calls count."""
    faults = [
        Fault("refuse_format"),
        Fault("status", nth=3, status=200, body=reply_of(content)),
        Fault("status", nth=4, status=200, body=reply_of('Here: {"age": 10}')),
    ]
    with FakeOpenAI(faults=faults) as server:
        reply = answer(server.url, ask(schema=SMALL))
    assert (reply.candidates[0].text, reply.prompt_tokens, reply.completion_tokens) == ('Here: {"age": 10}', 4, 6)
    system, user, wrong, instruction = server.requests[-1]["messages"]
    assert json.dumps(SMALL) in system["content"] and user["content"] == "Say something."
    assert (wrong["role"], wrong["content"], instruction["role"]) == ("assistant", content, "user")
    assert re.search(rf"That does not satisfy the JSON schema: {problem}\. Answer again, with", instruction["content"])
    assert len(server.requests) == 4


def test_second_violation_is_the_reply() -> None:
    """There is one turn of repair; the checks of the text follow."""
    faults = [Fault("refuse_format"), Fault("not_json")]
    with FakeOpenAI(faults=faults) as server:
        answer(server.url, ask(schema=SMALL))
    assert len(server.requests) == 4


def test_reply_that_satisfies_the_schema_is_not_sent_back() -> None:
    """Nor is any reply of a server that enforces the schema."""
    with FakeOpenAI(faults=[Fault("refuse_format", formats=("json_schema",))]) as server:
        answer(server.url, ask(schema=SMALL))
    assert len(server.requests) == 2
    with FakeOpenAI(faults=[Fault("not_json")]) as server:
        answer(server.url, ask(schema=SMALL))
    assert len(server.requests) == 1


def test_schema_without_system_turn_gets_one() -> None:
    """The instruction never changes the user's turn."""
    request = Request((Message("user", "Go."),), Sampling(max_tokens=9), seed=1, schema={"type": "object"})
    with FakeOpenAI(faults=[Fault("refuse_format")]) as server:
        answer(server.url, request)
    assert [message["role"] for message in server.requests[-1]["messages"]] == ["system", "user"]
    assert server.requests[-1]["messages"][1]["content"] == "Go."
