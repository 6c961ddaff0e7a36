"""Lexical diversity of a corpus: repeated texts, distinct n-grams, distinct words against their expectation.

Standard library only, and nothing of PersonaGen: `evaluate` copies this file beside the module that imports it.

Words: a text is put into composed form (Unicode NFC) and folded for case. A word is a run of letters, digits and the
marks on them; an apostrophe, or a joiner of zero width, between two letters belongs to it. Everything else separates:
white space, punctuation, hyphens, symbols and emoji. Scripts that write no spaces between words (Han, kana, Thai, Lao,
Burmese, Khmer) are not segmented: each of their letters, with its marks, counts as a word. In those scripts distinct_1
is a measure of characters and distinct_2 one of pairs of characters, and neither compares with a language that has
spaces.
"""

import math
import re
import unicodedata
from collections.abc import Iterable, Sequence
from functools import cache
from typing import SupportsIndex, TypedDict

MAX_VOCABULARY = 10**12
"""Far above any vocabulary, and small enough for a float to tell V from V - 1."""

UNSPACED = (
    "\u0e00-\u0eff"  # Thai, Lao
    "\u1000-\u109f\ua9e0-\ua9ff\uaa60-\uaa7f"  # Burmese and its extensions
    "\u1780-\u17ff"  # Khmer
    "\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\uff66-\uff9f"  # kana, and signs that stand for a Han character
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"  # Han
)
"""Characters of scripts without spaces between words, as the inside of a regular expression's class."""

_ASCII_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")
"""What `_any_word` finds in ASCII, several times as fast."""


class LexicalDiversity(TypedDict):
    """What is measured; None where there is no number to tell. Shares and distinct_n are in [0, 1]."""

    texts: int
    mean_words: float
    duplicate_share: float
    distinct_1: float | None
    distinct_2: float | None
    distinct_3: float | None
    ead_1: float | None
    ead_vocabulary: int | None


def lexical_diversity(texts: Iterable[str], vocabulary: SupportsIndex | None = None) -> LexicalDiversity:
    """Measure a corpus.

    Args:
        texts: the texts, in any order.
        vocabulary: number of words that the writer might have used, the same for all corpora that are compared; None
            for no `ead_1`.

    Returns:
        texts: how many there are.
        mean_words: their mean length in words.
        duplicate_share: share of texts that repeat an earlier one but for case and white space.
        distinct_1, distinct_2, distinct_3: different n-grams over all n-grams of the corpus; none crosses the border
            of a text. None if no text has n words.
        ead_1: different words over the number of different words that as many draws at equal chances from the
            vocabulary would give; above 0 and below e / (e - 1). None without a vocabulary or without words.
        ead_vocabulary: the vocabulary, None if there was none.

    Raises:
        TypeError: a text is no string, or the vocabulary no whole number.
        ValueError: there are no texts, or the vocabulary is out of its range or smaller than that of the texts.

    """
    size = None if vocabulary is None else checked_vocabulary(vocabulary)
    normal = [normalise(text) for text in checked_texts(texts)]
    if not normal:
        raise ValueError("texts is empty, wanted one text or more")
    corpus = [words_of(text) for text in normal]
    different, total = ngrams(corpus, 1)
    if size is not None and size < different:
        raise ValueError(f"vocabulary is {size}, wanted {different} or more: so many different words are in the texts")
    return {
        "texts": len(normal),
        "mean_words": total / len(normal),
        "duplicate_share": (len(normal) - len(set(normal))) / len(normal),
        "distinct_1": different / total if total else None,
        "distinct_2": _distinct(corpus, 2),
        "distinct_3": _distinct(corpus, 3),
        "ead_1": different / expected_words(size, total) if size and total else None,
        "ead_vocabulary": size,
    }


def checked_texts(texts: Iterable[object]) -> list[str]:
    """List the texts.

    Raises:
        TypeError: it is one string, nothing to go through, or holds something that is no string.

    """
    if isinstance(texts, str) or not isinstance(texts, Iterable):
        raise TypeError(f"texts is {_brief(texts)}, wanted a list of strings")
    found: list[str] = []
    for number, text in enumerate(texts):
        if not isinstance(text, str):
            raise TypeError(f"texts[{number}] is {_brief(text)}, wanted a string")
        found.append(text)
    return found


def checked_vocabulary(vocabulary: SupportsIndex) -> int:
    """Read the size of a vocabulary.

    Raises:
        TypeError: it is no whole number.
        ValueError: it is out of its range.

    """
    wanted = f"wanted a whole number from 1 to {MAX_VOCABULARY:,}, or None"
    if isinstance(vocabulary, bool) or not isinstance(vocabulary, SupportsIndex):
        raise TypeError(f"vocabulary is {_brief(vocabulary)}, {wanted}")
    size = vocabulary.__index__()
    if not 1 <= size <= MAX_VOCABULARY:
        raise ValueError(f"vocabulary is {_brief(size)}, {wanted}")
    return size


def normalise(text: str) -> str:
    """Put a text into the form in which two that differ only in case and white space are the same."""
    folded = text.casefold() if text.isascii() else unicodedata.normalize("NFD", text).casefold()
    return " ".join(unicodedata.normalize("NFC", folded).split())


def words_of(normal: str) -> list[str]:
    """List the words of a normalised text, as the head of this module defines them."""
    plain = normal.replace("’", "'")
    return (_ASCII_WORD if plain.isascii() else _any_word()).findall(plain)


def ngrams(corpus: Sequence[Sequence[str]], n: int) -> tuple[int, int]:
    """Count the n-grams of texts given as words: how many are different, and how many there are."""
    seen: set[tuple[str, ...]] = set()
    total = 0
    for words in corpus:
        seen.update(zip(*(words[start:] for start in range(n)), strict=False))
        total += max(0, len(words) - n + 1)
    return len(seen), total


def expected_words(vocabulary: int, draws: int) -> float:
    """Return how many different words so many draws (at least one) at equal chances give: V (1 - (1 - 1/V)^draws).

    The formula is that of Liu et al., arXiv 2202.13587; in logarithms, because 1 - 1/V is close to 1.
    """
    if vocabulary == 1:
        return 1.0
    return -vocabulary * math.expm1(draws * math.log1p(-1 / vocabulary))


def _distinct(corpus: Sequence[Sequence[str]], n: int) -> float | None:
    different, total = ngrams(corpus, n)
    return different / total if total else None


def _brief(value: object) -> str:
    shown = repr(value) if not isinstance(value, int) or abs(value) < 10**30 else "a number of more than 30 digits"
    return shown if len(shown) <= 60 else f"{shown[:60]}..."


@cache
def _any_word() -> re.Pattern[str]:
    """Compile the definition of a word; `re` knows no class for marks, so they are listed."""
    codes = (*range(0x300, 0x20000), *range(0xE0100, 0xE01F0))  # nothing but Han and private use lies between
    marks = "".join(char for char in map(chr, codes) if unicodedata.category(char).startswith("M"))
    letter = r"[^\W_]"
    unspaced = f"(?={letter})[{UNSPACED}][{marks}]*"
    spaced = rf"(?![{UNSPACED}]){letter}[{marks}]*"
    return re.compile(rf"{unspaced}|(?:{spaced})(?:['\u200c\u200d]?{spaced})*")
