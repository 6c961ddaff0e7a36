"""Optional parameters of a request that a server refuses, in the wordings of common servers."""

from collections.abc import Callable, Mapping
from typing import Any

from tests.helpers.servers.behaviours.records import Behaviour, OddAnswer, OddCall, Serve, always, every
from tests.helpers.servers.behaviours.replies import completion, event, fail, stream

GROUP = "parameters"

Wording = Callable[[str, Any], OddAnswer]
"""Builds the refusal of a parameter from its name and value."""


def unsupported(name: str, value: Any) -> OddAnswer:
    hint = " Use 'max_completion_tokens' instead." if name == "max_tokens" else ""
    message = f"Unsupported parameter: '{name}' is not supported with this model.{hint}"
    return fail(400, message, param=name, code="unsupported_parameter")


def unsupported_value(name: str, value: Any) -> OddAnswer:
    message = f"Unsupported value: '{name}' does not support {value} with this model. Only the default (1) value is"
    return fail(400, f"{message} supported.", param=name, code="unsupported_value")


def unrecognized(name: str, value: Any) -> OddAnswer:
    return fail(400, f"Unrecognized request argument supplied: {name}")


def extra_forbidden(name: str, value: Any) -> OddAnswer:
    error = {"type": "extra_forbidden", "loc": ["body", name], "msg": "Extra inputs are not permitted", "input": value}
    return OddAnswer(422, {"detail": [error]})


def mistral(name: str, value: Any) -> OddAnswer:
    error = {"type": "extra_forbidden", "loc": ["body", name], "msg": "Extra inputs are not permitted", "input": value}
    return OddAnswer(422, {"object": "error", "message": {"detail": [error]}, "type": "invalid_request_error"})


def mistral_text(name: str, value: Any) -> OddAnswer:
    """Mistral's refusal as a proxy repeats it: JSON in a string."""
    detail = (
        f'{{"detail":[{{"type":"extra_forbidden","loc":["body","{name}"],"msg":"Extra inputs are not permitted"}}]}}'
    )
    return OddAnswer(422, {"object": "error", "message": detail, "code": 3051})


def plain(name: str, value: Any) -> OddAnswer:
    return fail(400, f"{name} is not supported by this model")


def groq(name: str, value: Any) -> OddAnswer:
    return fail(400, f"property '{name}' is unsupported")


def gemini(name: str, value: Any) -> OddAnswer:
    message = f'Invalid JSON payload received. Unknown name "{name}": Cannot find field.'
    return OddAnswer(400, [{"error": {"code": 400, "message": message, "status": "INVALID_ARGUMENT"}}])


def xai(name: str, value: Any) -> OddAnswer:
    message = f"Argument not supported on this model: {name}"
    return OddAnswer(400, {"code": "Client specified an invalid argument", "error": message})


def litellm(name: str, value: Any) -> OddAnswer:
    message = (
        f"litellm.UnsupportedParamsError: bedrock does not support parameters: ['{name}'], for model=m. To drop these, "
        "set `litellm.drop_params=True`. Received Model Group=m\nAvailable Model Group Fallbacks=None"
    )
    return fail(400, message, type="None", param="None", code="400")


def litellm_500(name: str, value: Any) -> OddAnswer:
    message = f"litellm.APIConnectionError: UnsupportedParamsError: parameters: ['{name}'] are not supported"
    return OddAnswer(500, {"error": {"message": message, "type": None, "param": None, "code": "500"}})


def cohere(name: str, value: Any) -> OddAnswer:
    return OddAnswer(422, {"id": "x", "message": f"invalid request: unknown field: parameter '{name}' is not a valid"})


def openrouter(name: str, value: Any) -> OddAnswer:
    message = "No endpoints found that can handle the requested parameters. To learn more about provider routing"
    return OddAnswer(404, {"error": {"message": message, "code": 404}})


def bad_request(name: str, value: Any) -> OddAnswer:
    return fail(400, "Bad Request")


def empty_body(name: str, value: Any) -> OddAnswer:
    return OddAnswer(400, "", {"Content-Type": "text/plain"})


def rust(name: str, value: Any) -> OddAnswer:
    text = f"Failed to deserialize the JSON body into the target type: unknown field `{name}` at line 1 column 9"
    return OddAnswer(422, text, {"Content-Type": "text/plain"})


def not_implemented(name: str, value: Any) -> OddAnswer:
    error = {"code": 501, "message": f"{name} is not supported by this server", "type": "not_supported_error"}
    return OddAnswer(501, {"error": error})


WORDINGS: Mapping[str, Wording] = {
    "openai": unsupported,
    "openai, older": unrecognized,
    "pydantic": extra_forbidden,
    "mistral": mistral,
    "mistral behind a proxy": mistral_text,
    "plain sentence": plain,
    "groq": groq,
    "gemini": gemini,
    "xai": xai,
    "litellm": litellm,
    "litellm, 500": litellm_500,
    "cohere": cohere,
    "openrouter, 404, nothing named": openrouter,
    "bad request, nothing named": bad_request,
    "no body at all": empty_body,
    "serde": rust,
    "llama.cpp, 501": not_implemented,
}


def refusing(wording: Wording, *names: str) -> Serve:
    """Refuse the first of these parameters that a request has."""

    def serve(call: OddCall) -> OddAnswer | None:
        name = next((name for name in names if name in call.body), None)
        return None if name is None else wording(name, call.body[name])

    return serve


def refuses_temperature(call: OddCall) -> OddAnswer | None:
    """Refuse as the reasoning models of OpenAI do: any temperature but 1, and max_tokens."""
    if "max_tokens" in call.body:
        return unsupported("max_tokens", call.body["max_tokens"])
    for name in ("temperature", "top_p"):
        if call.body.get(name, 1) != 1:
            return unsupported_value(name, call.body[name])
    return None


def refuses_both(call: OddCall) -> OddAnswer | None:
    """Refuse temperature and top_p together, as Claude does."""
    if {"temperature", "top_p"} <= call.body.keys():
        message = "`temperature` and `top_p` cannot both be specified for this model. Please use only one."
        return fail(400, message)
    return None


def refuses_together(call: OddCall) -> OddAnswer | None:
    """Name all refused parameters in one answer."""
    names = [name for name in ("seed", "temperature", "n") if name in call.body]
    if not names:
        return None
    errors = [
        {"type": "extra_forbidden", "loc": ["body", name], "msg": "Extra inputs are not permitted"} for name in names
    ]
    return OddAnswer(422, {"detail": errors})


def requires_limit(call: OddCall) -> OddAnswer | None:
    """Require a limit, and refuse the seed without naming it."""
    if not ({"max_tokens", "max_completion_tokens"} & call.body.keys()):
        return fail(400, "max_tokens: Field required")
    return bad_request("seed", 0) if "seed" in call.body else None


def bounded_temperature(call: OddCall) -> OddAnswer | None:
    """Refuse a temperature above 1, as GLM and MiniMax do."""
    if call.body.get("temperature", 1) > 1:
        return fail(400, "temperature must be in range [0, 1]", code="1210")
    return None


def oldest_reasoner(call: OddCall) -> OddAnswer | None:
    """Refuse what the first small reasoning model of OpenAI refuses: nearly everything, one part per answer."""
    if any(message["role"] == "system" for message in call.body["messages"]):
        message = "Unsupported value: 'messages[0].role' does not support 'system' with this model."
        return fail(400, message, param="messages[0].role", code="unsupported_value")
    if "response_format" in call.body and call.body["response_format"]["type"] != "text":
        message = "Invalid parameter: 'response_format' of type 'json_schema' is not supported with this model."
        return fail(400, message, param="response_format")
    if call.body.get("n", 1) > 1:
        return unsupported_value("n", call.body["n"])
    return refuses_temperature(call)


def bare(call: OddCall) -> OddAnswer | None:
    """Accept one user turn and nothing optional, and name nothing."""
    if [message["role"] for message in call.body["messages"]] != ["user"]:
        return bad_request("messages", None)
    return strict(bad_request)(call)


def one_of_three(call: OddCall) -> OddAnswer:
    """Answer as the upstream of a gateway that lacks the seed."""
    return refusing(groq, "seed")(call) or OddAnswer(body=completion(call))


def limit_reached(call: OddCall) -> OddAnswer | None:
    """Refuse what would not fit into the limit, as OpenAI does for thoughts that take all of it."""
    if call.limit >= 1500:
        return None
    message = "Could not finish the message because max_tokens or model output limit was reached."
    return fail(400, f"{message} Please try again with higher max_tokens.")


def limit_bounded(call: OddCall) -> OddAnswer | None:
    """Refuse limits that a small model cannot have."""
    for name in ("max_tokens", "max_completion_tokens"):
        if call.body.get(name, 0) > 256:
            return fail(
                400, f"`{name}` must be less than or equal to `256`, the maximum value for this model", param=name
            )
    return None


def streams_only(call: OddCall) -> OddAnswer:
    """Refuse calls without a stream, as DashScope does for some models."""
    if call.body.get("stream"):
        return OddAnswer(body="".join([*stream(call), event("[DONE]")]), headers={"Content-Type": "text/event-stream"})
    return fail(400, "This model only support stream mode, please enable the stream parameter to access the model.")


def thinks_in_streams(call: OddCall) -> OddAnswer | None:
    """Refuse calls that do not turn thinking off, as DashScope does without a stream."""
    if call.body.get("enable_thinking") is False:
        return None
    return fail(400, "parameter.enable_thinking must be set to false for non-streaming calls")


ALLOWED = ("model", "messages", "stream")
"""Parameters of a server that accepts nothing optional."""


def strict(wording: Wording) -> Serve:
    """Refuse everything optional, one parameter per answer."""

    def serve(call: OddCall) -> OddAnswer | None:
        extra = [name for name in call.body if name not in ALLOWED]
        return wording(extra[0], call.body[extra[0]]) if extra else None

    return serve


def _row(name: str, serve: Serve, source: str, wasted: int = 3, **options: Any) -> Behaviour:
    return Behaviour(name, GROUP, always(serve), source, wasted=wasted, **options)


SEEDS = tuple(
    _row(
        f"seed refused: {name}",
        refusing(wording, "seed"),
        name,
        judge=name in ("mistral", "bad request, nothing named"),
    )
    for name, wording in WORDINGS.items()
)
"""One parameter in every wording."""

UNNAMED = tuple(
    _row(
        f"{name} refused, nothing named",
        refusing(bad_request, *names),
        "gateways",
        3 * len(names),
        recipe="draw: {top_p: 0.9}\n",
    )
    for name, names in {
        "temperature": ("temperature",),
        "top_p": ("top_p",),
        "max_tokens": ("max_tokens",),
        "every limit": ("max_tokens", "max_completion_tokens"),
        "seed and temperature": ("seed", "temperature"),
    }.items()
)
"""Several parameters in the wording that says nothing."""

PARAMETERS = (
    _row("openai's reasoning models", refuses_temperature, "OpenAI o-series, gpt-5", 6, judge=True),
    _row("max_tokens by its newer name only", refusing(unsupported, "max_tokens"), "OpenAI"),
    _row("max_tokens by its older name only", refusing(extra_forbidden, "max_completion_tokens"), "Mistral, TGI"),
    _row("temperature: plain sentence", refusing(plain, "temperature"), "gateways"),
    _row("temperature and top_p, not both", refuses_both, "Claude behind gateways", recipe="draw: {top_p: 0.9}\n"),
    _row("temperature above 1", bounded_temperature, "GLM, MiniMax", recipe="draw: {temperature: 1.3}\n"),
    _row("several in one answer", refuses_together, "pydantic", 6, recipe="draw: {candidates: 2}\n"),
    _row(
        "several, one per answer",
        refusing(unsupported, "seed", "temperature", "top_p"),
        "OpenAI",
        9,
        recipe="draw: {top_p: 0.9}\n",
    ),
    _row("a limit is required, seed refused unnamed", requires_limit, "Claude behind gateways", 6),
    _row(
        "nothing optional, each named",
        strict(extra_forbidden),
        "pydantic models with extra=forbid",
        18,
        recipe="draw: {top_p: 0.9, candidates: 2}\n",
        judge=True,
    ),
    _row(
        "nothing optional, nothing named",
        strict(bad_request),
        "home-made servers",
        18,
        recipe="draw: {top_p: 0.9, candidates: 2}\n",
    ),
    _row("the limit is reached, 400", limit_reached, "OpenAI", 6),
    _row("a bound on the limit", limit_bounded, "Groq", 6),
    _row("streams only", streams_only, "DashScope", 30, stop=("stream",), rows=70, most_calls=30),
    _row(
        "thinking needs a stream", thinks_in_streams, "DashScope", 30, stop=("enable_thinking",), rows=70, most_calls=30
    ),
    _row(
        "thinking needs a stream, by the recipe",
        thinks_in_streams,
        "DashScope",
        0,
        recipe="backend: {body: {enable_thinking: false}}\n",
    ),
    _row(
        "nearly everything, as o1-mini",
        oldest_reasoner,
        "OpenAI o1-mini",
        18,
        recipe="draw: {candidates: 2, top_p: 0.9}\n",
        judge=True,
    ),
    _row(
        "one user turn and nothing else, nothing named",
        bare,
        "home-made servers",
        24,
        recipe="draw: {candidates: 2, top_p: 0.9}\n",
    ),
    # A third of the calls that are in flight when it is first met, of 16 at the start of a run.
    Behaviour("one upstream of three refuses the seed", GROUP, every(3, one_of_three), "OpenRouter", wasted=8),
    *(
        _row(f"{name}, 70 rows at once", serve, source, 3 * parameters, rows=70)
        for name, serve, source, parameters in (
            ("openai's reasoning models", refuses_temperature, "OpenAI", 2),
            ("seed refused", refusing(mistral, "seed"), "Mistral", 1),
            ("nothing optional, nothing named", strict(bad_request), "home-made servers", 6),
        )
    ),
    *SEEDS,
    *UNNAMED,
)
"""All rows of the group."""
