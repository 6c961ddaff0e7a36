"""Measures that count n-grams: self-BLEU and self-repetition, exact, in time n log n instead of n squared.

Texts are given as words. Every n-gram gets a number, and a table says how often each text has it; what pairs of texts
would be compared for is then read off that table. No n-gram crosses from one text to the next.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

ORDER = 4
"""Longest n-gram of BLEU, and the one of self-repetition."""

EPSILON = 0.1
"""What stands for a count of 0 in BLEU: the first method of Chen and Cherry (2014), as in NLTK and in Texygen."""


@dataclass(frozen=True, slots=True, eq=False)
class Counts:
    """How often each text has each n-gram, one entry a pair that occurs, in the order of n-grams, then texts.

    Attributes:
        gram: number of the n-gram, from 0.
        text: number of the text.
        count: how often that text has it.

    """

    gram: Ints
    text: Ints
    count: Ints


@dataclass(frozen=True, slots=True, eq=False)
class Words:
    """Words of all texts as numbers, one text after the other.

    Attributes:
        word: number of the word at each place.
        text: number of the text at each place.
        lengths: words of each text; its length is the number of texts.

    """

    word: Ints
    text: Ints
    lengths: Ints


def number_words(corpus: Sequence[Sequence[str]]) -> Words:
    """Turn words into numbers."""
    numbers: dict[str, int] = {}
    word = [numbers.setdefault(each, len(numbers)) for words in corpus for each in words]
    lengths = np.fromiter(map(len, corpus), dtype=np.int64, count=len(corpus))
    return Words(np.asarray(word, dtype=np.int64), np.repeat(np.arange(len(corpus)), lengths), lengths)


def counts_by_order(words: Words, order: int = ORDER) -> list[Counts]:
    """Count the n-grams of orders 1 to `order`.

    An n-gram is numbered as the pair of its beginning, which has a number by then, and its last word.
    """
    texts = len(words.lengths)
    kinds = int(words.word.max(initial=-1)) + 1
    found = [_counted(words.word, words.text, texts)]
    gram = words.word  # that begins at each place
    for n in range(2, order + 1):
        last = words.text[n - 1 :]
        starts = np.flatnonzero(last == words.text[: len(last)])
        pairs = gram[starts] * kinds + words.word[starts + n - 1]
        gram = np.zeros(len(words.word), dtype=np.int64)
        gram[starts] = np.unique(pairs, return_inverse=True)[1]
        found.append(_counted(gram[starts], words.text[starts], texts))
    return found


def _counted(gram: Ints, text: Ints, texts: int) -> Counts:
    pairs, count = np.unique(gram * texts + text, return_counts=True)
    return Counts(pairs // texts, pairs % texts, count.astype(np.int64))


def self_bleu(words: Words, counts: Sequence[Counts]) -> Floats:
    """Return the BLEU of each text against all others as its references; the mean over texts is self-BLEU.

    BLEU is that of Papineni et al. (2002) for one sentence: n-grams of 1 to 4 words at equal weights, counts clipped at
    the largest count in a reference, brevity against the reference of the closest length, and the shorter of two that
    are as close. A numerator of 0 counts as 0.1; a text without a word in common with any other gets 0. Self-BLEU is
    from Zhu et al., Texygen (arXiv 1802.01886).

    Args:
        words: of two texts or more.
        counts: of orders 1 to 4.

    Returns:
        Shape (texts,), in [0, 1].

    """
    texts = len(words.lengths)
    logs = np.zeros(texts)
    shared = np.zeros(texts, dtype=np.int64)
    for order, table in enumerate(counts, 1):
        clipped = np.minimum(table.count, _largest_elsewhere(table))
        matched = np.bincount(table.text, weights=clipped, minlength=texts)
        if order == 1:
            shared = matched.astype(np.int64)
        total = np.maximum(words.lengths - order + 1, 1)
        logs += np.log(np.where(matched > 0, matched, EPSILON) / total)
    bleu = np.exp(logs / len(counts) + _brevity(words.lengths))
    return np.where(shared > 0, bleu, 0.0)


def _largest_elsewhere(table: Counts) -> Ints:
    """Give for each entry the largest count of its n-gram in another text, 0 where no other has it.

    That is the largest count of all, or the second largest for the text that has the largest.
    """
    if not len(table.gram):
        return table.count
    order = np.lexsort((table.count, table.gram))
    gram, count = table.gram[order], table.count[order]
    last = np.append(gram[1:] != gram[:-1], True)
    first = np.roll(last, 1)
    ends = np.flatnonzero(last)
    second = np.where(first[ends], 0, count[ends - 1])
    number = np.cumsum(first) - 1  # of the n-gram, for each entry
    elsewhere = np.where(last, second[number], count[ends][number])
    result: Ints = np.empty_like(elsewhere)
    result[order] = elsewhere
    return result


def _brevity(lengths: Ints) -> Floats:
    """Give the logarithm of the brevity penalty of each text, all others being its references."""
    kinds, number, counts = np.unique(lengths, return_inverse=True, return_counts=True)
    closest = kinds.copy()  # another text of the same length is the closest there can be
    for place in np.flatnonzero(counts == 1):
        near = [kinds[other] for other in (place - 1, place + 1) if 0 <= other < len(kinds)]
        closest[place] = min(near, key=lambda length: (abs(length - kinds[place]), length))
    with np.errstate(divide="ignore", invalid="ignore"):  # a text without words
        penalty = np.where(closest <= kinds, 0.0, 1 - closest / kinds)
    return np.asarray(penalty[number], dtype=np.float64)


def self_repetition(grams: Counts, texts: int) -> Floats:
    """Return for each text ln(1 + how many times another text has one of its n-grams), the mean of which is the score.

    An n-gram counts once a text, however often it stands there. After Salkar et al. (2022), "Self-repetition in
    abstractive neural summarizers".

    Args:
        grams: counts of one order, 4 in the paper.
        texts: number of texts.

    """
    having = np.bincount(grams.gram)
    elsewhere = np.bincount(grams.text, weights=having[grams.gram] - 1, minlength=texts)
    return np.log1p(elsewhere)


def distinct(grams: Counts) -> float | None:
    """Return different n-grams over all n-grams; None where there are none."""
    total = int(grams.count.sum())
    return (int(grams.gram[-1]) + 1) / total if total else None
