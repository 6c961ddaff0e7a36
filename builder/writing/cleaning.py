"""Clean a reply: reduce it to one paragraph of visible text, without what a model wraps around the text."""

import re
import unicodedata
from collections.abc import Sequence

import regex

from personagen.builder.writing.replies.patterns import patterns_of
from personagen.metrics.texts.emotion_words import straighten_apostrophes

MAX_PASSES = 8
"""Layers of wrapping that are removed; a reply with more is discarded."""

EMOJI = (
    "\u00a9\u00ae\u203c\u2049\u20e3\u2122\u2139\u2190-\u21ff\u2300-\u23ff\u25a0-\u27bf\u2b00-\u2bff\ufe0f"
    "\U0001f000-\U0001faff"
)
"""Emoji and arrows, for a regex class."""

CLOSING_MARKS = "\"'“”’»」』)]}*_~`"
"""Marks that can follow the end of a sentence."""

_QUOTES = (
    ('"', '"'),
    ("“", "”"),
    ("'", "'"),
    ("‘", "’"),
    ("«", "»"),
    ("»", "«"),
    ("„", "“"),
    ("„", "”"),
    ("「", "」"),
    ("『", "』"),
    ("**", "**"),
    ("`", "`"),
)
_ESCAPE = re.compile(r"\x1b\[[0-9;]{0,20}[A-Za-z]")
_INVISIBLE = regex.compile(
    # White space is collapsed later, joiners and the selectors of text and emoji style are checked in their context,
    # and prepended concatenation marks (Arabic number signs) are visible although they are format characters.
    r"[[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Default_Ignorable_Code_Point}\p{Noncharacter_Code_Point}\N{BRAILLE PATTERN BLANK}]"
    r"--[\s\x1c-\x1f\p{Prepended_Concatenation_Mark}\u200c\u200d\ufe0e\ufe0f]]",
    regex.VERSION1,
)
_JOINED = f"[{EMOJI}\u0600-\u06ff\u0750-\u077f\u0900-\u0dff]"
_STRAY_JOINER = re.compile(f"(?<!{_JOINED})[\u200c\u200d]|[\u200c\u200d](?!{_JOINED})")
_SURPLUS_MARKS = re.compile("([\u0300-\u036f]{3})[\u0300-\u036f]+|([\ufe0e\ufe0f])[\ufe0e\ufe0f]+")
_STRAY_SELECTOR = re.compile(f"(?<![{EMOJI}0-9#*])[\ufe0e\ufe0f]")
_FENCE = re.compile(r"\A```(?:[\w-]{0,20}\n)?(.*?)\n?```\Z", re.DOTALL)


def clean(text: str, languages: Sequence[str] = ("en",)) -> str:
    """Reduce a reply to one paragraph of visible text, in Unicode NFC.

    Removes control, format, private-use and surrogate characters, and what is wrapped around the text: labels, code
    fences, quotation marks, remarks after it. A joiner stays where it shapes an emoji or an Arabic or Indic word.
    Idempotent.

    Args:
        text: any string.
        languages: languages of what may be wrapped around the text, each with patterns.

    """
    for _ in range(MAX_PASSES):
        before = text
        text = " ".join(_unwrap(_visible(text), languages).split())
        if text == before:
            return text
    return ""


def _visible(text: str) -> str:
    """Remove invisible characters, blank lines and surplus spaces."""
    if text.isascii() and text.isprintable():  # most English replies: a tenth of the time of all checks
        return " ".join(text.split())
    text = unicodedata.normalize("NFC", _INVISIBLE.sub("", _ESCAPE.sub("", text)))
    text = _STRAY_SELECTOR.sub("", _SURPLUS_MARKS.sub(r"\1\2", _STRAY_JOINER.sub("", text)))
    lines = (" ".join(line.split()) for line in text.splitlines())
    return "\n".join(line for line in lines if line)


def _unwrap(text: str, languages: Sequence[str]) -> str:
    """Remove one layer of each kind of wrapping."""
    for patterns in map(patterns_of, languages):
        while (match := patterns.leading.match(straighten_apostrophes(text))) and match.end():
            text = text[match.end() :].lstrip()
        if match := patterns.trailing.search(straighten_apostrophes(text)):
            text = text[: match.start()].rstrip()
    if match := _FENCE.match(text):
        text = match[1].strip()
    for opening, closing in _QUOTES:
        text = _unquote(text, opening, closing)
    return text


def _unquote(text: str, opening: str, closing: str) -> str:
    """Remove quotation marks that enclose the whole text, or a single one at either end of it."""
    size = len(opening)
    if len(text) >= 2 * size and text.startswith(opening) and text.endswith(closing):
        inner = text[size:-size]
        first = inner.find(closing)
        while first > 0 and closing in "'’" and inner[first - 1].isalnum() and inner[first + 1 : first + 2].isalnum():
            first = inner.find(closing, first + 1)  # an apostrophe
        if opening == closing:  # “"Go," he said, "now."” is not enclosed, “"He said "go" to me."” is
            enclosed = first < 0 or first == 0 or inner[first - 1].isspace()
        else:
            enclosed = first < 0 or -1 < inner.find(opening) < first
        return inner.strip() if enclosed else text
    if opening in '"“' and "„" not in text and text.count('"') + text.count("“") + text.count("”") == 1:
        return text.strip('"“”').strip()
    return text
