"""Refusals of `personagen push`, `verify` and `push-metric`: one line each, as commands."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.processes.forked import run_forked
from tests.helpers.pushing import held, served
from tests.helpers.releasing import ROOT, make_release, manifest_of, write_manifest
from tests.helpers.servers.fake_openai import FakeOpenAI
from tests.helpers.servers.hub.server import Hub

TOKENS = {"hf_write": "write", "hf_read": "read"}


@pytest.fixture(scope="module")
def hub(release: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """A Hub with the release as user/there, and a model user/model."""
    empty = tmp_path_factory.mktemp("model")
    (empty / "config.json").write_text("{}")
    with Hub(tokens=TOKENS) as running:
        running.publish("user/there", release, tag="v1.0.0")
        running.publish("user/model", empty, repo_type="model")
        yield running


@pytest.fixture
def copy(release: Path, tmp_path: Path) -> Path:
    """A copy of the release for changes."""
    return Path(shutil.copytree(release, tmp_path / "personagen"))


def run(hub: Hub, *words: object, token: str | None = "hf_write", **env: str) -> subprocess.CompletedProcess[str]:
    """Run the command against the Hub."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGING"))}
    own |= {**hub.env(), "HF_HOME": str(hub.folder / "hf"), "PYTHONPATH": str(ROOT), "HF_HUB_DISABLE_TELEMETRY": "1"}
    own |= {"HF_HUB_DISABLE_PROGRESS_BARS": "1", **({"HF_TOKEN": token} if token else {}), **env}
    command = [sys.executable, "-m", "personagen.builder", *map(str, words)]
    return run_forked(command, own)


def refused(hub: Hub, message: str, *words: object, token: str | None = "hf_write", **env: str) -> None:
    """Assert that the command fails with one line, without a traceback or a token."""
    done = run(hub, *words, token=token, **env)
    assert done.returncode == 1 and done.stdout == "", done
    (line,) = done.stderr.splitlines()
    assert line.startswith("personagen: ") and re.search(message, line), line
    assert "hf_write" not in line and "hf_read" not in line


def test_no_token_and_one_that_may_not_write(hub: Hub, release: Path) -> None:
    refused(
        hub,
        r"no token for the Hub; log in with `hf auth login`, set HF_TOKEN, or",
        "push",
        release,
        "user/x",
        token=None,
    )
    refused(
        hub,
        r"the token has no permission for it \(403\); use one with write permission$",
        "push",
        release,
        "user/x",
        token="hf_read",
    )
    refused(
        hub,
        r"the Hub rejects the token, or requires one \(401\); log in",
        "push",
        release,
        "user/x",
        token="hf_wrong",
    )
    refused(
        hub,
        r"HF_HUB_OFFLINE is set, so the Hub cannot be asked; unset it$",
        "push",
        release,
        "user/x",
        HF_HUB_OFFLINE="1",
    )
    assert ("dataset", "user/x") not in hub.store.repos


def test_a_token_on_the_command_line_is_used(hub: Hub, release: Path) -> None:
    done = run(hub, "push", release, "user/given", "--token", "hf_write", "--tag", "v1", token=None)
    assert done.returncode == 0 and done.stdout.startswith(f"{hub.url}/datasets/user/given/commit/")
    assert "user/given: " in done.stderr and "files sent" in done.stderr
    assert served(hub, "user/given", "v1") == held(release)


@pytest.mark.parametrize(
    ("repo", "message"),
    [
        (
            "user/model",
            r"user/model is a model on the Hub, and no dataset; choose another name, or make the dataset first:",
        ),
        ("user/a b", r"repository: got 'user/a b', wanted USER/NAME"),
        ("a/b/c", r"repository: got 'a/b/c', wanted USER/NAME"),
        ("user", r"repository: got 'user', wanted USER/NAME of letters"),
        ("user/..", r"repository: got 'user/\.\.', wanted USER/NAME"),
    ],
)
def test_invalid_repository_names(repo: str, message: str, hub: Hub, release: Path) -> None:
    refused(hub, message, "push", release, repo)


@pytest.mark.slow
def test_a_hub_that_does_not_answer(hub: Hub, release: Path) -> None:
    refused(
        hub,
        r"no answer from http://127.0.0.1:1 \(ConnectError\)",
        "verify",
        "user/there",
        HF_ENDPOINT="http://127.0.0.1:1",
    )


Change = Callable[[Path], Any]


def edited(key: str, value: Any) -> Change:
    """Return a change of the manifest that leaves its digest as it is."""

    def change(folder: Path) -> None:
        manifest = manifest_of(folder)
        manifest[key] = value
        (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")

    return change


def resealed(change: Callable[[dict[str, Any]], Any]) -> Change:
    """Return a change of the manifest and of its digest."""

    def done(folder: Path) -> None:
        manifest = manifest_of(folder)
        change(manifest)
        write_manifest(folder, manifest)

    return done


def spoiled(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[100] ^= 1
    path.write_bytes(content)


SHARD = "joy/train-00000-of-00002.parquet"
BROKEN: list[tuple[Change, str]] = [
    (
        lambda folder: (folder / SHARD).unlink(),
        rf"{SHARD} is missing; run its `generate` command again, which mends",
    ),
    (lambda folder: spoiled(folder / SHARD), rf"{SHARD} was altered: its SHA-256 is not that of the manifest; run"),
    (
        lambda folder: (folder / "README.md").unlink(),
        r"README\.md is missing; run its `generate` command again, which mends",
    ),
    (
        lambda folder: (folder / "manifest.json").unlink(),
        r"no release in .*: manifest\.json is missing; name the folder",
    ),
    (edited("leaked", 7), r"manifest\.json was changed by hand: its digest is not that of its content; run"),
    (edited("model", {"name": "gpt"}), r"manifest\.json is malformed at 'model\.backend': it is missing; run"),
    (resealed(lambda manifest: manifest["configs"].pop("joy")), r"has other configurations than files; run"),
    (resealed(lambda manifest: manifest["views"]["plain"].update(of="joy")), r"has views that no release has; run"),
    (resealed(lambda manifest: manifest["shards"][0].update(rows=99)), r"has other configurations than files"),
    (
        resealed(lambda manifest: manifest["shards"].append({"path": "x"})),
        r"is malformed at 'shards\.\d+\.bytes': it is missing; run",
    ),
    (
        resealed(lambda manifest: manifest["shards"].append({"path": 7})),
        r"is malformed at 'shards\.\d+\.path': got 7, wanted a valid string",
    ),
    (
        resealed(lambda manifest: manifest["shards"].append(manifest["shards"][0])),
        r"lists '.*', which no release does; run",
    ),
    (resealed(lambda manifest: manifest.update(taxonomy={})), r"is malformed at 'taxonomy\.name': it is missing"),
    (resealed(lambda manifest: manifest["taxonomy"]["emotions"].pop()), r"has other emotions than files; run"),
    (
        resealed(lambda manifest: manifest["shards"][0].update(path="../../etc/passwd")),
        r"lists '\.\./\.\./etc/passwd', which no release does; run",
    ),
]


@pytest.mark.parametrize(("change", "message"), BROKEN)
def test_an_altered_release(change: Change, message: str, hub: Hub, copy: Path) -> None:
    change(copy)
    refused(hub, message, "push", copy, "user/broken")
    refused(hub, message, "verify", copy)
    assert ("dataset", "user/broken") not in hub.store.repos


@pytest.mark.slow
@pytest.mark.parametrize(
    "yaml", ["configs: 2024-13-45", "a: &a [*a]", "{2020-01-01: 3}", "configs: []\ndataset_info: {}"], ids=range(4)
)
def test_a_card_with_other_configurations(yaml: str, hub: Hub, copy: Path) -> None:
    (copy / "README.md").write_text(f"---\n{yaml}\n---\n# x\n")
    refused(hub, r"README\.md has (other configurations than the manifest|no YAML on top)", "verify", copy)
    refused(hub, r"README\.md has (other configurations than the manifest|no YAML on top)", "push", copy, "user/broken")
    (copy / "README.md").write_bytes(b"\xff\xfe")
    refused(hub, r"README\.md is not UTF-8 \(", "push", copy, "user/broken")


def test_a_link_is_no_file_of_a_release(hub: Hub, copy: Path) -> None:
    (copy / "README.md").unlink()
    (copy / "README.md").symlink_to("/etc/hostname")
    refused(
        hub,
        r"'README\.md' leads out of the folder; run its `generate` command again, which mends",
        "push",
        copy,
        "user/broken",
    )


def test_a_folder_is_verified(hub: Hub, copy: Path) -> None:
    done = run(hub, "verify", copy, token=None)
    files, rows = len(manifest_of(copy)["shards"]), sum(shard["rows"] for shard in manifest_of(copy)["shards"])
    assert done.stdout == f"{copy}: {files} files, {rows} rows, all match the manifest\n" and done.returncode == 0
    (copy / "joy" / "train-00009-of-00010.parquet").write_bytes(b"x")
    card = (copy / "README.md").read_text(encoding="utf-8")
    (copy / "README.md").write_text(card.replace("config_name: joy", "config_name: glee"), encoding="utf-8")
    refused(
        hub,
        r"joy/train-00009-of-00010\.parquet is no file of this release, .*; README\.md has other conf",
        "verify",
        copy,
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda folder: (folder / SHARD).unlink(),
            rf"user/spoiled differs from its manifest: {SHARD} is missing; run its `generate` command again",
        ),
        (
            lambda folder: spoiled(folder / SHARD),
            rf"{SHARD} is not the file of the manifest: its size or SHA-256 differs; run its `generate` command again",
        ),
        (
            lambda folder: (folder / "README.md").write_text("# x"),
            r"README\.md has no YAML on top, so that nothing can be",
        ),
        (lambda folder: (folder / "README.md").write_text("---\n[\n---\n"), r"README\.md has no YAML on top"),
        (
            lambda folder: (folder / "README.md").unlink(),
            r"user/spoiled is no release: it has no README\.md; check name",
        ),
        (edited("leaked", 7), r"user/spoiled was changed by hand: its digest is not that of its content"),
        (lambda folder: (folder / "manifest.json").write_text("{"), r"cannot read user/spoiled: "),
    ],
)
def test_an_altered_release_on_the_hub(change: Change, message: str, hub: Hub, copy: Path) -> None:
    change(copy)
    hub.store.repos.pop(("dataset", "user/spoiled"), None)
    hub.publish("user/spoiled", copy)
    refused(hub, message, "verify", "user/spoiled", token=None)


@pytest.mark.slow
def test_a_release_on_the_hub_is_verified(hub: Hub, release: Path) -> None:
    done = run(hub, "verify", "user/there@v1.0.0", "--json", token=None)
    answer = json.loads(done.stdout)
    assert done.returncode == 0 and answer["problems"] == [] and answer["source"] == "user/there@v1.0.0"
    plain = run(hub, "verify", "hf://datasets/user/there", token=None)
    assert re.fullmatch(
        r"hf://datasets/user/there at \w{40}: \d+ files, \d+ rows, all match the manifest\n", plain.stdout
    )
    refused(hub, r"no dataset user/none on the Hub, or no right to read it; check", "verify", "user/none", token=None)
    refused(hub, r"user/there has no revision 'v9'; see its branches and tags", "verify", "user/there@v9", token=None)


@pytest.mark.slow
def test_generate_publishes_when_it_is_done_and_asks_for_the_token_first(
    hub: Hub, model: FakeOpenAI, tmp_path: Path
) -> None:
    words = ("generate", "--backend", "openai", "--model", "fake-1", "--base-url", model.url, "--rows", "7")
    out = ("--out", tmp_path / "made", "--push", "user/made")
    asked = len(model.requests)
    refused(hub, r"no token for the Hub; log in", *words, *out, token=None)
    refused(
        hub,
        r"repository: got 'bad id/\.\./x', wanted USER/NAME",
        *words,
        "--out",
        tmp_path / "made",
        "--push",
        "bad id/../x",
    )
    assert len(model.requests) == asked
    done = run(hub, *words, *out, "--tag", "v1", "--json")
    answer = json.loads(done.stdout)
    assert answer["url"].startswith(f"{hub.url}/datasets/user/made/commit/") and answer["made"]
    assert served(hub, "user/made", "v1") == held(tmp_path / "made")
    usage = run(hub, *words, "--tag", "v1")
    assert usage.returncode == 2 and "--tag is set on the Hub, and nothing is pushed" in usage.stderr


def test_a_dry_run_shows_files_and_card(hub: Hub, release: Path, model: FakeOpenAI, tmp_path: Path) -> None:
    done = run(hub, "push", release, "user/there", "--dry-run")
    assert done.returncode == 0 and done.stderr == ""
    size = (release / SHARD).stat().st_size
    assert f"keep    {size:>14,}  {SHARD}\n" in done.stdout and "# personagen\n" in done.stdout
    assert re.search(r"user/there: 0 files to send \(0 bytes\), \d+ already there, 0 deleted\n$", done.stdout)
    other = make_release(tmp_path / "other", model.url, "rows: 10\nemotions: [joy]\ndepth: none")
    answer = json.loads(run(hub, "push", other, "user/there", "--dry-run", "--json").stdout)
    assert "joy/train-00000-of-00001.parquet" in answer["sent"] and SHARD in answer["deleted"] and answer["url"] is None
    assert served(hub, "user/there") == held(release)
