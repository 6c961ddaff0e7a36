"""Differences between two releases, from Python and from the command line."""

import json
import shutil
from dataclasses import asdict
from pathlib import Path

import pytest

import personagen as pg
from personagen.builder.diff import ReleaseComparison, TextCounts
from personagen.builder.release.folder import sealed
from tests.helpers.command import Run
from tests.helpers.flow import PLAIN, make, recipe_for
from tests.helpers.servers.fake_openai import FakeOpenAI

SOURCE = {"name": "people.csv", "rows": 9, "fitting": 9, "columns": {}, "left_out": []}
SOURCE |= dict.fromkeys(("revision", "preset", "license", "license_from", "citation"))
"""Facts of a manifest on a source of personas, but its digest."""


@pytest.fixture(scope="module")
def releases(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return a release of 14 texts, and one of 16 with another seed and the texts of depth `none` repeated."""
    folder = tmp_path_factory.mktemp("diff")
    with FakeOpenAI() as server:
        make(recipe_for(server.url, PLAIN), folder / "one")
        more = {"rows": 16, "seed": 1, "depth": "demographic", "ablations": ["none"]}
        make(recipe_for(server.url, PLAIN, more), folder / "other")
    return folder / "one", folder / "other"


def test_recipes_and_texts_are_compared(releases: tuple[Path, Path]) -> None:
    found = pg.diff(*releases)
    assert not found.is_equal
    assert {difference.key: (difference.one, difference.other) for difference in found.recipe} == {
        "seed": (0, 1),
        "rows": (14, 16),
        "depth": ("none", "demographic"),
        "ablations": ([], ["none"]),
    }
    assert [*found.texts] == [
        TextCounts("anger", 0, 7, 0, 1),
        TextCounts("joy", 0, 7, 0, 1),
        TextCounts("depth_none", 0, 0, 0, 16),
    ]
    swapped = {count.config: asdict(count) for count in pg.diff(*releases[::-1]).texts}
    assert (swapped["joy"]["removed"], swapped["joy"]["added"], swapped["depth_none"]["removed"]) == (1, 0, 16)


def test_a_copy_is_equal(releases: tuple[Path, Path], tmp_path: Path, run: Run) -> None:
    copy = shutil.copytree(releases[0], tmp_path / "copy")
    assert pg.diff(releases[0], copy).is_equal
    done = run("diff", releases[0], copy)
    assert done == (0, "equal: recipe, model, prompts and all texts\n", "")


def test_scores_of_both_cards_are_compared(releases: tuple[Path, Path], tmp_path: Path) -> None:
    copies = [shutil.copytree(release, tmp_path / release.name) for release in releases]
    for copy, value in zip(copies, ("0.4 (0.3 to 0.5)", "0.6 (0.5 to 0.7)"), strict=True):
        manifest = json.loads((copy / "manifest.json").read_text("utf-8"))
        manifest["scores"] = [
            {"metric": "mmd2", "value": value, "command": "c"},
            {"metric": "recall", "value": "1", "command": "c"},
        ]
        (copy / "manifest.json").write_text(json.dumps(sealed(manifest)), "utf-8")
    assert [asdict(found) for found in pg.diff(*copies).measures] == [
        {"measure": "mmd2", "one": "0.4 (0.3 to 0.5)", "other": "0.6 (0.5 to 0.7)"}
    ]
    assert not pg.diff(releases[0], copies[1]).measures


def test_another_content_of_the_source_of_personas_is_a_difference(releases: tuple[Path, Path], tmp_path: Path) -> None:
    """Recipe, model and texts can be equal: the recipe has the name of the source alone."""
    copies = [shutil.copytree(releases[0], tmp_path / name) for name in "ab"]
    for copy in copies:
        manifest = json.loads((copy / "manifest.json").read_text("utf-8"))
        manifest["personas"]["source"] = SOURCE | {"sha256": copy.name * 64}
        (copy / "manifest.json").write_text(json.dumps(sealed(manifest)), "utf-8")
    facts = _facts_of(pg.diff(*copies))
    assert facts == {"personas.source.sha256": ("a" * 64, "b" * 64)}
    assert not pg.diff(*copies).is_equal


def _facts_of(found: ReleaseComparison) -> dict[str, tuple[object, object]]:
    return {difference.key: (difference.one, difference.other) for difference in found.facts}


def test_the_command_shows_every_difference(releases: tuple[Path, Path], run: Run) -> None:
    done = run("diff", *releases)
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines()[:3] == ["recipe", "  seed: 0 -> 1", "  rows: 14 -> 16"]
    assert done.out.splitlines()[-1].split() == ["depth_none", "0", "0", "0", "16"]
    facts = json.loads(run("diff", *releases, "--json").out)
    assert facts["equal"] is False
    assert facts["texts"] == [asdict(count) for count in pg.diff(*releases).texts]


def test_what_is_no_release_and_what_is_damaged_is_refused(releases: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(pg.errors.ReleaseError, match=r"^no release in \S+: manifest.json is missing; name the folder "):
        pg.diff(releases[0], tmp_path)
    copy = shutil.copytree(releases[0], tmp_path / "copy")
    next((copy / "joy").iterdir()).write_bytes(b"")
    with pytest.raises(pg.errors.ReleaseError, match=r"^cannot read \S+/joy/\S+: .*; .*generate"):
        pg.diff(releases[0], copy)
