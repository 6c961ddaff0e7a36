"""The wait that a server names in the headers or in the body of its answer."""

import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personagen.builder.core.retry_after import MAX_BODY_CHARS, retry_after


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": " 1.5 "}, 1.5),
        ({"retry-after": "7", "retry-after-ms": "20"}, 0.02),
        ({"retry-after": "-5"}, None),
        ({"retry-after-ms": "-5"}, 0.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after-ms": "inf"}, None),
        ({"retry-after": "9" * 400}, None),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0.0),
    ],
)
def test_seconds(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers) == seconds


def test_a_date_means_the_time_until_then() -> None:
    later = datetime.now(UTC) + timedelta(seconds=90)
    seconds = retry_after({"retry-after": format_datetime(later, usegmt=True)})
    assert seconds is not None
    assert 60 < seconds <= 90


DATE = {"date": "Wed, 21 Oct 2015 07:28:00 GMT"}


@pytest.mark.parametrize(
    "headers",
    [
        {"retry-after": "Wed, 21 Oct 2015 07:28:05 GMT"},
        {"x-ratelimit-reset": "1445412485", "x-ratelimit-remaining": "0"},
        {"x-ratelimit-reset": "1445412485000", "x-ratelimit-remaining": "0"},
        {"anthropic-ratelimit-requests-reset": "2015-10-21T07:28:05Z", "anthropic-ratelimit-requests-remaining": "0"},
    ],
)
def test_a_date_counts_from_the_clock_of_the_server(headers: dict[str, str]) -> None:
    """Whatever the local clock says."""
    assert retry_after(headers | DATE) == 5.0
    assert retry_after(headers) == 0.0, "without a Date header, the moment is long past"
    assert retry_after(headers | {"date": "yesterday"}) == 0.0


ZERO = {"x-ratelimit-remaining-requests": "0"}


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"x-ratelimit-reset-requests": "7.3s"}, 7.3),
        ({"x-ratelimit-reset-requests": "1m2.5s", **ZERO}, 62.5),
        ({"x-ratelimit-reset-requests": "120ms", **ZERO}, 0.12),
        ({"x-ratelimit-reset-requests": "6m0s", **ZERO}, 360.0),
        ({"x-ratelimit-reset-requests": "8", **ZERO}, 8.0),
        ({"x-ratelimit-reset-requests": "7.3s", "x-ratelimit-reset-tokens": "0s", **ZERO}, 7.3),
        ({"x-ratelimit-reset-tokens": "9s", "x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-requests": "60s",
          "x-ratelimit-remaining-requests": "5"}, 9.0),
        ({"x-ratelimit-reset-tokens": "9s", "x-ratelimit-remaining-tokens": "0",
          "x-ratelimit-reset-requests": "60s", **ZERO}, 60.0),
        ({"x-ratelimit-reset-requests": "7s", "x-ratelimit-remaining-requests": "5"}, None),
        ({"x-ratelimit-reset-requests": "7s", "x-ratelimit-reset-tokens": "9s"}, None),
        ({"ratelimit-reset": "12"}, 12.0),
        ({"x-ratelimit-reset": "12", "x-ratelimit-remaining": "0"}, 12.0),
        ({"ratelimit": '"api";r=0;t=55'}, 55.0),
        ({"ratelimit": '"api";r=3;t=55'}, None),
        ({"ratelimit": "limit=100, remaining=0, reset=55"}, 55.0),
        ({"ratelimit": "limit=100, remaining=7, reset=55"}, None),
        ({"ratelimit": '"a";r=3;t=5, "b";r=0;t=55'}, 55.0),
        ({"x-ratelimit-reset": "1000000000", "x-ratelimit-remaining": "0"}, 0.0),
        ({"x-ratelimit-reset": "1000000000000", "x-ratelimit-remaining": "0"}, 0.0),
        ({"anthropic-ratelimit-requests-reset": "2015-10-21T07:28:00Z"}, 0.0),
        ({"x-ratelimit-reset-requests": "soon"}, None),
        ({"x-ratelimit-reset-requests": "9" * 400}, None),
        ({"retry-after": "8s"}, 8.0),
        ({"retry-after": "2", "x-ratelimit-reset-requests": "60s", **ZERO}, 2.0),
        ({"retry-after": "soon", "x-ratelimit-reset-requests": "60s", **ZERO}, 60.0),
    ],
)  # fmt: skip
def test_the_reset_of_an_exhausted_limit_is_a_wait(headers: dict[str, str], seconds: float | None) -> None:
    """One that is not exhausted is none: another limit refused the request."""
    assert retry_after(headers) == (None if seconds is None else pytest.approx(seconds))


def test_a_reset_may_be_a_unix_time() -> None:
    for scale in (1, 1000):
        later = str(int((time.time() + 90) * scale))
        seconds = retry_after({"x-ratelimit-reset": later, "x-ratelimit-remaining": "0"})
        assert seconds is not None and 60 < seconds <= 90


@pytest.mark.parametrize(
    ("body", "seconds"),
    [
        ("Rate limit reached. Please try again in 8.2s. Visit the page.", 8.2),
        ("Please try again in 20ms.", 0.02),
        ("retry in 20 ms", 0.02),
        ("Please retry after 8 seconds.", 8.0),
        ("Requests have exceeded the limit. Please retry after 1 second.", 1.0),
        ("Please try again in 1h12m3.5s.", 4323.5),
        ("Try again in 5h0m0s.", 18_000.0),
        ("try again in 5 minutes", 300.0),
        ("Please wait 30 seconds before the next request", 30.0),
        ("Your limit resets in: 12s", 12.0),
        ("Please try again in 1 minute and 5 seconds", 65.0),
        ("Please retry in 8.21s.", 8.21),
        ('{"details": [{"@type": "google.rpc.RetryInfo", "retryDelay": "8s"}]}', 8.0),
        ('{"message": "Please retry in 7.6s.", "details": [{"retryDelay": "8s"}]}', 8.0),
        ('{"error": "loading", "estimated_time": 20.5}', 20.5),
        ('{"retry_after": 3}', 3.0),
        ('{"retry_after_ms": 300}', 0.3),
        ("retry after 8", 8.0),
        ("Retry-After: 7", 7.0),
        ("Rate limit reached for requests", None),
        ("Limit: 60 requests per 60 seconds", None),
        ("wait 20 requests", None),
        ("try again in a few moments", None),
        ("retry 3 times", None),
        ("", None),
    ],
)
def test_a_body_may_state_the_wait(body: str, seconds: float | None) -> None:
    assert retry_after({}, body) == (None if seconds is None else pytest.approx(seconds))
    assert retry_after({"retry-after": "1"}, body) == 1.0, "the header is more exact"


@pytest.mark.parametrize(
    "unit", ["try again in ", "1", "1s", "retry ", "retry_after:", "1m ", "wait 1", '"retryDelay": ']
)
def test_a_long_body_is_read(unit: str) -> None:
    """Only its first characters are."""
    whole = unit * 300_000
    assert retry_after({}, whole) == retry_after({}, whole[:MAX_BODY_CHARS])


@given(st.text(), st.dictionaries(st.sampled_from(["retry-after", "ratelimit", "x-ratelimit-reset"]), st.text()))
def test_any_answer_states_a_wait_or_none(body: str, headers: dict[str, str]) -> None:
    seconds = retry_after(headers, body)
    assert seconds is None or 0 <= seconds < float("inf")
