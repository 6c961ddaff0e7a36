"""The endpoint: its URLs, secrets that no message shows, and redirects that do not carry the key away."""

import base64
import json
from dataclasses import replace
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personagen.builder.core.errors import BackendError
from personagen.builder.llm.chat_protocol.endpoint import Endpoint, redirect_target

SECRET = 'sk-p"ä+/= 0123456789'
PLAIN = Endpoint("http://h:8000/v1", "m")
QUERY = replace(PLAIN, query={"api-version": "2024-10-21", "a b": "c&d"})


def test_the_query_is_behind_the_path() -> None:
    assert PLAIN.chat_url == "http://h:8000/v1/chat/completions"
    assert QUERY.chat_url == "http://h:8000/v1/chat/completions?api-version=2024-10-21&a+b=c%26d"


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("http://h:8000/chat/completions", "http://h:8000"),
        ("http://h:8000/api/v1/chat/completions?a=b", "http://h:8000/api/v1"),
        ("https://h/v1/chat/completions/", "https://h/v1"),
        ("https://h/other?x=1", "https://h/other"),
    ],
)
def test_an_endpoint_at_another_url_calls_that_url(url: str, address: str) -> None:
    moved = replace(QUERY, alternatives=("http://h:8000/chat/completions",), headers={"X-A": "b"}).at(url)
    assert (moved.chat_url, moved.address, moved.alternatives) == (url, address, ())
    assert moved.headers == {"X-A": "b"}


def encodings(secret: str) -> list[str]:
    """Encode a secret as servers and proxies do when they repeat it."""
    raw = secret.encode()
    return [
        secret,
        quote(secret),
        quote(secret, safe="").lower(),
        quote_plus(secret),
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        *(base64.b64encode(before + raw + b" end").decode() for before in (b"", b"u", b"u:", b"usr:")),
        base64.urlsafe_b64encode(b"Bearer " + raw).decode(),
    ]


@pytest.mark.parametrize("form", encodings(SECRET))
def test_every_form_of_a_secret_is_removed(form: str) -> None:
    endpoint = replace(PLAIN, secrets=("other-secret", SECRET))
    before, removed, after = endpoint.redact(f"You sent {form}.").partition("***")
    assert removed and "***" not in after
    # In base64, characters beside the secret depend on its neighbours too.
    assert before.startswith("You sent ") and after.endswith(".")
    assert len(before + after) < 24


@given(st.text(st.characters(min_codepoint=33, max_codepoint=255), min_size=8, max_size=40), st.binary(max_size=9))
def test_base64_of_any_text_with_a_secret_does_not_reveal_it(secret: str, before: bytes) -> None:
    encoded = base64.b64encode(before + secret.encode() + b"!").decode()
    redacted = replace(PLAIN, secrets=(secret,)).redact(encoded)
    assert len(redacted) < len(encoded) and "***" in redacted


def test_a_secret_at_the_limit_is_removed_before_the_cut() -> None:
    endpoint = replace(PLAIN, secrets=("sk-0123456789",))
    assert endpoint.quote("x" * 75 + "sk-0123456789") == repr("x" * 75 + "***")
    assert endpoint.quote("a\nb\x1b[2J" + "y" * 100, limit=10) == r"'a\nb\x1b[2Jyyy...'"


def test_without_secrets_a_text_stays_as_it_is() -> None:
    assert PLAIN.redact("none of it") == replace(PLAIN, secrets=("",)).redact("none of it") == "none of it"


def test_an_endpoint_shows_no_secret() -> None:
    endpoint = replace(
        PLAIN, headers={"api-key": "sk-01234567"}, query={"code": "sk-01234567"}, secrets=("sk-01234567",),
        alternatives=("http://h/chat/completions?code=sk-01234567",), body={"user": "sk-01234567"},
    )  # fmt: skip
    assert "sk-01234567" not in repr(endpoint)


@pytest.mark.parametrize(
    ("url", "location", "target"),
    [
        ("http://h/moved/chat/completions", "/v1/chat/completions", "http://h/v1/chat/completions"),
        ("http://h/v1/chat/completions", "http://h:80/v1/chat/completions/", "http://h:80/v1/chat/completions/"),
        ("http://h/v1/chat/completions", "https://H/v1/chat/completions?a=b", "https://H/v1/chat/completions?a=b"),
        ("http://h:8080/v1/chat/completions", "https://h:8080/v1#top", "https://h:8080/v1"),
        ("https://h/v1/chat/completions", "//h/api", "https://h/api"),
        ("https://h/v1/chat/completions", " ../v2/chat ", "https://h/v1/v2/chat"),
    ],
)
def test_a_redirect_within_the_server_is_followed(url: str, location: str, target: str) -> None:
    assert redirect_target(PLAIN, url, location) == target


@pytest.mark.parametrize(
    ("location", "base"),
    [
        ("https://other/v1/chat/completions", "https://other/v1"),
        ("http://h:8001/v1/chat/completions", "http://h:8001/v1"),
        ("//h.other/v1/chat/completions/", "//h.other/v1"),
        ("https://h.evil.test/v1?key=sk-0123456789", "https://h.evil.test/v1"),
        ("https://login.test/?next=%2Fv1", "https://login.test"),
        ("https://h:8443/v1", "https://h:8443/v1"),
    ],
)
def test_a_redirect_to_another_server_ends_in_a_line_that_says_what_to_write(location: str, base: str) -> None:
    endpoint = replace(PLAIN, secrets=("sk-0123456789",))
    base = f"http:{base}" if base.startswith("//") else base
    with pytest.raises(BackendError) as caught:
        redirect_target(endpoint, endpoint.chat_url, location)
    assert str(caught.value) == f"http://h:8000/v1 redirects to '{base}'; write --base-url '{base}' if that is meant"


def test_a_redirect_never_leaves_https() -> None:
    with pytest.raises(BackendError, match=r"^https://h/v1 redirects to 'http://h/v1'; write --base-url 'http://h/v1'"):
        redirect_target(replace(PLAIN, address="https://h/v1"), "https://h/v1/chat/completions", "http://h/v1")


@pytest.mark.parametrize(
    "location", [None, "", "http://[::1", "http://h:x/v1", "javascript:1", "http://me:pw@h:8000/v1"]
)
def test_a_redirect_to_nothing_usable_is_one_line(location: str | None) -> None:
    with pytest.raises(BackendError, match=r"^http://h:8000/v1 redirects to no usable URL: check --base-url$"):
        redirect_target(PLAIN, PLAIN.chat_url, location)
