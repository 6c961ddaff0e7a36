"""Failures that pass: statuses, errors inside a 200, and rate limits that state the wait in many ways."""

import json
import time
from collections.abc import Callable, Mapping
from email.utils import formatdate
from typing import Any

from tests.helpers.servers.behaviours.records import Behaviour, OddAnswer, OddCall, Serve, always, every, first
from tests.helpers.servers.behaviours.replies import completion, fail

IN_200, TRANSIENT, RATES = "errors in a 200", "failures that pass", "rate limits"

FAILURES = 3
"""Calls that fail before all works: each pause of a client doubles."""


def error_body(**error: Any) -> dict[str, Any]:
    return {"id": None, "choices": None, "usage": None, "error": error}


IN_BODY: Mapping[str, tuple[Any, str]] = {
    "429": (
        error_body(message="Provider returned error", code=429, metadata={"raw": "Too Many Requests"}),
        "OpenRouter",
    ),
    "429 as text": (error_body(message="Provider returned error", code="429"), "gateways"),
    "502": (error_body(message="Upstream error", code=502), "OpenRouter"),
    "rate_limit_exceeded": (error_body(message="Rate limit reached", code="rate_limit_exceeded"), "gateways"),
    "overloaded_error": (error_body(message="Overloaded", type="overloaded_error"), "Claude behind gateways"),
    "server_error": (error_body(message="The server had an error", type="server_error", code=None), "Azure"),
    "without choices": ({"error": {"message": "Service temporarily unavailable", "code": 503}}, "gateways"),
    "a sentence": ({"error": "The model is overloaded, please try again later"}, "gateways"),
    "at the top": ({"object": "error", "message": "engine overloaded", "code": 503}, "FastChat"),
    "a status in it": ({"base_resp": {"status_code": 1002, "status_msg": "rate limit"}, "choices": None}, "MiniMax"),
}
"""Errors in the body of a 200."""


def choice_error(call: OddCall) -> OddAnswer:
    """Report the error in the choice, with half a text."""
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": "The clerk had"},
        "finish_reason": "error",
        "error": {"code": 502, "message": "Upstream idle timeout exceeded"},
    }
    return OddAnswer(body=completion(call, usage=False) | {"choices": [choice]}, use="refused")


IN_200_ROWS = (
    *(
        Behaviour(
            f"200 with an error: {name}",
            IN_200,
            first(FAILURES, OddAnswer(body=body, use="refused")),
            source,
            wasted=FAILURES,
            seconds=4,
            judge=name == "429",
        )
        for name, (body, source) in IN_BODY.items()
    ),
    Behaviour("200 with an error in a choice", IN_200, every(4, choice_error), "OpenRouter", wasted=9, seconds=4),
    Behaviour(
        "200 with a wrong key in it",
        IN_200,
        always(lambda call: OddAnswer(body=error_body(message="User not found.", code=401), use="refused")),
        "OpenRouter",
        stop=("user not found|api_key",),
        rows=70,
        wasted=20,
        most_calls=20,
    ),
)
"""All rows of the group of errors in a 200."""

FORMS: Mapping[str, OddAnswer] = {
    "420": OddAnswer(420, {"error": "Enhance Your Calm"}),
    "424 TGI": OddAnswer(
        424, {"error": "Request failed during generation: CUDA out of memory", "error_type": "generation"}
    ),
    "498 groq": fail(498, "Flex tier capacity exceeded", type="capacity_exceeded"),
    "500": fail(500, "The server had an error while processing your request. Sorry about that!", type="server_error"),
    "502, a web page": OddAnswer(
        502, "<html><body><h1>502 Bad Gateway</h1></body></html>", {"Content-Type": "text/html"}
    ),
    "503 loading": OddAnswer(503, {"error": "Model m is currently loading", "estimated_time": 0.5}),
    "503 llama.cpp": OddAnswer(503, {"error": {"code": 503, "message": "Loading model", "type": "unavailable_error"}}),
    "504": OddAnswer(504, "upstream request timeout"),
    "520 cloudflare": OddAnswer(520, "error code: 520"),
    "524 cloudflare": OddAnswer(524, "error code: 524"),
    "529 overloaded": OddAnswer(529, {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}),
    "408": fail(408, "Request timeout"),
    "409": fail(409, "Conflict"),
    "425": OddAnswer(425, "Too early"),
    "400 busy": fail(400, "Model is currently loading, please try again later", code="model_loading"),
    "400 overloaded": fail(400, "The service is overloaded, please retry later", code="ServiceUnavailable"),
    "429 without a word": OddAnswer(429, ""),
    "429 with a web page": OddAnswer(429, "<html>Too many requests</html>", {"Content-Type": "text/html"}),
    "429 capacity": OddAnswer(
        429,
        {
            "object": "error",
            "message": "Service tier capacity exceeded for this model.",
            "type": "service_tier_capacity_exceeded",
            "code": "3505",
        },
    ),
    "403 rate limit": OddAnswer(403, {"error": {"message": "Rate limit exceeded, please slow down", "code": 403}}),
    "the connection breaks": OddAnswer(200, b"", use="refused", cut=True),
}
"""Answers after which the same request may succeed."""

TRANSIENT_ROWS = tuple(
    Behaviour(
        f"passes: {name}", TRANSIENT, first(FAILURES, answer), name, wasted=FAILURES, seconds=4, batch=not answer.cut
    )
    for name, answer in FORMS.items()
)
"""All rows of the group of failures that pass."""

WINDOW_S, WINDOW_CALLS = 2.0, 6
"""A sliding window: this many calls in any so many seconds."""

Wait = Callable[[float], OddAnswer]
"""Builds the refusal of a call from the seconds that are left."""


def windowed(wait: Wait) -> Callable[[], Serve]:
    """Return the factory of a server with a sliding window."""

    def make() -> Serve:
        taken: list[float] = []

        def serve(call: OddCall) -> OddAnswer | None:
            taken[:] = [at for at in taken if call.at_s - at < WINDOW_S]
            if len(taken) < WINDOW_CALLS:
                taken.append(call.at_s)
                return None
            return wait(WINDOW_S - (call.at_s - taken[0]))

        return serve

    return make


def limited(headers: Mapping[str, str] | None = None, message: str = "Rate limit reached for requests") -> OddAnswer:
    return fail(429, message, headers, type="requests", code="rate_limit_exceeded")


def openai_headers(left: float) -> OddAnswer:
    counts = {"x-ratelimit-limit-requests": str(WINDOW_CALLS), "x-ratelimit-remaining-requests": "0"}
    return limited(counts | {"x-ratelimit-reset-requests": f"{left:.1f}s", "x-ratelimit-reset-tokens": "0s"})


def milliseconds(left: float) -> OddAnswer:
    return limited({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": f"{left * 1000:.0f}ms"})


def gemini(left: float) -> OddAnswer:
    retry = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": f"{left:.0f}s"}
    message = f"You exceeded your current quota. Please retry in {left:.2f}s."
    error = {"code": 429, "message": message, "status": "RESOURCE_EXHAUSTED", "details": [retry]}
    return OddAnswer(429, [{"error": error}])


WAITS: Mapping[str, tuple[Wait, str]] = {
    "Retry-After": (lambda left: limited({"Retry-After": f"{left + 0.5:.0f}"}), "RFC 9110"),
    "Retry-After, a date": (
        lambda left: limited({"Retry-After": formatdate(time.time() + left + 0.5, usegmt=True)}),
        "RFC 9110",
    ),
    "retry-after-ms": (lambda left: limited({"retry-after-ms": f"{left * 1000:.0f}"}), "Azure"),
    "x-ratelimit-reset-requests": (openai_headers, "OpenAI, Groq"),
    "the same in milliseconds": (milliseconds, "OpenAI"),
    "try again in 1.2s": (
        lambda left: limited(message=f"Rate limit reached. Please try again in {left:.1f}s."),
        "OpenAI",
    ),
    "try again in 300ms": (
        lambda left: limited(message=f"Rate limit reached. Please try again in {left * 1000:.0f}ms."),
        "OpenAI",
    ),
    "retry in 1.20s, in a list": (gemini, "Gemini"),
    "nothing said": (lambda left: limited(), "gateways"),
}
"""Ways to state the wait."""


def daily(call: OddCall) -> OddAnswer:
    """Refuse for hours: nothing is gained by waiting."""
    return limited({"Retry-After": "18000"}, "Limit 200 requests per day reached. Please try again in 5h0m0s.")


WASTED = {True: 60, False: 90}
"""Upper bound on the wasted calls in five windows, by whether the server states the wait."""

RATE_ROWS = (
    *(
        Behaviour(
            f"window: {name}",
            RATES,
            windowed(wait),
            source,
            rows=12,
            wasted=WASTED[name != "nothing said"],
            batch=False,
            seconds=12,
        )
        for name, (wait, source) in WAITS.items()
    ),
    Behaviour(
        "a limit per day",
        RATES,
        always(daily),
        "Groq, OpenRouter",
        stop=("18000|5 h|5h",),
        rows=70,
        wasted=20,
        most_calls=20,
    ),
)
"""All rows of the group of rate limits."""

ERROR_TEXTS = (
    "Error: the upstream provider returned an error (502 Bad Gateway). Please try again in a few moments.",
    "An error occurred while processing your request. Please contact support with request ID 1a2b3c.",
    "Rate limit reached for requests. Please wait a moment and try again later, or upgrade your plan.",
    json.dumps({"error": {"message": "Internal server error while generating the reply", "code": 500}}),
)
"""Errors that a gateway puts into the content of an ordinary message."""


def error_text(text: str) -> Callable[[OddCall], OddAnswer]:
    return lambda call: OddAnswer(body=completion(call, [text for _ in call.texts]), use="unusable")


ERROR_TEXT_ROWS = tuple(
    Behaviour(
        f"an error as a text now and then: {text[:24]}", IN_200, every(4, error_text(text)), "gateways", wasted=12
    )
    for text in ERROR_TEXTS
)
"""Rows of errors that look like texts."""
