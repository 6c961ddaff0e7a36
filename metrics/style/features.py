"""Features of the surface of an English text: length, marks, capitals, spelling, address, laughter, swearing."""

from dataclasses import dataclass, fields
from functools import cache

import regex

from personagen.metrics.style import voice_lexicon
from personagen.metrics.style.expressions import EMOJI, Expression, expression_of
from personagen.metrics.style.valence import valenced_words
from personagen.metrics.texts.emotion_words import straighten_apostrophes, word_pattern
from personagen.metrics.texts.words import count_words

_SENTENCE = regex.compile(r"[^.!?…]*[^\s.!?…][^.!?…]*(?:[.!?…]+|\Z)")
_EMOJI = regex.compile(EMOJI)
_END = regex.compile(rf"(?:[.!?…\"'”)*]|{EMOJI})\Z")
_LETTER = regex.compile(r"\p{L}")
_MASK = regex.compile(r"\[\p{Lu}+\]")
"""A masked name, such as [NAME]: neither shouted nor the first letter of the text."""

_SHOUTED = regex.compile(
    r"(?<!\p{L})(?:(?=\p{Lu}*[AEIOUY])(?!LMF?AO|ROFL|LO+L)\p{Lu}{4,}|ALL|AND|ANY|ARE|BAD|BIG|BUT|CAN|DAY|DID|FOR|FUN|GET|GOT|"
    r"HAD|HAS|HER|HIM|HIS|HOT|HOW|NEW|NOT|NOW|OFF|ONE|OUR|OUT|SAD|SEE|SHE|THE|TOO|WAS|WAY|WHO|WHY|YES|YOU)(?!\p{L})"
)
"""Words in capitals that are no abbreviation: four letters with a vowel, or a frequent word of three."""

_CONTRACTION = regex.compile(
    r"\b(?:\p{L}+'(?:m|re|ve|ll|d|t|all)|(?:it|he|she|that|there|here|what|who|where|how|when|why|let|this|one|every\w+|"
    r"some\w+|no\w+)'s)\b",
    regex.IGNORECASE,
)
"""Contractions; a possessive ("John's") is none."""

_FIRST = regex.compile(r"\b(?:i|im|ive|me|my|mine|myself|we|us|ours?|ourselves|(?:i|we)'\w+)\b", regex.IGNORECASE)
_SECOND = regex.compile(r"\b(?:you|yours?|yourself|yourselves|u|ur|ya|youre|y'all|you'\w+)\b", regex.IGNORECASE)
_THIRD = regex.compile(
    r"\b(?:he|she|they|him|her|them|his|hers|theirs?|himself|herself|themselves|(?:he|she|they)'\w+)\b",
    regex.IGNORECASE,
)
_VERB = regex.compile(rf"\b(?:{'|'.join(voice_lexicon.FINITE_VERBS)})\b", regex.IGNORECASE)


@dataclass(frozen=True, slots=True)
class StyleFeatures:
    """How a text is written.

    Attributes:
        words: number of words.
        sentences: number of runs that end with a mark or the text, 1 or more unless the text is empty.
        expression: how openly the emotion is expressed.
        lowercase: whether the first letter is small.
        unpunctuated: whether the text ends without a mark or an emoji.
        shouted: words in capitals, of four letters or more or frequent ones of three.
        exclamations: exclamation marks.
        questions: question marks.
        contractions: words with an apostrophe, such as "don't".
        misspelt: words in a chat spelling, such as "dont", "u" or "gonna".
        emoji: emoji and emoticons.
        laughter: words of laughter.
        profanity: swear words.
        first: whether it says I or we.
        second: whether it says you.
        third: whether it says he, she or they.
        fragments: sentences without a frequent finite verb.
        positive: words with a positive valence.
        negative: words with a negative valence.

    """

    words: int
    sentences: int
    expression: Expression
    lowercase: bool
    unpunctuated: bool
    shouted: int
    exclamations: int
    questions: int
    contractions: int
    misspelt: int
    emoji: int
    laughter: int
    profanity: int
    first: bool
    second: bool
    third: bool
    fragments: int
    positive: int
    negative: int


FEATURES = tuple(field.name for field in fields(StyleFeatures))
"""Names of the features, in order."""


def style_features(text: str, emotion: str | None = None) -> StyleFeatures:
    """Return the features of an English text.

    Args:
        text: any string.
        emotion: label of the text; see `expression_of`.

    """
    plain = straighten_apostrophes(text).strip()
    sentences = _SENTENCE.findall(plain)
    unmasked = _MASK.sub("", plain)
    letter = _LETTER.search(unmasked)
    positive, negative = valenced_words(plain)
    return StyleFeatures(
        words=count_words(plain),
        sentences=len(sentences),
        expression=expression_of(plain, emotion),
        lowercase=letter is not None and letter[0].islower(),
        unpunctuated=bool(plain) and _END.search(plain) is None,
        shouted=len(_SHOUTED.findall(unmasked)),
        exclamations=plain.count("!"),
        questions=plain.count("?"),
        contractions=len(_CONTRACTION.findall(plain)),
        misspelt=len(_pattern(voice_lexicon.MISSPELT).findall(plain)),
        emoji=len(_EMOJI.findall(plain)),
        laughter=len(_pattern(voice_lexicon.LAUGHTER).findall(plain)),
        profanity=swear_words(plain),
        first=_FIRST.search(plain) is not None,
        second=_SECOND.search(plain) is not None,
        third=_THIRD.search(plain) is not None,
        fragments=sum(_VERB.search(sentence) is None for sentence in sentences),
        positive=positive,
        negative=negative,
    )


def swear_words(text: str) -> int:
    """Return the number of swear words of an English text."""
    return len(_pattern(voice_lexicon.PROFANITY).findall(straighten_apostrophes(text)))


@cache
def _pattern(expressions: tuple[str, ...]) -> "regex.Pattern[str]":
    return word_pattern(expressions)
