"""Languages that a reply may be in, found without identifying its language.

Each language is recognised by its script or by one of a few frequent words. A false recognition costs time only: the
patterns of that language are tried in vain.
"""

import re
from collections.abc import Sequence
from functools import cache

from personagen.builder.writing.replies.patterns import pattern_languages, read_language


def languages_in(text: str, words: Sequence[str], expected: str | None) -> tuple[str, ...]:
    """Return the languages whose patterns a reply is searched for: English, the expected one, and any it may be in.

    Args:
        text: the reply.
        words: its runs of letters, folded for case.
        expected: ISO 639-1 code of the language that it should be in. None: any.

    """
    by_word = _languages_by_word()
    candidates = {expected}
    if not by_word.keys().isdisjoint(words):
        candidates.update(code for word in set(words) for code in by_word.get(word, ()))
    if not text.isascii():
        candidates.update(code for code, script in _scripts().items() if script.search(text))
    candidates.discard("en")
    return ("en", *(code for code in pattern_languages() if code in candidates)) if candidates else ("en",)


@cache
def _languages_by_word() -> dict[str, tuple[str, ...]]:
    codes: dict[str, tuple[str, ...]] = {}
    for code in pattern_languages():
        for word in read_language(code).get("words", ()):
            codes[word] = (*codes.get(word, ()), code)
    return codes


@cache
def _scripts() -> dict[str, re.Pattern[str]]:
    tables = {code: read_language(code) for code in pattern_languages()}
    return {code: re.compile(table["script"]) for code, table in tables.items() if "script" in table}
