"""Lexical figures of a corpus: n-grams, richness, redundancy, repeated texts, and tokens against their expectation."""

import math
from collections import Counter
from collections.abc import Sequence
from itertools import chain
from typing import SupportsIndex

from personagen.metrics.diversity.ngrams import counts_by_order, distinct, number_tokens, self_bleu, self_repetition
from personagen.metrics.diversity.redundancy import compression_ratio
from personagen.metrics.diversity.richness import hdd, mattr, mtld
from personagen.metrics.texts.inputs import brief
from personagen.metrics.texts.words import count_words, normalise

MAX_VOCABULARY = 10**12
"""Far above any vocabulary, and small enough for a float to represent 1 - 1 / V."""


def lexical(tokens: Sequence[Sequence[str]], texts: Sequence[str]) -> dict[str, float | None]:
    """Compute the figures of tokens, n-grams and bytes that depend on the number of texts; see the card for each.

    Args:
        tokens: tokens of every text.
        texts: texts.

    """
    numbered = number_tokens(tokens)
    counts = counts_by_order(numbered)
    joined = list(chain.from_iterable(tokens))
    several = len(tokens) > 1
    return {
        **{f"distinct_{order}": distinct(table) for order, table in enumerate(counts, 1)},
        "self_bleu": float(self_bleu(numbered, counts).mean()) if several else None,
        "self_repetition": float(self_repetition(counts[-1], len(tokens)).mean()) if several else None,
        "compression_ratio": compression_ratio(texts),
        "hdd": hdd(joined),
        "mattr": mattr(joined),
        "mtld": mtld(joined),
    }


def duplicate_fraction(texts: Sequence[str]) -> float:
    """Return the fraction of texts that repeat an earlier one, apart from case and white space."""
    return (len(texts) - len({normalise(text) for text in texts})) / len(texts)


def word_figures(
    tokens: Sequence[Sequence[str]], texts: Sequence[str], vocabulary: SupportsIndex | None
) -> dict[str, float | int | None]:
    """Compute the mean number of words per text, and the distinct tokens over their expected number (EAD).

    Args:
        tokens: tokens of every text.
        texts: texts.
        vocabulary: number of tokens available to the writer, the same for all corpora compared; None: no EAD.

    Returns:
        `mean_words`; `ead_1`, above 0 and below e / (e - 1), None without a vocabulary or without tokens; and
        `ead_vocabulary`.

    Raises:
        TypeError: the vocabulary is not a whole number.
        ValueError: the vocabulary is out of range, or smaller than that of the texts.

    """
    size = None if vocabulary is None else validate_vocabulary(vocabulary)
    counts = Counter(chain.from_iterable(tokens))
    total = counts.total()
    if size is not None and size < len(counts):
        raise ValueError(f"vocabulary is {size}, wanted {len(counts)} or more: the texts have so many different tokens")
    return {
        "mean_words": sum(map(count_words, texts)) / len(texts),
        "ead_1": len(counts) / expected_tokens(size, total) if size and total else None,
        "ead_vocabulary": size,
    }


def validate_vocabulary(vocabulary: SupportsIndex) -> int:
    """Return the size of a vocabulary as `int`.

    Raises:
        TypeError: the size is not a whole number.
        ValueError: the size is out of range.

    """
    wanted = f"wanted a whole number from 1 to {MAX_VOCABULARY:,}, or None"
    if isinstance(vocabulary, bool) or not isinstance(vocabulary, SupportsIndex):
        raise TypeError(f"vocabulary is {brief(vocabulary)}, {wanted}")
    size = vocabulary.__index__()
    if not 1 <= size <= MAX_VOCABULARY:
        raise ValueError(f"vocabulary is {brief(size)}, {wanted}")
    return size


def expected_tokens(vocabulary: int, draws: int) -> float:
    """Return the expected number of distinct tokens in uniform draws: V (1 - (1 - 1/V)^draws).

    The formula is that of Liu et al., arXiv 2202.13587, in logarithms, because 1 - 1/V is close to 1.

    Args:
        vocabulary: size V of the vocabulary.
        draws: number of draws, 1 or more.

    """
    if vocabulary == 1:
        return 1.0
    return -vocabulary * math.expm1(draws * math.log1p(-1 / vocabulary))
