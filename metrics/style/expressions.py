"""Measure how openly a text expresses an emotion: it names the feeling, voices it, or shows it by events and acts.

The word lists are English. The figures of other languages are not defined.
"""

from collections.abc import Mapping
from functools import cache
from itertools import chain
from typing import Literal

import regex

from personagen.metrics.style import voice_lexicon
from personagen.metrics.texts.emotion_lexicon import LEXICON
from personagen.metrics.texts.emotion_words import emotion_pattern, straighten_apostrophes, word_pattern

Expression = Literal["named", "voiced", "shown"]

EXPRESSIONS: tuple[Expression, ...] = ("named", "voiced", "shown")
"""Ways to express an emotion, the most open first."""

FAMILIES: Mapping[str, tuple[str, ...]] = {
    "anger": ("anger", "annoyance", "disapproval"),
    "disgust": ("disgust",),
    "fear": ("fear", "nervousness"),
    "joy": (
        "joy", "admiration", "amusement", "approval", "caring", "desire", "excitement", "gratitude", "love", "optimism",
        "pride", "relief",
    ),
    "sadness": ("sadness", "disappointment", "embarrassment", "grief", "remorse"),
    "surprise": ("surprise", "confusion", "curiosity", "realization"),
}  # fmt: skip
"""Labels by basic emotion: the mapping that GoEmotions publishes (Demszky et al., 2020)."""

EMOJI = (
    r"(?:\p{RI}\p{RI}|(?!\p{Emoji_Modifier})[\p{Emoji_Presentation}\u2639\u263a\u2764]|\p{Extended_Pictographic}\ufe0f|"
    r"(?<![\w:])(?:[:;=8]['’]?-?[)(\]\[DPpOo/\\|*$]+|<3+|\^_?\^|[T;]_+[T;]|-_+-)(?![\w/]))"
)
"""Regular expression of an emoji or an emoticon; a flag is one, a skin tone none."""

_SIGNS = regex.compile(EMOJI + r"|(?<!\w):'(?!\w)|[!?]{2,}|![\"'”)\]\s]*\Z")
"""Emoji, emoticons and marks that are repeated, or an exclamation mark at the end."""

_ELONGATED = regex.compile(r"(\p{L})\1{3,}|(?!(?<!\p{L})iii(?!\p{L}))([aeiouy])\2{2,}", regex.IGNORECASE)
"""A letter four times, or a vowel three times in a row; the numeral III is none."""

_SHOUTED = regex.compile(r"(?<![\p{L}\[])\p{Lu}{4,}(?![\p{L}\]])[^\p{L}\[\]]+\p{Lu}{2,}(?![\p{L}\]])")
"""Two words in capitals, the first of four letters or more; masks such as [NAME] do not count."""


def expression_of(text: str, emotion: str | None = None) -> Expression:
    """Return how an English text expresses an emotion.

    "named": a word names the feeling. Thanks and apologies count as voices of a feeling, not as its name. "voiced": the
    text swears, insults, laughs, thanks, pleads, apologises or exclaims. "shown": neither.

    Args:
        text: any string.
        emotion: label of the text; words that name another feeling do not count. None: any feeling counts.

    """
    plain = straighten_apostrophes(text)
    pattern = _naming(emotion)
    if pattern is not None and pattern.search(_performed().sub(" ", plain)):
        return "named"
    voiced = _voicing().search(plain) or _SIGNS.search(plain) or _ELONGATED.search(plain) or _SHOUTED.search(plain)
    return "voiced" if voiced else "shown"


def family_of(emotion: str) -> str:
    """Return the basic emotion that a label belongs to; the label itself if it belongs to none."""
    return next((family for family, labels in FAMILIES.items() if emotion in labels), emotion)


@cache
def _naming(emotion: str | None) -> "regex.Pattern[str] | None":
    """Compile the words that name an emotion or one of its family. None: neutral."""
    emotions = FAMILIES if emotion is None else (emotion,)
    names = [pattern for one in emotions for pattern in _names(one)]
    return word_pattern(dict.fromkeys(names)) if names else None


def _names(emotion: str) -> list[str]:
    family = family_of(emotion.strip().lower())
    if family not in FAMILIES:
        own = emotion_pattern(emotion)
        return [] if own is None else [own.pattern, *voice_lexicon.FEELING_WORDS.get(family, ())]
    words = chain.from_iterable(LEXICON[label] for label in FAMILIES[family])
    return [*words, *voice_lexicon.FEELING_WORDS.get(family, ())]


@cache
def _performed() -> "regex.Pattern[str]":
    return word_pattern([*voice_lexicon.THANKS, *voice_lexicon.APOLOGIES])


@cache
def _voicing() -> "regex.Pattern[str]":
    kinds = (
        voice_lexicon.PROFANITY, voice_lexicon.INSULTS, voice_lexicon.LAUGHTER, voice_lexicon.THANKS,
        voice_lexicon.APOLOGIES, voice_lexicon.PLEAS, voice_lexicon.THREATS, voice_lexicon.INTERJECTIONS,
    )  # fmt: skip
    return word_pattern(chain.from_iterable(kinds))
