"""After a power cut at any change of the disk, the same command ends with the same bytes and pays for nothing twice.

The disk is simulated at its worst (see `tests/helpers/power/disk.py`), so that these tests need no file system of their
own. Real ones are in `test_power_cuts.py`.
"""

import errno
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from personagen.builder.core.files import incoming_folder, publish_folder, write_text
from tests.helpers.flow import bytes_of, journalled_texts, make, recipe_for
from tests.helpers.power.disk import Cut, Disk
from tests.helpers.servers.fake_openai import FakeOpenAI

MORE = {"rows": 20}


def cuts_of(disk: Disk, count: int | None) -> list[Cut]:
    """Return `count` cuts at equal distances, the first and the last among them; None: all."""
    if count is None or count >= len(disk.cuts):
        return disk.cuts
    return [disk.cuts[round(number * (len(disk.cuts) - 1) / (count - 1))] for number in range(count)]


def folder_in(tmp_path: Path, name: str) -> Path:
    folder = tmp_path / name
    folder.mkdir()
    return folder


@pytest.mark.parametrize("count", [8, pytest.param(None, marks=pytest.mark.slow)], ids=["some", "all"])
def test_a_run_goes_on_after_a_cut(count: int | None, model: FakeOpenAI, tmp_path: Path) -> None:
    recipe = recipe_for(model.url)
    with Disk(folder_in(tmp_path, "disk"), folder_in(tmp_path, "cuts")) as disk:
        make(recipe, tmp_path / "disk" / "out")
    assert disk.unflushed == [] and len(disk.cuts) > 20
    undisturbed = bytes_of(tmp_path / "disk" / "out")
    for cut in cuts_of(disk, count):
        kept = len(journalled_texts(cut.live / "out", tmp_path))
        sent = len(model.requests)
        make(recipe, cut.folder / "out")
        assert bytes_of(cut.folder / "out") == undisturbed, cut
        assert len(model.requests) - sent == 14 - kept, cut
        assert {path.name for path in cut.folder.iterdir()} == {"out", "out.run"}, cut


@pytest.mark.parametrize("count", [8, pytest.param(None, marks=pytest.mark.slow)], ids=["some", "all"])
@pytest.mark.parametrize(
    ("changes", "options"), [(MORE, {"reuse": True}), ({}, {"fresh": True})], ids=["larger", "fresh"]
)
def test_a_release_that_replaces_another_leaves_one_of_them_after_a_cut(
    count: int | None, changes: Mapping[str, Any], options: Mapping[str, bool], model: FakeOpenAI, tmp_path: Path
) -> None:
    """The old one has its name or its number, its bytes are never gone, and nothing else is left in the end."""
    recipe, out = recipe_for(model.url, changes), folder_in(tmp_path, "disk") / "out"
    make(recipe_for(model.url), out)
    old = bytes_of(out)
    with Disk(tmp_path / "disk", folder_in(tmp_path, "cuts")) as disk:
        make(recipe, out, **options)
    assert disk.unflushed == [] and len(disk.cuts) > 20
    new = bytes_of(out)
    for cut in cuts_of(disk, count):
        assert old in [bytes_of(cut.folder / name) for name in ("out", "out.1")], cut
        assert bytes_of(cut.folder / "out") in ({}, old, new), cut
        make(recipe, cut.folder / "out", **options)
        assert bytes_of(cut.folder / "out") == new and bytes_of(cut.folder / "out.1") == old, cut
        assert not incoming_folder(cut.folder / "out").exists(), cut


def test_a_release_that_is_copied_to_another_file_system_is_whole_or_absent_after_a_cut(
    model: FakeOpenAI, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system refuses to rename the staging folder, as it does between file systems."""
    recipe, out = recipe_for(model.url), folder_in(tmp_path, "disk") / "out"
    replace = os.replace

    def refuse(source: Path, target: Path) -> None:
        if Path(source).name == "release":
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        replace(source, target)

    monkeypatch.setattr(os, "replace", refuse)
    with Disk(tmp_path / "disk", folder_in(tmp_path, "cuts")) as disk:
        make(recipe, out)
    assert disk.unflushed == [] and len(disk.cuts) > 30
    sent = len(model.requests)
    for cut in cuts_of(disk, 6)[3:]:
        assert bytes_of(cut.folder / "out") in ({}, bytes_of(out)), cut
        make(recipe, cut.folder / "out")
        assert bytes_of(cut.folder / "out") == bytes_of(out), cut
        assert {path.name for path in cut.folder.iterdir()} == {"out", "out.run"}, cut
    assert len(model.requests) == sent


def test_the_recorder_finds_what_is_not_flushed(tmp_path: Path) -> None:
    """A file, the names in a folder, and a folder that is published without being flushed."""
    root, cuts = folder_in(tmp_path, "disk"), folder_in(tmp_path, "cuts")
    (root / "old").write_text("old", encoding="utf-8")
    with Disk(root, cuts) as disk:
        (root / "a.part").write_text("new", encoding="utf-8")
        (root / "a.part").rename(root / "a")
        (root / "folder").mkdir()
        (root / "folder" / "b").write_text("new", encoding="utf-8")
        (root / "folder").rename(root / "published")
        write_text(root / "published" / "c", "flushed")
    assert disk.unflushed == ["a.part", "folder", "folder/b", "names in ."]
    last = max(cut.number for cut in disk.cuts)
    left = {cut.folder.name.split("-")[1]: bytes_of(cut.folder) for cut in disk.cuts if cut.number == last}
    assert left["renamed"] == {"old": b"old", "a": b"", "published/b": b"", "published/c": b"flushed"}
    with Disk(root) as disk:
        publish_folder(root / "published", root / "e")
        (root / "published").mkdir()
    assert disk.unflushed == ["names in ."]
