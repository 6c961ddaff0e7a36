"""Files are written whole or not at all."""

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from personagen.builder.core.errors import FolderError
from personagen.builder.core.files import redact_path, write_atomically, write_text

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
    with pytest.raises(FolderError, match=r"^cannot write \S+/manifest\.json: file too large; choose another folder"):
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


def test_a_durable_file_and_its_folder_are_flushed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file before it is renamed, the folder after that."""
    flushed: list[tuple[str, bool]] = []
    fsync, target = os.fsync, tmp_path / "batch.json"

    def record(descriptor: int) -> None:
        flushed.append((Path(f"/proc/self/fd/{descriptor}").readlink().name, target.exists()))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", record)
    with write_atomically(target, durable=True) as part:
        part.write_text("{}", encoding="utf-8")
    assert flushed == [("batch.json.part", False), (tmp_path.name, True)]
    flushed.clear()
    with write_atomically(target) as part:
        part.write_text("{}", encoding="utf-8")
    assert flushed == []


def test_a_path_is_reduced_to_its_name_and_other_strings_stay(tmp_path: Path) -> None:
    (tmp_path / "real.jsonl").touch()
    assert redact_path(str(tmp_path / "real.jsonl")) == "real.jsonl"
    assert redact_path("goemotions") == "goemotions" and redact_path("user/name") == "user/name"
