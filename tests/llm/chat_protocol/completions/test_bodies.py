"""Bodies of replies in odd wrappings, and event streams that were not requested."""

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personagen.builder.llm.chat_protocol.completions.bodies import BROKEN, decode_body, decode_text

TEXT = "Der Postbote trug „Körbe“ zum Café 😀."
BODY: dict[str, Any] = {
    "id": "c",
    "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": TEXT}, "finish_reason": "stop"}],
}
DATA = json.dumps(BODY, ensure_ascii=False).encode()


def line(value: Any) -> bytes:
    return b"data: " + json.dumps(value).encode() + b"\n\n"


def chunk(delta: Any, finish: Any = None, index: int = 0, **more: Any) -> dict[str, Any]:
    choice = {"index": index, "delta": delta, "finish_reason": finish}
    return {"object": "chat.completion.chunk", "model": "m", "choices": [choice]} | more


DONE = b"data: [DONE]\n\n"


@pytest.mark.parametrize(
    "data",
    [
        DATA,
        b"\xef\xbb\xbf" + DATA,
        b"\n\n   \n" + DATA + b"\n\n",
        b": keep-alive\n\n: keep-alive\n\n" + DATA,
        json.dumps(BODY).encode("utf-16"),
        DATA + b"\n\n" + DONE,
        b"data: " + DATA + b"\n\n" + DONE,
        b"data:" + DATA + b"\r\n\r\ndata:[DONE]\r\n\r\n",
        b"[" + DATA + b"]",
        json.dumps(json.dumps(BODY)).encode(),
        line(chunk({"role": "assistant"})) + b"data: " + DATA + b"\n\n",
        b"\n".join(b"data: " + part for part in json.dumps(BODY, indent=1).encode().splitlines()) + b"\n\n" + DONE,
        b'{"status": "processing"}\n' + DATA,
    ],
)
def test_a_completion_is_found_in_its_wrapping(data: bytes) -> None:
    assert decode_body(data) == BODY


def test_latin_1_is_decoded_where_utf_8_cannot_be() -> None:
    body = {"text": "Café Körbe £5"}
    assert decode_body(json.dumps(body, ensure_ascii=False).encode("latin-1")) == body
    assert decode_text("Caf\xe9 “x”".encode("cp1252")) == "Café “x”"
    assert decode_text(TEXT.encode() + b"\xe2\x80") == TEXT + "\ufffd", "UTF-8 that was cut stays UTF-8"


def test_numbers_that_are_no_json_are_read() -> None:
    assert decode_body(b'{"score": NaN, "low": -Infinity, "created": 1' + b"0" * 40 + b"}")["low"] == float("-inf")
    assert decode_body(b'{"text": "a\nb\x07"}') == {"text": "a\nb\x07"}


@pytest.mark.parametrize(
    "data",
    [b"", b" \n", b"OK", b"[1]", b"[]", b"null", b'"text"', b"<html></html>", b"{", b"data: \n\n", b": only\n\n", DONE,
     b"[" * 100_000, b'{"a": ' * 100_000, b"data: {oops}\n\ndata: {}\n\n", DATA + b" trailing", b"\xff\xfe\x00"],
)  # fmt: skip
def test_what_holds_no_object_is_refused(data: bytes) -> None:
    with pytest.raises(
        ValueError, match=r"no JSON object|neither JSON nor an event|an event holds no JSON|nested too deeply|Expecting"
    ):
        decode_body(data)


def streamed(*parts: bytes) -> dict[str, Any]:
    return decode_body(b"".join(parts))


def test_the_chunks_of_a_stream_become_one_completion() -> None:
    body = streamed(
        line(chunk({"role": "assistant", "content": "", "reasoning_content": "First "})),
        line(chunk({"reasoning_content": "I look."})),
        *(line(chunk({"content": TEXT[start : start + 7]})) for start in range(0, len(TEXT), 7)),
        line(chunk({}, "stop", system_fingerprint="fp_1")),
        line({"choices": [], "usage": {"prompt_tokens": 200, "completion_tokens": 60}}),
        DONE,
    )
    (choice,) = body["choices"]
    assert choice["message"] == {"role": "assistant", "content": TEXT, "reasoning_content": "First I look."}
    assert choice["finish_reason"] == "stop"
    assert body["usage"]["completion_tokens"] == 60
    assert (body["model"], body["system_fingerprint"]) == ("m", "fp_1")


def test_choices_of_a_stream_are_kept_apart() -> None:
    body = streamed(
        *(line(chunk({"content": letter}, index=index)) for index, letter in ((1, "b"), (0, "a"), (1, "d"), (0, "c"))),
        line(chunk({}, "length", index=1)),
        line(chunk({}, "stop", index=0)),
    )
    assert [(choice["message"]["content"], choice["finish_reason"]) for choice in body["choices"]] == [
        ("ac", "stop"),
        ("bd", "length"),
    ]


def test_parts_probabilities_and_texts_of_a_stream() -> None:
    parts = [{"type": "thinking", "thinking": "I look."}], [{"type": "text", "text": "a"}], "b"
    body = streamed(*(line(chunk({"content": part})) for part in parts), line(chunk({}, "stop")), DONE)
    assert body["choices"][0]["message"]["content"] == list(parts)
    token = {"token": "a", "logprob": -0.1, "top_logprobs": []}
    first = chunk({"content": "a"})
    first["choices"][0]["logprobs"] = {"content": [token]}
    body = streamed(line(first), line(chunk({"content": "b"}, "stop")))
    assert body["choices"][0]["logprobs"] == {"content": [token]}
    body = streamed(*(line({"choices": [{"index": 0, "text": letter}]}) for letter in "ab"), DONE)
    assert body["choices"][0]["message"]["content"] == "ab"
    body = streamed(line(chunk({"content": "a"}, "stop", x_groq={"usage": {"prompt_tokens": 1}})), DONE)
    assert body["usage"] == {"prompt_tokens": 1}


def test_chunks_may_stand_on_lines_of_their_own() -> None:
    lines = [json.dumps(chunk({"content": letter}, finish)).encode() for letter, finish in (("a", None), ("b", "stop"))]
    assert streamed(b"\n".join(lines))["choices"][0]["message"]["content"] == "ab"
    assert streamed(b"".join(lines))["choices"][0]["message"]["content"] == "ab"
    assert streamed(b"[" + b",".join(lines) + b"]")["choices"][0]["message"]["content"] == "ab"


@pytest.mark.parametrize(
    "end",
    [
        line({"error": {"message": "gone", "code": 502}, "choices": []}),
        b'event: error\ndata: {"message": "gone", "code": 502}\n\n',
    ],
)
def test_an_error_in_a_stream_is_the_error_of_the_reply(end: bytes) -> None:
    body = streamed(line(chunk({"content": "The clerk had"})), end, DONE)
    assert body["error"] == {"message": "gone", "code": 502} and not body["choices"]


@pytest.mark.parametrize("end", [b"", b'data: {"choices": [{"del', b"data: "])
def test_a_stream_without_an_end_broke_off(end: bytes) -> None:
    """Its text is half a text, whatever it looks like."""
    assert streamed(line(chunk({"content": "The clerk had"})), end)["error"] == BROKEN


def test_a_stream_may_end_without_a_reason() -> None:
    body = streamed(line(chunk({"content": "a"})), DONE)
    assert body["choices"][0]["finish_reason"] is None and "error" not in body


FRAGMENTS = [
    "data: ",
    "\n",
    "\n\n",
    "{}",
    '{"choices": [{"delta": {"content": "a"}}]}',
    "[DONE]",
    "event: error",
    ": x",
    "{",
    "[",
    " ",
]


@given(st.lists(st.sampled_from(FRAGMENTS), max_size=12).map("".join).map(str.encode) | st.binary())
def test_no_body_raises_anything_else(data: bytes) -> None:
    with contextlib.suppress(ValueError):
        assert isinstance(decode_body(data), dict)


@pytest.mark.parametrize("unit", [*FRAGMENTS, "data: {}\n", "data: {\n", "data: {\n\n", "{} ", "\n \n", "é"])
def test_a_long_body_of_anything_is_read(unit: str) -> None:
    """The time is linear: a quadratic search of as many bytes would take hours."""
    with contextlib.suppress(ValueError):
        assert isinstance(decode_body((unit * (400_000 // len(unit))).encode()), dict)
