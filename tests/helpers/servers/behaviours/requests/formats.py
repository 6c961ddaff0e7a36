"""Ways to ask for JSON that a server refuses or ignores, JSON in odd wrappings, and roles that a template lacks."""

import json
from collections.abc import Callable
from typing import Any

from tests.helpers.servers.behaviours.records import Behaviour, OddAnswer, OddCall, Serve, always, every
from tests.helpers.servers.behaviours.replies import completion, fail, reply

FORMATS, ROLES = "formats", "roles"


def format_of(call: OddCall) -> str | None:
    """Return the type of response_format; None: there is none."""
    form = call.body.get("response_format")
    return form.get("type") if isinstance(form, dict) else None


def refusing(answer: Callable[[str], OddAnswer], *kinds: str) -> Serve:
    """Refuse response_format of these types."""

    def serve(call: OddCall) -> OddAnswer | None:
        kind = format_of(call)
        return answer(kind) if kind in kinds else None

    return serve


def unsupported(kind: str) -> OddAnswer:
    message = f"Invalid parameter: 'response_format' of type '{kind}' is not supported with this model."
    return fail(400, message, param="response_format")


def groq(kind: str) -> OddAnswer:
    message = f"This model does not support response format `{kind}`. See supported models at the documentation"
    return fail(400, message)


def deepseek(kind: str) -> OddAnswer:
    return fail(400, "This response_format type is unavailable now")


def pydantic(kind: str) -> OddAnswer:
    location = ["body", "response_format", "type"]
    return OddAnswer(
        422, {"detail": [{"type": "enum", "loc": location, "msg": "Input should be 'text'", "input": kind}]}
    )


def forbidden(kind: str) -> OddAnswer:
    error = {"type": "extra_forbidden", "loc": ["body", "response_format"], "msg": "Extra inputs are not permitted"}
    return OddAnswer(422, {"detail": [error]})


def lm_studio(kind: str) -> OddAnswer:
    return OddAnswer(400, {"error": "'response_format.type' must be 'text'"})


def azure(kind: str) -> OddAnswer:
    message = "response_format value as json_schema is enabled only for api versions 2024-08-01-preview and later"
    return OddAnswer(400, {"error": {"code": "BadRequest", "message": message}})


def bad_request(kind: str) -> OddAnswer:
    return fail(400, "Bad Request")


def grammar(kind: str) -> OddAnswer:
    return OddAnswer(500, {"error": {"code": 500, "message": "failed to parse grammar", "type": "server_error"}})


def keyword(word: str, answer: OddAnswer) -> Serve:
    """Refuse a schema with a keyword."""

    def serve(call: OddCall) -> OddAnswer | None:
        return answer if format_of(call) == "json_schema" and word in json.dumps(call.body["response_format"]) else None

    return serve


STRICT = fail(
    400,
    "Invalid schema for response_format 'reply': In context=('properties', 'prose'), 'minLength' is not permitted.",
    param="response_format",
)
CLAUDE = fail(400, "output_format.schema: For 'string' type, properties maxLength, minLength are not supported")
GUIDED = fail(400, 'Grammar error: Unimplemented keys: ["minLength", "maxLength"]', type="BadRequestError")


def requires_closed(call: OddCall) -> OddAnswer | None:
    """Require additionalProperties: false in strict mode."""
    form = call.body.get("response_format") or {}
    if form.get("type") == "json_schema" and '"additionalProperties": false' not in json.dumps(form):
        message = "In context=(), 'additionalProperties' is required to be supplied and to be false."
        return fail(400, f"Invalid schema for response_format 'reply': {message}", param="response_format")
    return None


def wants_json(call: OddCall) -> bool:
    """Return whether a request asks for JSON."""
    return "response_format" in call.body or "JSON" in call.words


def json_in(shape: str) -> Serve:
    """Put the JSON of a reply into a text; "{key}" and "{value}" are its first key and value, "{json}" is all of it."""

    def wrapped(text: str) -> str:
        key, value = next(iter(json.loads(text).items()))
        return shape.replace("{json}", text).replace("{key}", key).replace("{value}", str(value))

    def serve(call: OddCall) -> OddAnswer | None:
        return reply(call, [wrapped(text) for text in call.texts]) if wants_json(call) else None

    return serve


def prose(call: OddCall) -> OddAnswer | None:
    """Ignore that JSON was asked for: answer with the plain prose."""
    if not wants_json(call):
        return None
    return reply(call, [str(next(iter(json.loads(text).values()))) for text in call.texts])


def invalid_json(call: OddCall) -> OddAnswer:
    """Refuse what the model wrote, as Groq does from time to time."""
    if format_of(call) is None:
        return OddAnswer(body=completion(call))
    message = "Failed to validate JSON. Please adjust your prompt. See 'failed_generation' for more details."
    return fail(400, message, code="json_validate_failed", failed_generation='{"prose": "We')


WRAPPINGS = {
    "talk around it": "Sure! Here is the JSON you asked for:\n{json}\nLet me know if you need anything else {or not}.",
    "a fence": "```json\n{json}\n```",
    "a fence after talk": "Here you are:\n\n```\n{json}\n```\n",
    "a comma too many": '{"{key}": "{value}",}',
    "further keys": '{"{key}": "{value}", "confidence": 0.9, "notes": ["short"]}',
    "a list around it": "[{json}]",
    "braces before it": "I will fill {prose} as asked. {json}",
    "two objects": '{"thought": "short"}\n{json}',
    "a raw line end in it": '{"{key}": "{value}\n"}',
    "a key of another name": '{"text": "{value}"}',
    "an object around it": '{"reply": {json}}',
}
"""JSON as models write it where no server enforces it."""


def _row(name: str, serve: Serve, source: str, wasted: int = 3, **options: Any) -> Behaviour:
    return Behaviour(name, FORMATS, always(serve), source, wasted=wasted, **options)


FORMAT_ROWS = (
    _row("json_schema refused", refusing(unsupported, "json_schema"), "older OpenAI models"),
    _row("json_schema and json_object refused", refusing(unsupported, "json_schema", "json_object"), "proxies", 6),
    _row("json_schema refused: groq", refusing(groq, "json_schema"), "Groq"),
    _row("json_schema refused: deepseek", refusing(deepseek, "json_schema"), "DeepSeek"),
    _row("json_schema refused: azure", refusing(azure, "json_schema"), "Azure"),
    _row("format refused: an enumeration", refusing(pydantic, "json_schema", "json_object"), "pydantic", 6),
    _row("format refused: not a field", refusing(forbidden, "json_schema", "json_object"), "pydantic", 6),
    _row("format refused: text only", refusing(lm_studio, "json_schema", "json_object"), "LM Studio", 6),
    _row("format refused, nothing named", refusing(bad_request, "json_schema", "json_object"), "gateways", 6),
    _row("grammar fails, 500", refusing(grammar, "json_schema"), "llama.cpp", 6, seconds=4),
    _row("minLength not permitted", keyword("minLength", STRICT), "OpenAI strict mode"),
    _row("maxLength not supported", keyword("maxLength", CLAUDE), "Claude"),
    _row("lengths not implemented", keyword("minLength", GUIDED), "vLLM with guidance"),
    _row("additionalProperties required", requires_closed, "OpenAI strict mode"),
    _row("format ignored", prose, "transformers serve", judge=False),
    Behaviour("what was written fails validation now and then", FORMATS, every(3, invalid_json), "Groq", wasted=12),
    *(_row(f"JSON in {name}", json_in(shape), "models without constraints") for name, shape in WRAPPINGS.items()),
)
"""All rows of the group of formats."""


def roles(call: OddCall) -> list[str]:
    return [message["role"] for message in call.body["messages"]]


def no_system(answer: OddAnswer) -> Serve:
    """Refuse a system turn."""
    return lambda call: answer if "system" in roles(call) else None


def alternating(call: OddCall) -> OddAnswer | None:
    """Require turns of user and assistant in alternation, beginning with the user."""
    wanted = ["user", "assistant"] * len(roles(call))
    if roles(call) == wanted[: len(roles(call))]:
        return None
    return OddAnswer(
        400,
        {
            "object": "error",
            "message": "Conversation roles must alternate user/assistant/user/assistant/...",
            "type": "BadRequestError",
            "param": None,
            "code": 400,
        },
    )


def user_only(call: OddCall) -> OddAnswer | None:
    """Accept a single user turn only."""
    return None if roles(call) == ["user"] else fail(422, "messages: only one message with role `user` is accepted")


NO_SYSTEM = {
    "vLLM": OddAnswer(
        400,
        {
            "object": "error",
            "message": "System role not supported",
            "type": "BadRequestError",
            "param": None,
            "code": 400,
        },
    ),
    "OpenAI o1-mini": fail(
        400,
        "Unsupported value: 'messages[0].role' does not support 'system' with this model.",
        param="messages[0].role",
        code="unsupported_value",
    ),
    "Gemini API with Gemma": OddAnswer(
        400,
        [
            {
                "error": {
                    "code": 400,
                    "status": "INVALID_ARGUMENT",
                    "message": "Developer instruction is not enabled for models/gemma-3-4b-it",
                }
            }
        ],
    ),
    "llama.cpp, 500": OddAnswer(
        500,
        {
            "error": {
                "code": 500,
                "type": "server_error",
                "message": "Jinja Exception: System role not supported at row 1, column 72",
            }
        },
    ),
    "litellm": fail(
        400,
        "litellm.BadRequestError: Hosted_vllmException - System role not supported. Received Model Group=m\n"
        "Available Model Group Fallbacks=None",
        code="400",
    ),
    "jinja": OddAnswer(
        500, {"error": "Internal Server Error: jinja2.exceptions.TemplateError: System role not supported"}
    ),
    "templates": fail(400, "Only user and assistant roles are supported!"),
    "pydantic": OddAnswer(
        422,
        {
            "detail": [
                {
                    "type": "literal_error",
                    "loc": ["body", "messages", 0, "role"],
                    "msg": "Input should be 'user' or 'assistant'",
                    "input": "system",
                }
            ]
        },
    ),
    "nothing named": fail(400, "Bad Request"),
}
"""Refusals of the system role."""

ROLE_ROWS = (
    *(
        Behaviour(
            f"system role refused: {name}",
            ROLES,
            always(no_system(answer)),
            name,
            wasted=3,
            judge=name == "vLLM",
            seconds=4 if answer.status == 500 else 0,
        )
        for name, answer in NO_SYSTEM.items()
    ),
    Behaviour("roles must alternate", ROLES, always(alternating), "Mistral's and Llama 2's templates", wasted=3),
    Behaviour("a single user turn", ROLES, always(user_only), "home-made servers", wasted=3),
)
"""All rows of the group of roles."""
