"""Several candidates per call, and usage that is missing or wrong."""

from collections.abc import Callable, Mapping
from typing import Any

from tests.helpers.servers.behaviours.records import Behaviour, OddAnswer, OddCall, Serve, always
from tests.helpers.servers.behaviours.replies import TEXT_TOKENS, completion, fail, message_of, reply

SEVERAL, USAGE = "several candidates", "usage"

TWO = "draw: {candidates: 2}\n"

REFUSALS: Mapping[str, tuple[OddAnswer, str]] = {
    "one choice only": (fail(400, "Only one completion choice is allowed"), "llama.cpp"),
    "at most 1": (fail(400, "'n' : number must be at most 1"), "Groq"),
    "n > 1": (fail(400, "n > 1 is not supported"), "gateways"),
    "extra": (
        OddAnswer(
            422,
            {"detail": [{"type": "extra_forbidden", "loc": ["body", "n"], "msg": "Extra inputs are not permitted"}]},
        ),
        "pydantic",
    ),
    "a bound": (
        OddAnswer(
            422,
            {
                "detail": [
                    {
                        "type": "less_than_equal",
                        "loc": ["body", "n"],
                        "msg": "Input should be less than or equal to 1",
                        "input": 2,
                    }
                ]
            },
        ),
        "pydantic",
    ),
    "candidate count": (
        OddAnswer(
            400,
            [
                {
                    "error": {
                        "code": 400,
                        "message": "Multiple candidates is not enabled for this model",
                        "status": "INVALID_ARGUMENT",
                    }
                }
            ],
        ),
        "Gemini",
    ),
    "best_of": (fail(400, "n must be 1 when using greedy sampling, got 2."), "vLLM"),
    "param": (fail(400, "Unsupported value", param="n", code="unsupported_value"), "OpenAI"),
    "nothing named": (fail(400, "Bad Request"), "gateways"),
}
"""Refusals of several candidates per call."""


def refuses_n(answer: OddAnswer) -> Serve:
    return lambda call: answer if call.body.get("n", 1) > 1 else None


def ignores_n(call: OddCall) -> OddAnswer:
    return reply(call, call.texts[:1])


def counts_one(call: OddCall) -> OddAnswer:
    """State the tokens of one of the choices, as llama.cpp does."""
    return reply(call, written=TEXT_TOKENS)


def too_many(call: OddCall) -> OddAnswer:
    return reply(call, [*call.texts, call.texts[0]])


def out_of_order(call: OddCall) -> OddAnswer:
    body = completion(call)
    return OddAnswer(body=body | {"choices": body["choices"][::-1]})


def with_bad(bad: Callable[[dict[str, Any]], Any]) -> Serve:
    """Spoil the first of several choices."""

    def serve(call: OddCall) -> OddAnswer | None:
        if len(call.texts) == 1:
            return None
        body = completion(call)
        first, *others = body["choices"]
        return OddAnswer(body=body | {"choices": [bad(first), *others]}, texts=call.texts[1:])

    return serve


BAD: Mapping[str, Callable[[dict[str, Any]], Any]] = {
    "a filter": lambda choice: choice | {"finish_reason": "content_filter", "message": message_of("")},
    "no content": lambda choice: choice | {"message": {"role": "assistant", "content": None}},
    "no message": lambda choice: {"index": 0, "finish_reason": "stop"},
    "null": lambda choice: None,
    "a refusal": lambda choice: choice | {"message": {"role": "assistant", "content": None, "refusal": "I cannot."}},
    "an error": lambda choice: (
        choice
        | {"finish_reason": "error", "error": {"code": 502, "message": "x"}, "message": message_of("The clerk had")}
    ),
    "an open thought": lambda choice: choice | {"message": message_of("<think>First I look at who writes, then")},
}
"""Defects of one candidate of several."""

SEVERAL_ROWS = (
    *(
        Behaviour(
            f"n refused: {name}",
            SEVERAL,
            always(refuses_n(answer)),
            source,
            recipe=TWO,
            wasted=3,
            judge=name == "one choice only",
        )
        for name, (answer, source) in REFUSALS.items()
    ),
    Behaviour("n ignored", SEVERAL, always(ignores_n), "transformers serve, Ollama", recipe=TWO, judge=True),
    Behaviour("usage of one choice", SEVERAL, always(counts_one), "llama.cpp", recipe=TWO, honest_usage=None),
    Behaviour("one choice too many", SEVERAL, always(too_many), "gateways", recipe=TWO),
    Behaviour("choices in another order", SEVERAL, always(out_of_order), "gateways", recipe=TWO),
    *(
        Behaviour(f"one bad candidate: {name}", SEVERAL, always(with_bad(bad)), "OpenAI, gateways", recipe=TWO)
        for name, bad in BAD.items()
    ),
)
"""All rows of the group of several candidates."""

USAGES: Mapping[str, tuple[Any, str]] = {
    "null": (None, "gateways"),
    "floats": ({"prompt_tokens": 200.0, "completion_tokens": 60.0}, "JavaScript servers"),
    "negative": ({"prompt_tokens": -1, "completion_tokens": -1, "total_tokens": -2}, "home-made servers"),
    "text": ({"prompt_tokens": "200", "completion_tokens": "60"}, "home-made servers"),
    "zeros": ({"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}, "FastChat"),
    "only the total": ({"total_tokens": 260}, "gateways"),
    "names of another API": ({"input_tokens": 200, "output_tokens": 60}, "Claude behind gateways"),
    "nulls": ({"prompt_tokens": None, "completion_tokens": None}, "gateways"),
    "a list": ([200, 60], "home-made servers"),
}
"""Usage that states no tokens in the usual form."""

BUDGET_TOKENS = 9000
"""Budget of the runs without usage: 34 calls of 260 tokens."""

MOST_BUDGET_CALLS = 36
"""Calls that fit into the budget, and the two in flight."""

BUDGET = f"budget: {{max_tokens: {BUDGET_TOKENS}}}\nbackend: {{concurrency: 2}}\n"


def stating(usage: Any) -> Serve:
    return lambda call: OddAnswer(body=completion(call, usage=False) | {"usage": usage})


def silent(call: OddCall) -> OddAnswer:
    return OddAnswer(body=completion(call, usage=False))


USAGE_ROWS = (
    Behaviour(
        "usage missing",
        USAGE,
        always(silent),
        "local servers",
        stop=("max_tokens|max-tokens|budget",),
        recipe=BUDGET,
        rows=70,
        most_calls=MOST_BUDGET_CALLS,
        honest_usage=False,
    ),
    *(
        Behaviour(
            f"usage: {name}",
            USAGE,
            always(stating(usage)),
            source,
            stop=("max_tokens|max-tokens|budget",),
            recipe=BUDGET,
            rows=70,
            most_calls=MOST_BUDGET_CALLS,
            honest_usage=False,
        )
        for name, (usage, source) in USAGES.items()
    ),
    Behaviour("usage missing, no budget", USAGE, always(silent), "local servers", honest_usage=False, judge=True),
    Behaviour(
        "usage of 10^12 tokens, no budget",
        USAGE,
        always(stating({"prompt_tokens": 10**12, "completion_tokens": 1})),
        "home-made servers",
        honest_usage=False,
    ),
)
"""All rows of the group of usage."""
