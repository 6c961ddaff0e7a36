"""Identify the language of a text with py3langid, by ISO 639-1 code."""

from functools import cache
from typing import Any

MIN_OTHER_PROBABILITY = 0.5
"""Least probability of another language from which on a text counts as written in it. Measured on posts."""

MAX_OWN_PROBABILITY = 0.02
"""Greatest probability of the expected language for the same. Measured on posts."""


@cache
def checkable_languages() -> frozenset[str]:
    """Return the ISO 639-1 codes of the languages that can be identified."""
    return frozenset(code for code in _identifier().labels if len(code) == 2)


def load_identifier() -> None:
    """Load the language model, so that the first text need not wait: 0.6 s and 80 MiB (110 while loading)."""
    _identifier()


def is_in_other_language(text: str, language: str) -> bool:
    """Return whether a text is very probably written in another language than the expected one.

    Args:
        text: any string.
        language: ISO 639-1 code of the expected language, one of `checkable_languages`.

    """
    identifier = _identifier()
    likeliest, probability = identifier.classify(text)
    if likeliest == language or probability < MIN_OTHER_PROBABILITY:
        return False
    own_probability: float = dict(identifier.rank(text))[language]
    return own_probability < MAX_OWN_PROBABILITY


@cache
def _identifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
