"""Results are added to a finished release: the file, then the card, then the manifest."""

import shutil
from pathlib import Path

import pytest

from personagen.builder.core.errors import FolderError, ReleaseError
from personagen.builder.core.file_names import CARD, CROISSANT, MANIFEST, SCORES
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


@pytest.mark.parametrize("blocked", [SCORES, CARD, CROISSANT])
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


def test_a_call_that_ends_before_the_manifest_is_completed_by_a_second_one(
    copy: Path, release: Path, tmp_path: Path
) -> None:
    """Until then croissant.json is newer than the manifest, which `verify` reports."""
    whole = Path(shutil.copytree(release, tmp_path / "whole"))
    add(whole)
    (copy / f"{MANIFEST}.part").mkdir()
    with pytest.raises(FolderError, match="cannot write"):
        add(copy)
    (copy / f"{MANIFEST}.part").rmdir()
    with pytest.raises(ReleaseError, match=r"croissant\.json was altered"):
        verify_folder(copy)
    add(copy)
    assert bytes_of(copy) == bytes_of(whole) and not verify_folder(copy).problems


def test_verdicts_and_concerns_are_made_of_all_results(copy: Path) -> None:
    """Those of an evaluation stay when an audit is added, and the other way round."""
    scores = {
        "reference": {"name": "goemotions"},
        "results": {"realism": {"c2st_auc": 0.97, "c2st_auc_ci": [0.95, 0.98]}},
        "slices": {},
    }
    record = {"attribute": "age", "outcome": "words", "fraction": 0.1, "p_corrected": 0.01}
    facts = {"findings": ["age: words"], "audited_by": "personagen audit personagen"}
    add_results(copy, read_manifest(copy), "evaluation", scores, {"scores": []})
    assert "Not audited" in " ".join(read_manifest(copy)["concerns"])
    add_results(copy, read_manifest(copy), "audit", {"associations": [record]}, facts)
    manifest, card = read_manifest(copy), (copy / CARD).read_text(encoding="utf-8")
    stated = " ".join(manifest["verdicts"])
    assert "picks out the synthetic text in 97 of 100 pairs" in stated and "1 significant association" in stated
    assert not any(line.startswith(("Not audited", "Not evaluated")) for line in manifest["concerns"])
    quality = card.split("\n## Quality\n")[1].split("\n## ")[0]
    assert all(sentence in quality for sentence in manifest["verdicts"] if "_" not in sentence)


def test_hand_written_text_of_the_card_stays(copy: Path) -> None:
    mark, card = begin_mark("notes"), copy / CARD
    card.write_text(card.read_text(encoding="utf-8").replace(mark, f"{mark}\nMy own words."), encoding="utf-8")
    add(copy)
    text = card.read_text(encoding="utf-8")
    assert regions(text)["notes"] == "My own words." and "Vendi score" in text
