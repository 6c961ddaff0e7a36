"""Pushes with faults at every request, and killed pushes: the branch always has one complete release."""

import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from tests.helpers.pushing import Pusher, held, served
from tests.helpers.releasing import make_release, rewrite
from tests.helpers.servers.hub.faults import Gate
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
    """Return which release the branch has, byte for byte; "nothing" for an empty branch."""
    if ("dataset", repo) not in hub.store.repos:
        return "nothing"
    files = served(hub, repo)
    names = {"older": held(releases[0]), "newer": held(releases[1]), "nothing": {}}
    return next((name for name, wanted in names.items() if wanted == files), f"a mix: {sorted(files)}")


def check(hub: Hub, pusher: Pusher, repo: str, versions: tuple[Path, Path], answer: Any) -> None:
    """Assert that the branch is as the answer of a push says, and that the same push completes it."""
    now = published(hub, repo, versions)
    if "error" in answer:
        assert answer["error"] == "HubError" and "\n" not in answer["message"]
        assert now in ("older", "newer")
        assert now == "older" or "has the pushed commit" in answer["message"] or "unknown" in answer["message"], answer
        if "is unchanged" in answer["message"]:
            assert now == "older", answer
        if "has the pushed commit" in answer["message"]:
            assert now == "newer", answer
    else:
        assert now == "newer" and answer["commit"] == hub.repo(repo).refs["refs/heads/main"]
    hub.heal()
    done = pusher.push(versions[1], repo, tag="v2")
    assert "error" not in done, done
    assert published(hub, repo, versions) == "newer" and served(hub, repo, "v2") == held(versions[1])


def marked(word: str) -> Callable[[pa.Table], pa.Table]:
    """Return a change that puts a word before every text."""

    def change(table: pa.Table) -> pa.Table:
        texts = [f"{word} {text}" for text in table["text"].to_pylist()]
        return table.set_column(1, table.schema.field(1), pa.array(texts))

    return change


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=() if kind in ("412", "lost") else pytest.mark.slow) for kind in FAULTS]
)
def test_one_fault_at_a_commit_or_a_tag_is_retried(
    kind: str, hub: Hub, pusher: Pusher, versions: tuple[Path, Path]
) -> None:
    for number, pattern in enumerate((r"POST .*/commit/", r"POST .*/tag/", r"POST .*/validate-yaml", r"GET .*/refs")):
        repo = f"user/one-{kind}-{number}"
        pusher.push(versions[0], repo)
        hub.fail(pattern, **FAULTS[kind])
        answer = pusher.push(versions[1], repo, tag="v2")
        assert "error" not in answer and hub.faults_left == 0, (pattern, answer)
        waits = answer["slept"]
        assert len(waits) == (0 if kind == "lost" and number < 2 else 1), (pattern, waits)
        assert all(wait >= 1 for wait in waits) or kind != "429"
        check(hub, pusher, repo, versions, answer)


@pytest.mark.parametrize("kind", FAULTS)
def test_a_repository_is_made_in_spite_of_a_fault(
    kind: str, hub: Hub, pusher: Pusher, versions: tuple[Path, Path]
) -> None:
    hub.fail(r"POST /api/repos/create", **FAULTS[kind])
    answer = pusher.push(versions[1], f"user/new-{kind}")
    assert "error" not in answer and published(hub, f"user/new-{kind}", versions) == "newer"


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
def test_a_fault_that_lasts_ends_the_push_with_one_line(
    pattern: str, fault: dict[str, Any], message: str, hub: Hub, pusher: Pusher, versions: tuple[Path, Path]
) -> None:
    repo = f"user/ends-{len(hub.store.repos)}"
    pusher.push(versions[0], repo)
    hub.fail(pattern, times=99, **fault)
    answer = pusher.push(versions[1], repo, tag="v2")
    assert re.search(message, answer["message"].replace(repo, "user/ends")), answer
    check(hub, pusher, repo, versions, answer)


@pytest.mark.slow
def test_another_client_was_faster(hub: Hub, pusher: Pusher, versions: tuple[Path, Path], tmp_path: Path) -> None:
    pusher.push(versions[0], "user/race")
    gate = hub.hold(r"POST .*/commit/")
    pusher.send("push", folder=str(versions[1]), repo="user/race", options={"tag": "v2"})
    gate.wait()
    (tmp_path / "theirs.txt").write_text("x")
    theirs = hub.publish("user/race", tmp_path)
    gate.open()
    answer = pusher.read()
    assert answer["message"].startswith(
        f"user/race was changed by another client meanwhile (main is at {theirs[:12]}), without this commit; look"
    )
    assert served(hub, "user/race") == {"theirs.txt": b"x"}


def test_of_two_pushes_at_once_one_arrives_complete(
    hub: Hub, pusher: Pusher, versions: tuple[Path, Path], tmp_path: Path
) -> None:
    """The Hub holds both commits until both have arrived: both have the same parent."""
    pusher.push(versions[0], "user/both")
    third = rewrite(versions[0], tmp_path / "third", "fear/", lambda table: table.slice(0, 1))
    with Pusher(hub, tmp_path / "hf") as other:
        hub.hold(r"POST .*/commit/", times=2, opens_at=2)
        pusher.send("push", folder=str(versions[1]), repo="user/both", options={})
        other.send("push", folder=str(third), repo="user/both", options={})
        answers = [pusher.read(), other.read()]
    (lost,) = (answer for answer in answers if "error" in answer)
    assert served(hub, "user/both") == held(versions[1] if lost is answers[1] else third)
    assert "was changed by another client" in lost["message"]


@pytest.mark.parametrize("status", [400, 500, 520, 524, 200])
def test_an_odd_answer_to_a_commit_that_was_created(
    status: int, hub: Hub, pusher: Pusher, versions: tuple[Path, Path]
) -> None:
    """A refusal is taken at its word; after every other answer the branch is looked up."""
    repo = f"user/strange-{status}"
    pusher.push(versions[0], repo)
    hub.fail(r"POST .*/commit/", status=status, after=status != 400, body="<html>")
    answer = pusher.push(versions[1], repo, tag="v2")
    assert ("error" in answer) == (status == 400)
    check(hub, pusher, repo, versions, answer)


@pytest.mark.parametrize("kind", FAULTS)
def test_a_pull_request_is_opened_once(kind: str, hub: Hub, pusher: Pusher, versions: tuple[Path, Path]) -> None:
    repo = f"user/asked-{kind}"
    pusher.push(versions[0], repo)
    hub.fail(r"POST .*/commit/", **FAULTS[kind])
    for _ in range(2):
        answer = pusher.push(versions[1], repo, create_pr=True)
        assert answer["url"].endswith("/discussions/1") and len(hub.repo(repo).discussions) == 1
    assert hub.faults_left == 0 and published(hub, repo, versions) == "older"
    assert served(hub, repo, "refs/pr/1") == held(versions[1])


@pytest.mark.parametrize("wish", ["7.5", "Wed, 21 Oct 2099 07:28:00 GMT"])
def test_retry_after_has_many_spellings(wish: str, hub: Hub, pusher: Pusher, versions: tuple[Path, Path]) -> None:
    repo = f"user/wish-{len(wish)}"
    pusher.push(versions[0], repo)
    hub.fail(r"POST .*/commit/", status=429, headers={"Retry-After": wish})
    answer = pusher.push(versions[1], repo)
    assert answer.get("slept") == [7.5] if wish == "7.5" else "asks to wait" in answer["message"]


@pytest.mark.slow
@pytest.mark.parametrize("kind", FAULTS)
def test_a_fault_at_every_request(
    kind: str, hub: Hub, pusher: Pusher, versions: tuple[Path, Path], tmp_path: Path
) -> None:
    """The push ends, and the branch is as it says. Every push has texts of its own: the Hub stores uploads.

    Each kind of fault comes at every second request; neighbouring kinds differ in which.
    """
    number, count, first = 0, 0, 1 + list(FAULTS).index(kind) % 2
    while number <= count:
        repo, older = f"user/at-{kind}-{number}", versions[0]
        pair = (older, rewrite(older, tmp_path / f"{number}", "joy/train-", marked(repo)))
        pusher.push(older, repo)
        hub.requests.clear()
        if number:
            hub.fail(r".", number, **FAULTS[kind])
        answer = pusher.push(pair[1], repo, tag="v2")
        count = count or len(hub.requests)  # requests of the first push, which has no fault
        assert hub.faults_left == 0
        check(hub, pusher, repo, pair, answer)
        number = number + 2 if number else first
    assert count > 12


def test_a_file_that_has_arrived_is_not_sent_again(
    hub: Hub, pusher: Pusher, versions: tuple[Path, Path], tmp_path: Path
) -> None:
    """The first push ends between its uploads and its commit; the texts are new to the Hub, which stores uploads."""
    release, repo = rewrite(versions[0], tmp_path / "resumed", "joy/", marked("resumed")), "user/resumed"
    hub.fail(r"/commit/", times=99, status=429, headers={"Retry-After": "3600"})
    assert "run the same command" in pusher.push(release, repo)["message"]
    sent = [line for line in hub.requests if line.startswith("PUT ")]
    hub.heal()
    assert "error" not in pusher.push(release, repo) and served(hub, repo) == held(release)
    assert sent and [line for line in hub.requests if line.startswith("PUT ")] == sent


def kill_at(gate: Gate, victim: Pusher) -> None:
    """Kill a process when its request is held."""
    gate.wait()
    victim.process.kill()


@pytest.mark.slow
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_push_that_is_killed_at_any_request_is_completed_by_the_next(
    after: bool, hub: Hub, pusher: Pusher, versions: tuple[Path, Path], tmp_path: Path
) -> None:
    """Killed before the Hub processes an odd request, or after an even one and before its answer."""
    killed, answer = int(after), None
    while answer is None:
        repo, older = f"user/killed-{after}-{killed}", versions[0]
        pair = (older, rewrite(older, tmp_path / f"{killed}", "joy/train-", marked(repo)))
        hub.publish(repo, older)
        gate = hub.hold(r".", killed + 1, after=after)
        with Pusher(hub, tmp_path / f"hf{killed}") as victim:
            killer = threading.Thread(target=kill_at, args=(gate, victim))
            victim.send("push", folder=str(pair[1]), repo=repo, options={"tag": "v2"})
            killer.start()
            answer = victim.read()
            hub.heal()
            killer.join()
        assert published(hub, repo, pair) in ("older", "newer")
        assert "error" not in pusher.push(pair[1], repo, tag="v2")
        assert published(hub, repo, pair) == "newer" and served(hub, repo, "v2") == held(pair[1])
        killed += 2 if answer is None else 0
    assert killed > 10


@pytest.mark.parametrize("line", ["*.parquet", "joy/", "manifest.json", "README.md", "*.json"])
@pytest.mark.parametrize("create_pr", [False, True])
def test_files_that_the_hub_ignores_are_named_before_the_commit(
    line: str, create_pr: bool, hub: Hub, pusher: Pusher, versions: tuple[Path, Path], tmp_path: Path
) -> None:
    """A .gitignore of the repository: the client would leave such files out without a word."""
    repo = f"user/ignores-{re.sub('[^a-z]', '', line)}-{create_pr}"
    (tmp_path / ".gitignore").write_text(f"*.tmp\n{line}\n", encoding="utf-8")
    head = hub.publish(repo, tmp_path)
    done = pusher.push(versions[0], repo, create_pr=create_pr)
    assert done["error"] == "HubError"
    message = rf"{repo} ignores '[\w./-]+' by its \.gitignore; delete that line there\. Nothing was committed"
    assert re.fullmatch(message, done["message"])
    assert hub.repo(repo).refs == {"refs/heads/main": head}
    (tmp_path / ".gitignore").write_text("*.tmp\n", encoding="utf-8")
    hub.publish(repo, tmp_path)
    assert "error" not in pusher.push(versions[0], repo)
    assert {**held(versions[0]), ".gitignore": b"*.tmp\n"} == served(hub, repo)
