"""Identify the language of a text with py3langid, by ISO 639-1 code."""

from collections.abc import Sequence
from functools import cache
from typing import Any

MIN_OTHER_PROBABILITY = 0.5
"""Least probability of another language from which on a text counts as written in it. Measured on posts."""

MAX_OWN_PROBABILITY = 0.02
"""Greatest probability of the expected language for the same. Measured on posts."""

SAMPLED_TEXTS = 200
"""Texts, at equal distances, from which the language of a corpus is identified."""


def _codes(text: str) -> frozenset[str]:
    return frozenset(text.split())


CHECKABLE_LANGUAGES = _codes(
    """
    af am an ar as az ba be bg bn br bs ca cs cy da de dz el en eo es et eu fa fi fo fr fy ga gd gl gu ha he
    hi hr ht hu hy id ig is it ja jv ka kk km kn ko ku ky la lb lg ln lo lt lv mg mk ml mn mr ms mt my ne nl
    nn no oc om or pa pl ps pt qu ro ru rw sa se si sk sl sn so sq sr st sv sw ta te tg th tk tl tr tt ug uk
    ur uz vi vo wa xh yo zh zu
    """
)
"""ISO 639-1 codes of the languages that can be identified; the identifier knows them, but takes 0.5 s to load."""


def load_identifier() -> None:
    """Load the language model, so that the first text need not wait: 0.6 s and 80 MiB (110 while loading)."""
    _identifier()


def is_in_other_language(text: str, language: str) -> bool:
    """Return whether a text is very probably written in another language than the expected one.

    Args:
        text: any string.
        language: ISO 639-1 code of the expected language, one of CHECKABLE_LANGUAGES.

    """
    identifier = _identifier()
    likeliest, probability = identifier.classify(text)
    if likeliest == language or probability < MIN_OTHER_PROBABILITY:
        return False
    own_probability: float = dict(identifier.rank(text))[language]
    return own_probability < MAX_OWN_PROBABILITY


def is_mostly_in_other_language(texts: Sequence[str], language: str) -> bool:
    """Return whether most of a corpus is very probably not in a language, judged by at most 200 of its texts."""
    sampled = texts[:: max(len(texts) // SAMPLED_TEXTS, 1)]
    return 2 * sum(is_in_other_language(text, language) for text in sampled) > len(sampled)


@cache
def _identifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
