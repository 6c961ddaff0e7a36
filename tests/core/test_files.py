"""Files are written whole or not at all."""

import errno
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from personagen.builder.core.errors import FolderError
from personagen.builder.core.files import (
    incoming_folder,
    is_loaded_plainly,
    is_mount_point,
    make_folder,
    publish_folder,
    redact_path,
    require_usable_name,
    sync,
    write_atomically,
    write_text,
)

LIMIT = 4096


@pytest.fixture
def full_disk() -> Iterator[None]:
    """Let every write beyond `LIMIT` bytes of a file fail, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_file_is_replaced_and_not_overwritten(tmp_path: Path) -> None:
    """A reader that has the old file open keeps the old content."""
    target = tmp_path / "manifest.json"
    write_text(target, "old\n")
    (tmp_path / "link").hardlink_to(target)
    with target.open(encoding="utf-8") as reader:
        write_text(target, "new\r\n")
        assert reader.read() == (tmp_path / "link").read_text(encoding="utf-8") == "old\n"
    assert target.read_bytes() == b"new\r\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "manifest.json"]


@pytest.mark.parametrize("old", ["old\n", None], ids=["replaced", "new"])
def test_a_write_that_fails_leaves_the_old_content_and_no_part(
    old: str | None, tmp_path: Path, full_disk: None
) -> None:
    target = tmp_path / "manifest.json"
    if old is not None:
        target.write_text(old, encoding="utf-8")
    with pytest.raises(FolderError, match=r"^cannot write \S+/manifest\.json: file too large; check the disk and run"):
        write_text(target, "x" * (LIMIT + 1))
    assert [path.read_text(encoding="utf-8") for path in tmp_path.iterdir()] == ([] if old is None else [old])


def test_an_error_in_the_block_leaves_the_old_content_and_no_part(tmp_path: Path) -> None:
    target = tmp_path / "manifest.json"
    write_text(target, "old\n")

    def write_half() -> None:
        with write_atomically(target) as part:
            part.write_text("half", encoding="utf-8")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_half()
    assert [path.read_text(encoding="utf-8") for path in tmp_path.iterdir()] == ["old\n"]


KILLED = """
import sys
from pathlib import Path
from personagen.builder.core.files import write_atomically
with write_atomically(Path(sys.argv[1])) as part, part.open("w") as file:
    file.write("half")
    file.flush()
    print("written", flush=True)
    sys.stdin.read()
"""


def test_a_killed_write_leaves_the_old_content_and_the_next_write_is_complete(tmp_path: Path) -> None:
    target = tmp_path / "manifest.json"
    write_text(target, "old\n")
    command = [sys.executable, "-c", KILLED, str(target)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdout.readline() == b"written\n"
        process.send_signal(signal.SIGKILL)
    assert target.read_text(encoding="utf-8") == "old\n"
    write_text(target, "new\n")
    assert [path.read_text(encoding="utf-8") for path in tmp_path.iterdir()] == ["new\n"]


@pytest.fixture
def flushed(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Paths in the order in which they are flushed, under the names that they have at that moment."""
    paths: list[Path] = []
    fsync = os.fsync

    def record(descriptor: int) -> None:
        paths.append(Path(f"/proc/self/fd/{descriptor}").readlink())
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", record)
    return paths


def test_a_file_is_flushed_before_it_is_renamed_and_its_folder_after_that(tmp_path: Path, flushed: list[Path]) -> None:
    write_text(tmp_path / "batch.json", "{}")
    assert flushed == [tmp_path / "batch.json.part", tmp_path]


def test_the_parent_of_each_new_folder_is_flushed(tmp_path: Path, flushed: list[Path]) -> None:
    """The targets of links are created too; nothing is flushed for a folder that exists."""
    (tmp_path / "link").symlink_to(tmp_path / "disk" / "runs")
    make_folder(tmp_path / "link" / "a")
    assert flushed == [tmp_path, tmp_path / "disk", tmp_path / "disk" / "runs"]
    flushed.clear()
    make_folder(tmp_path / "disk" / "runs" / "a")
    assert flushed == []
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "file" / "a"):
        with pytest.raises((FileExistsError, NotADirectoryError)):
            make_folder(path)


def staged_in(folder: Path) -> Path:
    """Make a folder of two files, as a release is staged."""
    (folder / "joy").mkdir(parents=True)
    (folder / "joy" / "shard").write_text("new", encoding="utf-8")
    (folder / "manifest").write_text("new", encoding="utf-8")
    return folder


def content(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in sorted(folder.rglob("*")) if path.is_file()}


NEW = {"joy/shard": "new", "manifest": "new"}


def test_a_folder_is_flushed_whole_before_it_is_moved(tmp_path: Path, flushed: list[Path]) -> None:
    staged, target = staged_in(tmp_path / "run" / "release"), tmp_path / "personagen"
    target.mkdir()
    (target / "manifest").write_text("old", encoding="utf-8")
    publish_folder(staged, target)
    assert content(target) == NEW and content(tmp_path / "personagen.1") == {"manifest": "old"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["personagen", "personagen.1", "run"]
    tree = [staged / "joy" / "shard", staged / "joy", staged / "manifest", staged]
    assert sorted(flushed[:4]) == sorted(tree) and flushed.index(tree[0]) < flushed.index(tree[1])
    assert flushed[3:] == [staged, tmp_path, tmp_path / "run", tmp_path, tmp_path]


@pytest.mark.parametrize("old", ["none", "empty", "full"])
def test_a_folder_is_published_across_file_systems(old: str, tmp_path: Path, other_disk: Path) -> None:
    """By a copy beside the target; what a power cut has left of an earlier copy is removed."""
    staged, target = staged_in(tmp_path / "run" / "release"), other_disk / "personagen"
    incoming_folder(target).mkdir()
    (incoming_folder(target) / "manifest").write_text("half", encoding="utf-8")
    if old != "none":
        target.mkdir()
    if old == "full":
        (target / "manifest").write_text("old", encoding="utf-8")
    publish_folder(staged, target)
    assert content(target) == NEW and not staged.exists()
    assert sorted(path.name for path in other_disk.iterdir()) == ["personagen", "personagen.1"][: 1 + (old == "full")]


def test_a_copy_that_fails_leaves_the_old_folder_and_the_staged_one(
    tmp_path: Path, other_disk: Path, full_disk: None
) -> None:
    staged, target = staged_in(tmp_path / "release"), other_disk / "personagen"
    target.mkdir()
    (target / "manifest").write_text("old", encoding="utf-8")
    (staged / "manifest").write_text("x" * LIMIT, encoding="utf-8")
    resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT // 2, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
    with pytest.raises(OSError, match="File too large"):
        publish_folder(staged, target)
    assert content(target) == {"manifest": "old"} and content(staged)["joy/shard"] == "new"
    assert [path.name for path in other_disk.iterdir()] == ["personagen"]


@pytest.mark.parametrize("kind", ["folder", "dangling"])
def test_the_folder_to_which_a_link_leads_is_replaced_and_the_link_stays(kind: str, tmp_path: Path) -> None:
    real = tmp_path / "disk" / "corpus"
    if kind == "folder":
        real.mkdir(parents=True)
        (real / "manifest").write_text("old", encoding="utf-8")
    (tmp_path / "personagen").symlink_to(real)
    publish_folder(staged_in(tmp_path / "release"), tmp_path / "personagen")
    assert (tmp_path / "personagen").readlink() == real and content(real) == NEW
    assert sorted(path.name for path in real.parent.iterdir()) == ["corpus", "corpus.1"][: 1 + (kind == "folder")]


def test_a_folder_that_cannot_be_flushed_is_left_to_its_file_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error of a file ends the write, since its content may be lost."""

    def refuse(descriptor: int) -> None:
        raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(os, "fsync", refuse)
    sync(tmp_path)
    with pytest.raises(FolderError, match=r"^cannot write \S+/manifest\.json: invalid argument"):
        write_text(tmp_path / "manifest.json", "{}")
    assert list(tmp_path.iterdir()) == []


def test_mount_points_are_recognized(tmp_path: Path) -> None:
    assert is_mount_point(Path("/proc")) and not is_mount_point(tmp_path) and not is_mount_point(tmp_path / "none")


def test_a_path_is_reduced_to_its_name_and_other_strings_stay(tmp_path: Path) -> None:
    (tmp_path / "real.jsonl").touch()
    assert redact_path(str(tmp_path / "real.jsonl")) == "real.jsonl"
    assert redact_path("goemotions") == "goemotions" and redact_path("user/name") == "user/name"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (b"bad\xff", "is not UTF-8, which data files need; choose another name with --out"),
        (b"\xe9t\xe9/personagen", "is not UTF-8"),
        (b"ok/\xed\xa0\x80", "is not UTF-8"),
        (b"a\nb", "has a line break or a zero byte; choose another name with --out"),
        (b"a\x00b", "has a line break or a zero byte"),
        (b"~/x", "was not expanded by the shell; write --out /home/me/x"),
        (b"~", "was not expanded by the shell; write --out /home/me"),
        (b"./~/x", "was not expanded by the shell"),
    ],
)
def test_names_that_are_taken_for_others_are_refused(
    name: bytes, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    with pytest.raises(FolderError, match=message) as caught:
        require_usable_name(Path(os.fsdecode(name)))
    assert str(caught.value).isprintable()


def test_a_run_under_such_a_name_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("~").mkdir()
    Path("~/x.run").mkdir()
    require_usable_name(Path("~/x"))


@pytest.mark.parametrize("name", ["personagen", "a b/é", "x~", "a/~", "~nosuchuser/x", "感情", "a\u202eb"])
def test_other_names_are_used_as_they_are(name: str) -> None:
    require_usable_name(Path(name))


@pytest.mark.parametrize("name", ["a[b]", "a*", "what?", "x/[1]/y"])
def test_folders_that_are_patterns_are_recognized(name: str) -> None:
    assert not is_loaded_plainly(Path(name)) and is_loaded_plainly(Path("a{b}, c"))
