"""Find the words of English texts that go with a value of an attribute of a persona.

A sign is a list of words and phrases that go with some values of one attribute, such as the places and the currency of
a country, or the things of a field of work. A text shows an attribute if it has a sign of the persona's value. A stated
age counts if it differs from the persona's by a year at most. A sign is no proof: other people use the same words, so
that a fraction of texts means something only beside that of shuffled personas.
"""

import csv
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files

from personagen.metrics.texts.words import tokenise

ENGLISH_ONLY = "the word lists are English"
"""Why texts in another language have no figures by words."""

WORD_ATTRIBUTES = (
    "country", "occupation", "work", "household", "religion", "settlement", "age", "gender", "means", "register"
)  # fmt: skip
"""Attributes that have signs, in the order of results."""

AGES = range(10, 100)
"""Ages that a text can state."""

_STATED_AGE = re.compile(
    r"\b(?:i'm|i am|im|turned|turning|aged?|being) (?:only |just |now |almost )?(\d{2})\b(?!\s*(?:%|percent|minutes|"
    r"hours|days|weeks|months|km|miles|pounds|euros|dollars|st\b|nd\b|rd\b|th\b|:))"
    r"|\b(\d{2})[ -]years?[ -]old\b(?! (?:son|daughter|kid|boy|girl|child))",
    re.IGNORECASE,
)

Signs = Mapping[str, frozenset[int]]
"""Numbers of signs by attribute; a stated age has its negative as number."""


@dataclass(frozen=True, slots=True)
class PersonaSign:
    """Words and phrases that go with values of an attribute.

    Attributes:
        attribute: name of the attribute.
        values: values that they go with; of an age bounds such as "16-24"; of an occupation words of titles.
        phrases: the phrases, as tuples of tokens.
        symbols: characters that are no tokens, such as those of currencies.

    """

    attribute: str
    values: tuple[str, ...]
    phrases: frozenset[tuple[str, ...]]
    symbols: tuple[str, ...]

    def fits(self, value: str) -> bool:
        """Return whether the words go with a value."""
        if self.attribute == "age":
            return value.isdecimal() and any(_in_bounds(int(value), bounds) for bounds in self.values)
        if self.attribute == "occupation":
            title = f" {' '.join(tokenise(value))}"
            return any(f" {' '.join(tokenise(words))}" in title for words in self.values)
        return value in self.values


def signs_in(text: str) -> Signs:
    """Return the signs that a text has; attributes without one are left out."""
    index, symbols = _index()
    found: dict[str, set[int]] = {}
    tokens = tokenise(text)
    for start, token in enumerate(tokens):
        for phrase, attribute, numbers in index.get(token, ()):
            if tuple(tokens[start : start + len(phrase)]) == phrase:
                found.setdefault(attribute, set()).update(numbers)
    for symbol, attribute, number in symbols:
        if symbol in text:
            found.setdefault(attribute, set()).add(number)
    ages = {-age for match in _STATED_AGE.finditer(text) if (age := int(match[1] or match[2])) in AGES}
    if ages:
        found.setdefault("age", set()).update(ages)
    return {attribute: frozenset(numbers) for attribute, numbers in found.items()}


@lru_cache(maxsize=4096)
def signs_of(attribute: str, value: str) -> frozenset[int]:
    """Return the signs that go with a value; empty: words cannot show it."""
    numbers = {number for number, sign in enumerate(read_signs()) if sign.attribute == attribute and sign.fits(value)}
    if attribute == "age" and value.isdecimal():
        numbers |= {-age for age in range(int(value) - 1, int(value) + 2) if age in AGES}
    return frozenset(numbers)


def shown_attributes(text: str, persona: Mapping[str, str]) -> tuple[str, ...]:
    """Return the attributes of a persona that an English text shows by words, in the order of `WORD_ATTRIBUTES`."""
    signs = signs_in(text)
    return tuple(name for name in WORD_ATTRIBUTES if name in persona and is_shown(signs, name, persona[name]))


def is_shown(signs: Signs, attribute: str, value: str) -> bool:
    """Return whether signs of a text go with a value."""
    return not signs.get(attribute, frozenset()).isdisjoint(signs_of(attribute, value))


@cache
def read_signs() -> tuple[PersonaSign, ...]:
    """Read the signs of the package, in the order of its table."""
    table = (files("personagen.metrics") / "data" / "persona_words.tsv").read_text(encoding="utf-8")
    rows = csv.DictReader(table.splitlines(), delimiter="\t", quoting=csv.QUOTE_NONE)
    return tuple(
        PersonaSign(
            row["attribute"],
            tuple(row["values"].split(", ")),
            frozenset(phrase for words in row["words"].split(", ") for phrase in _forms(words)),
            tuple(words for words in row["words"].split(", ") if not tokenise(words)),
        )
        for row in rows
    )


def _forms(words: str) -> Iterator[tuple[str, ...]]:
    """Yield a phrase, and its plural in -s or -es."""
    tokens = tuple(tokenise(words))
    if not tokens:
        return
    yield tokens
    last = tokens[-1]
    if len(last) > 2 and not last.endswith("s"):
        yield (*tokens[:-1], f"{last}s")
        if last.endswith(("ch", "sh", "x")):
            yield (*tokens[:-1], f"{last}es")


@cache
def _index() -> tuple[
    Mapping[str, tuple[tuple[tuple[str, ...], str, frozenset[int]], ...]], tuple[tuple[str, str, int], ...]
]:
    """Return the phrases by their first token, each with attribute and signs; and the symbols."""
    numbers: dict[tuple[str, tuple[str, ...]], set[int]] = {}
    symbols = []
    for number, sign in enumerate(read_signs()):
        for phrase in sign.phrases:
            numbers.setdefault((sign.attribute, phrase), set()).add(number)
        symbols += [(symbol, sign.attribute, number) for symbol in sign.symbols]
    index: dict[str, list[tuple[tuple[str, ...], str, frozenset[int]]]] = {}
    for (attribute, phrase), found in numbers.items():
        index.setdefault(phrase[0], []).append((phrase, attribute, frozenset(found)))
    return {token: tuple(entries) for token, entries in index.items()}, tuple(symbols)


def _in_bounds(age: int, bounds: str) -> bool:
    low, _, high = bounds.partition("-")
    return int(low) <= age <= int(high)
