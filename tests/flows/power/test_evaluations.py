"""Power cuts while `evaluate` and `compare` write; the same command again ends with the same bytes."""

import json
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.command import OPENAI, Run
from tests.helpers.flow import bytes_of
from tests.helpers.power.calls import watched
from tests.helpers.power.disk import Disk
from tests.helpers.power.image import cut_power, make_image, mounted, reason
from tests.helpers.real_texts import known_vectors, real, write_reference
from tests.helpers.releasing import make_release, manifest_of, records
from tests.helpers.servers.fake_openai import FakeOpenAI
from tests.helpers.servers.weather_server import WeatherServer

REFERENCE = real(150)
EVALUATE = ("--sample-size", "12", "--json")
COMPARE = ("--emotions", "joy,anger", "--rows", "16", "--seeds", "2", "--arms", "none,situational")
on_real_disk = pytest.mark.skipif(reason() != "", reason=f"power cannot be cut here: {reason()}")


@pytest.fixture(scope="module")
def small(model: FakeOpenAI, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_release(tmp_path_factory.mktemp("evaluate") / "small", model.url, "rows: 70\nintensities: [low]")


@pytest.fixture(scope="module")
def evaluation(small: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, ...]]:
    """Options of a fast evaluation: vectors are cached, and without labels utility is not measured."""
    names = [emotion["name"] for emotion in manifest_of(small)["taxonomy"]["emotions"]]
    texts = [row["text"] for name in names for row in records(small, name)]
    path = tmp_path_factory.mktemp("reference") / "real.jsonl"
    path.write_text("\n".join(json.dumps({"text": text}) for text in REFERENCE.texts), encoding="utf-8")
    with known_vectors(tmp_path_factory.mktemp("cache"), [*texts, *REFERENCE.texts]):
        yield ("--reference", str(path), *EVALUATE)


def test_what_evaluate_writes_is_flushed_and_completed_after_a_cut(
    run: Run, small: Path, evaluation: tuple[str, ...], tmp_path: Path
) -> None:
    """The scores, the card and the manifest, one after the other."""
    root, cuts = tmp_path / "disk", tmp_path / "cuts"
    root.mkdir()
    cuts.mkdir()
    shutil.copytree(small, root / "small")
    with Disk(root, cuts) as disk:
        done = run("evaluate", root / "small", *evaluation)
    assert done.code == 0, done.err
    assert disk.unflushed == [] and len(disk.cuts) > 5
    cut = disk.cuts[len(disk.cuts) // 2]
    assert run("evaluate", cut.folder / "small", *evaluation).code == 0
    assert bytes_of(cut.folder / "small") == bytes_of(root / "small")


def cuts_while(command: Callable[[], Any], calls: set[int], tmp_path: Path) -> tuple[list[Path], int]:
    """Run a command of this process; return copies of its disk before some changes, and the number of changes."""
    image = tmp_path / "image"
    cuts: list[Path] = []
    seen = 0

    def before(name: str, paths: list[Path]) -> None:
        nonlocal seen
        seen += 1
        if seen in calls:
            cuts.append(cut_power(image, tmp_path / f"cut-{len(cuts)}"))

    with watched(tmp_path / "disk", before):
        command()
    cuts.append(cut_power(image, tmp_path / f"cut-{len(cuts)}"))
    return cuts, seen


@pytest.mark.slow
@on_real_disk
def test_evaluate_is_completed_after_a_power_cut(
    run: Run, small: Path, evaluation: tuple[str, ...], tmp_path: Path
) -> None:
    disk = tmp_path / "disk"
    with mounted(make_image(tmp_path / "image"), disk):
        shutil.copytree(small, disk / "small")
    with mounted(tmp_path / "image", disk):
        words = ("evaluate", disk / "small", *evaluation)
        cuts, seen = cuts_while(lambda: run(*words), {4, 9}, tmp_path)
        undisturbed = bytes_of(disk / "small")
    assert seen >= 9 and len(cuts) == 3
    for image in cuts:
        with mounted(image, disk):
            assert run(*words).code == 0
            assert bytes_of(disk / "small") == undisturbed


@pytest.mark.slow
@on_real_disk
def test_compare_is_completed_after_a_power_cut(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All replies were journaled before the first figure was written, and none is requested again."""
    monkeypatch.setenv("PERSONAGEN_CACHE", str(tmp_path / "cache"))  # without the vectors of `evaluation`
    disk, reference = tmp_path / "disk", write_reference(tmp_path / "real.jsonl")
    with WeatherServer() as server, mounted(make_image(tmp_path / "image"), disk):
        words = ("compare", *COMPARE, "--reference", reference, "--out", disk / "out")
        words = (*words, *OPENAI, server.url)
        calls = {2, *random.Random(0).sample(range(24, 46), 4)}  # the journal is closed before the 24th
        cuts, seen = cuts_while(lambda: run(*words), calls, tmp_path)
        assert seen >= 46 and len(cuts) == 6
        undisturbed = results_of(disk / "out")
    for number, image in enumerate(cuts):
        with WeatherServer(port=server.port) as again, mounted(image, disk):
            done = run(*words)
            assert done.code == 0, done.err
            assert results_of(disk / "out") == undisturbed
        assert number == 0 or not again.answered, number


def results_of(folder: Path) -> dict[str, bytes]:
    """Return the files of a comparison without those of its run."""
    return {name: content for name, content in bytes_of(folder).items() if not name.startswith("run/")}
