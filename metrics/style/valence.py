"""Valence of an English text by VADER's list of rated words.

C. J. Hutto and Eric Gilbert: VADER: A Parsimonious Rule-based Model for Sentiment Analysis of Social Media Text, ICWSM
2014. Of its rules only the negation is here: no emphasis by capitals, marks, adverbs or "but".
"""

import gzip
import math
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files

import regex

from personagen.metrics.texts.emotion_words import straighten_apostrophes

NEGATION_FACTOR = -0.74
"""Factor of the valence of a negated word (Hutto and Gilbert, 2014)."""

NEGATION_REACH = 3
"""Words before a valenced word among which a negation counts."""

NORMALISATION = 15.0
"""Constant of the polarity: a sum of valences s becomes s / sqrt(s² + 15) (Hutto and Gilbert, 2014)."""

_WORD = regex.compile(r"\p{L}+(?:['-]\p{L}+)*")
_NEGATIONS = frozenset(
    ("no", "not", "never", "none", "nothing", "nor", "neither", "nowhere", "without", "cannot", "hardly", "barely",
     "seldom", "rarely", "cant", "dont", "didnt", "doesnt", "isnt", "wasnt", "wont", "aint"),
)  # fmt: skip


def polarity(text: str) -> float:
    """Return the polarity of a text from -1 (negative) to 1 (positive); 0 without a valenced word."""
    total = sum(_valences(text))
    return total / math.sqrt(total * total + NORMALISATION)


def valenced_words(text: str) -> tuple[int, int]:
    """Return the number of positive and of negative words of a text; a negated word counts on the other side."""
    valences = tuple(_valences(text))
    positive = sum(value > 0 for value in valences)
    return positive, len(valences) - positive


def _valences(text: str) -> Iterator[float]:
    """Yield the valence of each valenced word, from -4 to 4."""
    words = _WORD.findall(straighten_apostrophes(text).lower())
    ratings = _ratings()
    for position, word in enumerate(words):
        rating = ratings.get(word)
        if rating is not None:
            before = words[max(0, position - NEGATION_REACH) : position]
            negated = any(one in _NEGATIONS or one.endswith("n't") for one in before)
            yield rating * (NEGATION_FACTOR if negated else 1)


@cache
def _ratings() -> Mapping[str, float]:
    packed = (files("personagen.metrics") / "data" / "vader.tsv.gz").read_bytes()
    lines = gzip.decompress(packed).decode("utf-8").splitlines()
    return {word: float(rating) for word, _, rating in (line.partition("\t") for line in lines)}
