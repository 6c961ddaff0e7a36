"""Messages in other shapes than a string, event streams that were not requested, and odd encodings of the body."""

import gzip
import json
import zlib
from collections.abc import Callable
from typing import Any

from tests.helpers.servers.behaviours.records import Behaviour, OddAnswer, OddCall, Serve, always, every, first
from tests.helpers.servers.behaviours.replies import (
    THOUGHT,
    chunk,
    completion,
    event,
    halves,
    reply,
    stream,
    useless,
)

PARTS, STREAMS, ENCODINGS = "parts", "streams", "encodings"


def split(text: str) -> tuple[str, str]:
    return text[: len(text) // 2], text[len(text) // 2 :]


def typed(text: str) -> list[dict[str, Any]]:
    return [{"type": "text", "text": part} for part in split(text)]


def with_thinking(text: str) -> list[dict[str, Any]]:
    """Mistral's parts: the thought is a list of parts itself."""
    return [{"type": "thinking", "thinking": [{"type": "text", "text": THOUGHT}]}, *typed(text)]


def with_plain_thinking(text: str) -> list[dict[str, Any]]:
    return [{"type": "thinking", "thinking": THOUGHT, "signature": "x"}, *typed(text)]


def with_reasoning(text: str) -> list[dict[str, Any]]:
    return [
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": THOUGHT}]},
        {"type": "output_text", "text": text, "annotations": []},
    ]


def thought_as_text(text: str) -> list[dict[str, Any]]:
    """Gemini's parts: a flag marks the thought."""
    return [{"text": THOUGHT, "thought": True}, {"text": text}]


SHAPES: dict[str, tuple[Callable[[str], Any], str]] = {
    "typed parts": (typed, "Mistral, gateways"),
    "typed parts with a thought": (with_thinking, "Magistral"),
    "typed parts with a signed thought": (with_plain_thinking, "Claude behind gateways"),
    "parts of another name": (with_reasoning, "responses behind gateways"),
    "parts with a flag": (thought_as_text, "Gemini behind gateways"),
    "strings": (lambda text: list(split(text)), "gateways"),
    "parts without a type": (lambda text: [{"text": part} for part in split(text)], "gateways"),
    "a single part, no list": (lambda text: {"type": "text", "text": text}, "gateways"),
    "text with a value": (lambda text: [{"type": "text", "text": {"value": text, "annotations": []}}], "assistants"),
    "nested lists": (lambda text: [typed(text)], "gateways"),
}
"""Content of a message, and where it is seen."""


def content(shape: Callable[[str], Any]) -> Serve:
    """Answer with content of another shape."""
    return lambda call: reply(call, message=lambda text: {"role": "assistant", "content": shape(text)})


ORDINARY_FIELDS: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "error: null": ({"error": None}, {}, "gateways"),
    "error: {}": ({"error": {}}, {}, "gateways"),
    "error of nulls": ({"error": {"code": None, "message": None}}, {}, "gateways"),
    "code 200": ({"code": 200, "msg": "success", "object": "chat.completion"}, {}, "gateways"),
    "another model": ({"model": "m-2026-01-01", "system_fingerprint": "fp_1"}, {}, "OpenAI"),
    "filter results": (
        {"prompt_filter_results": [{"prompt_index": 0, "content_filter_results": {"hate": {"filtered": False}}}]},
        {"content_filter_results": {"hate": {"filtered": False, "severity": "safe"}}},
        "Azure",
    ),
    "details of the usage are null": (
        {
            "usage": {
                "prompt_tokens": 200,
                "completion_tokens": 60,
                "prompt_tokens_details": None,
                "completion_tokens_details": None,
            }
        },
        {},
        "vLLM",
    ),
    "stop reason": ({}, {"stop_reason": 128009, "logprobs": None, "error": None}, "vLLM"),
}
"""Further fields of a reply and of its choices, which mean nothing, and where they are seen."""


def with_fields(reply_fields: dict[str, Any], choice_fields: dict[str, Any]) -> Serve:
    """Add fields to a reply and to its choices."""

    def serve(call: OddCall) -> OddAnswer:
        body = completion(call)
        return OddAnswer(body=body | {"choices": [choice | choice_fields for choice in body["choices"]]} | reply_fields)

    return serve


def tool_call(call: OddCall) -> OddAnswer:
    """Call a tool that was not offered."""
    function = {"name": "write", "arguments": json.dumps({"text": "x"})}
    message = {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "c", "type": "function", "function": function}],
    }
    return useless(call, message=lambda text: message, finish="tool_calls")


def refusal_part(call: OddCall) -> OddAnswer:
    parts = [{"type": "refusal", "refusal": "I'm sorry, but I can't help with that request at all."}]
    return useless(call, message=lambda text: {"role": "assistant", "content": parts})


def refusal_field(call: OddCall) -> OddAnswer:
    refusal = "I'm sorry, but I can't help with that request at all."
    return useless(call, message=lambda text: {"role": "assistant", "content": None, "refusal": refusal})


PART_ROWS = (
    *(
        Behaviour(f"content: {name}", PARTS, always(content(shape)), source, judge=name == "typed parts with a thought")
        for name, (shape, source) in SHAPES.items()
    ),
    *(
        Behaviour(f"further fields: {name}", PARTS, always(with_fields(fields, choice_fields)), source)
        for name, (fields, choice_fields, source) in ORDINARY_FIELDS.items()
    ),
    Behaviour(
        "an empty refusal beside every text",
        PARTS,
        always(lambda call: reply(call, message=lambda text: {"role": "assistant", "content": text, "refusal": ""})),
        "gateways",
    ),
    Behaviour("a tool is called now and then", PARTS, every(3, tool_call), "agents' models", wasted=12),
    Behaviour(
        "a refusal as a part now and then", PARTS, every(3, refusal_part), "responses behind gateways", wasted=12
    ),
    Behaviour("a refusal in its field now and then", PARTS, every(3, refusal_field), "OpenAI", wasted=12),
)
"""All rows of the group of parts."""

STREAM = {"Content-Type": "text/event-stream"}
DONE = event("[DONE]")


def chunks(call: OddCall) -> OddAnswer:
    return OddAnswer(body="".join([*stream(call), DONE]), headers=STREAM)


def windows_chunks(call: OddCall) -> OddAnswer:
    return OddAnswer(body="".join([*stream(call), DONE]).replace("\n", "\r\n"), headers=STREAM)


def chunks_with_comments(call: OddCall) -> OddAnswer:
    return OddAnswer(body="".join([": PROCESSING\n\n" + part for part in stream(call)] + [DONE]), headers=STREAM)


def chunks_without_type(call: OddCall) -> OddAnswer:
    return OddAnswer(body="".join([*stream(call), DONE]), headers={"Content-Type": "application/json"})


def chunks_without_space(call: OddCall) -> OddAnswer:
    return OddAnswer(body="".join([*stream(call), DONE]).replace("data: ", "data:"), headers=STREAM)


def chunks_with_thoughts(call: OddCall) -> OddAnswer:
    thoughts = [event(chunk({"reasoning_content": part, "content": None})) for part in split(THOUGHT)]
    usage = event(chunk({}) | {"choices": [], "usage": {"prompt_tokens": 200, "completion_tokens": 60}})
    return OddAnswer(body="".join([*thoughts, *stream(call), usage, DONE]), headers=STREAM)


def json_then_done(call: OddCall) -> OddAnswer:
    return OddAnswer(body=f"{json.dumps(completion(call))}\n\n{DONE}", headers=STREAM)


def one_event(call: OddCall) -> OddAnswer:
    return OddAnswer(body=event(completion(call)) + DONE, headers=STREAM)


def error_event(call: OddCall) -> OddAnswer:
    """Fail in the middle of a stream, after half a text."""
    error = event({"error": {"message": "Provider disconnected", "code": 502}, "choices": []})
    return OddAnswer(body="".join([*stream(call)[:2], error]), headers=STREAM, use="refused")


def broken_stream(call: OddCall) -> OddAnswer:
    """End a stream after half a text, without finish_reason and end."""
    start = event(chunk({"content": halves(call.texts[0])}))
    return OddAnswer(body=start, headers=STREAM, use="refused")


STREAMS_OF = {
    "chunks": (chunks, "9router, mini-sglang"),
    "chunks with line ends of Windows": (windows_chunks, "gateways"),
    "chunks with comments": (chunks_with_comments, "OpenRouter"),
    "chunks called JSON": (chunks_without_type, "gateways"),
    "chunks without a blank": (chunks_without_space, "gateways"),
    "chunks with thoughts and usage": (chunks_with_thoughts, "DeepSeek behind gateways"),
    "a completion, then the end of a stream": (json_then_done, "Unsloth"),
    "a completion as the only event": (one_event, "gateways"),
}

WITH_USAGE = (
    "chunks with thoughts and usage",
    "a completion, then the end of a stream",
    "a completion as the only event",
)

STREAM_ROWS = (
    *(
        Behaviour(
            f"stream: {name}",
            STREAMS,
            always(serve),
            source,
            batch=False,
            honest_usage=name in WITH_USAGE,
            judge=name == "chunks",
        )
        for name, (serve, source) in STREAMS_OF.items()
    ),
    Behaviour(
        "stream fails now and then",
        STREAMS,
        every(4, error_event),
        "OpenRouter",
        wasted=9,
        batch=False,
        seconds=4,
    ),
    Behaviour(
        "stream breaks off now and then",
        STREAMS,
        every(4, broken_stream),
        "proxies",
        wasted=9,
        batch=False,
        seconds=4,
    ),
)
"""All rows of the group of streams."""


def encoded(make: Callable[[bytes], bytes], **headers: str) -> Serve:
    """Send the bytes of a completion in another form."""

    def serve(call: OddCall) -> OddAnswer:
        data = json.dumps(completion(call), ensure_ascii=False).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return OddAnswer(body=make(data), headers={"Content-Type": "application/json"} | named)

    return serve


def not_a_number(call: OddCall) -> OddAnswer:
    return OddAnswer(body=json.dumps(completion(call, score=float("nan"), low=float("-inf"))))


def large_number(call: OddCall) -> OddAnswer:
    return OddAnswer(body=json.dumps(completion(call, created=10**40, id=None, system_fingerprint=None)))


ENCODING_ROWS = (
    Behaviour("gzip", ENCODINGS, always(encoded(gzip.compress, Content_Encoding="gzip")), "nginx", batch=False),
    Behaviour("deflate", ENCODINGS, always(encoded(zlib.compress, Content_Encoding="deflate")), "IIS", batch=False),
    Behaviour("a byte order mark", ENCODINGS, always(encoded(lambda data: b"\xef\xbb\xbf" + data)), "IIS", batch=False),
    Behaviour(
        "blank lines first", ENCODINGS, always(encoded(lambda data: b"\n\n   \n" + data)), "DeepSeek", batch=False
    ),
    Behaviour(
        "called plain text", ENCODINGS, always(encoded(bytes, Content_Type="text/plain")), "gateways", batch=False
    ),
    Behaviour(
        "called a web page", ENCODINGS, always(encoded(bytes, Content_Type="text/html")), "gateways", batch=False
    ),
    Behaviour("NaN and infinity", ENCODINGS, always(not_a_number), "Python servers", batch=False),
    Behaviour("numbers of 40 digits, null ids", ENCODINGS, always(large_number), "home-made servers", batch=False),
    Behaviour(
        "no body at first",
        ENCODINGS,
        first(2, OddAnswer(body=b"", use="refused")),
        "proxies",
        wasted=2,
        batch=False,
        seconds=4,
    ),
)
"""All rows of the group of encodings."""
