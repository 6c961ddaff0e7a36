"""Refusals and talk about the task in every language that has patterns, and innocent sentences that resemble them."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from personagen.builder.writing.checks import MAX_CHARACTERS, TextRules, Verdict, check_text
from personagen.builder.writing.replies.languages import languages_in
from personagen.builder.writing.replies.patterns import pattern_languages, patterns_of, read_language
from personagen.metrics.texts.emotion_words import straighten_apostrophes
from personagen.metrics.texts.words import letter_runs
from tests.helpers.real_texts import goemotions

SENTENCES: dict[str, dict[str, Any]] = yaml.safe_load(
    (Path(__file__).parent / "reply_sentences.yaml").read_text(encoding="utf-8")
)
TEN_BIGGEST = {"en", "zh", "hi", "es", "ar", "fr", "bn", "pt", "ru", "id", "ur"}
"""Languages with most speakers, Indonesian and Urdu at the tenth place."""


def check(text: str, language: str | None) -> Verdict:
    """Check a text of any length."""
    rules = TextRules(1, 1000, language, None, reject_leaks=False)
    return check_text(text, prompt="", finish="stop", rules=rules)


def test_every_language_with_patterns_has_sentences() -> None:
    assert set(pattern_languages()) == set(SENTENCES) > TEN_BIGGEST
    for language, sentences in SENTENCES.items():
        counts = {kind: len(sentences[kind]) for kind in ("refusal", "meta", "innocent", "wrapped")}
        assert min(counts.values()) >= 5, (language, counts)


@pytest.mark.parametrize("kind", ["refusal", "meta"])
@pytest.mark.parametrize("language", sorted(SENTENCES))
def test_refusals_and_talk_are_rejected_whatever_the_language_of_the_recipe(language: str, kind: str) -> None:
    """They come in the language of the recipe, or in that of the prompt, which the model may prefer."""
    other = "de" if language != "de" else "fr"
    missed = [
        (expected, sentence, reason)
        for sentence in SENTENCES[language][kind]
        for expected in (language, None, other)
        if (reason := check(sentence, expected).reason) != kind
    ]
    assert missed == []


@pytest.mark.parametrize("language", sorted(SENTENCES))
def test_what_a_person_may_say_is_accepted_as_it_is(language: str) -> None:
    for sentence in SENTENCES[language]["innocent"]:
        for verdict in (check(sentence, language), check(sentence, None)):
            assert (verdict.text, verdict.reason) == (sentence, None)


@pytest.mark.parametrize("language", sorted(SENTENCES))
def test_what_is_wrapped_around_a_text_is_removed(language: str) -> None:
    """An announcement in a line of its own or before quotation marks, a label, a note, an offer; the text is used."""
    text = SENTENCES[language]["text"]
    for wrapped in SENTENCES[language]["wrapped"]:
        verdict = check(wrapped.format(text), language)
        assert (verdict.text, verdict.reason) == (text, None), wrapped


@pytest.mark.parametrize("language", sorted(SENTENCES))
def test_a_hostile_reply_in_any_language_is_read_up_to_its_bound_only(language: str) -> None:
    """Beginnings of refusals, of talk and of announcements, repeated: no pattern backtracks without bound."""
    sentences = SENTENCES[language]
    for kind in ("refusal", "meta", "wrapped"):
        unit = sentences[kind][0][: len(sentences[kind][0]) // 2]
        whole = unit * (MAX_CHARACTERS // len(unit) + 2)
        assert check(whole, language) == check(whole[: MAX_CHARACTERS + 1], language)


def test_english_texts_are_searched_for_few_other_languages() -> None:
    """Each further language takes time, and nearly all texts are English."""
    texts = goemotions().texts
    words_of = {text: letter_runs(straighten_apostrophes(text).replace("'", "").casefold()) for text in texts}
    words = Counter(word for text in texts for word in set(words_of[text]))
    frequent = {word for word, count in words.items() if count > len(texts) / 200}
    for language in pattern_languages():
        assert frequent.isdisjoint(read_language(language).get("words", ())), language
    others = sum(len(languages_in(text, words_of[text], "en")) > 1 for text in texts)
    assert others < 0.05 * len(texts)


@pytest.mark.parametrize("language", sorted(set(SENTENCES) - {"en"}))
def test_patterns_of_another_language_reject_no_english_text(language: str) -> None:
    """Real texts, searched for the patterns of a language that they are not in."""
    patterns = patterns_of(language)
    texts = [text.replace("[NAME]", "Sam") for text in goemotions().texts]
    assert [text for text in texts if patterns.refusal.matches(text) or patterns.meta.matches(text)] == []


def test_case_makes_no_difference_to_patterns() -> None:
    """Texts are searched in lower case where that is faster; the result is that of a search that ignores case."""
    sentences = [text for kinds in SENTENCES.values() for texts in kinds.values() for text in texts]
    texts = [change(str(text)) for text in sentences for change in (str, str.upper, str.swapcase)]
    for pair in (pair for code in pattern_languages() for pair in (patterns_of(code).refusal, patterns_of(code).meta)):
        expected = [(pair.opening.match(text) or pair.anywhere.general.search(text)) is not None for text in texts]
        assert [pair.matches(text) for text in texts] == expected


@pytest.mark.parametrize(
    "text",
    [
        "\u0131 can't comply with that, sorry",
        "\u0130 can't comply with that, sorry",
        "a\u017f an ai I do not know",
        "I can't ta\u212ae on the role",
    ],
    ids=["dotless i", "dotted capital i", "long s", "kelvin"],
)
def test_letters_that_equal_an_ascii_letter_only_without_case_are_found(text: str) -> None:
    assert patterns_of("en").refusal.matches(text)


def test_a_language_without_patterns_is_searched_for_english_ones() -> None:
    assert languages_in("jag vill inte", ["jag", "vill", "inte"], "sv") == ("en",)
    assert check("I'm sorry, but I can't help with that request.", "sv").reason == "refusal"
