"""Errors in replies with status 200."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personagen.builder.core.errors import BackendError, RequestError, TransientError
from personagen.builder.llm.chat_protocol.completions.reply_errors import (
    error_in_text,
    error_status,
    find_error,
    require_no_error,
)
from personagen.builder.llm.chat_protocol.endpoint import Endpoint
from tests.helpers.real_texts import goemotions
from tests.helpers.servers.behaviours.failures.passing import ERROR_TEXTS, IN_BODY

ENDPOINT = Endpoint("http://127.0.0.1:1/v1", "m")

STATUSES: list[tuple[dict[str, Any], int]] = [
    ({"error": {"message": "Provider returned error", "code": 429}}, 429),
    ({"error": {"message": "x", "code": "429"}}, 429),
    ({"error": {"message": "x", "status": 502}}, 502),
    ({"error": {"message": "x", "code": "rate_limit_exceeded", "type": "invalid_request_error"}}, 429),
    ({"error": {"message": "x", "type": "overloaded_error"}}, 503),
    ({"error": {"message": "x", "status": "RESOURCE_EXHAUSTED"}}, 429),
    ({"error": {"message": "x", "status": "UNAVAILABLE"}}, 503),
    ({"error": {"message": "x", "code": "Throttling.RateQuota"}}, 429),
    ({"error": {"message": "x", "type": "server_error", "code": None}}, 500),
    ({"error": {"message": "x", "code": "insufficient_quota"}}, 402),
    ({"error": {"message": "x", "code": "model_not_found"}}, 404),
    ({"error": {"message": "x", "code": "invalid_api_key", "type": "invalid_request_error"}}, 401),
    ({"error": {"message": "Your balance is insufficient: insufficient balance", "code": 1008}}, 402),
    ({"error": {"message": "x", "code": "context_length_exceeded"}}, 400),
    ({"error": {"message": "The prompt was flagged by our content filter"}}, 400),
    ({"error": {"message": "Rate limit reached", "type": "invalid_request_error"}}, 429),
    ({"error": {"message": "An upstream connection broke"}}, 500),
    ({"error": {"message": "The server had an error"}}, 500),
    ({"error": {"message": "Deadline exceeded"}}, 504),
    ({"error": {"message": "No."}}, 400),
    ({"error": [{"message": "x", "code": 503}]}, 503),
    ({"error": "The model is overloaded"}, 503),
    ({"error": True, "message": "engine busy"}, 503),
    ({"object": "error", "message": "x", "code": 40001}, 400),
    ({"object": "error", "message": "x", "code": 42901}, 429),
    ({"object": "error", "message": "x", "code": 50002}, 500),
    ({"object": "error", "message": "the context is too long", "code": 40303}, 400),
    ({"object": "error", "message": "no such model", "code": 40301}, 404),
    ({"type": "error", "error": {"type": "rate_limit_error", "message": "x"}}, 429),
    ({"base_resp": {"status_code": 1002, "status_msg": "rate limit"}, "choices": None}, 429),
    ({"error_code": 18, "error_msg": "Open api qps request limit: too many requests"}, 429),
    ({"code": "InvalidParameter", "message": "x"}, 400),
    ({"detail": "Service temporarily unavailable"}, 503),
    ({"status": "error", "message": "Backend not reachable"}, 500),
]


@pytest.mark.parametrize(("body", "status"), STATUSES)
def test_an_error_has_the_status_of_its_code_or_else_of_its_words(body: dict[str, Any], status: int) -> None:
    error = find_error(body)
    assert error is not None
    assert error_status(error) == status


FINE: list[dict[str, Any]] = [
    {},
    {"choices": [{}]},
    {"choices": [{}], "error": None},
    {"choices": [{}], "error": {}, "message": "ok", "code": 7},
    {"choices": [{}], "error": {"message": "", "code": 0}},
    {"choices": [{}], "error": ""},
    {"choices": [{}], "base_resp": {"status_code": 0, "status_msg": "success"}},
    {"choices": [{}], "detail": "cached", "status": "ok"},
    {"choices": [], "usage": {"prompt_tokens": 1}},
    {"model": "m", "response": "The clerk carried a ladder.", "done": True},
]
"""Bodies that report no error."""


@pytest.mark.parametrize("body", FINE)
def test_a_body_without_an_error_passes(body: dict[str, Any]) -> None:
    require_no_error(body, ENDPOINT)


@pytest.mark.parametrize("name", IN_BODY)
def test_errors_of_the_table_may_pass(name: str) -> None:
    with pytest.raises(TransientError, match=r"^http://127\.0\.0\.1:1/v1 "):
        require_no_error(IN_BODY[name][0], ENDPOINT)


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        ({"message": "User not found.", "code": 401}, BackendError, "OPENAI_API_KEY"),
        ({"message": "none left", "code": "insufficient_quota"}, BackendError, r"no credit left .* 'none left'"),
        ({"message": "flagged", "code": 400}, RequestError, r"refused the request \(400\): 'flagged'"),
    ],
)
def test_an_error_is_raised_as_its_status_would_be(error: dict[str, Any], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        require_no_error({"error": error}, ENDPOINT)


def test_words_of_the_provider_and_its_wait_are_passed_on() -> None:
    error = {"message": "Provider returned error", "code": 429, "metadata": {"raw": "Please retry in 8.2s."}}
    with pytest.raises(TransientError, match=r"Provider returned error: Please retry in 8\.2s") as caught:
        require_no_error({"error": error}, ENDPOINT)
    assert caught.value.overload and caught.value.wait == 8.2


def test_an_error_in_place_of_a_text_is_found() -> None:
    found = error_in_text('\n{"error": {"message": "Internal server error", "code": 500}}')
    assert found == {"message": "Internal server error", "code": 500}
    for text, status in zip(ERROR_TEXTS, (503, 500, 429, 500), strict=True):
        error = error_in_text(text)
        assert error is not None and error_status(error) == status
    for text in (
        '{"prose": "an \\"error\\" of mine"}',
        '{"error": ',
        '{"error": null}',
        "error",
        '{"a": {"error": 1}}',
    ):
        assert error_in_text(text) is None


HUMAN = (
    "Error 404: motivation not found. Please try again tomorrow.",
    "Error: my brain stopped. I am so tired of this server room.",
    "Server error again at work today, and I had to stay until nine.",
    "Sorry, I could not come: the service of the trains is a joke.",
)


def test_what_people_write_of_errors_is_a_text() -> None:
    texts = [*HUMAN, *goemotions().texts, *goemotions().test_texts]
    assert [text for text in texts if error_in_text(text) is not None] == []


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["error", "message", "code", "type", "object", "detail", "base_resp"]), inner)
    ),
    max_leaves=8,
)


@given(
    st.dictionaries(st.sampled_from(["error", "message", "code", "object", "choices", "status", "base_resp"]), VALUES)
)
def test_any_body_has_a_status_or_no_error(body: dict[str, Any]) -> None:
    error = find_error(body)
    assert error is None or (400 <= error_status(error) < 600 and isinstance(error["message"], str))
