"""The words of a text, for every measure that counts some.

A text is put into composed form (Unicode NFC) and folded for case. A word is a run of letters, digits and the
marks on them; an apostrophe, or a joiner of zero width, between two letters belongs to it. Everything else separates:
white space, punctuation, hyphens, symbols and emoji. Scripts that write no spaces between words (Han, kana, Thai, Lao,
Burmese, Khmer) are not segmented: each of their letters, with its marks, counts as a word. In those scripts distinct_1
is a measure of characters and distinct_2 one of pairs of characters, and neither compares with a language that has
spaces.
"""

import re
import unicodedata
from functools import cache

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


def normalise(text: str) -> str:
    """Put a text into the form in which two that differ only in case and white space are the same."""
    folded = text.casefold() if text.isascii() else unicodedata.normalize("NFD", text).casefold()
    return " ".join(unicodedata.normalize("NFC", folded).split())


def words_of(normal: str) -> list[str]:
    """List the words of a normalised text, as the head of this module defines them."""
    plain = normal.replace("’", "'")
    return (_ASCII_WORD if plain.isascii() else _any_word()).findall(plain)


@cache
def _any_word() -> re.Pattern[str]:
    """Compile the definition of a word; `re` knows no class for marks, so they are listed."""
    codes = (*range(0x300, 0x20000), *range(0xE0100, 0xE01F0))  # nothing but Han and private use lies between
    marks = "".join(char for char in map(chr, codes) if unicodedata.category(char).startswith("M"))
    letter = r"[^\W_]"
    unspaced = f"(?={letter})[{UNSPACED}][{marks}]*"
    spaced = rf"(?![{UNSPACED}]){letter}[{marks}]*"
    return re.compile(rf"{unspaced}|(?:{spaced})(?:['\u200c\u200d]?{spaced})*")
