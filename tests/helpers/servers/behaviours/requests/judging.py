"""What servers refuse of a judge's requests: probabilities of the first token, and limits of one token."""

from collections.abc import Callable
from typing import Any

from tests.helpers.servers.behaviours.records import Behaviour, OddAnswer, OddCall, Serve, always
from tests.helpers.servers.behaviours.replies import completion, fail, reply
from tests.helpers.servers.behaviours.requests.parameters import WORDINGS

GROUP = "judges"

SOME = ("openai", "pydantic", "mistral", "plain sentence", "gemini", "bad request, nothing named", "llama.cpp, 501")
"""Wordings that are tried on probabilities."""


def refuses_logprobs(wording: str) -> Serve:
    return lambda call: WORDINGS[wording]("logprobs", True) if "logprobs" in call.body else None


def few_alternatives(call: OddCall) -> OddAnswer | None:
    if call.body.get("top_logprobs", 0) > 5:
        return fail(400, "Invalid value: top_logprobs must be between 0 and 5", param="top_logprobs")
    return None


def at_least_16(call: OddCall) -> OddAnswer | None:
    """Refuse limits that are too small, as Azure and some gateways do."""
    if call.limit >= 16:
        return None
    message = f"Invalid 'max_output_tokens': integer below minimum value. Expected a value >= 16, but got {call.limit}."
    return fail(400, message, param="max_output_tokens", code="integer_below_min_value")


def with_logprobs(logprobs: Callable[[str], Any]) -> Serve:
    """Add log-probabilities to every choice."""

    def serve(call: OddCall) -> OddAnswer:
        body = completion(call)
        choices = [choice | {"logprobs": logprobs(choice["message"]["content"])} for choice in body["choices"]]
        return OddAnswer(body=body | {"choices": choices})

    return serve


def legacy(text: str) -> dict[str, Any]:
    """Log-probabilities in the form of the older completions API."""
    return {"tokens": [text], "token_logprobs": [-0.1], "top_logprobs": [{text: -0.1}], "text_offset": [0]}


def in_words(shape: str) -> Serve:
    return lambda call: reply(call, [shape.format(text) for text in call.texts])


def _row(name: str, serve: Serve, source: str, wasted: int = 0) -> Behaviour:
    return Behaviour(name, GROUP, always(serve), source, wasted=wasted, judge=True, texts=False)


JUDGES = (
    *(_row(f"logprobs refused: {wording}", refuses_logprobs(wording), wording, 3) for wording in SOME),
    _row("five alternatives at most", few_alternatives, "Fireworks, xAI", 3),
    _row("16 tokens at least", at_least_16, "Azure, gateways", 3),
    _row("logprobs null", with_logprobs(lambda text: None), "gateways"),
    _row("logprobs without content", with_logprobs(lambda text: {"content": None, "refusal": None}), "OpenAI"),
    _row("logprobs in an older form", with_logprobs(legacy), "Together"),
    _row("a rating after a word", in_words("Rating: {}"), "instruction-tuned models"),
    _row("a rating in bold", in_words("**{}**"), "instruction-tuned models"),
    _row("a rating out of five", in_words("{}/5"), "instruction-tuned models"),
)
"""All rows of the group."""
