"""Refusals that concern one prompt, and those that concern the whole run: keys, models, credit, hopeless models."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tests.helpers.servers.behaviours.records import (
    MANY_ROWS,
    MOST_HOPELESS_CALLS,
    MOST_REFUSED_CALLS,
    Behaviour,
    OddAnswer,
    OddCall,
    Serve,
    always,
    constant,
    every,
    first,
)
from tests.helpers.servers.behaviours.replies import completion, fail, useless

MODERATION, ACCESS, HOPELESS = "moderation", "access", "hopeless runs"

FLAGGED = OddAnswer(
    403,
    {
        "error": {
            "message": 'm requires moderation on X. Your input was flagged for "violence/graphic".',
            "code": 403,
            "metadata": {"reasons": ["violence/graphic"], "provider_name": "X"},
        }
    },
)
AZURE_FILTER = OddAnswer(
    400,
    {
        "error": {
            "message": "The response was filtered due to the prompt triggering Azure OpenAI's "
            "content management policy. Please modify your prompt and retry.",
            "type": None,
            "param": "prompt",
            "code": "content_filter",
            "status": 400,
            "innererror": {"code": "ResponsibleAIPolicyViolation"},
        }
    },
)
DASHSCOPE = fail(400, "Input data may contain inappropriate content.", code="data_inspection_failed")
OPENAI_POLICY = fail(
    400, "Invalid prompt: your prompt was flagged as potentially violating our usage policy.", code="invalid_prompt"
)
GEMINI_BLOCK = OddAnswer(
    200,
    {
        "id": "c",
        "object": "chat.completion",
        "choices": [],
        "usage": {"prompt_tokens": 200},
        "prompt_feedback": {"block_reason": "SAFETY"},
    },
    use="refused",
)
LAWFUL = OddAnswer(451, {"error": {"message": "Unavailable for legal reasons: the prompt was blocked", "code": 451}})
FLAGS = {
    "403": (FLAGGED, "OpenRouter"),
    "400, Azure": (AZURE_FILTER, "Azure OpenAI"),
    "400, DashScope": (DASHSCOPE, "Qwen's API"),
    "400, invalid prompt": (OPENAI_POLICY, "OpenAI"),
    "200 without choices": (GEMINI_BLOCK, "Gemini behind gateways"),
    "451": (LAWFUL, "gateways"),
}
"""Refusals of one prompt."""


def flags_words(words: Sequence[str], answer: OddAnswer) -> Serve:
    """Refuse every prompt with one of these words."""
    return lambda call: answer if any(word in call.words for word in words) else None


MODERATION_ROWS = (
    *(
        Behaviour(
            f"a prompt is flagged now and then: {name}",
            MODERATION,
            every(4, constant(answer)),
            source,
            wasted=9,
        )
        for name, (answer, source) in FLAGS.items()
    ),
    Behaviour("the first two prompts are flagged", MODERATION, first(2, FLAGGED), "OpenRouter", wasted=2),
    Behaviour(
        "the prompts of one emotion are flagged",
        MODERATION,
        always(flags_words(("disgust", "item 3"), FLAGGED)),
        "OpenRouter",
        stop=("6 texts were accepted", "flagged|see"),
        wasted=12,
    ),
)
"""All rows of the group of moderation."""

LITELLM_MODEL = "/chat/completions: Invalid model name passed in model=m. Call `/v1/models` to view available models"
DENIED: Mapping[str, tuple[OddAnswer, str, str]] = {
    "wrong key": (
        fail(
            401,
            "Incorrect API key provided: sk-***. You can find your API key at your account page.",
            code="invalid_api_key",
        ),
        "OPENAI_API_KEY",
        "OpenAI",
    ),
    "wrong key of a proxy": (
        OddAnswer(
            401,
            {
                "error": {
                    "message": "Authentication Error, Invalid proxy server token passed",
                    "type": "token_not_found_in_db",
                    "code": "401",
                }
            },
        ),
        "OPENAI_API_KEY",
        "LiteLLM",
    ),
    "wrong key, 400": (
        OddAnswer(
            400,
            [
                {
                    "error": {
                        "code": 400,
                        "message": "API key not valid. Please pass a valid API key.",
                        "status": "INVALID_ARGUMENT",
                    }
                }
            ],
        ),
        "API key not valid",
        "Gemini",
    ),
    "wrong key, 403": (fail(403, "Invalid API key"), "Invalid API key", "gateways"),
    "unknown model": (
        fail(404, "The model `m` does not exist or you do not have access to it.", code="model_not_found"),
        "does not exist",
        "OpenAI, vLLM",
    ),
    "unknown model, 400": (fail(400, LITELLM_MODEL), "Invalid model name", "LiteLLM"),
    "unknown model, 400, plain": (
        OddAnswer(400, {"object": "error", "message": "Invalid model: m", "type": "invalid_model", "code": "1500"}),
        "Invalid model",
        "Mistral",
    ),
    "unknown model, 422": (
        OddAnswer(422, {"error": "model m is not loaded, run `pull m` first"}),
        "not loaded",
        "local",
    ),
    "unknown model, pinned": (
        OddAnswer(400, {"detail": "Server is pinned to 'other'; requested 'm'."}),
        "pinned to 'other'",
        "transformers serve",
    ),
    "no credit": (
        OddAnswer(402, {"error": {"message": "Insufficient credits. Add more and retry.", "code": 402}}),
        "Insufficient credits",
        "OpenRouter",
    ),
    "no credit, 429": (
        fail(
            429,
            "You exceeded your current quota, please check your plan and billing details.",
            code="insufficient_quota",
            type="insufficient_quota",
        ),
        "exceeded your current quota",
        "OpenAI",
    ),
    "no credit, 403": (
        OddAnswer(
            403,
            {
                "error": {
                    "message": "The free tier of the model has been exhausted.",
                    "code": "AllocationQuota.FreeTierOnly",
                }
            },
        ),
        "exhausted",
        "Qwen's API",
    ),
    "no credit, 400": (
        fail(400, "Your credit balance is too low to access the API. Please go to Plans & Billing."),
        "credit balance is too low",
        "Claude",
    ),
    "country": (
        fail(403, "Country, region, or territory not supported", code="unsupported_country_region_territory"),
        "territory not supported",
        "OpenAI",
    ),
    "terms": (
        fail(403, "The model `m` requires terms acceptance. Please have the org admin accept the terms."),
        "terms acceptance",
        "Groq",
    ),
    "context too short": (
        fail(
            400,
            "This model's maximum context length is 128 tokens. However, you requested 600 tokens.",
            code="context_length_exceeded",
        ),
        "maximum context length",
        "vLLM",
    ),
    "no chat template": (
        fail(400, "Cannot use chat template functions because tokenizer.chat_template is not set"),
        "chat_template",
        "vLLM",
    ),
    "messages refused": (
        OddAnswer(422, {"detail": [{"type": "missing", "loc": ["body", "prompt"], "msg": "Field required"}]}),
        "Field required",
        "servers of another API",
    ),
    "everything refused": (fail(400, "Bad Request"), "Bad Request", "gateways"),
    "a web page": (
        OddAnswer(
            200, "<!DOCTYPE html>\n<html><body>Sign in</body></html>", {"Content-Type": "text/html"}, use="refused"
        ),
        "web page",
        "captive portals",
    ),
    "JSON of another API": (
        OddAnswer(200, {"model": "m", "response": "The clerk carried a ladder.", "done": True}, use="unusable"),
        "choices",
        "Ollama's own API",
    ),
}
"""Refusals of everything: answer, words that the message must contain, and where they are seen."""

ACCESS_ROWS = tuple(
    Behaviour(
        f"denied: {name}",
        ACCESS,
        always(constant(answer)),
        source,
        stop=(words,),
        rows=MANY_ROWS,
        wasted=MOST_REFUSED_CALLS,
        most_calls=MOST_REFUSED_CALLS,
        judge=name in ("wrong key", "unknown model, 400"),
    )
    for name, (answer, words, source) in DENIED.items()
)
"""All rows of the group of access."""


def text(words: str, **options: Any) -> Callable[[OddCall], OddAnswer]:
    return lambda call: useless(call, [words for _ in call.texts], **options)


LOOP = "and then the door and then the door " * 12
NEVER: Mapping[str, tuple[Callable[[OddCall], OddAnswer], str]] = {
    "no content": (lambda call: useless(call, [None for _ in call.texts]), "no content|empty"),
    "empty content": (text(""), "no content|empty"),
    "a refusal": (text("I'm sorry, but I can't help with that."), "refusal"),
    "a loop": (text(LOOP, finish="length"), "garbled|truncated|schema"),
    "half texts": (
        lambda call: useless(call, ["The clerk carried" for _ in call.texts], finish="length"),
        "max_tokens|truncated",
    ),
    "talk about the task": (
        text("As an AI language model I will now describe the persona that the user asked for."),
        "refusal|meta",
    ),
    "a content filter": (
        lambda call: useless(call, ["" for _ in call.texts], finish="content_filter"),
        "content filter|content_filter",
    ),
    "no choices": (lambda call: OddAnswer(body=completion(call) | {"choices": []}, use="unusable"), "choices"),
    "another language": (
        text(
            "Der Postbote trug am Montag eine grüne Leiter zum Hafen, und der Angestellte zählte dort "
            "elf Kisten im Keller."
        ),
        "language",
    ),
    "tool calls": (
        lambda call: useless(
            call,
            finish="tool_calls",
            message=lambda _: {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"id": "c", "type": "function", "function": {"name": "write", "arguments": "{}"}}],
            },
        ),
        "tool|no content",
    ),
}
"""Replies that are paid for and can never be used, and words that the message must contain."""

HOPELESS_ROWS = tuple(
    Behaviour(
        f"never usable: {name}",
        HOPELESS,
        always(serve),
        "weak or badly served models",
        stop=(words,),
        rows=MANY_ROWS,
        wasted=MOST_HOPELESS_CALLS,
        most_calls=MOST_HOPELESS_CALLS,
    )
    for name, (serve, words) in NEVER.items()
)
"""All rows of the group of hopeless runs."""
