"""Headers and queries: what can be sent, and secrets that come from the environment."""

import re

import pytest

from personagen.builder.core.endpoints.secrets import (
    is_secret_name,
    resolve_references,
    validate_headers,
    validate_query,
)

REFUSED = [
    ({"a b": "c"}, "got 'a b', wanted the name of an HTTP header, such as X-Title"),
    ({"": "c"}, "got '', wanted the name of an HTTP header"),
    ({"Content-Type": "text/plain"}, "Content-Type is set by the HTTP client; leave it out"),
    ({"host": "h"}, "host is set by the HTTP client; leave it out"),
    ({"X-Title": "a", "x-title": "b"}, "names the header X-Title twice; name it once"),
    ({"X-Title": "a\r\nX-Other: SECRET"}, "X-Title: the value has characters that cannot be sent; wanted printable"),
    ({"X-Title": "喜び"}, "X-Title: the value has characters that cannot be sent"),
    ({"X-Title": "${}"}, "X-Title: wanted a reference such as ${NAME} to an environment variable"),
    ({"X-Title": "${1A}"}, "X-Title: wanted a reference such as ${NAME}"),
    ({"X-Title": "${A"}, "X-Title: wanted a reference such as ${NAME}"),
    ({"Authorization": "SECRET"}, "Authorization: the value would be kept as plain text; put it into an environment"),
    ({"X-Title": "Bearer SECRET"}, "X-Title: the value would be kept as plain text"),
    ({"X-Title": "sk-SECRETSECRET"}, "X-Title: the value would be kept as plain text"),
]


@pytest.mark.parametrize(("headers", "message"), REFUSED, ids=[str(headers) for headers, _ in REFUSED])
def test_headers_that_cannot_be_sent_or_kept_are_refused(headers: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match="^" + re.escape(message)) as caught:
        validate_headers(headers)
    assert "SECRET" not in str(caught.value) and str(caught.value).isprintable()


@pytest.mark.parametrize(
    "name",
    [
        "Authorization", "Proxy-Authorization", "api-key", "x-api-key", "X-Goog-Api-Key", "Ocp-Apim-Subscription-Key",
        "X-Auth-Token", "Cookie", "cf-aig-authorization", "Helicone-Auth", "X-Session-Id", "access_token", "sig",
        "client_secret", "PRIVATE-TOKEN", "x_password",
    ],
)  # fmt: skip
def test_a_secret_is_not_written_out(name: str) -> None:
    assert is_secret_name(name)
    message = rf"^{name}: the value would be kept as plain text; .* and write {name}: \$\{{NAME\}}$"
    for validate in (validate_headers, validate_query):
        with pytest.raises(ValueError, match=message):
            validate({name: "abc"})
        validate({name: "${NAME}"})


@pytest.mark.parametrize(
    "name", ["HTTP-Referer", "X-Title", "api-version", "User-Agent", "OpenAI-Organization", "X-Author", "assignment"]
)
def test_other_values_are_written_out(name: str) -> None:
    assert not is_secret_name(name)
    validate_headers({name: "https://example.org/$5 {x}"})
    validate_query({name: "2024-10-21"})


@pytest.mark.parametrize("name", ["", "a\nb"])
def test_a_parameter_has_a_name(name: str) -> None:
    with pytest.raises(ValueError, match=r"wanted the name of a parameter, such as api-version$"):
        validate_query({name: "1"})


def test_references_are_replaced_and_every_secret_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONE", "one-secret-1\n")
    monkeypatch.setenv("TWO", "session=two-secret-2; path=x")
    resolved, secrets = resolve_references({"A": "Bearer ${ONE}", "B": "${TWO}", "C": "plain words here", "D": "$ONE"})
    assert resolved == {
        "A": "Bearer one-secret-1", "B": "session=two-secret-2; path=x", "C": "plain words here", "D": "$ONE",
    }  # fmt: skip
    assert set(secrets) == {"one-secret-1", "session=two-secret-2; path=x", "two-secret-2"}
    assert resolve_references({}) == ({}, ())


def test_a_variable_that_cannot_be_sent_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MISSING", raising=False)
    monkeypatch.setenv("EMPTY", " ")
    monkeypatch.setenv("LINES", "SECRET\nSECRET")
    for variable in ("MISSING", "EMPTY"):
        with pytest.raises(ValueError, match=rf"^A: the environment variable {variable} is not set; set it$"):
            resolve_references({"A": f"Bearer ${{{variable}}}"})
    with pytest.raises(ValueError, match=r"^A: the environment variable LINES has characters that .* set it again$"):
        resolve_references({"A": "${LINES}"})
