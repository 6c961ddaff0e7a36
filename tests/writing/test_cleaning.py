"""Cleaning of replies: wrapping and invisible characters go, the text stays."""

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personagen.builder.writing.cleaning import clean


@pytest.mark.parametrize(
    ("reply", "text"),
    [
        ("\"The door was open.\"", "The door was open."),
        ("“The door was open.”", "The door was open."),
        ("'The door wasn't open.'", "The door wasn't open."),
        ("\"He said \"run\" to me.\"", "He said \"run\" to me."),
        ("\"Run,\" he said, \"now.\"", "\"Run,\" he said, \"now.\""),
        ("The door was open.\"", "The door was open."),
        ("**The door was open.**", "The door was open."),
        ("Text: The door was open.", "The door was open."),
        ("**Diary entry:** The door was open.", "The door was open."),
        ("Sure! Here's a short post from her:\n\n\"The door was open.\"", "The door was open."),
        ("Here is the post:\n```text\nThe door was open.\n```", "The door was open."),
        ("<think>She is a nurse.\nShort.</think>\n\nThe door was open.", "The door was open."),
        ("The door was open.\n\n(Word count: 4)", "The door was open."),
        ("The door was open. (4 words)", "The door was open."),
        ("The door was open.\n\nNote: I kept it short.", "The door was open."),
        ("The door was open.<|im_end|>\n<|im_start|>user", "The door was open."),
        ("The door was open.\nUser: write another", "The door was open."),
        ("# Open\nThe door was open.\r\n\r\nI ran.", "The door was open. I ran."),
        ("#open The door\twas  open.", "#open The door was open."),
        ("Cafe\u0301 \x1b[31mclosed\x1b[0m\x07", "Café closed"),
        ("a\u202eb\u2066c\u200bd\ufeffe\u00adf\ud800g\U000e0041h", "abcdefgh"),
        ("👩\u200d🚒 a\u200db ❤\ufe0f a\ufe0f", "👩\u200d🚒 ab ❤\ufe0f a"),
        ("می\u200cروم", "می\u200cروم"),
    ],
)  # fmt: skip
def test_wrapping_and_invisible_characters_are_removed(reply: str, text: str) -> None:
    assert clean(reply) == text


@given(st.text(st.characters(codec=None)))
def test_cleaning_is_idempotent(text: str) -> None:
    """For any string, lone surrogates included."""
    assert clean(clean(text)) == clean(text)


WRAPPINGS = [
    *"\"'“”‘’«»*`#-:\n .ab1)[\u200d\ufe0f\u0301❤",
    "Text:",
    "Sure! Here is a post:",
    "```",
    "<think>",
    "</think>",
]


@given(st.lists(st.sampled_from(WRAPPINGS)).map("".join))
def test_cleaning_of_wrappings_is_idempotent(text: str) -> None:
    assert clean(clean(text)) == clean(text)


def test_no_invisible_character_is_left() -> None:
    """Of all format characters, only number signs stay, which are visible."""
    hidden = ("Cc", "Cs", "Co", "Zl", "Zp")
    left = set(
        clean("a".join(sign for sign in map(chr, range(0x110000)) if unicodedata.category(sign) in (*hidden, "Cf")))
    )
    assert {sign for sign in left if unicodedata.category(sign) in hidden} == set()
    visible = "\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd"
    assert {sign for sign in left if unicodedata.category(sign) == "Cf"} <= set(visible)


REMOVED_BEFORE = re.compile(
    "[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\ud800-\udfff\ue000-\uf8ff\U000f0000-\U0010ffff"
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\u2800\u3164"
    "\ufe00-\ufe0d\ufeff\uffa0\ufff0-\ufffb\U000110bd\U000110cd\U00013430-\U0001345f\U0001bca0-\U0001bca3"
    "\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
"""The characters that were removed before they were described by their properties."""

KEPT_NOW = {0x110BD, 0x110CD, *range(0x13440, 0x13460)}
"""Kaithi number signs, which are visible, and marks and blanks of Egyptian hieroglyphs."""

REMOVED_NOW = {*range(0xFDD0, 0xFDF0), *(plane << 16 | low for plane in range(15) for low in (0xFFFE, 0xFFFF))}
"""Noncharacters, which Unicode reserves for internal use of a program."""


def test_the_removed_characters_are_those_of_earlier_versions_but_for_named_exceptions() -> None:
    """Texts of older releases stay as they are: no exception occurs in text."""
    left = set(clean("a".join(map(chr, range(0x110000)))))
    for code in range(0x110000):
        character = chr(code)
        if character.isspace() or character in "\u200c\u200d\ufe0e\ufe0f" or unicodedata.combining(character):
            continue
        if unicodedata.normalize("NFC", character) != character:
            continue
        was_removed = REMOVED_BEFORE.match(character) is not None
        assert (character not in left) == ((was_removed or code in REMOVED_NOW) and code not in KEPT_NOW), hex(code)
