"""Reasoning models: thoughts in fields of their own, which count against the limit on tokens."""

from typing import Any

from tests.helpers.servers.behaviours.records import MANY_ROWS, Behaviour, OddAnswer, OddCall, Serve, always
from tests.helpers.servers.behaviours.replies import THOUGHT, completion, fail, half, message_of, reply, useless
from tests.helpers.servers.behaviours.requests.parameters import refuses_temperature

GROUP = "reasoning"

LONG_THOUGHT = THOUGHT * 6
"""A thought that no limit of a text has room for."""


def is_quiet(call: OddCall) -> bool:
    """Return whether the request turns thinking off."""
    template = call.body.get("chat_template_kwargs") or {}
    return call.body.get("reasoning_effort") in ("none", "minimal") or template.get("enable_thinking") is False


def with_thought(field: str) -> Any:
    """Return a function that builds a message with the thought in a field of its own."""
    return lambda text: {"role": "assistant", "content": text, field: "First I look at who writes."}


def silent(field: str, content: str | None) -> Any:
    """Return a function that builds a message with a thought and no content."""
    return lambda text: {"role": "assistant", "content": content, field: LONG_THOUGHT}


def tokens(prompt: int, written: int, reasoning: int) -> dict[str, Any]:
    """Build a usage that states the tokens of thoughts."""
    details = {"reasoning_tokens": reasoning}
    return {
        "prompt_tokens": prompt,
        "completion_tokens": written,
        "total_tokens": prompt + written,
        "completion_tokens_details": details,
    }


def thinking(needed: int, *, field: str = "reasoning_content", content: str | None = None) -> Serve:
    """Leave no content where the limit is below `needed` tokens."""

    def serve(call: OddCall) -> OddAnswer:
        if call.limit < needed and not is_quiet(call):
            return useless(call, finish="length", message=silent(field, content), written=call.limit)
        return reply(call, message=with_thought(field), written=min(needed, call.limit))

    return serve


def o_series(call: OddCall) -> OddAnswer:
    """Think within the limit, and refuse temperature and max_tokens."""
    refusal = refuses_temperature(call)
    if refusal is not None:
        return refusal
    if call.limit < 1500:
        usage = tokens(200, call.limit, call.limit)
        body = completion(call, [""] * len(call.texts), finish="length")
        return OddAnswer(body=body | {"usage": usage}, use="unusable")
    return OddAnswer(body=completion(call) | {"usage": tokens(200, 900, 840)})


def in_content(call: OddCall) -> OddAnswer:
    """Write the thought into the content, so that the limit cuts it off before it ends."""
    if call.limit < 800:
        return useless(call, [f"<think>\n{LONG_THOUGHT}" for _ in call.texts], finish="length", written=call.limit)
    return reply(call, [f"<think>\n{THOUGHT}\n</think>\n\n{text}" for text in call.texts], written=700)


def text_cut(call: OddCall) -> OddAnswer:
    """Leave room for a part of the text only."""
    if call.limit < 800:
        answer = half(call, "length")
        usage = tokens(200, call.limit, call.limit - 30)
        return OddAnswer(body=answer.body | {"usage": usage})
    return OddAnswer(body=completion(call) | {"usage": tokens(200, 700, 640)})


def effort_only(call: OddCall) -> OddAnswer:
    """Think without end unless the effort is "none"."""
    if call.body.get("reasoning_effort") != "none":
        return useless(call, finish="length", message=silent("reasoning_content", None), written=call.limit)
    return reply(call)


def template_only(call: OddCall) -> OddAnswer:
    """Think without end unless the template turns thinking off."""
    if (call.body.get("chat_template_kwargs") or {}).get("enable_thinking") is not False:
        return useless(call, finish="length", message=silent("reasoning_content", None), written=call.limit)
    return reply(call)


def effort_refused(call: OddCall) -> OddAnswer | None:
    """Refuse the effort as a parameter that the model lacks."""
    if "reasoning_effort" not in call.body:
        return None
    return fail(400, "Unrecognized request argument supplied: reasoning_effort", param="reasoning_effort")


def limit_bounded(call: OddCall) -> OddAnswer:
    """Refuse a limit above 4,096 tokens, and need 1,000."""
    if {"max_tokens", "max_completion_tokens"} & call.body.keys() and call.limit > 4096:
        message = f"max_tokens is too large: {call.limit}. This model supports at most 4096 completion tokens"
        return fail(400, message, param="max_tokens")
    return thinking(1000)(call) or reply(call)


def endless(call: OddCall) -> OddAnswer:
    """Think until the limit, whatever the request."""
    return useless(call, finish="length", message=silent("reasoning_content", None), written=call.limit)


def misplaced(call: OddCall) -> OddAnswer:
    """Put the answer where thoughts belong, as a wrong reasoning parser does: nothing distinguishes it from one."""
    return useless(call, message=lambda text: {"role": "assistant", "content": None, "reasoning_content": text})


def _row(name: str, serve: Serve, source: str, wasted: int, **options: Any) -> Behaviour:
    return Behaviour(name, GROUP, always(serve), source, wasted=wasted, **options)


REASONING = (
    _row("thoughts need 800 tokens", thinking(800), "vLLM, SGLang with a reasoning parser", 4, judge=True),
    _row("thoughts need 3000 tokens", thinking(3000), "R1 behind vLLM", 8),
    _row("thoughts in `reasoning`", thinking(800, field="reasoning"), "OpenRouter, newer vLLM", 4),
    _row("content is empty, not null", thinking(800, content=""), "DeepSeek", 4),
    _row("o-series", o_series, "OpenAI o-series, gpt-5", 16, judge=True),
    _row("thoughts in content, cut off", in_content, "vLLM without a parser", 4),
    _row("thoughts leave half a text", text_cut, "Gemini 2.5", 8),
    _row("the limit has a bound", limit_bounded, "older OpenAI models", 12),
    _row("effort none", effort_only, "gpt-5.1", 0, recipe="backend: {reasoning_effort: none}\n"),
    _row(
        "thinking is a switch of the template",
        template_only,
        "Qwen3 behind vLLM",
        0,
        recipe="backend: {body: {chat_template_kwargs: {enable_thinking: false}}}\n",
    ),
    _row("effort refused", effort_refused, "models without it", 3, recipe="backend: {reasoning_effort: low}\n"),
    _row("room from the recipe", thinking(2000), "any reasoning model", 0, recipe="backend: {thinking_tokens: 2000}\n"),
    _row(
        "thoughts without end",
        endless,
        "loops of small reasoning models",
        20,
        stop=("max_tokens|thinking",),
        rows=MANY_ROWS,
        most_calls=20,
        recipe="backend: {concurrency: 8}\n",
    ),
    _row(
        "the answer is called a thought",
        misplaced,
        "vLLM with a wrong parser",
        20,
        stop=("no content",),
        rows=MANY_ROWS,
        most_calls=20,
    ),
    _row(
        "a thought beside every text",
        lambda call: reply(call, message=with_thought("reasoning_content")),
        "DeepSeek",
        0,
    ),
    _row(
        "a null thought beside every text",
        lambda call: reply(
            call,
            message=lambda text: (
                message_of(text) | {"reasoning_content": None, "refusal": None, "tool_calls": [], "audio": None}
            ),
        ),
        "vLLM",
        0,
    ),
)
"""All rows of the group."""
