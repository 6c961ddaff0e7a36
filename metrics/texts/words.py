"""Words and tokens of a text: the one definition of each, for checks, metrics and reports.

A *word* is a run of characters between white space that holds a letter or a digit, as a word processor counts: "don't",
"well-known" and "24/7" are one word each. Lengths are in words (`count_words`).

A *token* is the unit of n-grams: a run of letters, digits and the marks on them, folded for case. An apostrophe or a
zero-width joiner between two letters belongs to it. Hyphens, other punctuation, symbols and emoji separate tokens, so
"well-known" is one word of two tokens.

Scripts without spaces between words (Han, kana, Thai, Lao, Burmese, Khmer) are not segmented: every letter counts as a
word and as a token. In these scripts distinct_1 measures characters and distinct_2 pairs of characters, and neither
compares with a language that has spaces.
"""

import re
import unicodedata
from functools import cache

UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
"""Characters of scripts without spaces between words (Thai, Lao, Burmese, Khmer, kana, Han), for a regex class."""

_LETTER = r"[^\W_]"
_WORD = re.compile(f"(?={_LETTER})[{UNSPACED}]|(?<![^\\s{UNSPACED}])[^\\s{UNSPACED}]*?[^\\W_{UNSPACED}]")
"""Matches a word up to its first letter or digit, at the start of a run only: runs of symbols take linear time."""
_LETTER_RUN = re.compile(f"[{UNSPACED}]|[^\\W_{UNSPACED}]+")
_ASCII_WORD = re.compile(rf"(?<!\S)\S*?{_LETTER}")
_ASCII_LETTER_RUN = re.compile(rf"{_LETTER}+", re.ASCII)
"""Equal, like `_ASCII_WORD`, to the general pattern on ASCII, and twice as fast."""
_ASCII_TOKEN = re.compile(rf"{_LETTER}+(?:'{_LETTER}+)*")
"""Equals `_token_pattern` on ASCII and is several times as fast."""


def count_words(text: str) -> int:
    """Count the words of a text."""
    return len((_ASCII_WORD if text.isascii() else _WORD).findall(text))


def normalise(text: str) -> str:
    """Return the form in which texts that differ only in case, white space and Unicode composition are equal (NFC)."""
    folded = text.casefold() if text.isascii() else unicodedata.normalize("NFD", text).casefold()
    return " ".join(unicodedata.normalize("NFC", folded).split())


def tokenise(text: str) -> list[str]:
    """Return the tokens of a text, in order."""
    plain = normalise(text).replace("’", "'")
    return (_ASCII_TOKEN if plain.isascii() else _token_pattern()).findall(plain)


def letter_runs(text: str) -> list[str]:
    """Return the runs of letters and digits of a text, in order, for finding copies whatever their punctuation.

    Unlike tokens they end at marks and apostrophes, and case is as it is: callers fold the text first.
    """
    return (_ASCII_LETTER_RUN if text.isascii() else _LETTER_RUN).findall(text)


@cache
def _token_pattern() -> re.Pattern[str]:
    """Compile the definition of a token; `re` has no class for marks, so they are listed."""
    codes = (*range(0x300, 0x20000), *range(0xE0100, 0xE01F0))  # between these are only Han and private use
    marks = "".join(char for char in map(chr, codes) if unicodedata.category(char).startswith("M"))
    unspaced = f"(?={_LETTER})[{UNSPACED}][{marks}]*"
    spaced = rf"(?![{UNSPACED}]){_LETTER}(?:(?![{UNSPACED}])[{marks}])*"
    return re.compile(rf"{unspaced}|(?:{spaced})(?:['\u200c\u200d]?{spaced})*")
