"""Reduce a text that breaks off to its complete sentences."""

import re
from functools import cache

from personagen.builder.core.package_data import read_yaml
from personagen.builder.writing.cleaning import CLOSING_MARKS, EMOJI
from personagen.metrics.texts.emotion_words import straighten_apostrophes

_EMOTICON = re.compile(
    r"(?:[:;=] ?[-'’^o]? ?[)(\]\[DPpOo3/\\|*]{1,9}|[)(] ?-?[:;=]|(?:\A|\s)[xX8][-']?[D)(]{1,9}|<3{1,9}"
    r"|\^[_.]?\^|T_T|;_;|[-._>oO]_[-._<oO])\Z"
)
MAX_EMOTICON_CHARS = 16
"""Upper bound on the characters of an emoticon and a space before it, so that only the end of a text is searched."""

_TERMINAL = re.compile(f"[.!?…。！？।॥۔؟{EMOJI}]\\Z")
_BROKEN_OFF = re.compile(r"(?:[,;:、，；：،؛\-–—(\[{&/\\“„+=]|(?<![.!?…])«)\Z")
_SENTENCE_END = re.compile(
    f"[.!?…।॥۔؟]+[{re.escape(CLOSING_MARKS)}]{{0,3}}(?:\\s?[{EMOJI}]+)?(?=\\s|\\Z)|[。！？]+[」』”]?"
)
_LAST_WORD = re.compile(r"[\w.'-]{1,30}\Z")


def complete_sentences(text: str, *, cut: bool) -> str:
    """Return the text up to its last complete sentence, "" if it has none; the whole text if it does not break off.

    Three of ten Reddit comments end without a mark. A text that the model itself ended therefore breaks off only if it
    stops after a comma, an open bracket or a word that needs another ("the", "because").

    Args:
        text: one paragraph.
        cut: whether the text was cut at the token limit; it is then whole only if it ends with a mark or an emoji.

    """
    core = text.rstrip(CLOSING_MARKS + " ")
    if _EMOTICON.search(text, len(text) - MAX_EMOTICON_CHARS) or _TERMINAL.search(core):
        return text
    if not cut and not _BROKEN_OFF.search(core) and not _needs_another_word(core):
        return text
    end = start = quotes = 0
    for match in _SENTENCE_END.finditer(text):
        quotes += text.count('"', start, match.end())
        start = match.end()
        if quotes % 2 == 0 and not _is_abbreviation(text[max(0, match.start() - 31) : match.start()], match[0]):
            end = match.end()
    return text[:end]


def _needs_another_word(text: str) -> bool:
    match = _LAST_WORD.search(straighten_apostrophes(text[-31:]))
    return match is not None and match[0].lower() in _word_list("dangling")


def _is_abbreviation(before: str, mark: str) -> bool:
    """Return whether a full stop belongs to an abbreviation or an initial."""
    word = _LAST_WORD.search(before)
    if mark[0] != "." or len(mark) > 1 or word is None:
        return False
    return word[0].lower() in _word_list("abbreviations") or (
        len(word[0]) == 1 and word[0].isupper() and word[0] != "I"
    )


@cache
def _word_list(kind: str) -> frozenset[str]:
    return frozenset(read_yaml("reply_patterns/en.yaml")[kind])
