"""Find and mask the words of a text that name an emotion: one definition for the leak flag, the leak rate and masking.

The lexicon is English (`emotion_lexicon`): texts of other languages are not checked.
"""

import re
from collections.abc import Iterable
from functools import cache
from itertools import chain

from personagen.metrics.texts.emotion_lexicon import LEXICON

MASK = "[EMOTION]"
"""Replacement of a masked word."""

LEXICON_LANGUAGES = ("en",)
"""ISO 639-1 codes of the languages whose texts can be searched for emotion words."""

NO_WORD = re.compile(r"(?!)")
"""Pattern without a match."""

_SEPARATOR = re.compile(r"[\s_-]+")


@cache
def emotion_pattern(emotion: str) -> re.Pattern[str] | None:
    """Compile the pattern of the words that name an emotion, to be searched in `straighten_apostrophes(text)`.

    A label of the lexicon has the words of its entry. Any other label has its own name, spaced or hyphenated in any
    way, and the words of every entry that lists the name: "worried" has those of nervousness. None: neutral, which no
    word names.
    """
    name = emotion.strip().lower()
    if not name or name == "neutral":
        return None
    if name in LEXICON:
        return word_pattern(LEXICON[name])
    own_name = r"[\s_-]+".join(map(re.escape, _SEPARATOR.split(name)))
    return word_pattern([own_name, *chain.from_iterable(_entries_of(name))])


@cache
def mask_pattern(emotions: frozenset[str]) -> re.Pattern[str] | None:
    """Compile the pattern of the words that name any of the emotions. None: no word names one."""
    patterns = [pattern.pattern for emotion in sorted(emotions) if (pattern := emotion_pattern(emotion))]
    return re.compile("|".join(patterns), re.IGNORECASE) if patterns else None


def is_listed(emotion: str) -> bool:
    """Return whether the lexicon has words for an emotion; neutral counts, since no word names it."""
    name = emotion.strip().lower()
    return name in ("", "neutral") or bool(_entries_of(name))


def names_emotion(text: str, emotion: str) -> bool:
    """Return whether a word of the text names the emotion."""
    pattern = emotion_pattern(emotion)
    return pattern is not None and pattern.search(straighten_apostrophes(text)) is not None


def mask_words(text: str, pattern: re.Pattern[str] | None) -> str:
    """Replace every match of a pattern by [EMOTION]; None replaces nothing."""
    if pattern is None:
        return text
    parts, end = [], 0
    for match in pattern.finditer(straighten_apostrophes(text)):
        parts += [text[end : match.start()], MASK]
        end = match.end()
    return "".join([*parts, text[end:]])


def straighten_apostrophes(text: str) -> str:
    """Return the text with typographic apostrophes as "'"; positions stay the same."""
    return text.replace("’", "'").replace("ʼ", "'")


@cache
def _entries_of(name: str) -> tuple[tuple[str, ...], ...]:
    """Return the entries of the lexicon that list a name, its own entry included."""
    spaced = " ".join(_SEPARATOR.split(name))
    return tuple(words for words in LEXICON.values() if word_pattern(words).fullmatch(spaced))


def word_pattern(expressions: Iterable[str]) -> re.Pattern[str]:
    """Compile regular expressions into one pattern that matches whole words, regardless of case.

    The pattern is to be searched in `straighten_apostrophes(text)`.
    """
    alternatives = straighten_apostrophes("|".join(expressions))
    return re.compile(rf"(?<!\w)(?:{alternatives})(?!\w)", re.IGNORECASE)
