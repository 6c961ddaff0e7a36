"""Where requests of the OpenAI backends go, and which headers they have."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from personagen.builder.core.errors import BackendError, TransientError
from personagen.builder.llm.backends.openai_batch import connect_batch
from personagen.builder.llm.backends.openai_chat import connect_openai
from personagen.builder.llm.backends.openai_settings import (
    HOSTED_URL,
    ServerOptions,
    batch_target,
    make_endpoint,
)
from personagen.builder.llm.chat_protocol.endpoint import Endpoint
from tests.helpers.asking import KEY, answer, ask, reply_of
from tests.helpers.batches import answers as batch_answers
from tests.helpers.batches import asks, expected, refused, texts
from tests.helpers.servers.fake_batches import FakeBatches, Trouble
from tests.helpers.servers.fake_openai import FakeOpenAI, Fault


def test_the_environment_names_the_server_of_settings_without_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """As OpenAI's own client does."""
    with FakeOpenAI() as server:
        monkeypatch.setenv("OPENAI_BASE_URL", f" {server.url}/ ")
        assert answer(None, ask()).candidates
        assert len(server.requests) == 1
        monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/elsewhere")
        assert answer(server.url, ask()).candidates
    monkeypatch.setenv("OPENAI_BASE_URL", "")
    assert make_endpoint("m", None, KEY, {}).chat_url == f"{HOSTED_URL}/chat/completions"


def test_headers_name_client_key_and_account(monkeypatch: pytest.MonkeyPatch) -> None:
    """Organisation and project come from the variables that OpenAI's own client reads."""
    monkeypatch.setenv("OPENAI_ORG_ID", "org-1")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "proj-1")
    with FakeOpenAI() as server:
        answer(server.url, ask())
    (headers,) = server.headers
    assert headers["authorization"] == f"Bearer {KEY}"
    assert (headers["openai-organization"], headers["openai-project"]) == ("org-1", "proj-1")
    assert headers["user-agent"].startswith("personagen/")


def test_calls_use_the_proxy_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Except for hosts in NO_PROXY."""
    request_lines: list[str] = []
    body = str(reply_of("Fine.")).replace("'", '"').encode()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        request_lines.append(head.split(b"\r\n")[0].decode())
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        await writer.drain()
        writer.close()

    async def run() -> None:
        async with await asyncio.start_server(serve, "127.0.0.1", 0) as proxy:
            monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.sockets[0].getsockname()[1]}")
            monkeypatch.setenv("no_proxy", "127.0.0.1")
            backend = connect_openai(model="m", base_url="http://model.test/v1", api_key=None, concurrency=1)
            assert (await backend.complete(ask())).candidates[0].text == "Fine."
            await backend.close()

    asyncio.run(run())
    assert request_lines == ["POST http://model.test/v1/chat/completions HTTP/1.1"]
    with FakeOpenAI() as server:
        assert answer(server.url, ask()).candidates
    assert len(request_lines) == 1


DEPLOYMENT = "/openai/deployments/d"
BATCH_DEPLOYMENT = "/openai/deployments/fake-1"
VERSION = {"api-version": "2024-10-21"}
RESOURCE = "https://r.openai.azure.com"


def endpoint(base_url: str | None, api_key: str | None = KEY, **options: Any) -> Endpoint:
    return make_endpoint("m", base_url, api_key, options)  # type: ignore[arg-type]  # the keys are those of ServerOptions


@pytest.mark.parametrize(
    ("tail", "options"),
    [
        (f"{DEPLOYMENT}?api-version=2024-10-21", {}),
        (f"{DEPLOYMENT}/chat/completions?api-version=2024-10-21", {}),
        (f"{DEPLOYMENT}/", {"query": VERSION}),
        (f"{DEPLOYMENT}?api-version=2020-01-01", {"query": VERSION}),
    ],
)
def test_azures_classic_address_has_its_version_and_the_key_in_a_header(tail: str, options: ServerOptions) -> None:
    path = f"{DEPLOYMENT}/chat/completions"
    with FakeOpenAI(path=path, secrets={"api-key": KEY}) as server:
        assert answer(server.url.removesuffix("/v1") + tail, ask(), **options).candidates
    assert server.urls == [f"{path}?api-version=2024-10-21"]
    assert "authorization" not in server.headers[0]


def test_a_header_of_the_recipe_carries_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """The key of the environment may be that of another server, so it is not sent beside it."""
    monkeypatch.setenv("GATEWAY_KEY", "gw-0123456789")
    with FakeOpenAI(path=f"{DEPLOYMENT}/chat/completions", secrets={"api-key": "gw-0123456789"}) as server:
        url = server.url.removesuffix("/v1") + DEPLOYMENT
        assert answer(url, ask(), query=VERSION, headers={"api-key": "${GATEWAY_KEY}"}).candidates
    assert KEY not in str(server.headers)
    sent = endpoint(None, None, headers={"Authorization": "Token ${GATEWAY_KEY}"}).headers
    assert sent["Authorization"] == "Token gw-0123456789"


def test_headers_and_query_of_the_recipe_are_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names differ in case only once; a secret beside the key replaces the placeholder, not the key."""
    monkeypatch.setenv("TEAM", "team-0123")
    headers = {"X-Title": "personas", "user-agent": "mine", "X-Team-Token": "${TEAM}"}
    with FakeOpenAI() as server:
        answer(f"{server.url}?a=1&b=2", ask(), headers=headers, query={"b": "x y", "c": "${TEAM}"})
        answer(server.url, ask(), headers=headers, api_key=None)
    assert server.urls[0] == "/v1/chat/completions?a=1&b=x+y&c=team-0123"
    assert {"x-title": "personas", "user-agent": "mine", "x-team-token": "team-0123"}.items() <= server.headers[
        0
    ].items()
    assert server.headers[0]["authorization"] == f"Bearer {KEY}"
    assert "authorization" not in server.headers[1]


def test_every_secret_is_removed_from_messages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of the environment too, and the words of a header that has one."""
    monkeypatch.setenv("COOKIE", "session=abcdefgh; id=7")
    secured = endpoint("http://h/v1", headers={"Cookie": "${COOKIE}"}, query={"sig": "${COOKIE}"})
    for secret in (KEY, "session=abcdefgh; id=7", "abcdefgh"):
        assert secured.quote(f"got {secret} here") == "'got *** here'"
    assert "abcdefgh" not in repr(secured) and KEY not in repr(secured)
    assert endpoint("http://h/v1", None).quote("none") == "'none'"


@pytest.mark.parametrize(
    ("base_url", "options", "message"),
    [
        ("http://h:x/v1", {}, r"--base-url: got 'http://h:x/v1', wanted a port from 1 to 65535, such as "),
        (
            f"{RESOURCE}{DEPLOYMENT}",
            {},
            rf"--base-url: got '{RESOURCE}{DEPLOYMENT}' without a version .*\?api-version=",
        ),
        (
            "http://h/v1",
            {"headers": {"A": "${NONE}"}},
            r"headers: A: the environment variable NONE is not set; set it$",
        ),
        ("http://h/v1", {"query": {"a": "${NONE}"}}, r"query: a: the environment variable NONE is not set; set it$"),
    ],
)
def test_wrong_settings_are_one_line(base_url: str, options: ServerOptions, message: str) -> None:
    for backend in ("openai", "batch"):
        with pytest.raises(BackendError, match=f"^backend {backend}: {message}"):
            make_endpoint("m", base_url, KEY, options, backend=backend)


def test_a_wrong_address_of_the_environment_is_named_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "http://me:pw@h/v1")
    with pytest.raises(BackendError, match=r"^backend openai: OPENAI_BASE_URL: holds a user or password; leave them"):
        endpoint(None)


@pytest.mark.parametrize(
    ("base_url", "url", "alternative"),
    [
        (None, f"{HOSTED_URL}/chat/completions", None),
        ("https://api.openai.com", f"{HOSTED_URL}/chat/completions", None),
        ("http://h:1", "http://h:1/v1/chat/completions", "http://h:1/chat/completions"),
        ("http://h:1/v1", "http://h:1/v1/chat/completions", "http://h:1/chat/completions"),
        ("http://h:1/api?a=b", "http://h:1/api/chat/completions?a=b", "http://h:1/api/v1/chat/completions?a=b"),
        (RESOURCE, f"{RESOURCE}/openai/v1/chat/completions", None),
        (f"{RESOURCE}/openai/", f"{RESOURCE}/openai/v1/chat/completions", None),
        (
            f"{RESOURCE}/?api-version=2024-10-21",
            f"{RESOURCE}/openai/deployments/m/chat/completions?api-version=2024-10-21",
            None,
        ),
        (f"{RESOURCE}/openai/v1", f"{RESOURCE}/openai/v1/chat/completions", None),
        (
            "https://r.services.ai.azure.com/models?api-version=2024-05-01-preview",
            "https://r.services.ai.azure.com/models/chat/completions?api-version=2024-05-01-preview",
            None,
        ),
    ],
)
def test_an_address_is_completed_as_its_server_needs_it(
    base_url: str | None, url: str, alternative: str | None
) -> None:
    """Of others, the alternative is tried after a 404."""
    made = endpoint(base_url)
    assert made.chat_url == url
    assert made.alternatives == ((alternative,) if alternative else ())
    assert ("api-key" in made.headers) != ("Authorization" in made.headers)
    assert ("api-key" in made.headers) == ("deployments" in url or "/models/" in url)


def test_the_body_and_the_effort_are_parts_of_every_request() -> None:
    body = {"top_k": 5, "seed": None}
    assert endpoint("http://h/v1", body=body, reasoning_effort="low").body == {**body, "reasoning_effort": "low"}
    assert endpoint("http://h/v1", body=None, reasoning_effort=None).body == {}


def test_the_timeout_of_the_recipe_is_that_of_a_call() -> None:
    fault = Fault("hang")
    with FakeOpenAI(faults=[fault]) as server, pytest.raises(TransientError, match=r"v1: no reply within 0\.05 s$"):
        answer(server.url, ask(), timeout=0.05)


@pytest.mark.parametrize("tail", [f"{BATCH_DEPLOYMENT}?api-version=2024-10-21", f"{BATCH_DEPLOYMENT}/"])
def test_azure_serves_files_and_batches_beside_the_deployments(tail: str, tmp_path: Path) -> None:
    """Its lines name a path without "/v1", and its key has a header of its own."""
    options: ServerOptions = {"query": {"api-version": "2024-10-21"}} if tail.endswith("/") else {}
    with FakeBatches(prefix="/openai", chat_path="/chat/completions") as server:
        url = server.url.removesuffix("/v1") + tail
        assert texts(batch_answers(url, tmp_path, asks(2), **options)) == expected(asks(2))
    assert all(called.endswith("?api-version=2024-10-21") for called in server.urls)
    assert {headers.get("api-key") for headers in server.headers} == {KEY}
    assert not any("authorization" in headers for headers in server.headers)


@pytest.mark.parametrize(
    ("base_url", "target"),
    [
        ("http://h/v1", ("http://h/v1", "/v1/chat/completions")),
        ("http://h/v1beta/openai", ("http://h/v1beta/openai", "/v1/chat/completions")),
        ("https://r.openai.azure.com/openai/v1", ("https://r.openai.azure.com/openai/v1", "/chat/completions")),
        (
            "https://r.openai.azure.com/?api-version=2024-10-21",
            ("https://r.openai.azure.com/openai", "/chat/completions"),
        ),
    ],
)
def test_the_path_in_a_batch_is_that_of_its_server(base_url: str, target: tuple[str, str]) -> None:
    assert batch_target(make_endpoint("m", base_url, KEY, {})) == target


def test_the_lines_of_a_batch_name_its_deployment(tmp_path: Path) -> None:
    message = r"^backend batch: --model is 'm' and --base-url names the deployment 'd'; name one of them in both, for"
    with pytest.raises(BackendError, match=message):
        connect_batch(
            model="m",
            base_url="http://h/openai/deployments/d?api-version=2024-10-21",
            api_key=KEY,
            folder=tmp_path,
        )


def test_headers_and_query_are_sent_with_every_call_of_the_batch_api(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The account of the environment too; no call has a header twice."""
    monkeypatch.setenv("OPENAI_ORG_ID", "org-1")
    headers = {"X-Title": "personas", "authorization": "Bearer ${TEAM_KEY}"}
    monkeypatch.setenv("TEAM_KEY", "team-0123456789")
    with FakeBatches() as server:
        done = batch_answers(server.url, tmp_path, asks(1), headers=headers, query={"a": "b c"})
    assert texts(done) == expected(asks(1))
    for sent, url in zip(server.headers, server.urls, strict=True):
        assert (sent["x-title"], sent["authorization"]) == ("personas", "Bearer team-0123456789")
        assert sent["openai-organization"] == "org-1" and "openai-project" not in sent
        assert url.endswith("?a=b+c") or "&a=b+c" in url or "?a=b+c&" in url
        assert KEY not in str(sent)


@pytest.mark.parametrize(
    ("location", "message"),
    [
        (
            "https://elsewhere.test/v1/files",
            r"redirects to 'https://elsewhere.test/v1'; write --base-url 'https://else",
        ),
        ("/api/v1/files", r"redirects to '(http://127[^']*/api/v1)'; write --base-url '\1'$"),
        ("", r"redirects to no usable URL: check --base-url$"),
    ],
)
def test_a_redirect_of_the_batch_api_ends_in_a_line_that_says_what_to_write(
    location: str, message: str, tmp_path: Path
) -> None:
    """It is not followed: a redirected POST loses its body, and the key must not reach another host."""
    trouble = [Trouble("upload", "status", status=307, body="", headers={"Location": location})]
    with FakeBatches(trouble=trouble) as server:
        refused(server.url, tmp_path, asks(1), BackendError, message)
    assert server.calls == ["upload"]


def test_the_timeout_of_the_recipe_is_that_of_a_call_of_the_batch_api(tmp_path: Path) -> None:
    """A call that is not answered in time is retried."""
    with FakeBatches(trouble=[Trouble("create", "hold", nth=1)]) as server:
        assert texts(batch_answers(server.url, tmp_path, asks(1), timeout=0.2)) == expected(asks(1))
    assert server.calls.count("create") == 2
