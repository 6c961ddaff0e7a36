"""Words for the end of a reply: natural ends, cuts, and failures."""

from collections.abc import Callable
from typing import Any

from tests.helpers.servers.behaviours.records import Behaviour, OddAnswer, OddCall, Serve, always, every
from tests.helpers.servers.behaviours.replies import completion, half, useless

GROUP = "ends"

NATURAL = {
    "eos": "TGI",
    "eos_token": "TGI",
    "end_turn": "Claude behind gateways",
    "stop_sequence": "Claude behind gateways",
    "STOP": "Gemini behind gateways",
    "COMPLETE": "Cohere",
    "completed": "responses behind gateways",
    "": "gateways",
    "banana": "what comes next",
}
"""Words for the end of a whole text."""

CUTS = {
    "length": "OpenAI",
    "max_tokens": "Claude behind gateways",
    "MAX_TOKENS": "Gemini behind gateways",
    "model_length": "Mistral",
    "max_output_tokens": "responses behind gateways",
    "abort": "vLLM, SGLang",
    "cancelled": "gateways",
    "insufficient_system_resource": "DeepSeek",
    "network_error": "GLM",
    "error": "OpenRouter",
    "incomplete": "responses behind gateways",
    "banana": "what comes next",
}
"""Words for the end of half a text."""

FILTERS = {
    "content_filter": "OpenAI, Azure",
    "SAFETY": "Gemini behind gateways",
    "RECITATION": "Gemini behind gateways",
    "PROHIBITED_CONTENT": "Gemini behind gateways",
    "sensitive": "GLM",
    "refusal": "Claude behind gateways",
}
"""Words for a reply that a filter stopped."""


def ending(word: Any) -> Serve:
    return lambda call: OddAnswer(body=completion(call, finish=word))


def missing(call: OddCall) -> OddAnswer:
    """Leave finish_reason out."""
    body = completion(call)
    return OddAnswer(
        body=body | {"choices": [{key: choice[key] for key in ("index", "message")} for choice in body["choices"]]}
    )


def cut(word: str) -> Callable[[OddCall], OddAnswer]:
    return lambda call: half(call, word)


def filtered(word: str, content: str | None) -> Callable[[OddCall], OddAnswer]:
    return lambda call: useless(call, [content for _ in call.texts], finish=word)


ENDS = (
    *(Behaviour(f"end {word!r}", GROUP, always(ending(word)), source) for word, source in NATURAL.items()),
    Behaviour("end null", GROUP, always(ending(None)), "gateways"),
    Behaviour("no end named", GROUP, always(missing), "gateways"),
    *(
        Behaviour(f"half a text now and then, end {word!r}", GROUP, every(3, cut(word)), source, wasted=12, seconds=4)
        for word, source in CUTS.items()
    ),
    *(
        Behaviour(f"filtered now and then, end {word!r}", GROUP, every(3, filtered(word, content)), source, wasted=12)
        for (word, source), content in zip(FILTERS.items(), (None, "", None, "The clerk", "", "I"), strict=True)
    ),
)
"""All rows of the group."""
