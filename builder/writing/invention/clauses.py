"""Check an invented event: one English clause without a subject that names no emotion."""

import re
from collections.abc import Collection
from dataclasses import replace

from personagen.builder.writing.checks import TextRules, Verdict, check_text
from personagen.builder.writing.replies.caseless import make_caseless
from personagen.metrics.texts.emotion_words import mask_pattern

MIN_WORDS = 4
"""Least words of a clause; those of the bank have 7 to 16."""

MAX_WORDS = 30
"""Greatest words of a clause."""

LANGUAGE = "en"
"""Language of the clauses, that of the prompts: texts may be in another one."""

_MARK = re.compile(r"^(?:[-*•]+|\d{1,3}[.)])\s+")
_BEGINNING = re.compile(r"(?:(?:not|never|nearly|almost|finally|suddenly|just|barely|unexpectedly) )?[a-z]+ing\b", re.I)
_SENTENCES = re.compile(r"[.!?:;]\s|\n")
_PERSONS = re.compile(r"(?<!\w)(?:I|I'm|me|my|mine|we|us|our|you|your)(?!\w)", re.I)
_NOUNS = frozenset({
    "something", "nothing", "anything", "everything", "morning", "evening", "king", "ring", "spring", "string", "thing",
    "ceiling", "clothing",
})  # fmt: skip
"""Nouns in -ing with which a clause with a subject begins."""


def clause_rules(emotions: Collection[str]) -> TextRules:
    """Return the requirements on clauses, none of which may name one of these emotions."""
    pattern = mask_pattern(frozenset(emotions))
    return TextRules(
        min_words=MIN_WORDS,
        max_words=MAX_WORDS,
        language=LANGUAGE,
        emotion_words=None if pattern is None else make_caseless(pattern),
        reject_leaks=True,
        reject_personal=True,
        reject_slurs=True,
    )


def check_clause(text: str, rules: TextRules) -> Verdict:
    """Clean a clause and accept or reject it; "clause": it has a subject, or is more than one clause."""
    line = _MARK.sub("", text.strip()).strip(" \t\"'“”.,;")
    first = line.partition(" ")[0].lower()
    is_clause = _BEGINNING.match(line) and first not in _NOUNS
    if line and is_clause:
        line = line[0].lower() + line[1:]
    verdict = check_text(line, prompt="", finish="stop", rules=rules)
    if verdict.reason not in (None, "truncated"):
        return verdict
    if not is_clause or _SENTENCES.search(line) or _PERSONS.search(line):
        return replace(verdict, text=line, reason="clause")
    return replace(verdict, text=line, reason=None)
