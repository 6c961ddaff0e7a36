"""Answers of the Hub without an end, or without a byte, end in one line."""

import gzip
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from personagen.builder.core.errors import HubError
from personagen.builder.hub.client import AnswerLimits, HubClient
from personagen.builder.hub.commits import head_of
from personagen.builder.hub.repo_files import FileVersion, RepoBranch, remote_files, remote_text

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
BRANCH = RepoBranch("user/name")
COMMIT = "0" * 40
LIMITS = AnswerLimits(max_bytes=100_000, max_s=0.3, silence_s=0.3)


@pytest.fixture(autouse=True)
def _online(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the client of this process request: only servers of these tests are named."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)


@contextmanager
def serving(send: Callable[[socket.socket, threading.Event], None]) -> Iterator[str]:
    """Serve every connection by a function, which ends when the event is set."""
    listener = socket.create_server(("127.0.0.1", 0))
    stopped = threading.Event()

    def serve_one(connection: socket.socket) -> None:
        with suppress(OSError), connection:
            connection.recv(65536)
            send(connection, stopped)

    def serve() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=serve_one, args=(listener.accept()[0],), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        stopped.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def blanks_without_end(connection: socket.socket, stopped: threading.Event) -> None:
    connection.sendall(CHUNKED)
    while not stopped.is_set():
        connection.sendall(b"4000\r\n" + b" " * 0x4000 + b"\r\n")


def a_byte_at_a_time(connection: socket.socket, stopped: threading.Event) -> None:
    connection.sendall(CHUNKED)
    while not stopped.wait(0.02):
        connection.sendall(b"1\r\n \r\n")


def long_lines(connection: socket.socket, stopped: threading.Event) -> None:
    connection.sendall(HEAD + b"Content-Length: 2000000\r\n\r\n" + b" " * 2_000_000)
    stopped.wait(60)


def a_bomb(connection: socket.socket, stopped: threading.Event) -> None:
    body = gzip.compress(b" " * 3_000_000)
    connection.sendall(HEAD + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    stopped.wait(60)


def an_endless_error(connection: socket.socket, stopped: threading.Event) -> None:
    connection.sendall(CHUNKED.replace(b"200 OK", b"400 Bad Request"))
    while not stopped.is_set():
        connection.sendall(b"4000\r\n" + b"x" * 0x4000 + b"\r\n")


def nothing(connection: socket.socket, stopped: threading.Event) -> None:
    stopped.wait(60)


def a_head_alone(connection: socket.socket, stopped: threading.Event) -> None:
    connection.sendall(HEAD + b"Content-Length: 20\r\n\r\n")
    stopped.wait(60)


CALLS: dict[str, Callable[[HubClient], object]] = {
    "look": lambda client: head_of(client, BRANCH),
    "list": lambda client: remote_files(client, BRANCH, COMMIT),
}
ANSWERS = {
    "blanks": (blanks_without_end, "sends more than 100,000 bytes; check HF_ENDPOINT"),
    "slow": (a_byte_at_a_time, r"sends an answer that takes more than 0\.3 s; check HF_ENDPOINT"),
    "long": (long_lines, "sends more than 100,000 bytes"),
    "bomb": (a_bomb, "sends more than 1,000 bytes"),
    "error": (an_endless_error, "sends more than 100,000 bytes"),
    "nothing": (nothing, r"no answer from http.*\(ReadTimeout\)"),
    "head": (a_head_alone, r"no answer from http.*\(ReadTimeout\)"),
}


RETRIED = [("list", "nothing"), ("list", "head")]
"""Cases in which huggingface_hub itself retries, with pauses."""


@pytest.mark.parametrize(
    ("call", "answer"), [(call, answer) for call in CALLS for answer in ANSWERS if (call, answer) not in RETRIED]
)
def test_an_answer_without_an_end_is_one_line(call: str, answer: str) -> None:
    from huggingface_hub import HfApi, get_session

    send, message = ANSWERS[answer]
    hooks = {name: list(registered) for name, registered in get_session().event_hooks.items()}
    slept: list[float] = []
    with serving(send) as url:
        client = HubClient(HfApi(endpoint=url, token="hf_x"), slept.append, limits=LIMITS)
        with pytest.raises(HubError, match=message) as caught:
            CALLS[call](client)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 500
    assert {name: list(registered) for name, registered in get_session().event_hooks.items()} == hooks


def test_a_file_that_is_not_the_listed_one_is_read_anew_and_refused(tmp_path: Path) -> None:
    from huggingface_hub import HfApi

    from tests.helpers.servers.hub.server import Hub

    folder = tmp_path / "listed"
    folder.mkdir()
    (folder / "README.md").write_text("words", encoding="utf-8")
    with Hub() as hub:
        commit = hub.publish("user/listed", folder)
        client = HubClient(HfApi(endpoint=hub.url, token="hf_x"))
        branch = RepoBranch("user/listed")
        version = remote_files(client, branch, commit)["README.md"]
        assert remote_text(client, branch, commit, "README.md", version) == "words"
        cached = client.api.hf_hub_download(branch.repo, "README.md", repo_type="dataset", revision=commit)
        with open(cached, "r+", encoding="utf-8") as file:  # noqa: PTH123 - a link of the cache
            file.write("sword")
        assert remote_text(client, branch, commit, "README.md", version) == "words"
        other = FileVersion(version.size, blob="0" * 40)
        with pytest.raises(HubError, match=r"cannot read README.md of user/listed: the Hub sends another content than"):
            remote_text(client, branch, commit, "README.md", other)


BODY = b'{"id": "user/name", "sha": "' + COMMIT.encode() + b'"}'
RAW = {
    "too long": HEAD + b"Content-Length: %d\r\n\r\n" % (len(BODY) + 9) + BODY,
    "too short": HEAD + b"Content-Length: 9\r\n\r\n" + BODY,
    "negative": HEAD + b"Content-Length: -1\r\n\r\n" + BODY,
    "two lengths": HEAD + b"Content-Length: 5\r\nContent-Length: 60\r\n\r\n" + BODY,
    "no number": HEAD + b"Content-Length: many\r\n\r\n" + BODY,
    "no length": HEAD + b"\r\n" + BODY,
    "cut chunk": CHUNKED + b"ff\r\n" + BODY,
    "no chunk": CHUNKED + BODY,
    "no gzip": HEAD + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(BODY) + BODY,
    "another encoding": HEAD + b"Content-Encoding: x\r\nContent-Length: %d\r\n\r\n" % len(BODY) + BODY,
    "another charset": HEAD.replace(b"json", b"json; charset=x") + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY,
    "no HTTP": b"SSH-2.0-OpenSSH_9.6\r\n",
    "HTTP/0.9": BODY,
    "no status": b"HTTP/1.1 \r\n\r\n" + BODY,
    "a long status": b"HTTP/1.1 2000 OK\r\n\r\n" + BODY,
    "a small status": b"HTTP/1.1 099 X\r\nContent-Length: 0\r\n\r\n",
    "a header without end": b"HTTP/1.1 200 OK\r\nX: " + b"x" * 300_000,
    "many headers": b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 50_000 + b"\r\n" + BODY,
    "NUL in a header": HEAD + b"X: a\0b\r\nContent-Length: 2\r\n\r\n{}",
    "an odd phrase": b"HTTP/1.1 500 \x1b[31m\xff\r\nContent-Length: 0\r\n\r\n",
    "continue alone": b"HTTP/1.1 100 Continue\r\n\r\n" * 50,
    "nothing": b"",
}
"""Answers as bytes."""


@pytest.mark.parametrize("raw", RAW)
def test_an_answer_that_is_no_http_is_one_line_or_what_it_says(raw: str) -> None:
    from huggingface_hub import HfApi

    def send(connection: socket.socket, _stopped: threading.Event) -> None:
        connection.sendall(RAW[raw])

    with serving(send) as url:
        client = HubClient(HfApi(endpoint=url, token="hf_x"), lambda _seconds: None, limits=LIMITS)
        try:
            assert head_of(client, BRANCH) == COMMIT
        except HubError as error:
            assert str(error).isprintable() and len(str(error)) < 500
            assert raw not in ("no length", "another encoding"), error
