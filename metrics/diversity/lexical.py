"""Lexical diversity of a corpus: repeated texts, distinct n-grams, distinct words against their expectation."""

import math
from collections.abc import Iterable, Sequence
from typing import SupportsIndex, TypedDict

from personagen.metrics.texts.inputs import brief, validate_texts
from personagen.metrics.texts.words import count_words, normalise, tokenise

MAX_VOCABULARY = 10**12
"""Far above any vocabulary, and small enough for a float to tell V from V - 1."""


class LexicalDiversity(TypedDict):
    """What is measured; None where there is no number to tell. Shares and distinct_n are in [0, 1]."""

    texts: int
    mean_words: float
    duplicate_share: float
    distinct_1: float | None
    distinct_2: float | None
    distinct_3: float | None
    ead_1: float | None
    ead_vocabulary: int | None


def lexical_diversity(texts: Iterable[str], vocabulary: SupportsIndex | None = None) -> LexicalDiversity:
    """Measure a corpus.

    Args:
        texts: the texts, in any order.
        vocabulary: number of words that the writer might have used, the same for all corpora that are compared; None
            for no `ead_1`.

    Returns:
        texts: how many there are.
        mean_words: their mean length in words.
        duplicate_share: share of texts that repeat an earlier one but for case and white space.
        distinct_1, distinct_2, distinct_3: different n-grams over all n-grams of the corpus; none crosses the border
            of a text. None if no text has n words.
        ead_1: different words over the number of different words that as many draws at equal chances from the
            vocabulary would give; above 0 and below e / (e - 1). None without a vocabulary or without words.
        ead_vocabulary: the vocabulary, None if there was none.

    Raises:
        TypeError: a text is no string, or the vocabulary no whole number.
        ValueError: there are no texts, or the vocabulary is out of its range or smaller than that of the texts.

    """
    size = None if vocabulary is None else validate_vocabulary(vocabulary)
    normal = [normalise(text) for text in validate_texts(texts, "texts")]
    corpus = [tokenise(text) for text in normal]
    different, total = ngrams(corpus, 1)
    if size is not None and size < different:
        raise ValueError(f"vocabulary is {size}, wanted {different} or more: so many different words are in the texts")
    return {
        "texts": len(normal),
        "mean_words": sum(map(count_words, normal)) / len(normal),
        "duplicate_share": (len(normal) - len(set(normal))) / len(normal),
        "distinct_1": different / total if total else None,
        "distinct_2": _distinct(corpus, 2),
        "distinct_3": _distinct(corpus, 3),
        "ead_1": different / expected_words(size, total) if size and total else None,
        "ead_vocabulary": size,
    }


def validate_vocabulary(vocabulary: SupportsIndex) -> int:
    """Read the size of a vocabulary.

    Raises:
        TypeError: it is no whole number.
        ValueError: it is out of its range.

    """
    wanted = f"wanted a whole number from 1 to {MAX_VOCABULARY:,}, or None"
    if isinstance(vocabulary, bool) or not isinstance(vocabulary, SupportsIndex):
        raise TypeError(f"vocabulary is {brief(vocabulary)}, {wanted}")
    size = vocabulary.__index__()
    if not 1 <= size <= MAX_VOCABULARY:
        raise ValueError(f"vocabulary is {brief(size)}, {wanted}")
    return size


def ngrams(corpus: Sequence[Sequence[str]], n: int) -> tuple[int, int]:
    """Count the n-grams of texts given as words: how many are different, and how many there are."""
    seen: set[tuple[str, ...]] = set()
    total = 0
    for words in corpus:
        seen.update(zip(*(words[start:] for start in range(n)), strict=False))
        total += max(0, len(words) - n + 1)
    return len(seen), total


def expected_words(vocabulary: int, draws: int) -> float:
    """Return how many different words so many draws (at least one) at equal chances give: V (1 - (1 - 1/V)^draws).

    The formula is that of Liu et al., arXiv 2202.13587; in logarithms, because 1 - 1/V is close to 1.
    """
    if vocabulary == 1:
        return 1.0
    return -vocabulary * math.expm1(draws * math.log1p(-1 / vocabulary))


def _distinct(corpus: Sequence[Sequence[str]], n: int) -> float | None:
    different, total = ngrams(corpus, n)
    return different / total if total else None
