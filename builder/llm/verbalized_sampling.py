"""Verbalized sampling: ask for several texts with their probabilities, and draw one (Zhang et al., arXiv 2510.01171).

It is an `Ask` around another, so that it goes with any arm, stage and backend.
"""

import random
from dataclasses import replace
from typing import Any

from personagen.builder.llm.requests import Ask, Candidate, Message, Reply, Request, parse_json

WAYS = 5
"""Texts that are asked for at once."""

SCHEMA = {
    "type": "object",
    "properties": {
        "responses": {
            "type": "array",
            "minItems": WAYS,
            "maxItems": WAYS,
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

WISH = (
    f"Do this {WAYS} times, each time differently, as if drawn at random from all that could be written. Answer with "
    "JSON: under `responses` a list of objects, each with the `text` and its `probability` among all possible ones."
)


def verbalized(ask: Ask) -> Ask:
    """Make an `Ask` that gets its candidates from one reply, in an order that is drawn by their probabilities.

    A request that wants JSON already goes through as it is. Where the model was to go on with a beginning, it is told
    the beginning instead, and a text that keeps to it loses it again.
    """

    async def asked(request: Request) -> Reply:
        if request.schema is not None:
            return await ask(request)
        reply = await ask(_several(request))
        if reply.problem is not None:
            return reply
        return replace(reply, candidates=tuple(_drawn(reply, request)))

    return asked


def _several(request: Request) -> Request:
    wish = WISH
    if request.prefill:
        wish += f" Each text begins with: {request.prefill}"
    sampling = replace(request.sampling, max_tokens=request.sampling.max_tokens * WAYS + 32 * WAYS)
    messages = (*request.messages, Message("user", wish))
    return replace(
        request, messages=messages, sampling=sampling, prefill="", stop=(), candidates=1, schema=SCHEMA, top_logprobs=0
    )


def _drawn(reply: Reply, request: Request) -> list[Candidate]:
    """Read the texts of a reply, and shuffle them so that likely ones tend to come first; none where it is no JSON."""
    found: list[tuple[str, float]] = []
    for candidate in reply.candidates:
        try:
            found += [_entry(entry) for entry in parse_json(candidate.text)["responses"]]
        except (ValueError, TypeError, KeyError):
            continue
    rng = random.Random(f"verbalized:{request.seed}")
    # The largest of u^(1/w) is a draw with the weights w; the order of all is one without replacement.
    keyed = [(rng.random() ** (1 / max(weight, 1e-6)), text) for text, weight in found]
    texts = [text for _, text in sorted(keyed, reverse=True)]
    return [Candidate(text.removeprefix(request.prefill), "stop") for text in texts]


def _entry(entry: Any) -> tuple[str, float]:
    text, weight = entry["text"], float(entry["probability"])
    if not isinstance(text, str) or not 0 <= weight <= 100:
        raise ValueError("no text with a probability")
    return text, weight
