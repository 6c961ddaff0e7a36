"""Releases in languages that lack a lexicon of emotion words, or patterns of refusals: what was not checked says so."""

import json
from pathlib import Path
from typing import Any

import pytest

import personagen as pg
from personagen.builder.cli.display import summary, summary_lines
from personagen.builder.core.errors import ReleaseError
from personagen.builder.release.cards.card import render_card
from personagen.builder.release.folder import check_release, parse_manifest
from personagen.builder.release.texts import read_texts
from tests.helpers.releasing import make_release, manifest_of, records
from tests.helpers.servers.behaviours.contents.languages import SPEECHES, answer, sentences
from tests.helpers.servers.behaviours.records import Behaviour, OddAnswer, OddCall, always
from tests.helpers.servers.odd_server import OddServer
from tests.release.cards.test_card import MANIFEST

RECIPE = "emotions: [joy, fear, neutral]\nrows: 12\ndepth: none\nsplits: {train: 1, validation: 0, test: 0}\n"
NOT_CHECKED = "Whether the texts name their emotion was not checked: the word list is English."


def write(folder: Path, recipe: str, languages: tuple[str, ...]) -> Path:
    """Make a release with a model that writes in the languages in turn."""

    def serve(call: OddCall) -> OddAnswer:
        return answer(call, sentences(SPEECHES[languages[call.number % len(languages)]], call))

    with OddServer(Behaviour("languages in turn", "languages", always(serve), "models")) as server:
        return make_release(folder, server.base_url, RECIPE + recipe)


def texts(release: Path) -> list[dict[str, Any]]:
    """Read the rows of every emotion."""
    return [row for emotion in ("fear", "joy", "neutral") for row in records(release, emotion)]


@pytest.fixture(scope="module")
def german(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("german") / "personagen", "text: {language: de}", ("de",))


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("mixed") / "personagen", "text: {language: null}", ("en", "ru"))


@pytest.fixture
def manifest() -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(MANIFEST.read_text(encoding="utf-8"))
    return parsed


def test_no_text_of_a_language_without_a_lexicon_is_checked(german: Path) -> None:
    """Neither is a neutral one, which no word names: nothing was looked for."""
    rows = texts(german)
    assert len(rows) == 12 and not any("leaked" in row["provenance"] for row in rows)
    assert manifest_of(german)["leaked"] is None and "leak_unchecked" not in manifest_of(german)
    assert "provenance.leaked" in manifest_of(german)["left_out"]


def test_a_release_that_was_not_checked_is_valid_and_loads(german: Path) -> None:
    assert check_release(german)["leaked"] is None
    release = pg.Release(german)
    assert len(release.load(split="train")) == 12 and "provenance.leaked" not in release.to_pandas()
    read = read_texts(german, manifest_of(german))
    assert {row["provenance"]["leaked"] for row in read.rows} == {None}


def test_card_and_inspect_say_that_nothing_was_checked(german: Path) -> None:
    card = (german / "README.md").read_text(encoding="utf-8")
    assert NOT_CHECKED in card and "finds hardly any" not in card and "Refusals of the model" not in card
    facts = summary(german, manifest_of(german), 0)
    assert facts["leaked"] is None
    assert "texts that name their emotion: not checked: the word list is English" in list(summary_lines(facts))


def test_without_a_language_each_text_is_checked_by_its_own(mixed: Path) -> None:
    rows = texts(mixed)
    is_russian = [any("а" <= letter <= "я" for letter in row["text"]) for row in rows]
    assert 0 < sum(is_russian) < len(rows)
    assert [row["provenance"]["expression_found"] == "not checked" for row in rows] == is_russian
    read = read_texts(mixed, manifest_of(mixed))
    assert [row["provenance"]["leaked"] is None for row in read.rows] == is_russian
    stored = manifest_of(mixed)
    assert (stored["leaked"], stored["leak_unchecked"]) == (0, sum(is_russian))
    note = f"{sum(is_russian)} texts that are not in English were not checked"
    card = (mixed / "README.md").read_text(encoding="utf-8")
    assert f"not complete. {note}." in card and "talk about the task were checked in ar, bn, de, en, " in card
    facts = summary(mixed, stored, 0)
    assert facts["leak_unchecked"] == sum(is_russian)
    assert f"texts that name their emotion: 0 ({note})" in list(summary_lines(facts))


def test_a_language_without_patterns_of_refusals_is_named_in_the_card(manifest: dict[str, Any]) -> None:
    manifest["recipe"]["text"]["language"] = "sv"
    assert "- Refusals of the model and its talk about the task were not checked in sv: some" in render_card(manifest)
    manifest["recipe"]["text"]["language"] = "pl"
    assert "Refusals of the model" not in render_card(manifest)


def test_a_release_from_before_patterns_of_other_languages_was_checked_in_english_only(
    manifest: dict[str, Any],
) -> None:
    """Its tables name the patterns that it was made with."""
    manifest["tables"] = {"reply_patterns.yaml": "0"}
    assert "Refusals of the model" not in render_card(manifest)
    manifest["recipe"]["text"]["language"] = "pl"
    assert "talk about the task were not checked in pl: some" in render_card(manifest)
    manifest["recipe"]["text"]["language"] = None
    assert "talk about the task were checked in en only: some" in render_card(manifest)


def test_a_manifest_has_a_count_of_leaks_or_null(manifest: dict[str, Any]) -> None:
    for leaked in (0, 7, None):
        assert parse_manifest(json.dumps(manifest | {"leaked": leaked}), "m")["leaked"] == leaked
    for damaged in (manifest | {"leaked": "no"}, {key: manifest[key] for key in manifest if key != "leaked"}):
        with pytest.raises(
            ReleaseError,
            match=r"^m (lacks leaked|is malformed at 'leaked': got str, wanted a valid integer); run its `generate`",
        ):
            parse_manifest(json.dumps(damaged), "m")
