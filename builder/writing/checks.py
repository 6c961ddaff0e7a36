"""Accept or reject a text that a model wrote: clean it, then name the first reason against it.

A reply is hostile data. The checks find what a model writes instead of the text (refusals, talk about the task, copies
of the prompt) and texts that do not fit their row. The patterns are in `data/reply_patterns/`.
"""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache

from personagen.builder.core.records import RejectReason
from personagen.builder.writing.cleaning import clean
from personagen.builder.writing.replies.caseless import CaselessPattern
from personagen.builder.writing.replies.languages import languages_in
from personagen.builder.writing.replies.patterns import patterns_of, read_language
from personagen.builder.writing.sentences import complete_sentences
from personagen.metrics.texts.emotion_words import LEXICON_LANGUAGES, straighten_apostrophes
from personagen.metrics.texts.language import CHECKABLE_LANGUAGES, is_in_other_language
from personagen.metrics.texts.screening import PERSONAL_KINDS, screen
from personagen.metrics.texts.words import count_words, letter_runs

MAX_CHARACTERS = 20_000
"""Characters of a reply that are read; a longer one is treated as cut at the token limit."""

ECHO_WORDS = 12
"""Words copied from the prompt in one run from which on a text is an echo of it."""

ECHO_FRACTION = 0.6
"""Fraction of a text above which one run copied from the prompt is an echo, however short the text."""

MIN_ECHO_WORDS = 6
"""Words below which a copied run is chance, unless it is the whole text."""

LOOP_WORDS = 4
"""Length of the runs of words whose repetition is a loop."""

MIN_LOOPS = 3
"""Occurrences of the same run from which on a text loops."""

LOOP_FRACTION = 0.2
"""Fraction of a text that the repeated run must make up for the same."""

MIN_ENGLISH_WORDS = 2
"""Different words used in English only from which on a text is English without identifying its language."""

ENGLISH_FRACTION = 0.15
"""Fraction of its words for the same: two thirds of English posts, and none of the foreign sentences of the tests."""


@dataclass(frozen=True, slots=True)
class TextRules:
    """Requirements on the text of a row.

    Attributes:
        min_words: least length.
        max_words: greatest length.
        language: ISO 639-1 code of the language; None: any.
        emotion_words: pattern of the words that name the row's emotion, searched for in English texts; None: no word
            names it.
        reject_leaks: whether such a word rejects the text; it is flagged in any case.
        reject_personal: whether personal information rejects the text.
        reject_slurs: whether a slur rejects the text.

    Raises:
        ValueError: the language cannot be identified, so that every text would pass or fail.

    """

    min_words: int
    max_words: int
    language: str | None
    emotion_words: CaselessPattern | None
    reject_leaks: bool
    reject_personal: bool = False
    reject_slurs: bool = False

    def __post_init__(self) -> None:
        """Validate the language."""
        if self.language is not None and self.language not in CHECKABLE_LANGUAGES:
            known = ", ".join(sorted(CHECKABLE_LANGUAGES))
            raise ValueError(f"language {self.language!r} cannot be checked; take one of {known}, or none")


@dataclass(frozen=True, slots=True)
class Verdict:
    """Result of checking a text.

    Attributes:
        text: the text, cleaned.
        reason: why it is rejected; None: it is accepted.
        leaked: whether a word of it names the emotion; None: not checked, since the text is not in English.
        label: prediction of the emotion classifier; None: none ran.
        confidence: probability of the prediction, in [0, 1]; None: none ran.
        expression: how the text expresses its emotion; None: not checked.
        misses: valenced words by which the text differs from the real one whose features its row has.

    """

    text: str
    reason: RejectReason | None
    leaked: bool | None
    label: str | None = None
    confidence: float | None = None
    expression: str | None = None
    misses: int = 0


def check_text(text: str, *, prompt: str, finish: str, rules: TextRules) -> Verdict:
    """Clean a text and accept or reject it.

    Args:
        text: the model's reply; any string.
        prompt: the model's prompt, to find copies of it; "": none.
        finish: "length" if the text was cut at the token limit, else "stop". A text that breaks off is reduced to its
            complete sentences.
        rules: requirements of the row.

    """
    cut = finish == "length" or len(text) > MAX_CHARACTERS
    text = text[:MAX_CHARACTERS]
    words = _folded_words(text)
    languages = languages_in(text, words, rules.language)
    cleaned = clean(text, languages)
    words = words if cleaned == text else _folded_words(cleaned)
    reason = _unusable(cleaned, words, languages)
    if reason is None:
        complete = complete_sentences(cleaned, cut=cut)
        if complete == cleaned or count_words(complete) >= rules.min_words:
            words = words if complete == cleaned else _folded_words(complete)
            cleaned, reason = complete, _misfit(complete, words, prompt, rules)
        else:
            reason = "truncated"
    leaked = _leaks(cleaned, words, rules)
    if reason is None and leaked and rules.reject_leaks:
        reason = "leak"
    return Verdict(cleaned, reason or _offence(cleaned, rules), leaked)


def is_in_none_of(text: str, languages: Collection[str]) -> bool:
    """Return whether a text is very probably in none of some languages, given by their ISO 639-1 codes."""
    words = _folded_words(text)
    return all(_is_foreign(text, words, language) for language in languages)


def is_surely_in(text: str, language: str | None) -> bool:
    """Return whether a text is in a language (None: any) by its words alone, without the identifier of languages."""
    return language is None or (language == "en" and _is_surely_english(_folded_words(text)))


def _unusable(text: str, words: list[str], languages: Sequence[str]) -> RejectReason | None:
    """Return why a reply is no text at all; None: it may be one.

    Args:
        text: the cleaned reply.
        words: its words, folded.
        languages: languages of refusals and of talk to search for.

    """
    if not any(character.isalnum() for character in text):
        return "empty"
    plain = straighten_apostrophes(text)
    patterns = [patterns_of(language) for language in languages]
    if any(entry.refusal.matches(plain) for entry in patterns):
        return "refusal"
    if any(entry.meta.matches(plain) for entry in patterns):
        return "meta"
    return "garbled" if "\ufffd" in text or _loops(words) else None


def _misfit(text: str, words: list[str], prompt: str, rules: TextRules) -> RejectReason | None:
    """Return why a text, of which the folded words are given too, does not fit its row; None: it fits."""
    if not rules.min_words <= count_words(text) <= rules.max_words:
        return "length"
    if rules.language is not None and _is_foreign(text, words, rules.language):
        return "language"
    return "echo" if _echoes(words, prompt) else None


def _offence(text: str, rules: TextRules) -> RejectReason | None:
    """Return why the screening of a text rejects it; None: it does not."""
    if not (rules.reject_personal or rules.reject_slurs):
        return None
    kinds = screen(text)
    if rules.reject_personal and any(kind in PERSONAL_KINDS for kind in kinds):
        return "personal"
    return "slur" if rules.reject_slurs and "slur" in kinds else None


def _folded_words(text: str) -> list[str]:
    return letter_runs(straighten_apostrophes(text).replace("'", "").casefold())


def _leaks(text: str, words: list[str], rules: TextRules) -> bool | None:
    """Return whether a text, of which the folded words are given too, names the emotion; None: not checked."""
    if rules.language not in (None, *LEXICON_LANGUAGES):
        return None
    if rules.emotion_words is None:
        return False
    if rules.language is None and _is_foreign(text, words, "en"):
        return None
    return rules.emotion_words.search(straighten_apostrophes(text)) is not None


def _loops(words: list[str]) -> bool:
    runs = Counter(zip(*(words[start:] for start in range(LOOP_WORDS)), strict=False))
    times = max(runs.values(), default=0)
    return times >= MIN_LOOPS and times * LOOP_WORDS >= LOOP_FRACTION * len(words)


@lru_cache(maxsize=64)
def _searchable(prompt: str) -> str:
    return f" {' '.join(_folded_words(prompt))} "


def _echoes(words: list[str], prompt: str) -> bool:
    source = _searchable(prompt)
    run = max(min(ECHO_WORDS, int(ECHO_FRACTION * len(words)) + 1), min(MIN_ECHO_WORDS, len(words)))
    half = (run + 1) // 2  # every copied run holds one of the blocks of half its length: a third of the time
    if not any(f" {' '.join(words[start : start + half])} " in source for start in range(0, len(words), half)):
        return False
    return any(f" {' '.join(words[start : start + run])} " in source for start in range(len(words) - run + 1))


def _is_foreign(text: str, words: list[str], language: str) -> bool:
    if language == "en" and _is_surely_english(words):
        return False
    return is_in_other_language(text, language)


def _is_surely_english(words: list[str]) -> bool:
    """Return whether words that only English has decide the language.

    Identification takes as long as all other checks together, and nearly all texts are in the right language.
    """
    english = [word for word in words if word in _english_words()]
    return len(set(english)) >= MIN_ENGLISH_WORDS and len(english) >= ENGLISH_FRACTION * len(words)


@cache
def _english_words() -> frozenset[str]:
    return frozenset(read_language("en")["english_only"])
