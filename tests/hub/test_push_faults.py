"""A push that goes wrong: at every request, by every kind of fault, and killed: the branch is one whole release."""

import random
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from tests.helpers.pushing import Pusher, held, served
from tests.helpers.releasing import make_release, rewrite
from tests.helpers.servers.hub.server import Hub

FAULTS: dict[str, dict[str, Any]] = {
    "500": {"status": 500},
    "429": {"status": 429, "headers": {"Retry-After": "1"}},
    "412": {"status": 412},
    "cut": {"cut": 0},
    "lost": {"cut": 0, "after": True},
}


@pytest.fixture(scope="module")
def versions(model: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two releases that differ in one emotion."""
    folder = tmp_path_factory.mktemp("versions")
    older = make_release(folder / "older", model.url, "rows: 12\nemotions: [joy, fear]\ndepth: none")
    return older, rewrite(older, folder / "newer", "joy/train-", lambda table: table.slice(1))


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Hub, Pusher]]:
    with Hub() as hub, Pusher(hub, tmp_path_factory.mktemp("hf")) as pusher:
        yield hub, pusher


@pytest.fixture
def hub(process: tuple[Hub, Pusher]) -> Iterator[Hub]:
    process[0].requests.clear()
    yield process[0]
    process[0].heal()


@pytest.fixture
def pusher(process: tuple[Hub, Pusher]) -> Pusher:
    return process[1]


def published(hub: Hub, repo: str, releases: tuple[Path, Path]) -> str:
    """Say which release the branch holds, to the last byte; "nothing" for an empty one."""
    if ("dataset", repo) not in hub.store.repos:
        return "nothing"
    there = served(hub, repo)
    names = {"older": held(releases[0]), "newer": held(releases[1]), "nothing": {}}
    return next((name for name, files in names.items() if files == there), f"a mix: {sorted(there)}")


def check(hub: Hub, pusher: Pusher, repo: str, versions: tuple[Path, Path], told: Any) -> None:
    """See that a push ended as it says, and that the same command completes it."""
    now = published(hub, repo, versions)
    if "error" in told:
        assert told["error"] == "HubError" and "\n" not in told["message"]
        assert now in ("older", "newer")
        assert now == "older" or "has the pushed commit" in told["message"] or "unknown" in told["message"], told
        if "is unchanged" in told["message"]:
            assert now == "older", told
        if "has the pushed commit" in told["message"]:
            assert now == "newer", told
    else:
        assert now == "newer" and told["commit"] == hub.repo(repo).refs["refs/heads/main"]
    hub.heal()
    done = pusher.push(versions[1], repo, tag="v2")
    assert "error" not in done, done
    assert published(hub, repo, versions) == "newer" and served(hub, repo, "v2") == held(versions[1])


def marked(word: str) -> Callable[[pa.Table], pa.Table]:
    """Put a word before every text."""

    def change(table: pa.Table) -> pa.Table:
        texts = [f"{word} {text}" for text in table["text"].to_pylist()]
        return table.set_column(1, table.schema.field(1), pa.array(texts))

    return change


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=() if kind in ("412", "lost") else pytest.mark.slow) for kind in FAULTS]
)
def test_one_fault_at_a_commit_or_a_tag_is_overcome(
    kind: str, hub: Hub, pusher: Pusher, versions: tuple[Path, Path]
) -> None:
    for number, pattern in enumerate((r"POST .*/commit/", r"POST .*/tag/", r"POST .*/validate-yaml", r"GET .*/refs")):
        repo = f"user/one-{kind}-{number}"
        pusher.push(versions[0], repo)
        hub.fail(pattern, **FAULTS[kind])
        told = pusher.push(versions[1], repo, tag="v2")
        assert "error" not in told and hub.faults_left == 0, (pattern, told)
        waits = told["slept"]
        assert len(waits) == (0 if kind == "lost" and number < 2 else 1), (pattern, waits)
        assert all(wait >= 1 for wait in waits) or kind != "429"
        check(hub, pusher, repo, versions, told)


@pytest.mark.parametrize("kind", FAULTS)
def test_a_repository_is_made_in_spite_of_a_fault(
    kind: str, hub: Hub, pusher: Pusher, versions: tuple[Path, Path]
) -> None:
    hub.fail(r"POST /api/repos/create", **FAULTS[kind])
    told = pusher.push(versions[1], f"user/new-{kind}")
    assert "error" not in told and published(hub, f"user/new-{kind}", versions) == "newer"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("pattern", "fault", "message"),
    [
        (r"/commit/", {"status": 500}, r"cannot commit to user/ends, main is unchanged: 500: "),
        (r"/commit/", {"cut": 0}, r"cannot commit to user/ends, main is unchanged: no answer from http"),
        (
            r"/tag/",
            {"status": 503},
            r"cannot set the tag v2 of user/ends, main has the pushed commit \(\w{12}\): 503: ",
        ),
        (r"GET .*/refs", {"status": 500}, r"cannot list the tags of user/ends: 500: "),
        (r"GET .*/revision/", {"status": 502}, r"cannot look at user/ends: 502: "),
        (
            r"(/commit/|/revision/)",
            {"cut": 0, "nth": 2},
            r"whether the commit was created is unknown: run the same command again$",
        ),
        (
            r"/commit/",
            {"status": 429, "headers": {"Retry-After": "3600"}},
            r"the Hub asks to wait 3600 s \(429\); run the",
        ),
    ],
)
def test_a_fault_that_lasts_ends_the_push_and_is_told(
    pattern: str, fault: dict[str, Any], message: str, hub: Hub, pusher: Pusher, versions: tuple[Path, Path]
) -> None:
    repo = f"user/ends-{len(hub.store.repos)}"
    pusher.push(versions[0], repo)
    hub.fail(pattern, times=99, **fault)
    told = pusher.push(versions[1], repo, tag="v2")
    assert re.search(message, told["message"].replace(repo, "user/ends")), told
    check(hub, pusher, repo, versions, told)


@pytest.mark.slow
def test_somebody_else_was_faster(hub: Hub, pusher: Pusher, versions: tuple[Path, Path], tmp_path: Path) -> None:
    pusher.push(versions[0], "user/race")
    hub.requests.clear()
    hub.pause(r"POST .*/commit/", 1.5)
    pusher.send("push", folder=str(versions[1]), repo="user/race", options={"tag": "v2"})
    while not any("/commit/" in line for line in hub.requests):
        time.sleep(0.01)
    (tmp_path / "theirs.txt").write_text("x")
    theirs = hub.publish("user/race", tmp_path)
    told = pusher.read()
    assert told["message"].startswith(
        f"user/race was changed by another client meanwhile (main is at {theirs[:12]}), without this"
    )
    assert served(hub, "user/race") == {"theirs.txt": b"x"}


def test_two_pushes_at_once_leave_one_whole_release(
    hub: Hub, pusher: Pusher, versions: tuple[Path, Path], tmp_path: Path
) -> None:
    pusher.push(versions[0], "user/both")
    third = rewrite(versions[0], tmp_path / "third", "fear/", lambda table: table.slice(0, 1))
    with Pusher(hub, tmp_path / "hf") as other:
        hub.pause(r"POST .*/commit/", 0.5, times=2)
        pusher.send("push", folder=str(versions[1]), repo="user/both", options={})
        other.send("push", folder=str(third), repo="user/both", options={})
        told = [pusher.read(), other.read()]
    (lost,) = (each for each in told if "error" in each)
    assert served(hub, "user/both") == held(versions[1] if lost is told[1] else third)
    assert "was changed by another client" in lost["message"]


@pytest.mark.parametrize("status", [400, 500, 520, 524, 200])
def test_a_strange_answer_to_a_commit_that_was_made(
    status: int, hub: Hub, pusher: Pusher, versions: tuple[Path, Path]
) -> None:
    """Of a refusal nothing is expected to have been done; all else is looked up."""
    repo = f"user/strange-{status}"
    pusher.push(versions[0], repo)
    hub.fail(r"POST .*/commit/", status=status, after=status != 400, body="<html>")
    told = pusher.push(versions[1], repo, tag="v2")
    assert ("error" in told) == (status == 400)
    check(hub, pusher, repo, versions, told)


@pytest.mark.parametrize("kind", FAULTS)
def test_a_pull_request_is_opened_once(kind: str, hub: Hub, pusher: Pusher, versions: tuple[Path, Path]) -> None:
    repo = f"user/asked-{kind}"
    pusher.push(versions[0], repo)
    hub.fail(r"POST .*/commit/", **FAULTS[kind])
    for _ in range(2):
        told = pusher.push(versions[1], repo, create_pr=True)
        assert told["url"].endswith("/discussions/1") and len(hub.repo(repo).discussions) == 1
    assert hub.faults_left == 0 and published(hub, repo, versions) == "older"
    assert served(hub, repo, "refs/pr/1") == held(versions[1])


@pytest.mark.parametrize("wish", ["7.5", "Wed, 21 Oct 2099 07:28:00 GMT"])
def test_retry_after_has_many_spellings(wish: str, hub: Hub, pusher: Pusher, versions: tuple[Path, Path]) -> None:
    repo = f"user/wish-{len(wish)}"
    pusher.push(versions[0], repo)
    hub.fail(r"POST .*/commit/", status=429, headers={"Retry-After": wish})
    told = pusher.push(versions[1], repo)
    assert told.get("slept") == [7.5] if wish == "7.5" else "asks to wait" in told["message"]


@pytest.mark.slow
@pytest.mark.parametrize("kind", FAULTS)
def test_a_fault_at_every_request(
    kind: str, hub: Hub, pusher: Pusher, versions: tuple[Path, Path], tmp_path: Path
) -> None:
    """The push ends, and the branch is what it says. Each sends texts of its own: the Hub keeps what it was sent."""
    number = count = 0
    while number <= count:
        repo, older = f"user/at-{kind}-{number}", versions[0]
        pair = (older, rewrite(older, tmp_path / f"{number}", "joy/train-", marked(repo)))
        pusher.push(older, repo)
        hub.requests.clear()
        if number:
            hub.fail(r".", number, **FAULTS[kind])
        told = pusher.push(pair[1], repo, tag="v2")
        count = count or len(hub.requests)  # of the first push, in which nothing fails
        assert hub.faults_left == 0
        check(hub, pusher, repo, pair, told)
        number += 1
    assert count > 12


@pytest.mark.slow
def test_killed_at_any_moment(hub: Hub, versions: tuple[Path, Path], tmp_path: Path) -> None:
    """20 kills of a push that is slowed down at each request: after each the branch is one whole release."""
    draw = random.Random(5)
    hub.pause(r".", 0.03, times=10**9)
    with Pusher(hub, tmp_path / "first") as first:
        first.push(versions[0], "user/killed")
    left = 20
    turn = 1
    while left:
        with Pusher(hub, tmp_path / f"hf{left}") as victim:
            victim.send("push", folder=str(versions[turn]), repo="user/killed", options={})
            stop = threading.Timer(draw.uniform(0.0, 1.2), victim.process.send_signal, [signal.SIGKILL])
            stop.start()
            told = victim.read()
            stop.cancel()
            if told is None:
                left -= 1
            else:
                turn = 1 - turn
        assert published(hub, "user/killed", versions) in ("older", "newer")
    with Pusher(hub, tmp_path / "last") as last:
        assert "error" not in last.push(versions[turn], "user/killed", tag="v2")
        assert last.verify("user/killed@v2")["problems"] == []
    assert published(hub, "user/killed", versions) == ("older", "newer")[turn]
