"""Verbalized sampling: request several texts with their probabilities, and draw one (Zhang et al., arXiv 2510.01171).

It wraps any `Ask`, so it combines with every arm, stage and backend.
"""

import random
from dataclasses import replace
from typing import Any

from personagen.builder.llm.json_replies import json_values, parse_json
from personagen.builder.llm.requests import Ask, Candidate, Message, Reply, Request

RESPONSES = 5
"""Texts per request."""

SCHEMA = {
    "type": "object",
    "properties": {
        "responses": {
            "type": "array",
            "minItems": RESPONSES,
            "maxItems": RESPONSES,
            "items": {
                "type": "object",
                "properties": {"text": {"type": "string"}, "probability": {"type": "number"}},
                "required": ["text", "probability"],
                "additionalProperties": False,
            },
        }
    },
    "required": ["responses"],
    "additionalProperties": False,
}

INSTRUCTION = (
    f"Do this {RESPONSES} times, each time differently, as if drawn at random from all that could be written. "
    "Answer with JSON: under `responses` a list of objects, each with the `text` and its `probability` among all "
    "possible ones."
)


def verbalized(ask: Ask) -> Ask:
    """Wrap an `Ask` so that candidates come from one reply, in a random order weighted by their probabilities.

    Requests for JSON pass unchanged. A prefill becomes part of the prompt, and is cut from texts that begin with it.
    """

    async def ask_verbalized(request: Request) -> Reply:
        if request.schema is not None:
            return await ask(request)
        reply = await ask(_request_several(request))
        if reply.problem is not None:
            return reply
        return replace(reply, candidates=tuple(_draw_order(reply, request)))

    return ask_verbalized


def _request_several(request: Request) -> Request:
    instruction = INSTRUCTION
    if request.prefill:
        instruction += f" Each text begins with: {request.prefill}"
    sampling = replace(request.sampling, max_tokens=request.sampling.max_tokens * RESPONSES + 32 * RESPONSES)
    messages = (*request.messages, Message("user", instruction))
    return replace(
        request, messages=messages, sampling=sampling, prefill="", stop=(), candidates=1, schema=SCHEMA, top_logprobs=0
    )


def _draw_order(reply: Reply, request: Request) -> list[Candidate]:
    """Parse the texts of a reply and shuffle them by their probabilities; empty if the reply is no such JSON."""
    responses = [response for candidate in reply.candidates for response in _responses(candidate.text)]
    weighted = [parsed for response in responses if (parsed := _parse_response(response)) is not None]
    rng = random.Random(f"verbalized:{request.seed}")
    # Weighted sampling without replacement: order by u^(1/w) (Efraimidis and Spirakis, 2006).
    keyed = [(rng.random() ** (1 / max(weight, 1e-6)), text) for text, weight in weighted]
    texts = [text for _, text in sorted(keyed, reverse=True)]
    return [Candidate(text.removeprefix(request.prefill), "stop") for text in texts]


def _responses(text: str) -> list[Any]:
    """Return the responses in a reply; those that are whole, if it breaks off."""
    try:
        responses = parse_json(text, SCHEMA).get("responses")
    except ValueError:
        return []
    return responses if isinstance(responses, list) else list(json_values(text))


def _parse_response(response: Any) -> tuple[str, float] | None:
    """Return text and probability of a response; None: it lacks one of them."""
    try:
        text, weight = response["text"], float(response["probability"])
    except (ValueError, TypeError, KeyError, OverflowError):
        return None
    return (text, weight) if isinstance(text, str) and 0 <= weight <= 100 else None
