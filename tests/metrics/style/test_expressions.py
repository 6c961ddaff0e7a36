"""How openly a text expresses its emotion: hand-made texts with the answer that a person gives."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personagen.metrics.style import EXPRESSIONS, expression_of
from personagen.metrics.style.expressions import FAMILIES, family_of


@pytest.mark.parametrize(
    ("text", "emotion"),
    [
        ("I hate that song.", "annoyance"),
        ("This is truly terrifying.", "fear"),
        ("I'm a bit worried about the exam", "nervousness"),
        ("That's just sad and depressing.", "sadness"),
        ("It would be hilarious if it was a pasta place too", "joy"),
        ("I don’t like it, Maria.", "disgust"),
        ("She just saw red.", "anger"),
        ("I miss the old days.", "sadness"),
        ("I've always wondered why they play at eight", "curiosity"),
        ("I feel worthless today", "sadness"),
    ],
)
def test_a_word_of_the_feeling_names_it(text: str, emotion: str) -> None:
    assert expression_of(text, emotion) == "named"


@pytest.mark.parametrize(
    "text",
    [
        "Where the hell were you all night",
        "Well, I'm an idiot.",
        "lol i highly doubt it",
        "Thanks, I'll try that.",
        "Sorry about the noise",
        "Please don't go in there",
        "That poor janitor.",
        "How weird.",
        "The shop was closed 😭",
        "the bus left without me :(",
        "The bus left without me!!",
        "sooooo we waited",
        "I wish I had stayed at home",
        "I could not believe my eyes",
        "I'll kill you for that",
        "DONT WAIT FOR ME",
    ],
)
def test_swearing_laughing_thanking_and_pleading_voice_a_feeling(text: str) -> None:
    assert expression_of(text, "surprise" if "weird" not in text else "disgust") == "voiced"


@pytest.mark.parametrize(
    ("text", "emotion"),
    [
        ("The phone rang at four and I sat on the edge of the bed.", "fear"),
        ("Please call me before noon to confirm the meeting.", "joy"),
        ("I wish to inform you that the office is closed.", "sadness"),
        ("He used to run a shop behind the station.", "fear"),
        ("She passed the class and took the bass home.", "anger"),
        ("They tore up the floor and tried to rip off the paint.", "sadness"),
        ("The knee jerk reaction came first.", "anger"),
        ("I sat down and put the bag down.", "sadness"),
        ("She nodded, tears on her cheeks.", "sadness"),
        ("They shoot pictures of the bloody nose.", "anger"),
        ("That is what a plumber does.", "surprise"),
        ("There's no way around the hill.", "joy"),
        ("Back home sick with a cold, I slept.", "disgust"),
        ("[NAME], [NAME] and [PERSON] came for tea.", "joy"),
        ("World War III is the name of the film.", "fear"),
    ],
)
def test_literal_and_polite_uses_show_at_most(text: str, emotion: str) -> None:
    assert expression_of(text, emotion) == "shown"


def test_words_of_another_feeling_do_not_name_it_and_any_feeling_counts_without_a_label() -> None:
    assert expression_of("He was furious with the referee.", "joy") == "shown"
    assert expression_of("He was furious with the referee.") == "named"


def test_no_word_names_neutral() -> None:
    assert expression_of("I am so happy and so sad.", "neutral") == "shown"


def test_thanks_and_apologies_are_no_names() -> None:
    assert expression_of("thanks for the lift", "gratitude") == "voiced"
    assert expression_of("I'm so sorry for your loss", "sadness") == "voiced"
    assert expression_of("thanks, I loved it", "gratitude") == "named"


def test_a_label_outside_the_families_has_its_own_words() -> None:
    assert expression_of("I feel trust in her.", "trust") == "named"
    assert expression_of("I'm so excited for tomorrow", "anticipation") == "named"
    assert expression_of("I feel safe with you", "trust") == "named"
    assert expression_of("I was in a zorgish mood", "zorgish") == "named"
    assert expression_of("I was in a good seat", "zorgish") == "shown"


def test_every_label_has_one_family() -> None:
    labels = [label for family in FAMILIES.values() for label in family]
    assert len(labels) == len(set(labels))
    assert all(family_of(label) == family for family, own in FAMILIES.items() for label in own)
    assert family_of("neutral") == "neutral"
    assert family_of("trust") == "trust"


@given(st.text(max_size=200), st.sampled_from([None, "neutral", "trust", *FAMILIES]))
def test_any_string_has_an_expression(text: str, emotion: str | None) -> None:
    assert expression_of(text, emotion) in EXPRESSIONS
