"""The batch backend when networks and servers fail: nothing is paid for twice, and each error is one line."""

import socket
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from personagen.builder.core.errors import BackendError
from personagen.builder.llm.backends.openai_batch import connect_batch
from tests.helpers.batches import FAST, FATAL, KEY, answers, ask, asks, error_body, expected, refused, texts
from tests.helpers.servers.fake_batches import FakeBatches, Trouble


@pytest.mark.parametrize("endpoint", ["upload", "create", "retrieve", "content"])
def test_failed_call_is_retried(tmp_path: Path, endpoint: str) -> None:
    """A batch that was created although the answer was lost is found, and not created again."""
    headers = {"retry-after-ms": "1"}
    trouble = [
        Trouble(endpoint, "status", nth=number, status=status, headers=headers)
        for number, status in enumerate((500, 503, 429), 1)
    ]
    with FakeBatches(trouble=[*trouble, *(Trouble(endpoint, "cut", nth=number) for number in (4, 5))]) as server:
        assert texts(answers(server.url, tmp_path, asks(3))) == expected(asks(3))
    assert len(server.batches) == 1
    assert (server.calls.count("list") > 0) == (endpoint == "create")


def test_list_is_read_to_its_end(tmp_path: Path) -> None:
    """The created batch may be on a later page, and failed batches are ignored."""
    cut = [Trouble("create", "cut", nth=3), Trouble("list", "status", nth=1, status=500)]
    with FakeBatches(polls=0, page=1, trouble=cut) as server:
        for number in (1, 2):
            answers(server.url, tmp_path / str(number), [ask(number)])
        first = server.batches[0].data["created_at"]
        assert texts(answers(server.url, tmp_path, [ask(3)])) == expected([ask(3)])
    assert first == 1 and len(server.batches) == 3


def test_unreachable_server_ends_the_run(tmp_path: Path) -> None:
    """The message names the URL, without the password in it."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    message = rf"^cannot reach http://127\.0\.0\.1:{port}/v1: 'ConnectError: .*'; check --base-url and that the server"
    refused(f"http://127.0.0.1:{port}/v1", tmp_path, asks(2), BackendError, message)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (
            "status",
            r"failed \(server error 500\): 'the server is overloaded'; gave up after .* h: run the same command to",
        ),
        ("cut", r"the connection broke: 'RemoteProtocolError: .*'; gave up after .* h: run the same command to go on$"),
    ],
)
def test_long_outage_stops_the_run_until_later(tmp_path: Path, kind: str, message: str) -> None:
    """The batch goes on at the server, and the next run waits for it."""
    trouble = [Trouble("retrieve", kind)]
    with FakeBatches(trouble=trouble) as server:
        refused(server.url, tmp_path, asks(3), BackendError, message, replace(FAST, outage_s=0.1))
        server.quiet()
        assert texts(answers(server.url, tmp_path, asks(3))) == expected(asks(3))
    assert len(server.batches) == 1


CALLS = [
    *[("upload", *case) for case in FATAL if case[0] != 404],
    *[(endpoint, *FATAL[0]) for endpoint in ("create", "retrieve", "content")],
    ("upload", 404, error_body("Not Found"), r"v1 has no Batch API \(404\): 'Not Found'; use --backend openai, or"),
    ("upload", 405, "", r"v1 has no Batch API \(405\): ''; use --backend openai, or check --base-url$"),
    ("upload", 400, error_body("bad file"), r"v1 refused the request \(400\): 'bad file'$"),
    ("create", 404, error_body("nothing here"), r"v1 has no Batch API \(404\): 'nothing here'"),
    ("create", 400, error_body("bad window"), r"v1 refused the request \(400\): 'bad window'$"),
    ("retrieve", 404, error_body("No batch"), r"v1 does not know batch batch_1 \(404\): 'No batch'; go on with the se"),
    ("content", 404, error_body("No file"), r"does not know file file-out1 \(404\): 'No file'; go on with t"),
    ("upload", 200, "<!DOCTYPE html>", r"with something else than the Batch API does: got '<!DOCTYPE html>'; check"),
    ("create", 200, {"object": "batch"}, r"something else than the Batch API does: got .*; check --base-url"),
    ("create", 200, {"id": 3}, r"v1 answered with something else than the Batch API does: got "),
    ("retrieve", 200, {"id": "batch_1"}, r"answered with something else than the Batch API does: got "),
    ("retrieve", 200, "fine", r"v1 answered with something else than the Batch API does: got 'fine'; check --base-url"),
    ("content", 200, "<html>\n", r"something else than the results of batch batch_1: got '<html>\\n'; run"),
]  # fmt: skip


@pytest.mark.parametrize(("endpoint", "status", "body", "message"), CALLS)
def test_refused_call_ends_the_run_in_one_line(
    tmp_path: Path, endpoint: str, status: int, body: dict[str, Any] | str, message: str
) -> None:
    """A batch that was created is found again once the cause is gone."""
    trouble = [Trouble(endpoint, "status", nth=1, status=status, body=body)]
    with FakeBatches(trouble=trouble) as server:
        refused(server.url, tmp_path, asks(2), BackendError, message)
        assert texts(answers(server.url, tmp_path, asks(2))) == expected(asks(2))
    assert server.repeated() == {}
    for path in tmp_path.joinpath("batches").iterdir():
        assert KEY.encode() not in path.read_bytes()


@pytest.mark.parametrize("endpoint", ["retrieve", "content"])
def test_requests_of_a_batch_that_the_server_forgot_may_be_sent_again(tmp_path: Path, endpoint: str) -> None:
    """The message names the file to delete, after which the next run pays for them again."""
    message = (
        r"404\): 'gone'; go on with the server and the key that made it, or delete batches/\S+ in the run's folder to"
    )
    with FakeBatches(trouble=[Trouble(endpoint, "status", status=404, body=error_body("gone"))]) as server:
        refused(server.url, tmp_path, asks(2), BackendError, message)
        (path,) = tmp_path.joinpath("batches").glob("*.jsonl")
        refused(server.url, tmp_path, asks(2), BackendError, f"delete batches/{path.name} in")
        server.quiet()
        server.lose()
        path.unlink()
        assert texts(answers(server.url, tmp_path, asks(2))) == expected(asks(2))


@pytest.mark.parametrize("body", ["fine", {"object": "list"}])
def test_malformed_list_ends_the_run(tmp_path: Path, body: dict[str, Any] | str) -> None:
    """The list is read only after a lost answer."""
    trouble = [Trouble("create", "cut", nth=1), Trouble("list", "status", status=200, body=body)]
    with FakeBatches(trouble=trouble) as server:
        refused(
            server.url, tmp_path, asks(2), BackendError, r"answered with something else than the Batch API does: got"
        )


@pytest.mark.parametrize(
    ("base_url", "api_key", "message"),
    [
        (None, None, "no API key; set the environment variable OPENAI_API_KEY, or name a server of your own with"),
        (None, "sk-\u2013", "OPENAI_API_KEY has characters that no key can have; set it again$"),
        ("localhost:8000", None, "--base-url: got 'localhost:8000', wanted a URL; write http://localhost:8000$"),
    ],
)
def test_wrong_settings_are_refused_before_any_call(
    tmp_path: Path, base_url: str | None, api_key: str | None, message: str
) -> None:
    """Wrong settings are errors of the constructor."""
    with pytest.raises(BackendError, match=f"^backend batch: {message}"):
        connect_batch(model="m", base_url=base_url, api_key=api_key, folder=tmp_path)
