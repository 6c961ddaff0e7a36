"""Releases are published through links, across file systems and over old ones; damage on the way is an error."""

import os
import shutil
from pathlib import Path

import pytest

from personagen.builder.core.errors import FolderError
from personagen.builder.core.progress import RunStatus
from personagen.builder.generate import generate
from personagen.builder.release.run.run_folder import run_folder_of
from tests.helpers.flow import Recorder, bytes_of, make, recipe_for
from tests.helpers.servers.fake_openai import FakeOpenAI


@pytest.fixture(scope="module")
def undisturbed(model: FakeOpenAI, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Bytes of the release of `recipe_for(model.url)`."""
    out = tmp_path_factory.mktemp("undisturbed") / "out"
    make(recipe_for(model.url), out)
    return bytes_of(out)


def linked(kind: str, tmp_path: Path, other_disk: Path) -> tuple[Path, Path]:
    """Prepare an output folder of a kind, and return it with the folder in which the release will be."""
    out, real = tmp_path / "out", other_disk / "deep" / "corpus"
    if kind == "run folder":
        run_folder_of(out).symlink_to(other_disk / "out.run")
        return out, out
    out.symlink_to(real)
    if kind == "folder":
        real.mkdir(parents=True)
    return out, real


@pytest.mark.parametrize("kind", ["folder", "dangling", "run folder"])
def test_links_and_other_file_systems(
    kind: str, model: FakeOpenAI, undisturbed: dict[str, bytes], tmp_path: Path, other_disk: Path
) -> None:
    """The link stays; a release that is made anew is beside the old one, where the link leads."""
    out, real = linked(kind, tmp_path, other_disk)
    assert make(recipe_for(model.url), out).created
    assert not make(recipe_for(model.url), out).created
    assert out.is_symlink() == (real != out) and bytes_of(real) == bytes_of(out) == undisturbed
    assert make(recipe_for(model.url), out, fresh=True).created
    assert bytes_of(real) == bytes_of(real.with_name(f"{real.name}.1")) == undisturbed
    assert make(recipe_for(model.url, {"rows": 20}), out, reuse=True).created
    assert bytes_of(real.with_name(f"{real.name}.2")) == undisturbed
    assert {path.name.split(".")[0] for path in (*tmp_path.iterdir(), *real.parent.iterdir())} <= {"out", "corpus"}


def test_a_link_to_itself_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").symlink_to(tmp_path / "out")
    with pytest.raises(FolderError, match=r"^\S+/out is a link that leads back to itself; choose another folder with"):
        make(recipe_for("http://127.0.0.1:1/v1"), tmp_path / "out")


def test_a_link_to_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    """Before the first request."""
    (tmp_path / "out").symlink_to("/proc/none/out")
    with pytest.raises(FolderError, match=r"^cannot make /proc/none, to which \S+/out leads: no such file or dir"):
        make(recipe_for("http://127.0.0.1:1/v1"), tmp_path / "out")


def test_a_mount_point_is_refused(tmp_path: Path) -> None:
    """It cannot be renamed, and was empty until the end of a run that was paid for."""
    (tmp_path / "out").symlink_to("/dev/shm")
    if not os.path.ismount("/dev/shm") or any(Path("/dev/shm").iterdir()):
        pytest.skip("there is no empty mount point: /dev/shm is none, or other programs use it")
    with pytest.raises(FolderError, match=r"/out is a mount point, which cannot be renamed; name a folder within it: "):
        make(recipe_for("http://127.0.0.1:1/v1"), tmp_path / "out")


@pytest.mark.parametrize("removed", ["release", "release/joy", ""], ids=["staging", "shards", "run folder"])
def test_a_release_whose_files_vanish_before_it_is_moved_is_not_called_complete(
    removed: str, model: FakeOpenAI, undisturbed: dict[str, bytes], tmp_path: Path
) -> None:
    """The old release stays; the same command completes the new one."""
    out, recipe = tmp_path / "out", recipe_for(model.url)
    make(recipe_for(model.url, {"rows": 20}), out)

    def remove(status: RunStatus) -> None:
        if status.accepted == status.wanted:
            shutil.rmtree(run_folder_of(out) / removed)

    with pytest.raises(
        FolderError, match=r"^\S+ was removed or changed by another process; run the comm|^cannot write "
    ):
        generate(recipe, out, reuse=True, progress=Recorder(remove))
    assert make(recipe, out, reuse=True).created and bytes_of(out) == undisturbed


def test_setting_a_run_aside_is_continued_after_any_of_its_moves(
    model: FakeOpenAI, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All files of the old run end in one folder, and none of them is replaced by one of the new run."""
    make(recipe_for(model.url), tmp_path / "first" / "out")
    old = bytes_of(tmp_path / "first" / "out.run")
    moves = len(old)  # all but the lock, and the folder
    for number in range(moves):
        folder = tmp_path / str(number)
        shutil.copytree(tmp_path / "first", folder)
        with monkeypatch.context() as patch:
            patch.setattr(os, "replace", Interrupted(number))
            with pytest.raises(KeyboardInterrupt):
                make(recipe_for(model.url), folder / "out", fresh=True)
        make(recipe_for(model.url), folder / "out", fresh=True)
        aside = bytes_of(folder / "out.run.1")
        assert aside == {name: content for name, content in old.items() if name not in ("lock", "card.md")}, number


class Interrupted:
    """`os.replace` that is interrupted after a number of moves of a run."""

    def __init__(self, moves: int) -> None:
        self._moves = moves
        self._replace = os.replace

    def __call__(self, source: Path, target: Path) -> None:
        if Path(target).parent.name == "aside" or Path(source).name == "aside":
            if self._moves == 0:
                raise KeyboardInterrupt
            self._moves -= 1
        self._replace(source, target)
