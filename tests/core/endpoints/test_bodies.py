"""Parts of a request body that a recipe may set, and those it may not."""

import re
from typing import Any

import pytest

from personagen.builder.core.endpoints.bodies import MAX_BODY_CHARS, OTHER_KEYS, OWN_PARTS, validate_body

ACCEPTED: list[dict[str, Any]] = [
    {},
    {"chat_template_kwargs": {"enable_thinking": False}},
    {"provider": {"order": ["a", "b"], "allow_fallbacks": False}, "top_k": 40, "temperature": 1},
    {"seed": None, "temperature": None, "response_format": None, "max_tokens": None},
    {"prompt_cache_key": "personas", "thinking_token_budget": 5, "stop_token_ids": [1], "reasoning": {"max_tokens": 9}},
]

DEEP: Any = []
for _ in range(100_000):
    DEEP = [DEEP]

REFUSED: list[tuple[dict[Any, Any], str]] = [
    *(({name: value}, f"{name} is set by PersonaGen; leave it out") for name in OWN_PARTS for value in (1, None)),
    *(({name: 5}, f"{name} is set by {key}; write it there, or null to leave") for name, key in OTHER_KEYS.items()),
    ({"extra_body": {"a": 1}}, "extra_body is an argument of a client, not a part of a request; write its keys"),
    ({"a": float("nan")}, "wanted JSON data; got something else (Out of range float values are not JSON compliant"),
    ({"a": {1, 2}}, "wanted JSON data; got something else (Object of type set is not JSON serializable)"),
    ({"a": DEEP}, "wanted JSON data; got something else (nested too deeply)"),
    ({"a": {1: 2}}, "wanted JSON data, whose keys are text; got the key 1"),
    ({"a": "x" * MAX_BODY_CHARS}, f"got {MAX_BODY_CHARS + 9} characters of JSON, wanted {MAX_BODY_CHARS} at most"),
    ({"api_key": "SECRET"}, "api_key holds a secret, and the body is part of the release; use backend.headers"),
    ({"a": [{"Authorization": "SECRET"}]}, "Authorization holds a secret"),
    ({"a": {"b": ["Bearer SECRET"]}}, "b holds a secret"),
    ({"a": "${NAME}"}, "a holds a secret"),
]


@pytest.mark.parametrize("body", ACCEPTED, ids=str)
def test_optional_parts_may_be_set_and_left_out(body: dict[str, Any]) -> None:
    validate_body(body)


@pytest.mark.parametrize(("body", "message"), REFUSED, ids=[message for _, message in REFUSED])
def test_other_parts_are_refused_in_one_line(body: dict[Any, Any], message: str) -> None:
    with pytest.raises(ValueError, match="^" + re.escape(message)) as caught:
        validate_body(body)
    assert "SECRET" not in str(caught.value) and "\n" not in str(caught.value)
