"""Words that name an emotion: the leak flag, the leak rate and masking answer alike."""

import pytest

from personagen.builder.planning.taxonomy import NAMED_TAXONOMIES, named_taxonomy
from personagen.builder.writing.checks import TextRules, check_text
from personagen.builder.writing.replies.caseless import make_caseless
from personagen.metrics.texts.emotion_lexicon import LEXICON
from personagen.metrics.texts.emotion_words import (
    MASK,
    emotion_pattern,
    is_listed,
    mask_pattern,
    mask_words,
    names_emotion,
    straighten_apostrophes,
)
from personagen.metrics.utility.leakage import requested_mask
from tests.helpers.real_texts import goemotions

NAMED_IN = {
    "admiration": "I admired the old man", "amusement": "that was hilariously odd", "anger": "I'm so MAD at you",
    "annoyance": "what an irritation", "anticipation": "looking forward to it", "approval": "I approve of it",
    "caring": "I care about you", "confusion": "utterly confused", "curiosity": "I wonder why",
    "desire": "I crave it", "disappointment": "a letdown", "disapproval": "I disapprove", "disgust": "this is gross",
    "embarrassment": "so embarrassing", "excitement": "I'm stoked", "fear": "too frightened to go",
    "gratitude": "thank you all", "grief": "I'm grieving", "joy": "the happiest day", "love": "I loved her",
    "nervousness": "I'm worried", "optimism": "I am hopeful", "pride": "so proud of you",
    "realization": "then I realised", "relief": "what a relief", "remorse": "I regret it", "sadness": "it’s sad",
    "surprise": "what a surprise", "trust": "I trust him",
}  # fmt: skip
NOT_NAMED_IN = {
    "admiration": "due respectively", "amusement": "the amusement park was shut",
    "anger": "I drove like mad, made it to the hangar", "annoyance": "I didn't bother to call",
    "anticipation": "life expectation tables", "approval": "a greeting", "caring": "take care, the car",
    "confusion": "a puzzle piece", "curiosity": "a wonder of the world", "desire": "along the way",
    "disappointment": "an appointment", "disapproval": "the object on the table",
    "disgust": "sick of waiting, gross income", "embarrassment": "a barrel", "excitement": "the exit",
    "fear": "I'm afraid not, a terrific scarf", "gratitude": "thanks to the rain", "grief": "a brief",
    "joy": "happy birthday, the joystick", "love": "my gloves", "nervousness": "the nervous system",
    "optimism": "the hop", "pride": "the pride parade", "realization": "the real one",
    "relief": "the relief pitcher", "remorse": "sorry to hear that, Morse", "sadness": "a saddle",
    "surprise": "a surprise party, the enterprise", "trust": "the trust fund, rusty",
}  # fmt: skip
SENTENCES = [
    ("joy", "We rejoiced when the train came at last.", True),
    ("joy", "My aunt was overjoyed with the tiny flat.", True),
    ("joy", "I enjoyed the soup and went home.", False),
    ("joy", "What a joyride through the old town.", False),
    ("anger", "She left furiously and slammed the gate.", True),
    ("anger", "An outrageous bill for a cold coffee.", True),
    ("anger", "The neighbours were enraged about the noise.", True),
    ("anger", "He threw the plate against the wall.", False),
    ("fear", "It terrified me to hear the steps again.", True),
    ("fear", "We were scared of the empty house.", True),
    ("fear", "She stayed unafraid on the ladder.", False),
    ("sadness", "It saddens me to sell the piano.", True),
    ("sadness", "He came home heartbroken and unhappy.", True),
    ("sadness", "The saddle fell off the horse.", False),
    ("surprise", "To my astonishment the shop was open.", True),
    ("surprise", "We had a surprise party in the yard.", False),
    ("disgust", "A revolting smell came out of the drain.", True),
    ("disgust", "The gross income is on the second page.", False),
    ("trust", "I can rely on the woman next door.", True),
    ("devil's_luck", "With the devil’s luck we caught the bus.", True),
    ("devil’s_luck", "With the devil's luck we caught the bus.", True),
    ("neutral", "The neutral report lies on the desk.", False),
]
"""Sentences written for this test; no word of the emotions in them stands literally in the lexicon's source."""


def leaked_flag(text: str, emotion: str) -> bool:
    """Return the flag that a release's row would carry."""
    words = emotion_pattern(emotion)
    rules = TextRules(1, 60, None, None if words is None else make_caseless(words), reject_leaks=False)
    return check_text(text, prompt="", finish="stop", rules=rules).leaked


@pytest.mark.parametrize(("emotion", "text", "named"), SENTENCES)
def test_flag_rate_and_masking_answer_alike(emotion: str, text: str, named: bool) -> None:
    assert leaked_flag(text, emotion) == names_emotion(text, emotion) == named
    for pattern in (mask_pattern(frozenset({emotion})), requested_mask(True, [emotion])):
        masked = mask_words(text, pattern)
        assert (masked != text) == (MASK in masked) == named
        assert not names_emotion(masked, emotion)


def test_masking_all_labels_leaves_no_word_that_names_one() -> None:
    corpus = goemotions()
    labels = sorted(set(corpus.labels or ()))
    pattern = mask_pattern(frozenset(labels))
    assert sum(names_emotion(text, label) for text in corpus.texts for label in labels) > 100
    masked = [mask_words(text, pattern) for text in corpus.texts]
    assert not any(names_emotion(text, label) for text in masked for label in labels)


@pytest.mark.parametrize("emotion", sorted(NAMED_IN))
def test_lexicon_finds_its_emotion_and_no_idioms(emotion: str) -> None:
    assert names_emotion(NAMED_IN[emotion], emotion)
    assert not names_emotion(NOT_NAMED_IN[emotion], emotion)
    assert names_emotion(emotion.upper(), emotion)


def test_lexicon_covers_the_taxonomies() -> None:
    labels = {name for taxonomy in NAMED_TAXONOMIES for name in named_taxonomy(taxonomy).names}
    assert set(LEXICON) == labels - {"neutral"} == set(NAMED_IN) == set(NOT_NAMED_IN)
    assert emotion_pattern("neutral") is None and mask_pattern(frozenset({"neutral"})) is None


@pytest.mark.parametrize(
    ("emotion", "text", "named"),
    [
        ("quiet_pride", "a Quiet pride", True),
        ("quiet_pride", "pride, quietly", False),
        ("a+", "got A+ in maths", True),
        ("angry", "That made me mad", True),
        ("Worried", "I was so anxious", True),
        ("worried", "I was so mad", False),
        ("sea-sick", "it makes me sea sick", True),
    ],
)
def test_another_label_has_its_name_and_the_words_of_the_entries_that_list_it(
    emotion: str, text: str, named: bool
) -> None:
    assert names_emotion(text, emotion) == named


def test_labels_without_words_of_the_lexicon_are_known() -> None:
    assert all(map(is_listed, [*NAMED_IN, "neutral", "angry", "Worried"]))
    assert not any(map(is_listed, ["quiet_pride", "schadenfreude", "wütend"]))


def test_masking_keeps_the_rest_of_the_text() -> None:
    pattern = mask_pattern(frozenset({"joy", "anger", "pride"}))
    assert mask_words("Joyful, ANGRY me! It’s enjoyment, pride", pattern) == (
        "[EMOTION], [EMOTION] me! It’s enjoyment, [EMOTION]"
    )
    assert mask_words("as it is", None) == "as it is"
    assert mask_words("one emotion", mask_pattern(frozenset({"emotion"}))) == "one [EMOTION]"


def test_words_of_the_caller_match_either_apostrophe() -> None:
    for word, text in (("can’t wait", "I can't wait."), ("can't wait", "I can’t wait.")):
        assert mask_words(text, requested_mask({"joy": [word]}, ["joy"])) == "I [EMOTION]."


def test_straightened_apostrophes_keep_positions() -> None:
    assert straighten_apostrophes("it’s ʼtwas") == "it's 'twas"
