"""Power cuts of a worker: with its disk, whose unflushed files are lost, or without it, as when the machine is lost."""

import shutil
from pathlib import Path

import pytest

from personagen.builder.generate import generate
from tests.helpers.flow import bytes_of, journalled_texts, make, recipe_for
from tests.helpers.parts.workers import fill_part, headers_of
from tests.helpers.power.disk import Cut, Disk
from tests.helpers.servers.fake_openai import FakeOpenAI

COUNTS = pytest.mark.parametrize("count", [4, pytest.param(None, marks=pytest.mark.slow)], ids=["some", "all"])


def chosen(disk: Disk, count: int | None) -> list[Cut]:
    """Return `count` cuts at equal distances, the first and the last among them; None: all."""
    if count is None:
        return disk.cuts
    return [disk.cuts[round(number * (len(disk.cuts) - 1) / (count - 1))] for number in range(count)]


def record(server: FakeOpenAI, tmp_path: Path) -> Disk:
    """Fill a part on a disk that is recorded, and write the release of one process."""
    for name in ("disk", "cuts"):
        (tmp_path / name).mkdir()
    with Disk(tmp_path / "disk", tmp_path / "cuts") as disk:
        fill_part(recipe_for(server.url), "0/1", tmp_path / "disk")
    assert disk.unflushed == [] and len(disk.cuts) > 20
    make(recipe_for(server.url), tmp_path / "calm")
    return disk


def shipped(folder: Path) -> int:
    return sum(header.work.replies for header in headers_of(folder / "journals"))


@COUNTS
def test_a_worker_goes_on_after_a_power_cut(count: int | None, tmp_path: Path) -> None:
    with FakeOpenAI() as server:
        disk = record(server, tmp_path)
        for cut in chosen(disk, count):
            work = cut.live / "work-0-1"
            shutil.copytree(work, tmp_path / "kept.run", dirs_exist_ok=True) if work.exists() else None
            kept = len(journalled_texts(tmp_path / "kept", tmp_path))
            shutil.rmtree(tmp_path / "kept.run", ignore_errors=True)
            sent = len(server.requests)
            fill_part(recipe_for(server.url), "0/1", cut.folder)
            assert len(server.requests) - sent == 14 - kept, cut
            generate(recipe_for(server.url), cut.folder / "out", journals=str(cut.folder / "journals"), calls=False)
            assert bytes_of(cut.folder / "out") == bytes_of(tmp_path / "calm"), cut


@COUNTS
def test_what_a_lost_machine_has_shipped_is_whole_and_not_paid_for_again(count: int | None, tmp_path: Path) -> None:
    with FakeOpenAI() as server:
        disk = record(server, tmp_path)
        for cut in chosen(disk, count):
            shutil.rmtree(cut.folder / "work-0-1", ignore_errors=True)
            there, sent = shipped(cut.folder), len(server.requests)
            fill_part(recipe_for(server.url), "0/1", cut.folder)
            assert len(server.requests) - sent == 14 - there, cut
            generate(recipe_for(server.url), cut.folder / "out", journals=str(cut.folder / "journals"), calls=False)
            assert bytes_of(cut.folder / "out") == bytes_of(tmp_path / "calm"), cut
