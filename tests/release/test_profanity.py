"""Releases with swear words: manifest and card count their texts, and say nothing of them where there are none."""

from pathlib import Path

import pytest

from personagen.metrics.style import style_features
from tests.helpers.releasing import make_release, manifest_of, records
from tests.helpers.servers.behaviours.contents.languages import SPEECHES, answer, sentences
from tests.helpers.servers.behaviours.records import Behaviour, OddAnswer, OddCall, always
from tests.helpers.servers.odd_server import OddServer

RECIPE = "emotions: [joy, fear]\nrows: 12\ndepth: none\nablations: [demographic]\nelaborate: {sociocultural: sampled}\n"
TEXT = "text: {min_words: 8, max_words: 120}\n"
IN = "text: {{language: {}, min_words: 8, max_words: 120}}\n"
NOTE = "have a swear word, by an English list that is not complete"


def write(folder: Path, recipe: str, endings: tuple[str, ...], languages: tuple[str, ...] = ("en",)) -> Path:
    """Make a release with a model whose texts have the endings, and are in the languages, in turn."""

    def serve(call: OddCall) -> OddAnswer:
        language = languages[call.number % len(languages)]
        return answer(call, f"{sentences(SPEECHES[language], call)} {endings[call.number % len(endings)]}".strip())

    with OddServer(Behaviour("swearing", "languages", always(serve), "models")) as server:
        return make_release(folder, server.base_url, RECIPE + recipe)


def swearing(release: Path) -> tuple[int, int]:
    """Return how many checked texts have a swear word, and how many were checked."""
    rows = [row for config in ("joy", "fear", "depth_demographic") for row in records(release, config)]
    checked = [row["text"] for row in rows if not any("а" <= letter <= "я" for letter in row["text"])]
    return sum(style_features(text).profanity > 0 for text in checked), len(checked)


@pytest.mark.parametrize("expression", ["shown", "{voiced: 0.5, shown: 0.5}"])
def test_manifest_and_card_count_the_texts_that_swear(tmp_path: Path, expression: str) -> None:
    release = write(tmp_path / "made", f"{TEXT}expression: {expression}\n", ("", "Damn it.", ""))
    number, total = swearing(release)
    assert 0 < number < total == 24
    assert manifest_of(release)["profanity"] == {"texts": number, "checked": total}
    card = (release / "README.md").read_text(encoding="utf-8")
    people = card.split("\n## People, personal information and offence\n", 1)[1].split("\n## ", 1)[0]
    assert f"- {number} of {total} checked texts ({100 * number / total:.0f} %) {NOTE}" in people


def test_nothing_is_said_where_no_text_swears(tmp_path: Path) -> None:
    release = write(tmp_path / "made", TEXT, ("", "What a day!"))
    assert swearing(release) == (0, 24)
    assert "profanity" not in manifest_of(release)
    assert "have a swear word" not in (release / "README.md").read_text(encoding="utf-8")


def test_only_english_texts_are_searched(tmp_path: Path) -> None:
    """The list is English: a German word for a bright room is no oath."""
    german = write(tmp_path / "german", IN.format("de"), ("Das Zimmer ist hell, damn.",), ("de",))
    assert "profanity" not in manifest_of(german)
    mixed = write(tmp_path / "mixed", IN.format("null"), ("Damn it.", "Damn it.", ""), ("en", "ru"))
    number, total = swearing(mixed)
    assert 0 < number < total < 24 and manifest_of(mixed)["profanity"] == {"texts": number, "checked": total}
    card = (mixed / "README.md").read_text(encoding="utf-8")
    assert f"- {number} of {total} checked texts ({100 * number / total:.0f} %) {NOTE}" in card
