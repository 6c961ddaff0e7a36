"""The openai backend against a server on loopback."""

import asyncio
import contextlib
import re
import socket
from typing import Any

import pytest

from personagen.builder.core.errors import BackendError, RequestError, TransientError
from personagen.builder.llm.backends.openai_chat import ChatTimeouts, connect_openai
from personagen.builder.llm.budget import token_upper_bound
from personagen.builder.llm.requests import Sampling
from tests.helpers.asking import KEY, answer, answers, ask, reply_of
from tests.helpers.servers.fake_openai import FakeOpenAI, Fault, contents


def test_plain_request_sends_only_what_is_set() -> None:
    """A parameter that is None is absent, so the server's default applies."""
    with FakeOpenAI() as server:
        reply = answer(server.url, ask())
    body = server.requests[0]
    assert body == {
        "model": "fake-1",
        "messages": [{"role": "system", "content": "You write."}, {"role": "user", "content": "Say something."}],
        "max_tokens": 100,
        "seed": 7,
        "stream": False,
    }
    (candidate,) = reply.candidates
    assert candidate.text == contents(body)[0]
    assert (candidate.finish, candidate.mean_logprob) == ("stop", None)
    assert (reply.prompt_tokens, reply.completion_tokens) == (4, len(candidate.text.split()))


def test_every_sampling_parameter_reaches_the_server() -> None:
    """Those outside the OpenAI API are top-level fields of the body as well."""
    sampling = Sampling(max_tokens=9, temperature=0.0, top_p=0.9, min_p=0.05, repetition_penalty=1.1)
    with FakeOpenAI() as server:
        answer(server.url, ask(sampling=sampling, stop=("\n", "END")))
    sent = {name: value for name, value in server.requests[0].items() if name not in ("messages", "model", "seed")}
    assert sent == {
        "max_tokens": 9,
        "temperature": 0.0,
        "top_p": 0.9,
        "min_p": 0.05,
        "repetition_penalty": 1.1,
        "stop": ["\n", "END"],
        "stream": False,
    }


def test_candidates_come_from_one_call() -> None:
    """A server that accepts `n` gets one call."""
    with FakeOpenAI() as server:
        reply = answer(server.url, ask(candidates=3))
    assert [body.get("n") for body in server.requests] == [3]
    assert len({candidate.text for candidate in reply.candidates}) == 3


@pytest.mark.parametrize(
    "fault",
    [
        Fault("ignore_n"),
        Fault("status", nth=1, status=400, body={"error": {"message": "'n' must be at most 1", "param": "n"}}),
    ],
    ids=["ignored", "refused"],
)
def test_candidates_without_n_are_drawn_with_further_seeds(fault: Fault) -> None:
    """Candidate i gets seed + i, kept below 2**31, and tokens are summed."""
    with FakeOpenAI(faults=[fault]) as server:
        reply = answer(server.url, ask(candidates=3, seed=2**31 - 1))
    assert [body["seed"] for body in server.requests[-3:]] == [2**31 - 1, 0, 1]
    assert len({candidate.text for candidate in reply.candidates}) == 3
    assert reply.prompt_tokens == 3 * 4


def test_text_cut_at_max_tokens_has_finish_length() -> None:
    with FakeOpenAI(faults=[Fault("length")]) as server:
        assert answer(server.url, ask()).candidates[0].finish == "length"


def test_huge_reply_is_not_read_to_its_end() -> None:
    """No requested text has 30 MB."""
    message = r"v1: the reply is larger than 8 MB, expected a chat completion; check that --base-url points to an"
    fault = Fault("status", status=200, body=reply_of("word " * 6_000_000))
    with FakeOpenAI(faults=[fault]) as server, pytest.raises(RequestError, match=message):
        answer(server.url, ask())


def test_server_that_accepts_no_connection_is_unreachable_within_seconds() -> None:
    """A machine that is off answers nothing, not even a refusal."""
    assert ChatTimeouts().connect_s < 10
    with socket.create_server(("127.0.0.1", 0), backlog=0) as deaf, contextlib.ExitStack() as held:
        for _ in range(4):  # so many fill its queue, and the next get no answer
            client = held.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(deaf.getsockname())
        with pytest.raises(TransientError, match=r"^cannot reach http://127\.0\.0\.1:\d+/v1: .*; check") as caught:
            answer(f"http://127.0.0.1:{deaf.getsockname()[1]}/v1", ask(), timeouts=ChatTimeouts(connect_s=0.2))
    assert caught.value.unreachable


def test_max_completion_tokens_only_on_demand() -> None:
    """The newer name of the limit is used after the 400 that asks for it."""
    message = "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."
    fault = Fault("status", nth=1, status=400, body={"error": {"message": message, "param": "max_tokens"}})
    with FakeOpenAI(faults=[fault]) as server:
        answers(server.url, [ask("One."), ask("Two.")], concurrency=1)
    assert [body.get("max_tokens") for body in server.requests] == [100, None, None]
    assert [body.get("max_completion_tokens") for body in server.requests] == [None, 100, 100]


@pytest.mark.parametrize(
    ("status", "headers", "overload", "wait"),
    [
        (429, {"Retry-After": "7"}, True, 7.0),
        (429, {"Retry-After": "1.5", "Retry-After-Ms": "20"}, True, 0.02),
        (503, {}, True, None),
        (529, {"Retry-After": "soon"}, True, None),
        (500, {}, False, None),
        (502, {"Retry-After": "inf"}, False, None),
        (408, {}, False, None),
        (409, {"Retry-After": "-5"}, False, None),
        (429, {"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}, True, 0.0),
    ],
)
def test_transient_errors_state_overload_and_wait(
    status: int, headers: dict[str, str], overload: bool, wait: float | None
) -> None:
    """The backend never retries: its caller learns whether the server is overloaded and how long to wait."""
    with (
        FakeOpenAI(faults=[Fault("status", status=status, headers=headers)]) as server,
        pytest.raises(TransientError) as caught,
    ):
        answer(server.url, ask())
    assert (caught.value.overload, caught.value.unreachable, caught.value.wait) == (overload, False, wait)
    assert len(server.requests) == 1


def test_prefill_is_refused() -> None:
    """Chat completions cannot continue an assistant's turn, so nothing is sent."""
    with FakeOpenAI() as server, pytest.raises(RequestError, match="backend openai: a prefill was requested, but"):
        answer(server.url, ask(prefill="Dear"))
    assert server.requests == []


def error_body(message: str, **more: str) -> dict[str, Any]:
    """Build the body of an OpenAI error."""
    return {"error": {"message": message, **more}}


STATUS_CASES = [
    (400, error_body("max context is 4096"), RequestError, r"refused the request \(400\): 'max context is 4096'$"),
    (422, error_body("bad \x1b[31m field"), RequestError, r"refused the request \(422\): 'bad \\x1b\[31m field'$"),
    (401, error_body(f"Incorrect API key: {KEY}"), BackendError, r"refused the key \(401\); check .* OPENAI_API_KEY$"),
    (
        403,
        error_body(f"not for {KEY}"),
        RequestError,
        r"denied access \(403\): 'not for \*\*\*'; .* OPENAI_API_KEY may do$",
    ),
    (
        404,
        error_body("no such model"),
        BackendError,
        r"v1 has no model 'fake-1' \(404\): 'no such model'; check --model and",
    ),
    (402, error_body("pay first"), BackendError, r"no credit left for this key \(402\): 'pay first'; top up"),
    (
        429,
        error_body("none left", code="insufficient_quota"),
        BackendError,
        r"no credit left for this key \(402\): 'none left'",
    ),
    (429, error_body("slow down"), TransientError, r"v1 limits the rate \(429\): 'slow down'$"),
    (500, error_body("boom"), TransientError, r"v1 failed \(server error 500\): 'boom'$"),
    (408, error_body("late"), TransientError, r"v1 failed \(status 408\): 'late'$"),
    (
        502,
        "<html>\nBad gateway</html>",
        TransientError,
        r"error 502\): '<html>\\nBad gateway</html>'$",
    ),
    (400, error_body("a" * 150 + KEY), RequestError, r"\(400\): 'a{150}\*\*\*'$"),
]


@pytest.mark.parametrize(("status", "body", "kind", "message"), STATUS_CASES)
def test_status_errors_are_one_clear_line(
    status: int, body: dict[str, Any] | str, kind: type[Exception], message: str
) -> None:
    """The class of the error states whether other requests may succeed; the message never shows the key."""
    fault = Fault("status", status=status, body=body)
    with FakeOpenAI(faults=[fault]) as server, pytest.raises(kind, match=message) as caught:
        answer(server.url, ask())
    text = str(caught.value)
    assert text.startswith(server.url)
    assert "\n" not in text
    assert KEY[:10] not in text
    assert caught.value.__cause__ is None


REPLY_CASES = [
    ([Fault("html")], BackendError, r"answered with a web page, not with JSON: got '<!DOCTYPE html>\\n.*\(it usually"),
    ([Fault("empty_choices")], RequestError, r"the reply has empty choices: got .*, expected a chat completion; check"),
    ([Fault("status", status=200, body="OK")], RequestError, r"the reply is no JSON object: got 'OK', expected a c"),
    ([Fault("status", status=200, body="[1]")], RequestError, r"the reply is no JSON object: got '\[1\]', expected a"),
    ([Fault("status", status=200, body=error_body("x" * 99))], RequestError, r"refused the request \(400\): 'x{99}'$"),
    ([Fault("status", status=200, body={"id": "x" * 99})], RequestError, r"no list of choices: got '.{80}\.\.\.', exp"),
    ([Fault("status", status=200, body={"choices": [{}]})], RequestError, r"a choice without a message: got '{}', "),
]


@pytest.mark.parametrize(("faults", "kind", "message"), REPLY_CASES)
def test_unusable_replies_are_one_clear_line(faults: list[Fault], kind: type[Exception], message: str) -> None:
    """The message quotes the reply and names what was expected."""
    with FakeOpenAI(faults=faults) as server, pytest.raises(kind, match=message) as caught:
        answer(server.url, ask())
    assert str(caught.value).startswith(server.url)
    assert "\n" not in str(caught.value)


REFUSED = {"choices": [{"message": {"content": None, "refusal": "No."}}], "usage": {"prompt_tokens": 4}}
PAID_CASES = [
    ([Fault("empty_content")], r"the reply has no content \(finish_reason stop\)$"),
    ([Fault("empty_content"), Fault("length")], r"\(finish_reason length\); max_tokens 100 may be too small$"),
    ([Fault("content_filter")], r"the content filter stopped the reply \(finish_reason content_filter\)$"),
    ([Fault("status", status=200, body=REFUSED)], r"the model refused: 'No.'$"),
]


@pytest.mark.parametrize(("faults", "message"), PAID_CASES)
@pytest.mark.parametrize(
    "changes", [{}, {"candidates": 3}, {"schema": {"type": "object"}}], ids=["", "three", "schema"]
)
def test_unusable_completion_is_a_reply_with_a_problem(
    faults: list[Fault], message: str, changes: dict[str, Any]
) -> None:
    """Its tokens count, its problem is one line, and no further call is made."""
    with FakeOpenAI(faults=[*faults, Fault("ignore_n")]) as server:
        reply = answer(server.url, ask(**changes))
        assert len(server.requests) == 1
    assert (reply.candidates, reply.prompt_tokens > 0) == ((), True)
    assert reply.problem is not None and reply.problem.startswith(server.url) and "\n" not in reply.problem
    assert re.search(message, reply.problem)


def test_reply_without_usage_is_an_estimate_from_above() -> None:
    """Some servers count no tokens; names of a natural end differ."""
    body = {"choices": [{"message": {"content": "Fine."}, "finish_reason": "eos"}]}
    with FakeOpenAI(faults=[Fault("status", status=200, body=body)]) as server:
        reply = answer(server.url, ask())
    assert reply.estimated and reply.candidates[0].finish == "stop"
    assert (reply.prompt_tokens, reply.completion_tokens) == (token_upper_bound(ask()).prompt, 9)


def test_broken_connection_costs_one_request() -> None:
    """The server was reached, so another request may succeed."""
    message = "v1: the connection broke: [\"']ClientPayloadError: "
    with FakeOpenAI(faults=[Fault("cut")]) as server, pytest.raises(TransientError, match=message) as caught:
        answer(server.url, ask())
    assert (caught.value.overload, caught.value.unreachable, len(server.requests)) == (False, False, 1)


def test_late_reply_costs_one_request() -> None:
    """A reply that never comes is given up."""
    message = r"v1: no reply within 0\.05 s$"
    with (
        FakeOpenAI(faults=[Fault("hang")]) as server,
        pytest.raises(TransientError, match=message) as late,
    ):
        answer(server.url, ask(), timeouts=ChatTimeouts(total_s=0.05))
    assert late.value.overload


def test_unreachable_server_ends_the_run() -> None:
    """The message names the URL."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    message = rf"^cannot reach http://127\.0\.0\.1:{port}/v1: \SClientConnectorError: .*; check --base-url and that"
    with pytest.raises(TransientError, match=message) as caught:
        answer(f"http://127.0.0.1:{port}/v1", ask())
    assert caught.value.unreachable


@pytest.mark.parametrize(
    ("base_url", "api_key", "message"),
    [
        (None, None, "no API key; set the environment variable OPENAI_API_KEY, or name a server of your own with"),
        (None, " \n", "no API key; set the environment variable OPENAI_API_KEY"),
        (None, "sk-\u2013", "OPENAI_API_KEY has characters that no key can have; set it again$"),
        (
            "http://me:secret@127.0.0.1:1/v1",
            None,
            "--base-url: holds a user or password; leave them out and set OPENAI_API_KEY$",
        ),
        ("localhost:8000", None, "--base-url: got 'localhost:8000', wanted a URL; write http://localhost:8000$"),
    ],
)
def test_wrong_settings_are_refused_before_any_call(base_url: str | None, api_key: str | None, message: str) -> None:
    """Wrong settings are errors of the constructor."""
    with pytest.raises(BackendError, match=f"^backend openai: {message}"):
        connect_openai(model="m", base_url=base_url, api_key=api_key, concurrency=1)


def test_local_server_needs_no_key() -> None:
    """A placeholder is sent, which is no secret to cut out of messages."""
    fault = Fault("status", status=400, body=error_body("none of it"))
    with FakeOpenAI(faults=[fault]) as server, pytest.raises(RequestError, match="'none of it'"):
        answer(server.url, ask(), api_key=None)


def test_identity() -> None:
    """A server states neither the revision nor the licence of the weights."""

    async def run() -> None:
        backend = connect_openai(model="gpt-x", base_url=None, api_key=KEY, concurrency=1)
        assert (backend.name, backend.model, backend.revision, backend.licence) == ("openai", "gpt-x", None, None)
        assert KEY not in repr(backend)
        await backend.close()

    asyncio.run(run())
