"""Publishing a release: one commit, one tag, nothing sent twice, nothing of anybody else's touched."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fake_openai import FakeOpenAI
from tests.hub.server import Hub
from tests.pushing import Pusher
from tests.releasing import RECIPE, make_release, manifest_of, records, rewrite

REPO = "user/personagen"


@pytest.fixture
def hub() -> Iterator[Hub]:
    with Hub() as running:
        yield running


@pytest.fixture
def pusher(hub: Hub, tmp_path: Path) -> Iterator[Pusher]:
    with Pusher(hub, tmp_path / "hf") as running:
        yield running


def commits(hub: Hub) -> list[str]:
    """List the commits that were asked for."""
    return [line for line in hub.requests if line.startswith("POST ") and "/commit/" in line]


def uploads(hub: Hub) -> int:
    """Count the files that were sent apart from a commit."""
    return sum(line.startswith("PUT ") for line in hub.requests)


def served(hub: Hub, repo: str = REPO, revision: str = "main") -> dict[str, bytes]:
    """Read the files of a repository, without those that the Hub makes itself."""
    return {path: file.read_bytes() for path, file in hub.files(repo, revision).items() if path != ".gitattributes"}


def held(folder: Path) -> dict[str, bytes]:
    """Read the files of a folder."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_release_is_one_commit_and_a_tag(hub: Hub, pusher: Pusher, release: Path) -> None:
    done = pusher.push(release, REPO, tag="v1.0.0", private=True)
    assert len(commits(hub)) == 1
    assert served(hub) == served(hub, revision="v1.0.0") == held(release)
    assert set(done["sent"]) == set(held(release)) and done["kept"] == {} and done["deleted"] == []
    assert done["url"] == f"{hub.url}/datasets/{REPO}/commit/{done['commit']}" and done["slept"] == []
    assert hub.repo(REPO).private
    found = pusher.verify(f"{REPO}@v1.0.0")
    assert found["problems"] == [] and found["commit"] == done["commit"]
    assert found["rows"] == sum(shard["rows"] for shard in manifest_of(release)["shards"])
    wanted = [row["text"] for row in records(release, "joy", "train")]
    assert pusher.ask("load", repo=REPO, config="joy", revision="v1.0.0") == wanted


def test_the_same_release_is_not_sent_again(hub: Hub, pusher: Pusher, release: Path) -> None:
    first = pusher.push(release, REPO, tag="v1.0.0")
    hub.requests.clear()
    again = pusher.push(release, REPO, tag="v1.0.0")
    assert again["sent"] == {} and again["commit"] == first["commit"] and set(again["kept"]) == set(held(release))
    assert commits(hub) == [] and uploads(hub) == 0
    assert not any(line.startswith("POST ") and "/tag/" in line for line in hub.requests)


def test_one_changed_emotion_sends_its_files_and_the_card(hub: Hub, pusher: Pusher, release: Path, tmp_path: Path) -> None:
    newer = rewrite(release, tmp_path / "newer", "joy/train-", lambda table: table.slice(1))
    pusher.push(release, REPO)
    hub.requests.clear()
    done = pusher.push(newer, REPO)
    joy = {"joy/train-00000-of-00002.parquet", "joy/train-00001-of-00002.parquet"}
    assert set(done["sent"]) == joy | {"README.md", "manifest.json"}
    assert uploads(hub) == len(joy) and len(commits(hub)) == 1
    assert served(hub) == held(newer)


def test_files_of_the_older_release_go_and_those_of_others_stay(
    hub: Hub, pusher: Pusher, release: Path, model: FakeOpenAI, tmp_path: Path
) -> None:
    pusher.push(release, REPO)
    mixed = tmp_path / "mixed"
    shutil.copytree(release, mixed)
    (mixed / "notes").mkdir()
    (mixed / "notes" / "train-00000-of-00001.parquet").write_bytes(b"mine")
    (mixed / "paper.pdf").write_bytes(b"%PDF")
    hub.publish(REPO, mixed)
    smaller = make_release(tmp_path / "smaller", model.url, RECIPE, rows=35, shard_rows=10)
    done = pusher.push(smaller, REPO)
    gone = set(held(release)) - set(held(smaller))
    assert set(done["deleted"]) == gone and "joy/train-00001-of-00002.parquet" in gone
    own = {"notes/train-00000-of-00001.parquet": b"mine", "paper.pdf": b"%PDF"}
    assert served(hub) == held(smaller) | own
    assert pusher.verify(REPO)["problems"] == [
        "notes/train-00000-of-00001.parquet is no file of this release, and would be read as one"
    ]


def test_a_dry_run_tells_and_sends_nothing(hub: Hub, pusher: Pusher, release: Path) -> None:
    told = pusher.push(release, REPO, tag="v1.0.0", dry_run=True)
    assert told["commit"] is told["url"] is None and set(told["sent"]) == set(held(release))
    assert told["card"] == (release / "README.md").read_text(encoding="utf-8")
    assert not [line for line in hub.requests if not line.startswith(("GET ", "HEAD "))]


def test_a_pull_request_leaves_the_branch_alone(hub: Hub, pusher: Pusher, release: Path) -> None:
    hub.publish(REPO, release.parent / "nothing") if (release.parent / "nothing").is_dir() else None
    done = pusher.push(release, REPO, create_pr=True)
    assert done["commit"] is None and done["url"].endswith("/discussions/1")
    assert served(hub) == {} and served(hub, revision="refs/pr/1") == held(release)
    again = pusher.push(release, REPO, create_pr=True)
    assert again["url"] == done["url"] and len(commits(hub)) == 1


def test_a_branch_is_made_and_main_is_left_alone(hub: Hub, pusher: Pusher, release: Path) -> None:
    done = pusher.push(release, REPO, revision="next")
    assert served(hub) == {} and served(hub, revision="next") == held(release)
    assert pusher.verify(f"{REPO}@next")["commit"] == done["commit"]


def test_a_tag_with_other_content_is_refused_before_anything_is_sent(
    hub: Hub, pusher: Pusher, release: Path, tmp_path: Path
) -> None:
    pusher.push(release, REPO, tag="v1.0.0")
    newer = rewrite(release, tmp_path / "newer", "joy/train-", lambda table: table.slice(1))
    hub.requests.clear()
    told = pusher.push(newer, REPO, tag="v1.0.0")
    assert told["error"] == "HubError"
    assert told["message"].startswith(f"{REPO} has a tag v1.0.0 already, with other content (")
    assert told["message"].endswith("choose the next version. Nothing was sent")
    assert served(hub) == held(release) and uploads(hub) == 0 and commits(hub) == []


def test_what_a_person_wrote_on_the_hub_is_kept(hub: Hub, pusher: Pusher, release: Path, tmp_path: Path) -> None:
    pusher.push(release, REPO)
    edited = tmp_path / "edited"
    shutil.copytree(release, edited)
    card = (edited / "README.md").read_text(encoding="utf-8")
    mark = "<!-- personagen: yours (notes), kept by later releases -->\n"
    assert mark in card
    (edited / "README.md").write_text(card.replace(mark, mark + "Reviewed by *us*.\n"), encoding="utf-8")
    hub.publish(REPO, edited)
    newer = rewrite(release, tmp_path / "newer", "joy/train-", lambda table: table.slice(1))
    done = pusher.push(newer, REPO)
    assert mark + "Reviewed by *us*.\n" in served(hub)["README.md"].decode() and "README.md" in done["sent"]
    again = pusher.push(newer, REPO, tag="v2.0.0")
    assert again["sent"] == {} and pusher.push(newer, REPO, tag="v2.0.0")["sent"] == {}


def test_many_files_are_gathered_in_a_pull_request_and_merged_at_once(
    hub: Hub, pusher: Pusher, model: FakeOpenAI, tmp_path: Path
) -> None:
    big = make_release(tmp_path / "big", model.url, "rows: 260\nemotions: [joy, fear]\ndepth: none\nshard_rows: 1")
    done = pusher.push(big, REPO, tag="v1.0.0")
    assert len(commits(hub)) == 2 and sum("/merge" in line for line in hub.requests) == 1
    assert served(hub) == served(hub, revision="v1.0.0") == held(big)
    assert pusher.push(big, REPO)["commit"] == done["commit"]


def test_a_push_from_python_has_the_arguments_of_datasets(hub: Hub, release: Path, tmp_path: Path) -> None:
    from tests.releasing import ROOT, run_python

    code = f"""
from pathlib import Path
from personagen.builder.push import Release
done = Release(Path({str(release)!r})).push_to_hub({REPO!r}, commit_message="First", private=True, token="hf_any", tag="v1")
print(done.url)
"""
    env = {**hub.env(), "HF_HOME": str(tmp_path), "PYTHONPATH": str(ROOT), "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    assert run_python(code, tmp_path, **env).startswith(f"{hub.url}/datasets/{REPO}/commit/")
    assert served(hub) == held(release) and json.dumps(commits(hub)) != "[]"


def facts(told: Any) -> tuple[str, str]:
    return told["error"], told["message"]
