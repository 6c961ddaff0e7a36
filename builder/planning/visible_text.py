"""Require text of one visible line where it stands in prompts and data."""

import unicodedata

SHAPING = "\u200c\u200d\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2"
"""Format characters that words and emoji need: joiners, and signs of Arabic numbers."""


def _is_odd(char: str) -> bool:
    category = unicodedata.category(char)
    is_noncharacter = category == "Cn" and (ord(char) & 0xFFFE == 0xFFFE or 0xFDD0 <= ord(char) <= 0xFDEF)
    return category in ("Cc", "Cs", "Zl", "Zp") or is_noncharacter or (category == "Cf" and char not in SHAPING)


def require_line(value: str) -> str:
    """Return a text of one line; raise ValueError for control and direction characters, which data would keep."""
    if odd := next(filter(_is_odd, value), None):
        name = "a line break" if odd in "\r\n" else f"the invisible character U+{ord(odd):04X}"
        raise ValueError(f"has {name}; write one line of visible characters")
    return value
