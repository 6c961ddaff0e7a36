"""Results are added to a finished release: the file, then the card, then the manifest."""

import shutil
from pathlib import Path

import pytest

from personagen.builder.core.errors import FolderError
from personagen.builder.core.file_names import CARD, SCORES
from personagen.builder.hub.verify import verify_folder
from personagen.builder.release.cards.regions import begin_mark, regions
from personagen.builder.release.folder import read_manifest
from personagen.builder.release.results import add_results
from tests.helpers.flow import bytes_of


@pytest.fixture
def copy(release: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(release, tmp_path / "personagen"))


def add(folder: Path) -> None:
    scores = [{"metric": "diversity: Vendi score", "value": "3.1", "command": "personagen evaluate personagen"}]
    add_results(folder, read_manifest(folder), "evaluation", {"texts": 70}, {"scores": scores})


@pytest.mark.parametrize("blocked", [SCORES, CARD])
def test_an_interrupted_call_leaves_a_valid_release_and_a_second_call_completes_it(
    blocked: str, copy: Path, release: Path, tmp_path: Path
) -> None:
    """The manifest comes last."""
    whole = Path(shutil.copytree(release, tmp_path / "whole"))
    add(whole)
    manifest = (copy / "manifest.json").read_bytes()
    (copy / f"{blocked}.part").mkdir()
    with pytest.raises(FolderError, match="cannot write"):
        add(copy)
    (copy / f"{blocked}.part").rmdir()
    assert (copy / "manifest.json").read_bytes() == manifest and not verify_folder(copy).problems
    add(copy)
    assert bytes_of(copy) == bytes_of(whole) and not verify_folder(copy).problems


def test_hand_written_text_of_the_card_stays(copy: Path) -> None:
    mark, card = begin_mark("notes"), copy / CARD
    card.write_text(card.read_text(encoding="utf-8").replace(mark, f"{mark}\nMy own words."), encoding="utf-8")
    add(copy)
    text = card.read_text(encoding="utf-8")
    assert regions(text)["notes"] == "My own words." and "Vendi score" in text
