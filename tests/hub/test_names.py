"""Names of repositories, branches and tags are refused before anything is sent."""

import random
import subprocess
from pathlib import Path
from shutil import which

import pytest

from personagen.builder.core.errors import HubError
from personagen.builder.hub.names import MAX_REF_BYTES, require_ref_name, require_repo_name, require_revision
from personagen.builder.hub.push import PushSettings, push, validate_target

BAD_REFS = (
    "", "v 1", "a..b", "a~b", "a^b", "a:b", "a?b", "a*b", "a[b", "a\\b", "-x", "/a", "a/", "a//b", ".a", "a/.b", "a.",
    "a./b", "x.lock", "x.lock/y", "@", "a@{b", "a\x00b", "a\nb", "a\x7fb", "a\u202eb", "a\u200bb", "x" * 300,
    "refs/heads/main", "refs/tags/v1", "HEAD", "0" * 40, "f" * 64, "é" * 150, "\ud800", " ", "\x1b[31m",
)  # fmt: skip
GOOD_REFS = ("v1", "v1.0.0", "main", "a/b", "feature-1", "a_b", "1", "é", "a@b", "a{b", "release/2026.11", "x.lockx")
BAD_REPOS = (
    "", "user", "/", "user/", "/name", "a/b/c", "us er/name", "user/na me", "user/na--me", "user/na..me", "-user/name",
    "user/.name", "user/name.", "user/name-", "user/name.git", "user/../x", "../x", "user/x?y", "user/x#y",
    "user/x%2fy",
    "user/\u202ex", "user/é", "http://user/name", "u" * 97 + "/x", "user/" + "x" * 97, "user\\name", "user/name\n",
)  # fmt: skip


@pytest.mark.parametrize("name", BAD_REFS)
@pytest.mark.parametrize("option", ["tag", "revision"])
def test_a_name_that_git_refuses_is_refused_first(option: str, name: str, tmp_path: Path) -> None:
    """Before the folder is read, and before there is a client."""
    with pytest.raises(
        HubError, match=f"^--{option}: got .*(no branch or tag; wanted a name|of a commit, wanted a)"
    ) as caught:
        push(tmp_path, "user/name", PushSettings(**{option: name}))
    assert str(caught.value).isprintable() and len(str(caught.value)) < 300


@pytest.mark.parametrize("repo", BAD_REPOS)
def test_a_repository_that_the_hub_refuses_is_refused_first(repo: str, tmp_path: Path) -> None:
    with pytest.raises(HubError, match=r"^repository: got .*, wanted USER/NAME") as caught:
        push(tmp_path, repo, PushSettings())
    assert str(caught.value).isprintable() and len(str(caught.value)) < 300


def test_good_names() -> None:
    for name in GOOD_REFS:
        require_ref_name("--tag", name)
    for repo in ("user/name", "u/n", "User_1/na.me-2", "u" * 96 + "/" + "n" * 96):
        require_repo_name(repo)
    for revision in (*GOOD_REFS, "0" * 40, "refs/pr/7", "refs/convert/parquet", "HEAD"):
        require_revision("user/name", revision)


@pytest.mark.parametrize("name", ["a b", "refs/heads/main", "a..b", "../x", "", "\x1b", "a" * 300])
def test_a_revision_to_read_that_cannot_exist(name: str) -> None:
    with pytest.raises(HubError, match=r"^'user/name': got the revision .*, wanted a branch, a tag or a commit$"):
        require_revision("'user/name'", name)


@pytest.mark.skipif(which("git") is None, reason="git is not installed")
def test_git_agrees_with_every_name_that_is_let_through() -> None:
    rng = random.Random(20)
    characters = "ab1./-@{~^:?*[\\ \t_é\x01\x7f\u2028"
    names = {"".join(rng.choices(characters, k=rng.randint(1, 7))) for _ in range(400)} | {*BAD_REFS, *GOOD_REFS}
    accepted = []
    for name in names:
        try:
            require_ref_name("--tag", name)
        except HubError:
            continue
        accepted.append(name)
    assert len(accepted) > len(GOOD_REFS)
    for name in accepted[:120]:
        assert len(name.encode()) <= MAX_REF_BYTES
        done = subprocess.run(["git", "check-ref-format", "--branch", name], capture_output=True, check=False)
        assert done.returncode == 0, name


@pytest.mark.parametrize(("tag", "revision"), [("main", "main"), ("main", "dev"), ("dev", "dev")])
def test_a_tag_with_the_name_of_a_branch_is_refused(tag: str, revision: str) -> None:
    """Which of the two a reader would get is not defined."""
    with pytest.raises(HubError, match=rf"^--tag: got '{tag}', a branch; choose another name, such as v1\.0\.0$"):
        validate_target("user/name", PushSettings(tag=tag, revision=revision))
    validate_target("user/name", PushSettings(tag="v1", revision=revision))
