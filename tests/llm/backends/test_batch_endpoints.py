"""The batch backend at servers with addresses, headers and paths of their own."""

from pathlib import Path

import pytest

from personagen.builder.core.errors import BackendError
from personagen.builder.llm.backends.openai_batch import connect_batch
from personagen.builder.llm.backends.openai_settings import ServerOptions, batch_target, make_endpoint
from tests.helpers.batches import KEY, answers, asks, expected, refused, texts
from tests.helpers.servers.fake_batches import FakeBatches, Trouble

DEPLOYMENT = "/openai/deployments/fake-1"


@pytest.mark.parametrize("tail", [f"{DEPLOYMENT}?api-version=2024-10-21", f"{DEPLOYMENT}/"])
def test_azure_serves_files_and_batches_beside_the_deployments(tail: str, tmp_path: Path) -> None:
    """Its lines name a path without "/v1", and its key has a header of its own."""
    options: ServerOptions = {"query": {"api-version": "2024-10-21"}} if tail.endswith("/") else {}
    with FakeBatches(prefix="/openai", chat_path="/chat/completions") as server:
        url = server.url.removesuffix("/v1") + tail
        assert texts(answers(url, tmp_path, asks(2), **options)) == expected(asks(2))
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


def test_headers_and_query_of_the_recipe_are_sent_with_every_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The account of the environment too; no call has a header twice."""
    monkeypatch.setenv("OPENAI_ORG_ID", "org-1")
    headers = {"X-Title": "personas", "authorization": "Bearer ${TEAM_KEY}"}
    monkeypatch.setenv("TEAM_KEY", "team-0123456789")
    with FakeBatches() as server:
        done = answers(server.url, tmp_path, asks(1), headers=headers, query={"a": "b c"})
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
def test_a_redirect_ends_in_a_line_that_says_what_to_write(location: str, message: str, tmp_path: Path) -> None:
    """It is not followed: a redirected POST loses its body, and the key must not reach another host."""
    trouble = [Trouble("upload", "status", status=307, body="", headers={"Location": location})]
    with FakeBatches(trouble=trouble) as server:
        refused(server.url, tmp_path, asks(1), BackendError, message)
    assert server.calls == ["upload"]


def test_the_timeout_of_the_recipe_is_that_of_a_call(tmp_path: Path) -> None:
    """A call that is not answered in time is retried."""
    with FakeBatches(trouble=[Trouble("create", "hold", nth=1)]) as server:
        assert texts(answers(server.url, tmp_path, asks(1), timeout=0.2)) == expected(asks(1))
    assert server.calls.count("create") == 2
