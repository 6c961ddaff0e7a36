"""The folder of a worker: whose it is, on which disk, and of which recipe."""

import os
import re
import tempfile
from pathlib import Path
from typing import Any

import pytest

from personagen.builder.core.errors import FolderError
from personagen.builder.core.files import network_disk_of
from personagen.builder.fill import FillSettings, fill
from personagen.builder.planning.parts import Part
from personagen.builder.release.run.worker import default_work, open_work
from tests.helpers.flow import PLAIN, recipe_for
from tests.helpers.parts.workers import TIMES, fill_part, headers_of
from tests.helpers.servers.fake_openai import FakeOpenAI

ROWS: dict[str, Any] = PLAIN | {"rows": 24}
NOWHERE = "http://127.0.0.1:9/v1"


def test_a_folder_of_another_worker_at_work_is_refused(tmp_path: Path) -> None:
    recipe = recipe_for(NOWHERE, ROWS)
    wanted = (
        f"another process of this machine is filling part 0/2 in {tmp_path / 'work'}; wait for it, or fill another part"
    )
    with (
        open_work(tmp_path / "work", recipe, Part(0, 2), accept_lost_replies=False),
        pytest.raises(FolderError, match=re.escape(wanted)),
    ):
        fill_part(recipe, "0/2", tmp_path, work=tmp_path / "work")


def test_a_folder_of_another_recipe_is_refused(tmp_path: Path) -> None:
    with FakeOpenAI() as server:
        (tmp_path / "mine").mkdir()
        (tmp_path / "mine" / "notes.txt").write_text("mine")
        with pytest.raises(FolderError, match=r"is not a run folder \(notes\.txt\); name another folder with --work$"):
            fill_part(recipe_for(server.url, ROWS), "0/8", tmp_path, work=tmp_path / "mine")
        with pytest.raises(FolderError, match=r"cannot write .*: not a directory; name another folder with --work$"):
            fill_part(recipe_for(server.url, ROWS), "0/8", tmp_path, work=tmp_path / "mine" / "notes.txt" / "work")
        assert not server.requests
        fill_part(recipe_for(server.url, ROWS), "0/8", tmp_path, work=tmp_path / "work")
        with pytest.raises(
            FolderError, match=r"has a run of another recipe: seed .*; name another folder with --work$"
        ):
            fill_part(recipe_for(server.url, ROWS, {"seed": 5}), "0/8", tmp_path, work=tmp_path / "work")


def test_a_journal_that_cannot_be_read_is_named_with_the_options_of_the_command(tmp_path: Path) -> None:
    work = tmp_path / "work"
    with FakeOpenAI() as server:
        recipe = recipe_for(server.url, ROWS)
        fill_part(recipe, "0/8", tmp_path, work=work)
        (work / "journal.sqlite").write_bytes(b"no journal" * 1_000)
        with pytest.raises(FolderError, match=r"no reply in it can be read; name another folder with --work$"):
            fill_part(recipe, "0/8", tmp_path, work=work)


MOUNTS = """\
21 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw
30 21 0:40 / /home rw - nfs4 server:/home rw
31 30 8:2 / /home/ann/scratch rw - xfs /dev/sdb1 rw
32 21 0:50 / /mnt/my\\040bucket rw - fuse.s3fs s3fs rw
33 21 0:51 / /lustre rw - lustre 10.0.0.1@tcp:/fs rw
34 21 0:52 / /mnt/over rw - ext4 /dev/sdc1 rw
35 21 0:53 / /mnt/over rw - cifs //server/share rw
36 21 0:54 / /overlay rw - overlay overlay rw
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/tmp/work", None),
        ("/home", "nfs4"),
        ("/home/ann/work", "nfs4"),
        ("/home/ann/scratch/work", None),
        ("/homes/work", None),
        ("/mnt/my bucket/work", "fuse.s3fs"),
        ("/lustre/a/b/c", "lustre"),
        ("/mnt/over/work", "cifs"),
        ("/overlay/work", None),
    ],
)
def test_network_disks_and_local_ones_differ(path: str, kind: str | None) -> None:
    assert network_disk_of(Path(path), MOUNTS) == kind


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="only root gives folders away")
def test_a_default_folder_that_another_user_made_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    recipe = recipe_for(NOWHERE, ROWS)
    shared = default_work(recipe, Part(0, 2)).parent
    shared.mkdir()
    os.chown(shared, 12_345, -1)
    wanted = f"{shared} belongs to another user; name a folder of your own with --work"
    with pytest.raises(FolderError, match=re.escape(wanted)):
        fill(recipe, Part(0, 2), FillSettings(str(tmp_path / "journals")))


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="only root gives links away")
def test_a_default_folder_that_is_a_link_of_another_user_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may lead to any folder of the user."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    recipe = recipe_for(NOWHERE, ROWS)
    shared, own = default_work(recipe, Part(0, 2)).parent, tmp_path / "own"
    own.mkdir()
    shared.symlink_to(own)
    os.chown(shared, 12_345, -1, follow_symlinks=False)
    with pytest.raises(FolderError, match=f"{shared} belongs to another user; name a folder of your own with --work"):
        fill(recipe, Part(0, 2), FillSettings(str(tmp_path / "journals")))
    assert [*own.iterdir()] == []


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="without modes")
@pytest.mark.parametrize("is_there", [False, True])
def test_the_default_folder_cannot_be_read_by_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_there: bool
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    recipe = recipe_for(NOWHERE, ROWS)
    work = default_work(recipe, Part(0, 2))
    if is_there:
        work.parent.mkdir(mode=0o755)
    with open_work(work, recipe, Part(0, 2), accept_lost_replies=False):
        assert work.parent.stat().st_mode & 0o777 == 0o700


def test_a_default_folder_that_cannot_be_made_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    recipe = recipe_for(NOWHERE, ROWS)
    shared = default_work(recipe, Part(0, 2)).parent
    shared.write_text("in the way")
    with pytest.raises(FolderError, match=f"cannot make {shared}: file exists; name another folder with --work$"):
        fill(recipe, Part(0, 2), FillSettings(str(tmp_path / "journals")))


def test_a_command_without_a_folder_continues_its_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with FakeOpenAI() as server:
        recipe = recipe_for(server.url, ROWS)
        for _ in range(2):
            fill(recipe, Part(0, 2), FillSettings(str(tmp_path / "journals"), times=TIMES))
        assert len(server.requests) == 14
    assert {header.worker for header in headers_of(tmp_path / "journals")} == {
        (default_work(recipe, Part(0, 2)) / "worker").read_text().strip()
    }
