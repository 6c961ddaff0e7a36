"""Features of the surface of a text: hand-made texts with counts made by hand."""

from dataclasses import asdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personagen.metrics.style import StyleFeatures, style_features
from personagen.metrics.style.features import FEATURES


def test_features_of_a_comment_counted_by_hand() -> None:
    assert style_features("omg I LOVE it!! dont you think? It's Anna's 😂 lol", "joy") == StyleFeatures(
        words=10,
        sentences=3,
        expression="named",
        lowercase=True,
        unpunctuated=True,
        shouted=1,
        exclamations=2,
        questions=1,
        contractions=1,
        misspelt=1,
        emoji=1,
        laughter=1,
        profanity=0,
        first=True,
        second=True,
        third=False,
        fragments=0,
        positive=2,
        negative=0,
    )


def test_features_of_a_report_counted_by_hand() -> None:
    features = style_features("They told her on Monday. No warning, no letter. She didn't say a damn word.", "anger")
    assert (features.words, features.sentences, features.fragments) == (15, 3, 1)
    assert (features.first, features.second, features.third) == (False, False, True)
    assert (features.contractions, features.profanity, features.expression) == (1, 1, "voiced")
    assert not features.lowercase
    assert not features.unpunctuated
    assert (features.positive, features.negative) == (3, 1)  # the first "no" is negative and negates


@pytest.mark.parametrize(("text", "emoji"), [("ok 👍🏻", 1), ("see 🇫🇷 soon", 1), ("hi :) <3", 2), ("http://a.b", 0)])
def test_a_flag_and_a_skin_tone_are_one_emoji(text: str, emoji: int) -> None:
    assert style_features(text).emoji == emoji


def test_a_masked_name_is_neither_shouted_nor_the_first_letter() -> None:
    features = style_features("[NAME] said so. And THAT was it, LOL")
    assert features.shouted == 1
    assert features.lowercase


def test_an_abbreviation_without_a_vowel_is_not_shouted() -> None:
    assert style_features("The NBL and the BBC").shouted == 0


def test_a_possessive_is_no_contraction() -> None:
    assert style_features("John's dog isn't here, that's all").contractions == 2


@pytest.mark.parametrize("text", ["", " \n\t", "\u200b"])
def test_a_text_without_a_word_has_no_count(text: str) -> None:
    features = asdict(style_features(text))
    assert features.pop("expression") == "shown"
    assert features.pop("words") == 0


@given(st.text(max_size=200))
def test_any_string_has_counts_from_zero(text: str) -> None:
    features = asdict(style_features(text))
    assert tuple(features) == FEATURES
    features.pop("expression")
    assert all(value >= 0 for value in features.values())


@given(st.text(alphabet="a.!? '’:)😂HA", max_size=60))
def test_fragments_are_sentences(text: str) -> None:
    features = style_features(text)
    assert features.fragments <= features.sentences
