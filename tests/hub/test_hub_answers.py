"""Answers of the Hub of any shape end in one line, and none shows the token."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.pushing import Pusher, served
from tests.helpers.releasing import make_release
from tests.helpers.servers.hub.server import Hub

TOKEN = "hf_Zq8SECRETTOKEN0123456789"
PARTS = ("SECRETTOKEN", "Zq8S", "456789")
CALLS = ("GET /api/datasets/[^/]*/[^/]*/revision", "GET .*/tree", "GET .*/refs", "GET .*/resolve", "POST .*/preupload",
         "POST .*/commit/", "POST .*/info/lfs", "POST .*/tag", "POST /api/repos/create", "GET .*/commits")  # fmt: skip
"""Calls of a push or a verification."""

SHAPES: dict[str, Any] = {
    "{}": {}, "[]": "[]", "null": "null", "text": '"text"', "number": "7", "html": "<html><body>Sign in</body></html>",
    "empty": "", "deep": "[" * 100_000 + "]" * 100_000, "long": json.dumps({"id": "x" * 1_000_000}), "cut": '{"id": ',
    "wrong types": {"id": 7, "sha": [], "oid": {}, "commitUrl": 3, "commitOid": None, "url": [], "tags": {}, "files": 1,
                    "siblings": 5, "branches": "main", "objects": [{}], "path": None, "type": 4, "size": "1"},
    "list of wrong types": json.dumps([{"type": "file", "path": 7, "size": "x", "oid": 3}, 7, None]),
    "negative": json.dumps([{"type": "file", "path": "../../x", "size": -1, "oid": "0" * 40}]),
}  # fmt: skip
STATUSES = (400, 401, 403, 404, 409, 412, 413, 418, 422, 429, 500, 503)


@pytest.fixture(scope="module")
def small(model: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    recipe = "rows: 4\nemotions: [joy, fear]\ndepth: none\nexpression: shown"
    return make_release(tmp_path_factory.mktemp("answers") / "small", model.url, recipe)


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Hub, Pusher]]:
    with Hub() as hub, Pusher(hub, tmp_path_factory.mktemp("hf"), TOKEN, HF_HUB_DISABLE_TELEMETRY="1") as pusher:
        yield hub, pusher


def require_one_line(answer: Any) -> None:
    """Require a result, or an error of ours in one line without the token; None: the process has ended."""
    assert answer is not None, "a traceback"
    text = json.dumps(answer)
    assert not [part for part in PARTS if part in text], text
    if isinstance(answer, dict) and "error" in answer:
        message = answer["message"]
        assert answer["error"] in ("HubError", "ReleaseError") and message.isprintable() and len(message) < 700, message


def some(values: Any, fast: tuple[Any, ...]) -> list[Any]:
    """Mark all values but a few as slow: each is tried at ten calls."""
    return [pytest.param(value, marks=() if value in fast else pytest.mark.slow) for value in values]


@pytest.mark.parametrize("shape", some(SHAPES, ("{}", "html", "wrong types")))
def test_an_answer_of_another_shape_is_one_line(shape: str, process: tuple[Hub, Pusher], small: Path) -> None:
    hub, pusher = process
    for number, call in enumerate(CALLS):
        repo = f"user/shape-{list(SHAPES).index(shape)}-{number}"
        if number % 2:
            hub.publish(repo, small)
        hub.fail(call, status=200, body=SHAPES[shape], headers={"Content-Type": "application/json"}, times=50)
        require_one_line(pusher.push(small, repo, tag="v1"))
        require_one_line(pusher.verify(repo))
        hub.heal()
        done = pusher.push(small, repo, tag="v1")
        assert "error" not in done, (call, done)  # the same command goes on
        assert set(served(hub, repo)) == {path.relative_to(small).as_posix() for path in small.rglob("*.*")}


@pytest.mark.parametrize("status", some(STATUSES, (400, 409, 418)))
def test_an_error_that_repeats_the_token(status: int, process: tuple[Hub, Pusher], small: Path) -> None:
    hub, pusher = process
    hub.publish(f"user/leak-{status}", small)
    times = 2 if status in (429, 500, 503) else 50  # the client itself retries these with pauses
    for number, call in enumerate(CALLS):
        header = f"Authorization: Bearer {TOKEN}"
        bodies: tuple[Any, ...] = (
            {"error": header}, {"errors": [{"message": header}]}, f"<html>{header}</html>", header,
            {"error": f"\x1b[31m{TOKEN[:6]}...{TOKEN[-5:]}"},
        )  # fmt: skip
        headers = {"X-Error-Message": header, "X-Request-Id": TOKEN, "Retry-After": "0", "X-Error-Code": TOKEN}
        hub.fail(call, status=status, body=bodies[number % len(bodies)], headers=headers, times=times)
        repo = f"user/leak-{status}" if number % 2 else f"user/leak-{status}-{number}"
        require_one_line(pusher.push(small, repo, tag="v1"))
        require_one_line(pusher.verify(repo))
        hub.heal()
