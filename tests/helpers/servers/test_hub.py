"""The fake Hub, with the real clients in processes of their own."""

import hashlib
import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.releasing import ROOT, run_python
from tests.helpers.servers.hub.server import Hub

PART = 100_000
HEAD = """
import io, json, os, sys
from pathlib import Path
from huggingface_hub import CommitOperationAdd as Add, CommitOperationDelete as Delete, HfApi
from huggingface_hub.utils import disable_progress_bars
disable_progress_bars()
api = HfApi()
def show(value): print(json.dumps(value))
def refused(call, *args, **options):
    try: show(["done", str(call(*args, **options))])
    except Exception as error:
        response = getattr(error, "response", None)
        show([type(error).__name__, None if response is None else response.status_code, str(error)])
def paths(repo, **options): return sorted(api.list_repo_files(repo, repo_type="dataset", **options))
"""


@pytest.fixture(scope="module")
def hub() -> Iterator[Hub]:
    """Serve without tokens; LFS files of more than 100 kB are uploaded in parts."""
    with Hub(multipart=PART) as running:
        yield running


@pytest.fixture(autouse=True)
def _no_faults_left_and_none_unasked_for(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if "hub" in request.fixturenames:
        hub = request.getfixturevalue("hub")
        assert hub.faults_left == 0 and not [record.error for record in hub.log if record.error]


def on_hub(hub: Hub, cwd: Path, code: str, **env: str) -> list[Any]:
    """Run code against the Hub with a cache of its own; return the values that it printed."""
    own = {"HF_HOME": str(cwd / "hf"), "PYTHONPATH": str(ROOT)}
    return [json.loads(line) for line in run_python(HEAD + code, cwd, **hub.env(), **own, **env).splitlines()]


def noise(size: int, seed: str = "") -> bytes:
    """Return pseudo-random bytes."""
    return hashlib.shake_128(seed.encode()).digest(size)


def asked(hub: Hub, since: int, pattern: str) -> int:
    return sum(bool(re.search(pattern, line)) for line in hub.requests[since:])


def test_a_folder_is_uploaded_changed_and_read_back(hub: Hub, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    (folder / "joy").mkdir(parents=True)
    for name, content in (("README.md", b"# x\n"), ("joy/a.parquet", noise(250_000)), ("joy/b.parquet", noise(99_000))):
        (folder / name).write_bytes(content)
    (folder / "empty.parquet").touch()
    code = """
from huggingface_hub import snapshot_download, HfFileSystem
show(str(api.create_repo("user/one", repo_type="dataset")))
show(str(api.create_repo("user/one", repo_type="dataset", exist_ok=True)))
refused(api.create_repo, "user/one", repo_type="dataset")
first = api.upload_folder(repo_id="user/one", folder_path="folder", repo_type="dataset", commit_message="First")
again = api.upload_folder(repo_id="user/one", folder_path="folder", repo_type="dataset", commit_message="Again")
show([first.oid == again.oid, first.commit_message, first.repo_url.repo_id, first.repo_url.repo_type])
got = Path(snapshot_download("user/one", repo_type="dataset"))
show({path.relative_to(got).as_posix(): path.stat().st_size for path in sorted(got.rglob("*")) if path.is_file()})
show((got / "joy/a.parquet").read_bytes() == Path("folder/joy/a.parquet").read_bytes())
fs = HfFileSystem()
show(sorted(fs.find("datasets/user/one/joy")))
with fs.open("datasets/user/one/joy/a.parquet") as file:
    file.seek(-5, 2)
    show(file.read().hex())
show([[e.path, type(e).__name__] for e in api.list_repo_tree("user/one", repo_type="dataset", expand=True)])
(a,) = api.get_paths_info("user/one", ["joy/a.parquet", "nothing"], repo_type="dataset", expand=True)
show([a.size, a.lfs.sha256, a.lfs.pointer_size, a.last_commit.title])
api.delete_file("README.md", "user/one", repo_type="dataset", commit_message="Less")
api.delete_folder("joy", "user/one", repo_type="dataset", commit_message="Least")
show([paths("user/one"), paths("user/one", revision=first.oid)])
show([commit.title for commit in api.list_repo_commits("user/one", repo_type="dataset")])
refused(api.delete_file, "nothing", "user/one", repo_type="dataset")
"""
    before = len(hub.requests)
    url, same, twice, first, sizes, equal, found, end, tree, a, left, titles, nothing = on_hub(hub, tmp_path, code)
    assert url == same == f"{hub.url}/datasets/user/one" and twice[1] == 409
    assert first == [True, "First", "user/one", "dataset"] and equal
    assert {**sizes, ".gitattributes": 0} == {
        ".gitattributes": 0, "README.md": 4, "empty.parquet": 0, "joy/a.parquet": 250_000, "joy/b.parquet": 99_000
    }  # fmt: skip
    assert found == [f"datasets/user/one/joy/{name}.parquet" for name in "ab"] and end == noise(250_000)[-5:].hex()
    assert ["joy", "RepoFolder"] in tree and ["README.md", "RepoFile"] in tree
    assert a == [250_000, hashlib.sha256(noise(250_000)).hexdigest(), 131, "First"]
    all_of_it = [".gitattributes", "README.md", "empty.parquet", "joy/a.parquet", "joy/b.parquet"]
    assert left == [[".gitattributes", "empty.parquet"], all_of_it]
    assert titles == ["Least", "Less", "First", "initial commit"] and nothing[:2] == ["RemoteEntryNotFoundError", 404]
    assert asked(hub, before, "PUT /_lfs/parts") == 3 and asked(hub, before, "PUT /_lfs/objects") == 1
    assert asked(hub, before, "POST .*/commit/main") == 4  # not "Again"; the one that fails


def test_one_commit_of_uploaded_contents(hub: Hub, tmp_path: Path) -> None:
    """As in a push of a release: contents first, then a commit with a fixed parent."""
    code = """
api.create_repo("user/two", repo_type="dataset")
ops = [Add(f"all/{n}.parquet", bytes([n]) * size) for n, size in ((1, 10), (2, 300000), (3, 10))]
ops.append(Add("README.md", b"---\\npretty_name: Two\\n---\\n# Two\\n"))
head = api.dataset_info("user/two").sha
api.preupload_lfs_files("user/two", ops, repo_type="dataset", num_threads=1)
show([op._upload_mode for op in ops])
commit = dict(repo_id="user/two", repo_type="dataset", commit_message="All")
made = api.create_commit(operations=ops, parent_commit=head, **commit)
refused(api.create_commit, operations=[Add("x", b"x")], parent_commit=head, **commit)
info = api.dataset_info("user/two", files_metadata=True)
show([info.sha == made.oid, info.card_data.pretty_name, {s.rfilename: s.size for s in info.siblings}])
api.create_tag("user/two", tag="v1", tag_message="One", repo_type="dataset")
refused(api.create_tag, "user/two", tag="v1", repo_type="dataset")
api.create_branch("user/two", branch="next/one", revision="v1", repo_type="dataset")
api.create_commit(operations=[Delete("all/"), Add("b.txt", io.BytesIO(b"b"))], revision="next/one", **commit)
show([paths("user/two"), paths("user/two", revision="next/one")])
refs = api.list_repo_refs("user/two", repo_type="dataset")
show([[ref.name for ref in refs.branches], [[ref.name, ref.target_commit == made.oid] for ref in refs.tags]])
api.delete_tag("user/two", tag="v1", repo_type="dataset")
api.delete_branch("user/two", branch="next/one", repo_type="dataset")
refused(api.dataset_info, "user/two", revision="v1")
refused(api.create_commit, operations=[Add("README.md", b"---\\na: [\\n---\\n")], **commit)
api.super_squash_history("user/two", repo_type="dataset")
show([len(api.list_repo_commits("user/two", repo_type="dataset")), paths("user/two")])
api.delete_repo("user/two", repo_type="dataset")
refused(api.dataset_info, "user/two")
"""
    modes, late, info, twice, files, refs, gone, broken, squashed, deleted = on_hub(hub, tmp_path, code)
    assert modes == ["lfs"] * 3 + ["regular"]
    assert late[1] == 412 and "A commit has happened since" in late[2]
    kept = [".gitattributes", "README.md", "all/1.parquet", "all/2.parquet", "all/3.parquet"]
    assert info[:2] == [True, "Two"] and info[2]["all/2.parquet"] == 300_000 and sorted(info[2]) == kept
    assert twice[1] == 409 and files == [kept, [".gitattributes", "README.md", "b.txt"]]
    assert refs == [["main", "next/one"], [["v1", True]]] and gone[0] == "RevisionNotFoundError"
    assert broken[0] == "ValueError" and "Invalid YAML" in broken[2]
    assert squashed == [1, kept] and deleted[:2] == ["RepositoryNotFoundError", 404]


def test_pull_requests(hub: Hub, tmp_path: Path) -> None:
    code = """
api.create_repo("user/pr", repo_type="dataset")
commit = dict(repo_id="user/pr", repo_type="dataset")
num = dict(repo_id="user/pr", repo_type="dataset", discussion_num=1)
made = api.create_commit(operations=[Add("a", b"a")], commit_message="Open", create_pr=True, **commit)
api.create_commit(operations=[Add("b", b"b")], commit_message="More", revision=made.pr_revision, **commit)
api.create_commit(operations=[Add("c", b"c")], commit_message="Aside", **commit)
show([made.pr_num, made.pr_revision, made.pr_url, paths("user/pr"), paths("user/pr", revision="refs/pr/1")])
def pulls(status): return [[d.num, d.title, d.status] for d in api.get_repo_discussions("user/pr", repo_type="dataset",
    discussion_type="pull_request", discussion_status=status)]
show([pulls("open"), pulls("closed")])
refs = api.list_repo_refs("user/pr", repo_type="dataset", include_pull_requests=True)
show([ref.ref for ref in refs.pull_requests])
answer = api.get_discussion_details(**num)
show([answer.conflicting_files, answer.target_branch, [[e.type, getattr(e, "summary", "")] for e in answer.events]])
show(api.change_discussion_status(new_status="closed", comment="no", **num).new_status)
refused(api.merge_pull_request, **num)
api.change_discussion_status(new_status="open", **num)
show(api.comment_discussion(comment="yes", **num).content)
show(api.rename_discussion(new_title="Opened", **num).new_title)
api.merge_pull_request(**num)
main = api.dataset_info("user/pr").sha
answer = api.get_discussion_details(**num)
show([answer.status, answer.merge_commit_oid == main, paths("user/pr"), pulls("open"), pulls("closed")])
draft = api.create_pull_request("user/pr", "A draft", repo_type="dataset")
show([draft.num, draft.status, draft.git_reference, paths("user/pr", revision="refs/pr/2")])
"""
    made, lists, refs, answer, closed, refusal, comment, title, merged, draft = on_hub(hub, tmp_path, code)
    first, files = f"{hub.url}/datasets/user/pr/discussions/1", [".gitattributes", "a", "b", "c"]
    assert made == [1, "refs/pr/1", first, [".gitattributes", "c"], [".gitattributes", "a", "b"]]
    assert lists == [[[1, "Open", "open"]], []] and refs == ["refs/pr/1"]
    assert answer == [[], "refs/heads/main", [["comment", ""], ["commit", "Open"], ["commit", "More"]]]
    assert closed == "closed" and refusal[1] == 409 and comment == "yes" and title == "Opened"
    assert merged == ["merged", True, files, [], [[1, "Opened", "merged"]]]
    assert draft == [2, "draft", "refs/pr/2", files]


DATASETS = """
import datasets
from datasets import Dataset, DatasetDict, load_dataset
datasets.disable_progress_bars()
def made(n): return DatasetDict({"train": Dataset.from_dict({"n": [n, n]}), "test": Dataset.from_dict({"n": [-n]})})
"""


@pytest.mark.slow
def test_datasets_pushes_configurations_and_loads_them(hub: Hub, tmp_path: Path) -> None:
    code = """
made(1).push_to_hub("user/sets", "joy")
made(2).push_to_hub("user/sets", "anger")
pr = made(3).push_to_hub("user/sets", "fear", create_pr=True)
made(4).push_to_hub("user/sets", "fear", revision=pr.pr_revision)
made(5).push_to_hub("user/sets", "joy", revision="aside")
show(datasets.get_dataset_config_names("user/sets"))
show(load_dataset("user/sets", "anger", split="train")["n"][:] + load_dataset("user/sets", "joy", split="test")["n"][:])
show(load_dataset("user/sets", "fear", revision="refs/pr/1", split="train")["n"][:])
show(list(load_dataset("user/sets", "joy", revision="aside", split="train", streaming=True)))
api.merge_pull_request("user/sets", 1, repo_type="dataset")
show(load_dataset("user/sets", "fear", split="train")["n"][:])
"""
    names, main, pr, streamed, merged = on_hub(hub, tmp_path, DATASETS + code)
    assert sorted(names) == ["anger", "joy"] and main == [2, 2, -1] and pr == merged == [4, 4]
    assert streamed == [{"n": 5}, {"n": 5}]


@pytest.mark.slow
def test_models_and_spaces_are_apart(hub: Hub, tmp_path: Path) -> None:
    pytest.importorskip("evaluate")
    (tmp_path / "metric").mkdir()
    (tmp_path / "metric" / "metric.py").write_text(
        "import datasets\nimport evaluate\n"
        "class Metric(evaluate.Metric):\n"
        "    def _info(self):\n"
        "        value = datasets.Value('int64')\n"
        "        features = datasets.Features({'predictions': value, 'references': value})\n"
        "        return evaluate.MetricInfo(description='', citation='', features=features)\n"
        "    def _compute(self, predictions, references): return {'same': predictions == references}\n"
    )
    code = """
for kind in ("model", "dataset", "space"):
    api.create_repo("user/metric", repo_type=kind, space_sdk="gradio" if kind == "space" else None)
    api.upload_file(path_or_fileobj=kind.encode() * 9, path_in_repo="kind.bin", repo_id="user/metric", repo_type=kind)
    show([Path(api.hf_hub_download("user/metric", "kind.bin", repo_type=kind)).read_text()[:9],
        api.repo_info("user/metric", repo_type=kind).id])
api.upload_folder(repo_id="user/metric", folder_path="metric", repo_type="space")
import evaluate
show(evaluate.load("user/metric").compute(predictions=[1], references=[1]))
"""
    assert on_hub(hub, tmp_path, code) == [
        ["modelmode", "user/metric"], ["datasetda", "user/metric"], ["spacespac", "user/metric"], {"same": True}
    ]  # fmt: skip
    assert hub.files("user/metric", repo_type="space")["kind.bin"].read_bytes() == b"space" * 9


def test_tokens(tmp_path: Path) -> None:
    code = """
api.create_repo("user/open", repo_type="dataset", token="hf_write")
api.create_repo("user/shut", repo_type="dataset", private=True, token="hf_write")
show([api.whoami(token="hf_read")["name"], api.whoami(token="hf_write")["auth"]["accessToken"]["role"]])
def write(token): refused(api.upload_file, path_or_fileobj=b"x", path_in_repo="x", repo_id="user/open",
    repo_type="dataset", token=token)
for token in (False, "hf_read", "hf_wrong", "hf_write"): write(token)
for token in (False, "hf_read"): refused(api.dataset_info, "user/shut", token=token)
refused(api.whoami, token="hf_wrong")
refused(api.create_repo, "user/more", repo_type="dataset", token="hf_read")
"""
    with Hub(tokens={"hf_write": "write", "hf_read": "read"}) as hub:
        who, anonymous, reader, wrong, writer, hidden, shown, unknown, create = on_hub(hub, tmp_path, code)
    assert who == ["user", "write"] and writer[0] == "done"
    assert anonymous[:2] == ["HfHubHTTPError", 401] and "Invalid username or password" in anonymous[2]
    assert reader[:2] == ["HfHubHTTPError", 403] and "you must use a write token" in reader[2]
    assert wrong[:2] == ["HfHubHTTPError", 401] and "Invalid credentials" in wrong[2]
    assert hidden[:2] == ["RepositoryNotFoundError", 404] and shown[0] == "done"
    assert unknown[1] == 401 and create[1] == 403


FAULTS = """
def send(name, **options): return api.upload_file(path_or_fileobj=name.encode() * 50, path_in_repo=name,
    repo_id="user/faults", repo_type="dataset", **options)
"""


def test_an_answer_is_refused_or_lost(hub: Hub, tmp_path: Path) -> None:
    """Failures that the client does not retry; the second commit takes effect all the same."""
    code = """
api.create_repo("user/faults", repo_type="dataset")
for name in ("ok", "busy", "made", "cut", "lost"): refused(send, name)
show(paths("user/faults"))
refused(api.create_tag, "user/faults", tag="v1", repo_type="dataset")
show([ref.name for ref in api.list_repo_refs("user/faults", repo_type="dataset").tags])
"""
    since = len(hub.log)
    commit = "POST .*/user/faults/commit/main"
    hub.fail(commit, nth=2, status=429, headers={"Retry-After": "0"}, body={"error": "slow down"})
    hub.fail(commit, nth=2, status=503, after=True, body="made")
    hub.fail(commit, nth=2, cut=0)
    hub.fail(commit, nth=2, cut=0, after=True)
    hub.fail("POST .*/user/faults/tag/", cut=0, after=True)
    assert hub.faults_left == 5
    okay, busy, made, cut, lost, paths, tag, tags = on_hub(hub, tmp_path, FAULTS + code)
    assert okay[0] == "done" and busy[1] == 429 and made[1] == 503
    assert {cut[0], lost[0], tag[0]} <= {"ReadError", "RemoteProtocolError"}
    assert paths == [".gitattributes", "lost", "made", "ok"] and tags == ["v1"]
    commits = [record for record in hub.log[since:] if "/commit/" in record.path]
    assert [record.status for record in commits] == [200, 429, 503, 0, 0]
    assert [record.received > 0 for record in commits] == [True, True, True, False, True]
    assert all(record.sent for record in commits[:3]) and hub.log[since].path == "/api/repos/create"


@pytest.mark.slow
def test_failures_that_the_client_retries(hub: Hub, tmp_path: Path) -> None:
    """Contents that are cut in transfer, to the Hub and from it."""
    code = """
api.create_repo("user/again", repo_type="dataset")
for name, size in (("one.bin", 90_000), ("parts.bin", 250_000)):
    api.upload_file(path_or_fileobj=os.urandom(size), path_in_repo=name, repo_id="user/again", repo_type="dataset")
    show(Path(api.hf_hub_download("user/again", name, repo_type="dataset")).read_bytes().hex())
"""
    since = len(hub.requests)
    hub.fail("PUT /_lfs/objects", cut=1000)
    hub.fail("PUT /_lfs/parts/.*/2", status=500)
    hub.fail("POST .*/preupload", status=429, headers={"Retry-After": "0"})
    hub.fail("GET .*/one.bin", cut=50_000)
    one, parts = on_hub(hub, tmp_path, code)
    files = hub.files("user/again")
    assert one == files["one.bin"].read_bytes().hex() and parts == files["parts.bin"].read_bytes().hex()
    counts = [
        asked(hub, since, what) for what in ("PUT /_lfs/objects", "PUT /_lfs/parts", "preupload", "GET .*one.bin")
    ]
    assert counts == [2, 4, 3, 2]
    cut = next(record for record in hub.log[since:] if record.path.startswith("/_lfs/objects"))
    assert cut.status == 0 and cut.received > 1000
    starts = [record for record in hub.log[since:] if record.path.endswith(".bin") and record.method == "GET"]
    assert [record.sent for record in starts] == [50_000, 90_000, 250_000]
    assert not list((hub.folder / "objects" / "incoming").iterdir())


def serve(folder: Path) -> tuple[subprocess.Popen[str], dict[str, str]]:
    """Run the Hub as a process; return it with the environment of its clients."""
    command = [sys.executable, "-m", "tests.helpers.servers.hub", "--folder", str(folder), "--token", "hf_w=write"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert process.stdout is not None
    url = process.stdout.readline().strip()
    return process, {"HF_ENDPOINT": url, "HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_XET": "1", "HF_TOKEN": "hf_w"}


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_another_process_on_the_same_folder_has_everything(end: signal.Signals, tmp_path: Path) -> None:
    first = """
api.create_repo("user/kept", repo_type="dataset", private=True)
commit = dict(repo_id="user/kept", repo_type="dataset", commit_message="Some")
api.create_commit(operations=[Add("a.parquet", b"a" * 99), Add("b.txt", b"b")], **commit)
api.create_tag("user/kept", tag="v1", repo_type="dataset")
api.create_commit(operations=[Add("c.txt", b"c")], create_pr=True, **commit)
"""
    state = """
info = api.dataset_info("user/kept")
refs = api.list_repo_refs("user/kept", repo_type="dataset", include_pull_requests=True)
show([info.sha, info.private, paths("user/kept"), [ref.target_commit for ref in refs.tags + refs.pull_requests]])
"""
    second = """
api.merge_pull_request("user/kept", 1, repo_type="dataset")
show([Path(api.hf_hub_download("user/kept", name, repo_type="dataset")).read_text()[:2] for name in paths("user/kept")])
"""
    answer = []
    for code in (first + state, state + second):
        process, env = serve(tmp_path / "state")
        own = {"HF_HOME": str(tmp_path / "hf"), "PYTHONPATH": str(ROOT)}
        answer += [json.loads(line) for line in run_python(HEAD + code, tmp_path, **own, **env).splitlines()]
        process.send_signal(end)
        assert process.wait(10) == (0 if end is signal.SIGTERM else -9)
        assert process.stdout is not None
        process.stdout.close()
    assert answer[0] == answer[1] and answer[0][1:3] == [True, [".gitattributes", "a.parquet", "b.txt"]]
    assert answer[2] == ["*.", "aa", "b", "c"]


@pytest.mark.slow
def test_xet(tmp_path: Path) -> None:
    """Uploads and downloads by hf_xet, with its simulation for tests."""
    pytest.importorskip("hf_xet")
    (tmp_path / "a.parquet").write_bytes(noise(300_000, "xet"))
    code = """
from huggingface_hub import HfFileSystem
made(1).push_to_hub("user/xet", "joy")
joy = dict(path="user/xet", name="joy", split="train")
show([list(load_dataset(**joy)), list(load_dataset(**joy, streaming=True))])
for name, source in (("a.parquet", "a.parquet"), ("b.parquet", os.urandom(200_000))):
    api.upload_file(path_or_fileobj=source, path_in_repo=name, repo_id="user/xet", repo_type="dataset")
    got = Path(api.hf_hub_download("user/xet", name, repo_type="dataset")).read_bytes()
    show([got.hex(), got == HfFileSystem(skip_instance_cache=True).read_bytes("datasets/user/xet/" + name)])
"""
    with Hub(xet=True) as hub:
        rows, a, b = on_hub(hub, tmp_path, DATASETS + code)
        files = {name: path.read_bytes() for name, path in hub.files("user/xet").items()}
        assert (
            asked(hub, 0, "xet-write-token") and asked(hub, 0, "xet-read-token") and not asked(hub, 0, "_lfs|info/lfs")
        )
    assert rows == [[{"n": 1}, {"n": 1}]] * 2
    assert a == [noise(300_000, "xet").hex(), True] and files["a.parquet"] == noise(300_000, "xet")
    assert b == [files["b.parquet"].hex(), True] and len(files["b.parquet"]) == 200_000
