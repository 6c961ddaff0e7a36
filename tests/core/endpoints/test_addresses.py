"""Base URLs as people write them: each ends where it was meant, or in a line that says what to write."""

import re

import pytest

from personagen.builder.core.endpoints.addresses import parse_address, require_api_version

SAME = [
    "http://127.0.0.1:8000/v1",
    " http://127.0.0.1:8000/v1 \n",
    "http://127.0.0.1:8000/v1/",
    "http://127.0.0.1:8000/v1//",
    "http://127.0.0.1:8000//v1",
    "HTTP://127.0.0.1:8000/v1",
    "http://127.0.0.1:8000/v1/chat/completions",
    "http://127.0.0.1:8000/v1/chat/completions/",
    "http://127.0.0.1:8000/v1//chat/completions//",
    "http://127.0.0.1:8000/v1/chat",
    "http://127.0.0.1:8000/v1/completions",
    "http://127.0.0.1:8000/v1/responses",
    "http://127.0.0.1:8000/v1/models",
    "http://127.0.0.1:8000/v1?",
]

PARTS = [
    ("http://localhost:8000", ("http://localhost:8000", "", {})),
    ("https://Host.Test/", ("https://host.test", "", {})),
    ("https://h/Api/V1", ("https://h", "/Api/V1", {})),
    ("http://[::1]:8080/v1", ("http://[::1]:8080", "/v1", {})),
    ("https://h/openai/api/v1", ("https://h", "/openai/api/v1", {})),
    ("https://r.services.ai.azure.com/models", ("https://r.services.ai.azure.com", "/models", {})),
    ("https://h/v1?a=b&c=&d=x%20y", ("https://h", "/v1", {"a": "b", "c": "", "d": "x y"})),
    (
        "https://r.openai.azure.com/openai/deployments/d/chat/completions?api-version=2024-10-21",
        ("https://r.openai.azure.com", "/openai/deployments/d", {"api-version": "2024-10-21"}),
    ),
    ("http://h:8000/@team/v1", ("http://h:8000", "/@team/v1", {})),
]

REFUSED = [
    ("", "got '', wanted a URL such as http://localhost:8000/v1"),
    ("localhost:8000", "got 'localhost:8000', wanted a URL; write http://localhost:8000"),
    ("127.0.0.1:8000/v1", "got '127.0.0.1:8000/v1', wanted a URL; write http://127.0.0.1:8000/v1"),
    ("[::1]:8000/v1", "got '[::1]:8000/v1', wanted a URL; write http://[::1]:8000/v1"),
    ("gpu-box/v1", "got 'gpu-box/v1', wanted a URL; write http://gpu-box/v1"),
    ("api.openai.com/v1", "got 'api.openai.com/v1', wanted a URL; write https://api.openai.com/v1"),
    ("my server", "got 'my server', wanted a URL such as http://localhost:8000/v1"),
    ("ftp://h/v1", "got 'ftp://h/v1', wanted a URL such as http://localhost:8000/v1"),
    ("https:/h/v1", "got 'https:/h/v1', wanted a URL such as http://localhost:8000/v1"),
    ("https://", "got 'https://', wanted a host behind the scheme, such as http://localhost:8000/v1"),
    ("https:///v1", "got 'https:///v1', wanted a host behind the scheme, such as http://localhost:8000/v1"),
    ("http://https://h/v1", "got 'http://https://h/v1', wanted a host behind the scheme, such as http://localhost"),
    ("http://[::1", "got 'http://[::1', wanted a host behind the scheme, such as http://localhost:8000/v1"),
    ("http://h:port/v1", "got 'http://h:port/v1', wanted a port from 1 to 65535, such as http://localhost:8000/v1"),
    ("http://h:65536/v1", "got 'http://h:65536/v1', wanted a port from 1 to 65535"),
    ("http://h:0/v1", "got 'http://h:0/v1', wanted a port from 1 to 65535"),
    ("http://<host>/v1", "got 'http://<host>/v1', wanted a URL without blanks and brackets, such as http://local"),
    ("http://h /v1", "got 'http://h /v1', wanted a URL without blanks and brackets"),
    ("http://h/v1\x1b[2J", r"got 'http://h/v1\x1b[2J', wanted a URL without blanks and brackets"),
    ("http://h/v1#top", "got a fragment (#...) behind 'http://h/v1'; leave it out"),
    ("http://h/v1#", "got a fragment (#...) behind 'http://h/v1'; leave it out"),
]

SECRETS = [
    "http://me:SECRET@h/v1",
    "http://SECRET@h/v1",
    "http://me:SEC%40RET@h/v1",
    "me:SECRET@h/v1",
    "HTTP://me:SECRET@h/v1",
    "http:/me:SECRET@h/v1",
    "http://me:SECRET/more@h/v1",
    "http://me:SECRET?more@h/v1",
    "http://me:SECRET#more@h/v1",
    "http://h/v1?api_key=SECRET",
    "http://h/v1?key=SECRET",
    "http://h/v1?sig=SECRET",
    "http://h/v1?access_token=SECRET",
    "http://h:x/v1?a=SECRET",
    "h/v1?a=SECRET",
    "http://h/v1?a=b#SECRET",
    "http://h/v1;key=SECRET",
    "http://h/v1/;SECRET/x",
    "http://h;SECRET/v1",
    "http://h:x;SECRET/v1",
    "http://h/key=SECRET/v1",
    "http://h/key%3DSECRET/v1",
    "http://h/api_token=SECRET",
    "http://h/v1/sk-12345678SECRET/x",
    "http://h/Bearer%20SECRET/v1",
    "http://h/v1%3Fkey=SECRET",
    "http://h/v1%3fSECRET",
    "http://h/v1%23SECRET",
    "http://h/v1%3BSECRET",
    "http://h /v1;SECRET",
    "http://h/v1%0aSECRET",
    "ftp://h/v1;SECRET",
    "http:///v1%3FSECRET",
]


@pytest.mark.parametrize("text", SAME)
def test_spellings_of_one_address_are_equal(text: str) -> None:
    assert parse_address(text) == parse_address("http://127.0.0.1:8000/v1")


@pytest.mark.parametrize(("text", "parts"), PARTS, ids=[text for text, _ in PARTS])
def test_an_address_in_parts(text: str, parts: tuple[str, str, dict[str, str]]) -> None:
    address = parse_address(text)
    assert (address.origin, address.path, address.query) == parts


@pytest.mark.parametrize(("text", "message"), REFUSED, ids=[repr(text) for text, _ in REFUSED])
def test_what_is_no_address_is_refused_with_what_to_write(text: str, message: str) -> None:
    with pytest.raises(ValueError, match="^" + re.escape(message)) as caught:
        parse_address(text)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("text", SECRETS)
def test_no_message_quotes_a_secret_of_an_address(text: str) -> None:
    with pytest.raises(ValueError, match=r"^(got|holds|has parameters in its path) ") as caught:
        parse_address(text)
    assert "SEC" not in str(caught.value) and "more" not in str(caught.value)


def test_a_user_and_a_secret_in_the_query_have_lines_of_their_own() -> None:
    with pytest.raises(ValueError, match=r"^holds a user or password; leave them out and set OPENAI_API_KEY$"):
        parse_address("http://me:pw@h/v1")
    message = r"^holds a secret in its query \('key'\); leave it out and write backend\.query: \{key: \$\{NAME\}\}$"
    with pytest.raises(ValueError, match=message):
        parse_address("https://h/v1?key=abc")


@pytest.mark.parametrize(
    ("text", "versioned", "deployment"),
    [
        ("https://r.openai.azure.com/openai/deployments/d", True, "d"),
        ("https://r.services.ai.azure.com/models", True, None),
        ("http://gateway:8080/team/openai/deployments/d", True, "d"),
        ("https://r.openai.azure.com/openai/v1", False, None),
        ("https://models.inference.ai.azure.com", False, None),
        ("https://h/models", False, None),
    ],
)
def test_azures_classic_addresses_need_a_version(text: str, versioned: bool, deployment: str | None) -> None:
    address = parse_address(text)
    assert (address.is_versioned, address.deployment) == (versioned, deployment)
    require_api_version(address, {"api-version": "2024-10-21"})
    require_api_version(parse_address(f"{text}?api-version=2024-10-21"), {})
    if not versioned:
        require_api_version(address, {})
        return
    message = f"got {text!r} without a version of Azure's API; write {text}?api-version=2024-10-21"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        require_api_version(address, {})
