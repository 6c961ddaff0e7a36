"""Where requests of the OpenAI backends go, and which headers they have."""

import asyncio

import pytest

from personagen.builder.llm.backends.openai_chat import connect_openai
from personagen.builder.llm.backends.openai_settings import HOSTED_URL, make_endpoint
from tests.helpers.asking import KEY, answer, ask, reply_of
from tests.helpers.servers.fake_openai import FakeOpenAI


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
