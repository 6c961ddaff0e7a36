"""A run starts only if its disk has the space and may be written, and ends before the disk is full."""

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest

from personagen.builder.core.errors import FolderError
from personagen.builder.core.progress import RunStatus
from personagen.builder.evaluation.compare import ComparisonSettings, compare
from personagen.builder.evaluation.evaluate import evaluate
from personagen.builder.evaluation.matching import MatchSettings, match
from personagen.builder.generate import generate
from personagen.builder.release.run.space import FLOOR_BYTES, MEGABYTE
from tests.helpers.flow import Recorder, bytes_of, make, recipe_for
from tests.helpers.servers.fake_openai import FakeOpenAI


@contextmanager
def disk(at: Path, size: int, options: str = "rw") -> Iterator[Path]:
    """Mount a file system in memory."""
    at.mkdir(exist_ok=True)
    words = ["mount", "-t", "tmpfs", "-o", f"size={size},{options}", "tmpfs", str(at)]
    subprocess.run(words, check=True, capture_output=True, text=True, timeout=60)
    try:
        yield at
    finally:
        subprocess.run(["umount", str(at)], check=True, timeout=60)


@cache
def reason() -> str:
    """Return why no file system can be mounted; "": one can be."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            with disk(Path(folder) / "disk", MEGABYTE):
                return ""
        except OSError as error:
            return f"there is no mount: {error}"
        except subprocess.CalledProcessError as error:
            return f"no file system can be mounted: {error.stderr.strip()}"


@pytest.fixture(autouse=True)
def mountable() -> None:
    if reason():
        pytest.skip(reason())


def test_a_disk_without_the_space_is_refused_before_the_first_request(model: FakeOpenAI, tmp_path: Path) -> None:
    """Of generate, compare and match; nothing is left behind."""
    pytest.importorskip("sentence_transformers")
    sent, recipe = len(model.requests), recipe_for(model.url)
    message = r"^the disk of \S+ has \d+ MB of free space, and the run may need [\d,]+ MB; free some space and run "
    with disk(tmp_path / "disk", 8 * MEGABYTE) as small:
        with pytest.raises(FolderError, match=message):
            make(recipe, small / "out")
        with pytest.raises(FolderError, match=message):
            compare(recipe, ComparisonSettings(rows=14, seeds=1, arms=("none",)), small / "comparison")
        with pytest.raises(FolderError, match=message):
            match(recipe_for(model.url, {"expression": None}), MatchSettings("goemotions"), small / "match")
        assert not (small / "out").exists() and not (small / "out.run").exists()
    with disk(tmp_path / "disk", 16 * MEGABYTE) as small:
        with pytest.raises(FolderError, match=message):
            make(recipe_for(model.url, {"rows": 7000}), small / "out")
        assert len(model.requests) == sent
        assert make(recipe, small / "out").created


def test_another_disk_of_the_release_is_looked_at_too(model: FakeOpenAI, tmp_path: Path) -> None:
    sent = len(model.requests)
    with disk(tmp_path / "disk", 4 * MEGABYTE) as small:
        (tmp_path / "out").symlink_to(small / "out")
        with pytest.raises(FolderError, match=r"^the disk of \S+/disk has 4 MB of free space, and the run may need"):
            make(recipe_for(model.url), tmp_path / "out")
    assert len(model.requests) == sent


def test_a_disk_that_may_not_be_written_is_refused_before_the_first_request(
    model: FakeOpenAI, release: Path, tmp_path: Path
) -> None:
    """Of all commands that pay."""
    pytest.importorskip("sentence_transformers")
    sent, recipe = len(model.requests), recipe_for(model.url)
    message = r"^\S+/disk cannot be written: no permission, or a disk that is read-only; change that, or choose another"
    with disk(tmp_path / "disk", 16 * MEGABYTE, "ro") as shut:
        (tmp_path / "out").symlink_to(shut / "out")
        with pytest.raises(FolderError, match=message):
            make(recipe, tmp_path / "out")
        with pytest.raises(FolderError, match=message):
            compare(recipe, ComparisonSettings(), shut / "comparison")
        with pytest.raises(FolderError, match=message):
            match(recipe, MatchSettings("goemotions"), shut / "match")
    with disk(tmp_path / "disk", 16 * MEGABYTE) as shut:
        subprocess.run(["cp", "-r", str(release), str(shut / "personagen")], check=True)
        subprocess.run(["mount", "-o", "remount,ro", str(shut)], check=True)
        with pytest.raises(FolderError, match=r"^\S+/disk/personagen cannot be written: no permission"):
            evaluate(shut / "personagen")
    assert len(model.requests) == sent


def test_a_run_ends_before_its_disk_is_full_and_goes_on_with_space(model: FakeOpenAI, tmp_path: Path) -> None:
    """All replies are kept, and none is paid for twice."""
    recipe, start = recipe_for(model.url, {"rows": 60, "backend.concurrency": 2}), len(model.requests)
    with disk(tmp_path / "disk", 16 * MEGABYTE) as small:
        ballast = small / "ballast"

        def fill(status: RunStatus) -> None:
            if status.accepted >= 10 and not ballast.exists():
                ballast.write_bytes(bytes(16 * MEGABYTE - FLOOR_BYTES - used(small)))

        message = r"^the disk of \S+ has \d\.\d MB of free space left; free some space and run the command again: all"
        with pytest.raises(FolderError, match=message):
            generate(recipe, small / "out", progress=Recorder(fill))
        sent = len(model.requests) - start
        assert 10 <= sent < 30 and not (small / "out").exists()
        ballast.unlink()
        assert make(recipe, small / "out").created
        assert len(model.requests) - start == 60
        make(recipe, tmp_path / "calm")
        assert bytes_of(small / "out") == bytes_of(tmp_path / "calm")


def used(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
