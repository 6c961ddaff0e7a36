"""Publishing a release: one commit, one tag, no file sent twice, no foreign file changed."""

import re
import shutil
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pytest

from personagen.builder.core.errors import HubError
from personagen.builder.hub.client import HubClient
from personagen.builder.hub.commits import commit
from personagen.builder.hub.repo_files import FileChanges, FileVersion, RepoBranch
from personagen.builder.release.cards.metadata import card_problems
from tests.helpers.pushing import Pusher, held, served
from tests.helpers.releasing import RECIPE, ROOT, make_release, manifest_of, records, rewrite, run_python
from tests.helpers.servers.fake_openai import FakeOpenAI
from tests.helpers.servers.hub.server import Hub


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Hub, Pusher]]:
    """The Hub and a pushing process for all tests; each test has its own repository."""
    with Hub() as hub, Pusher(hub, tmp_path_factory.mktemp("hf")) as pusher:
        yield hub, pusher


@pytest.fixture
def hub(process: tuple[Hub, Pusher]) -> Hub:
    """The Hub, with an empty list of requests."""
    process[0].requests.clear()
    return process[0]


@pytest.fixture
def pusher(process: tuple[Hub, Pusher]) -> Pusher:
    return process[1]


@pytest.fixture
def repo(request: pytest.FixtureRequest) -> str:
    """A repository that no other test uses."""
    return "user/" + re.sub(r"\W", "_", request.node.name.removeprefix("test_"))[-60:].strip("_")


def commits(hub: Hub) -> list[str]:
    """Return the requests for commits."""
    return [line for line in hub.requests if line.startswith("POST ") and "/commit/" in line]


def uploads(hub: Hub) -> int:
    """Count the files that were uploaded outside a commit."""
    return sum(line.startswith("PUT ") for line in hub.requests)


def test_a_release_is_one_commit_and_a_tag(repo: str, hub: Hub, pusher: Pusher, release: Path) -> None:
    done = pusher.push(release, repo, tag="v1.0.0", private=True)
    assert len(commits(hub)) == 1
    assert served(hub, repo) == served(hub, repo, revision="v1.0.0") == held(release)
    assert set(done["sent"]) == set(held(release)) and done["kept"] == {} and done["deleted"] == []
    assert done["url"] == f"{hub.url}/datasets/{repo}/commit/{done['commit']}" and done["slept"] == []
    assert hub.repo(repo).private
    found = pusher.verify(f"{repo}@v1.0.0")
    assert found["problems"] == [] and found["commit"] == done["commit"]
    assert found["rows"] == sum(shard["rows"] for shard in manifest_of(release)["shards"])
    wanted = [row["text"] for row in records(release, "joy", "train")]
    assert pusher.ask("load", repo=repo, config="joy", revision="v1.0.0") == wanted


def test_the_same_release_is_not_sent_again(repo: str, hub: Hub, pusher: Pusher, release: Path) -> None:
    first = pusher.push(release, repo, tag="v1.0.0")
    hub.requests.clear()
    again = pusher.push(release, repo, tag="v1.0.0")
    assert again["sent"] == {} and again["commit"] == first["commit"] and set(again["kept"]) == set(held(release))
    assert commits(hub) == [] and uploads(hub) == 0
    assert not any(line.startswith("POST ") and "/tag/" in line for line in hub.requests)


def test_one_changed_emotion_sends_its_files_and_the_descriptions(
    repo: str, hub: Hub, pusher: Pusher, release: Path, tmp_path: Path
) -> None:
    newer = rewrite(release, tmp_path / "newer", "joy/train-", lambda table: table.slice(1))
    pusher.push(release, repo)
    hub.requests.clear()
    done = pusher.push(newer, repo)
    joy = {"joy/train-00000-of-00002.parquet", "joy/train-00001-of-00002.parquet"}
    assert set(done["sent"]) == joy | {"README.md", "croissant.json", "manifest.json"}
    assert uploads(hub) == len(joy) and len(commits(hub)) == 1
    assert served(hub, repo) == held(newer)


@pytest.mark.slow
def test_files_of_the_previous_release_are_deleted_and_others_stay(
    repo: str, hub: Hub, pusher: Pusher, release: Path, model: FakeOpenAI, tmp_path: Path
) -> None:
    pusher.push(release, repo)
    mixed = tmp_path / "mixed"
    shutil.copytree(release, mixed)
    (mixed / "notes").mkdir()
    (mixed / "notes" / "train-00000-of-00001.parquet").write_bytes(b"mine")
    (mixed / "paper.pdf").write_bytes(b"%PDF")
    hub.publish(repo, mixed)
    smaller = make_release(tmp_path / "smaller", model.url, RECIPE, rows=35, shard_rows=10)
    done = pusher.push(smaller, repo)
    gone = set(held(release)) - set(held(smaller))
    assert set(done["deleted"]) == gone and "joy/train-00001-of-00002.parquet" in gone
    own = {"notes/train-00000-of-00001.parquet": b"mine", "paper.pdf": b"%PDF"}
    assert served(hub, repo) == held(smaller) | own
    assert pusher.verify(repo)["problems"] == []


def test_a_dry_run_reports_and_sends_nothing(repo: str, hub: Hub, pusher: Pusher, release: Path) -> None:
    answer = pusher.push(release, repo, tag="v1.0.0", dry_run=True)
    assert answer["commit"] is answer["url"] is None and set(answer["sent"]) == set(held(release))
    assert answer["card"] == (release / "README.md").read_text(encoding="utf-8")
    assert not [line for line in hub.requests if not line.startswith(("GET ", "HEAD "))]


def test_a_pull_request_leaves_the_branch_alone(repo: str, hub: Hub, pusher: Pusher, release: Path) -> None:
    done = pusher.push(release, repo, create_pr=True)
    assert done["commit"] is None and done["url"].endswith("/discussions/1")
    assert served(hub, repo) == {} and served(hub, repo, revision="refs/pr/1") == held(release)
    again = pusher.push(release, repo, create_pr=True)
    assert again["url"] == done["url"] and len(commits(hub)) == 1


@pytest.mark.slow
def test_a_branch_is_made_and_main_is_left_alone(repo: str, hub: Hub, pusher: Pusher, release: Path) -> None:
    done = pusher.push(release, repo, revision="next")
    assert served(hub, repo) == {} and served(hub, repo, revision="next") == held(release)
    assert pusher.verify(f"{repo}@next")["commit"] == done["commit"]


def test_a_tag_with_other_content_is_refused_before_anything_is_sent(
    repo: str, hub: Hub, pusher: Pusher, release: Path, tmp_path: Path
) -> None:
    pusher.push(release, repo, tag="v1.0.0")
    newer = rewrite(release, tmp_path / "newer", "joy/train-", lambda table: table.slice(1))
    hub.requests.clear()
    answer = pusher.push(newer, repo, tag="v1.0.0")
    assert answer["error"] == "HubError"
    assert answer["message"].startswith(f"{repo} already has a tag v1.0.0 with other content (")
    assert answer["message"].endswith("choose the next version. Nothing was sent")
    assert served(hub, repo) == held(release) and uploads(hub) == 0 and commits(hub) == []


def test_hand_written_text_on_the_hub_is_kept(
    repo: str, hub: Hub, pusher: Pusher, release: Path, tmp_path: Path
) -> None:
    pusher.push(release, repo)
    edited = tmp_path / "edited"
    shutil.copytree(release, edited)
    card = (edited / "README.md").read_text(encoding="utf-8")
    mark = "<!-- personagen: yours (notes), kept by later releases -->\n"
    assert mark in card
    (edited / "README.md").write_text(card.replace(mark, mark + "Reviewed by *us*.\n"), encoding="utf-8")
    hub.publish(repo, edited)
    newer = rewrite(release, tmp_path / "newer", "joy/train-", lambda table: table.slice(1))
    done = pusher.push(newer, repo)
    assert mark + "Reviewed by *us*.\n" in served(hub, repo)["README.md"].decode() and "README.md" in done["sent"]
    again = pusher.push(newer, repo, tag="v2.0.0")
    assert again["sent"] == {} and pusher.push(newer, repo, tag="v2.0.0")["sent"] == {}


def test_a_card_of_yaml_alone_is_replaced_and_a_written_one_is_not(
    repo: str, hub: Hub, pusher: Pusher, release: Path, tmp_path: Path
) -> None:
    (tmp_path / "README.md").write_text("---\nlicense: mit\n---\n\n")
    hub.publish(repo, tmp_path)
    pusher.push(release, repo)
    assert served(hub, repo) == held(release)
    (tmp_path / "README.md").write_text("---\nlicense: mit\n---\n# My own\n")
    hub.publish(f"{repo}-2", tmp_path)
    answer = pusher.push(release, f"{repo}-2")
    assert answer["error"] == "HubError"
    assert answer["message"].startswith(
        f"README.md of {repo}-2 on the Hub: the earlier card lacks the marks of the region"
    )
    assert answer["message"].endswith("Nothing was sent")
    assert set(served(hub, f"{repo}-2")) == {"README.md"}


BOMB = "a: &a [x, x]\n" + "".join(f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n" for a, b in pairwise("abcdef"))
EDITS = {
    "a tag": ("- persona\n", "- persona\n- reviewed\n", "- reviewed\n", None),
    "several tags": ("- persona\n", "- persona\n- 'é: x'\n- reviewed\n", "- 'é: x'\n- reviewed\n", None),
    "a key": ("tags:\n", "doi: 10.5281/zenodo.1\ntags:\n", "doi: 10.5281/zenodo.1\n", None),
    "a gate": ("tags:\n", "extra_gated_prompt: 'Read *this*'\nextra_gated_fields:\n  Name: text\ntags:\n",
               "extra_gated_fields:\n  Name: text\n", None),
    "a licence": ("license: other\n", "license: mit\n", None, "license: 'mit'"),
    "another name": ("pretty_name: ", "pretty_name: My ", None, "pretty_name: 'My "),
    "dataset_info": ("tags:\n", "dataset_info: {features: []}\ntags:\n", None, "its YAML cannot be read"),
    "a paragraph": ("<!-- personagen: yours (notes)", "Our own words.\n<!-- personagen: yours (notes)", None,
                    "text outside the marks (1 lines, the first is 'Our own words.')"),
    "broken YAML": ("tags:\n", "tags: [\n", None, "its YAML cannot be read"),
    "a bomb": ("tags:\n", f"{BOMB}tags:\n", None, "its YAML cannot be read"),
    "Windows": ("\n", "\r\n", None, None),
}  # fmt: skip
"""Edits of a card on the Hub: what stands there, what replaces it, what the next push keeps, and what it warns of."""


@pytest.mark.parametrize("edit", EDITS)
def test_an_edited_card_on_the_hub_is_kept_or_the_loss_is_named(
    edit: str, repo: str, hub: Hub, pusher: Pusher, release: Path, tmp_path: Path
) -> None:
    old, new, kept, warning = EDITS[edit]
    edited = tmp_path / "edited"
    shutil.copytree(release, edited)
    card = (edited / "README.md").read_bytes().decode()
    assert old in card
    (edited / "README.md").write_bytes(card.replace(old, new).encode())
    hub.publish(repo, edited)
    done = pusher.push(release, repo)
    pushed = served(hub, repo)["README.md"].decode()
    assert (pushed == card) == (kept is None) and (kept or "") in pushed
    if warning is None:
        assert done["warned"] == []
    else:
        (line,) = done["warned"]
        assert line.startswith(f"README.md of {repo} on the Hub was edited, which this push replaces: ")
        assert warning in line and len(line) < 700 and line.isprintable()
    again = pusher.push(release, repo)
    assert (again["sent"], again["warned"]) == ({}, [])
    assert pusher.verify(repo)["problems"] == []


def test_hostile_rows_reach_the_data_and_nothing_else(
    repo: str, hub: Hub, pusher: Pusher, release: Path, tmp_path: Path
) -> None:
    words = [
        "---\nconfigs:\n- config_name: evil\n---",
        "</td><script>alert(1)</script> ![x](http://h)",
        "\x1b[2J\x00\u202e",
    ]
    words += ["w" * 1_000_000, "<!-- personagen: end of yours (notes) -->", "{{ manifest.seed }} {% raw %}"]

    def hostile(table: pa.Table) -> pa.Table:
        texts = [words[number % len(words)] for number in range(table.num_rows)]
        return table.set_column(1, table.schema.field(1), pa.array(texts))

    bad = rewrite(release, tmp_path / "bad", "joy/train-", hostile)
    done = pusher.push(bad, repo, tag="v1")
    assert pusher.verify(f"{repo}@v1")["problems"] == [] and list(card_problems(done["card"], manifest_of(bad))) == []
    answer, harmless = served(hub, repo)["README.md"].decode(), (release / "README.md").read_text(encoding="utf-8")
    assert (
        answer == done["card"] and len(answer) == len(harmless) and not [word for word in words[:4] if word in answer]
    )
    assert set(pusher.ask("load", repo=repo, config="joy")) <= set(words)


@pytest.mark.slow
def test_many_files_are_one_commit_too(repo: str, hub: Hub, pusher: Pusher, model: FakeOpenAI, tmp_path: Path) -> None:
    big = make_release(tmp_path / "big", model.url, "rows: 260\nemotions: [joy, fear]\ndepth: none\nshard_rows: 1")
    done = pusher.push(big, repo, tag="v1.0.0")
    assert len(commits(hub)) == 1 and served(hub, repo) == served(hub, repo, "v1.0.0") == held(big)
    assert pusher.push(big, repo)["commit"] == done["commit"]


def test_more_files_than_the_hub_accepts_at_once_are_refused_before_anything_is_sent() -> None:
    """The client has no API, so that any call would fail."""
    files = {f"joy/train-{number:05}.parquet": FileVersion(1, "0") for number in range(25_001)}
    client = HubClient(None)  # type: ignore[arg-type]
    with pytest.raises(
        HubError, match=r"main is unchanged: 25001 files are more than the 25000 .* at once; raise shard_ro"
    ):
        commit(client, RepoBranch("user/name"), "head", {}, FileChanges(files, {}, ()), "message")


@pytest.mark.parametrize("path", ["joy/train-zz.parquet", "joy/train-00000-of-00009.parquet", ".huggingface.yaml"])
def test_a_file_that_would_be_read_as_a_part_of_the_release_stops_it(
    path: str, repo: str, hub: Hub, pusher: Pusher, release: Path, tmp_path: Path
) -> None:
    (tmp_path / "theirs" / path).parent.mkdir(parents=True)
    (tmp_path / "theirs" / path).write_bytes(b"x")
    hub.publish(repo, tmp_path / "theirs")
    answer = pusher.push(release, repo)
    assert answer["message"].startswith(
        f"{repo} has {path}, which is not of this release and would be read as a part of it"
    )
    assert set(served(hub, repo)) == {path}
    mixed = tmp_path / "mixed"
    shutil.copytree(release, mixed)
    (mixed / path).write_bytes(b"x")
    hub.publish(f"{repo}-2", mixed)
    assert pusher.verify(f"{repo}-2")["problems"] == [f"{path} is no file of this release, and would be read"]


def test_a_manifest_of_another_program_stops_it(
    repo: str, hub: Hub, pusher: Pusher, release: Path, tmp_path: Path
) -> None:
    (tmp_path / "manifest.json").write_text('{"mine": ["data/train-00000-of-00001.parquet"]}')
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "train-00000-of-00001.parquet").write_bytes(b"x")
    hub.publish(repo, tmp_path)
    answer = pusher.push(release, repo)
    assert answer["message"].startswith(
        f"{repo} has a manifest.json that is not of a release; choose another repository"
    )
    assert len(served(hub, repo)) == 2 and commits(hub) == []


@pytest.mark.slow
def test_the_release_is_found_below_a_later_commit(
    repo: str, hub: Hub, pusher: Pusher, release: Path, tmp_path: Path
) -> None:
    """The answer is lost, and another commit follows before the branch is read."""
    pusher.push(release, repo)
    newer = rewrite(release, tmp_path / "newer", "joy/train-", lambda table: table.slice(1))
    hub.requests.clear()
    hub.fail(r"POST .*/commit/", cut=0, after=True)
    gate = hub.hold(r"GET .*/revision/main", nth=2)
    pusher.send("push", folder=str(newer), repo=repo, options={})
    gate.wait()
    edited = tmp_path / "edited"
    shutil.copytree(newer, edited)
    (edited / "extra.txt").write_text("x")
    latest = hub.publish(repo, edited)
    gate.open()
    answer = pusher.read()
    assert "error" not in answer and answer["commit"] != latest
    assert pusher.verify(f"{repo}@{answer['commit']}")["problems"] == []


def test_the_visibility_of_a_repository_is_compared(repo: str, hub: Hub, pusher: Pusher, release: Path) -> None:
    pusher.push(release, repo, private=False)
    answer = pusher.push(release, repo, private=True)
    assert answer["message"] == f"{repo} exists and is public; change that on its page, or leave the option out"


def test_a_branch_is_no_tag_and_no_commit(repo: str, hub: Hub, pusher: Pusher, release: Path) -> None:
    done = pusher.push(release, repo, tag="v1")
    answer = pusher.push(release, repo, revision="v1")
    assert answer["message"] == f"v1 is a tag or a commit of {repo}; --revision names a branch"
    answer = pusher.push(release, repo, revision=done["commit"])
    assert answer["message"].startswith(f"--revision: got '{done['commit']}', the form of a commit, wanted a branch")
    answer = pusher.push(release, repo, create_pr=True, tag="v2")
    assert answer["message"].startswith(
        "a tag names a commit of a branch, which a pull request does not change; leave one of the two out"
    )
    assert pusher.push(release, repo, create_pr=True)["commit"] == done["commit"]  # no difference, so no pull request


def test_a_push_from_python_has_the_arguments_of_datasets(repo: str, hub: Hub, release: Path, tmp_path: Path) -> None:
    code = f"""
from pathlib import Path
import personagen as pg
release = pg.Release({str(release)!r})
print(release.push_to_hub({repo!r}, commit_message="First", private=True, token="hf_any", tag="v1").url)
"""
    env = {**hub.env(), "HF_HOME": str(tmp_path), "PYTHONPATH": str(ROOT), "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    assert run_python(code, tmp_path, **env).startswith(f"{hub.url}/datasets/{repo}/commit/")
    assert served(hub, repo) == held(release)


@pytest.mark.slow
def test_a_push_by_xet(release: Path, tmp_path: Path) -> None:
    """The default of the client: chunks go to a content-addressed store, here a folder."""
    pytest.importorskip("hf_xet", reason="the client was installed without it")
    with Hub(xet=True) as hub, Pusher(hub, tmp_path / "hf") as pusher:
        done = pusher.push(release, "user/xet", tag="v1")
        assert "error" not in done and uploads(hub) == 0
        assert any("/xet-write-token/" in line for line in hub.requests)
        assert pusher.verify("user/xet@v1")["problems"] == []
        wanted = [row["text"] for row in records(release, "joy", "train")]
        assert pusher.ask("load", repo="user/xet", config="joy") == wanted
        hub.requests.clear()
        assert pusher.push(release, "user/xet")["sent"] == {} and commits(hub) == []
