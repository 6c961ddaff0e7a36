"""Texts with personal information or slurs: counted in manifest, card and croissant.json, or rejected."""

import json
from pathlib import Path

import pytest

from personagen.builder.planning.recipe.parsing import parse_recipe
from personagen.builder.release.screening import MAX_HITS, Screening
from tests.helpers.releasing import make_release, manifest_of, records
from tests.helpers.servers.behaviours.contents.languages import SPEECHES, answer, sentences
from tests.helpers.servers.behaviours.records import Behaviour, OddAnswer, OddCall, always
from tests.helpers.servers.odd_server import OddServer

RECIPE = "emotions: [joy, fear]\nrows: 12\ndepth: none\ntext: {min_words: 8, max_words: 120}\n"
NUMBER, NAME = "Call me at 693-9222.", "So said Michael Sims."


def write(folder: Path, recipe: str, *endings: str) -> Path:
    """Make a release with a model whose texts have the endings in turn."""

    def serve(call: OddCall) -> OddAnswer:
        return answer(call, f"{sentences(SPEECHES['en'], call)} {endings[call.number % len(endings)]}".strip())

    with OddServer(Behaviour("private", "languages", always(serve), "models")) as server:
        return make_release(folder, server.base_url, RECIPE + recipe)


def test_manifest_card_and_croissant_count_the_texts_with_findings(tmp_path: Path) -> None:
    release = write(tmp_path / "made", "", NUMBER, "", NAME)
    rows = [row for name in ("joy", "fear") for row in records(release, name)]
    numbers = {row["id"] for row in rows if NUMBER in row["text"]}
    names = {row["id"] for row in rows if NAME in row["text"]}
    assert numbers and names
    screening = manifest_of(release)["screening"]
    assert screening["checked"] == 12 and screening["texts"] == {"phone": len(numbers), "person": len(names)}
    assert {hit["id"] for hit in screening["hits"] if hit["kinds"] == ["phone"]} == numbers
    assert {hit["id"] for hit in screening["hits"] if hit["kinds"] == ["person"]} == names
    line = f"Texts found: {len(numbers)} with a phone number; {len(names)} with a full name of a person."
    card = (release / "README.md").read_text(encoding="utf-8")
    assert line in card.split("\n## People, personal information and offence\n", 1)[1].split("\n## ", 1)[0]
    croissant = json.loads((release / "croissant.json").read_text(encoding="utf-8"))
    assert any(line in sentence for sentence in croissant["rai:personalSensitiveInformation"])


def test_a_release_without_findings_says_how_many_texts_were_searched(tmp_path: Path) -> None:
    release = write(tmp_path / "made", "", "")
    assert manifest_of(release)["screening"] == {"checked": 12, "texts": {}}
    assert "Rules and lists searched 12 texts for e-mail addresses," in (release / "README.md").read_text()
    assert "They found none." in (release / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(("key", "ending", "reason"), [
    ("personal", NUMBER, "personal"), ("personal", NAME, "personal"), ("slurs", "They called me a gyppo.", "slur"),
])  # fmt: skip
def test_a_recipe_can_reject_them(key: str, ending: str, reason: str, tmp_path: Path) -> None:
    release = write(tmp_path / "made", f"checks: {{{key}: reject}}\n", ending, "")
    assert manifest_of(release)["screening"] == {"checked": 12, "texts": {}}
    assert manifest_of(release)["rejects"]["expression"][reason] > 0
    assert manifest_of(release)["recipe"]["checks"][key] == "reject"


def test_the_keys_change_a_fingerprint_only_if_they_reject() -> None:
    plain = parse_recipe("rows: 7", "test").fingerprint()
    assert parse_recipe("rows: 7\nchecks: {personal: flag, slurs: flag}", "test").fingerprint() == plain
    other = {parse_recipe(f"rows: 7\nchecks: {{{key}: reject}}", "test").fingerprint() for key in ("personal", "slurs")}
    assert len(other | {plain}) == 3


def test_the_list_of_hits_is_bounded() -> None:
    screening = Screening()
    for number in range(MAX_HITS + 50):
        screening.add(f"joy-{number:06}", NUMBER)
    counts = screening.counts()
    assert counts["texts"] == {"phone": MAX_HITS + 50} and len(counts["hits"]) == MAX_HITS
