"""Measures over n-grams: distinct-n, self-BLEU and self-repetition, exact, in time n log n instead of n squared.

A text is a sequence of tokens. Every n-gram gets a number, and a table lists its count in every text. Comparisons of
pairs of texts are read off that table. No n-gram crosses from one text to the next.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

MAX_ORDER = 4
"""Longest n-gram of BLEU, and the order of self-repetition."""

EPSILON = 0.1
"""Numerator of BLEU in place of 0: method 1 of Chen and Cherry (2014), as in NLTK and Texygen."""


@dataclass(frozen=True, slots=True, eq=False)
class Counts:
    """Counts of n-grams per text: one entry per pair that occurs, ordered by n-gram, then by text.

    Attributes:
        gram: number of the n-gram, from 0 without gaps.
        text: number of the text.
        count: occurrences of the n-gram in the text.

    """

    gram: Ints
    text: Ints
    count: Ints


@dataclass(frozen=True, slots=True, eq=False)
class NumberedTokens:
    """Tokens of all texts as numbers, in the order of the texts.

    Attributes:
        token: number of the token at each position.
        text: number of the text at each position.
        lengths: tokens per text, shape (texts,).

    """

    token: Ints
    text: Ints
    lengths: Ints


def number_tokens(corpus: Sequence[Sequence[str]]) -> NumberedTokens:
    """Replace tokens by numbers."""
    numbers: dict[str, int] = {}
    token = [numbers.setdefault(token, len(numbers)) for tokens in corpus for token in tokens]
    lengths = np.fromiter(map(len, corpus), dtype=np.int64, count=len(corpus))
    return NumberedTokens(np.asarray(token, dtype=np.int64), np.repeat(np.arange(len(corpus)), lengths), lengths)


def counts_by_order(tokens: NumberedTokens, max_order: int = MAX_ORDER) -> list[Counts]:
    """Count the n-grams of orders 1 to `max_order`.

    An n-gram is numbered as the pair of its first n - 1 tokens, numbered in the step before, and its last token.
    """
    texts = len(tokens.lengths)
    kinds = int(tokens.token.max(initial=-1)) + 1
    tables = [_count(tokens.token, tokens.text, texts)]
    gram = tokens.token  # number of the n-gram that starts at each position
    for n in range(2, max_order + 1):
        last = tokens.text[n - 1 :]
        starts = np.flatnonzero(last == tokens.text[: len(last)])
        pairs = gram[starts] * kinds + tokens.token[starts + n - 1]
        gram = np.zeros(len(tokens.token), dtype=np.int64)
        gram[starts] = np.unique(pairs, return_inverse=True)[1]
        tables.append(_count(gram[starts], tokens.text[starts], texts))
    return tables


def _count(gram: Ints, text: Ints, texts: int) -> Counts:
    pairs, count = np.unique(gram * texts + text, return_counts=True)
    return Counts(pairs // texts, pairs % texts, count.astype(np.int64))


def distinct(grams: Counts) -> float | None:
    """Return distinct n-grams over all n-grams (Li et al. 2016); None: no n-grams."""
    total = int(grams.count.sum())
    return (int(grams.gram[-1]) + 1) / total if total else None


def self_bleu(tokens: NumberedTokens, counts: Sequence[Counts]) -> Floats:
    """Compute the BLEU of each text with all other texts as its references; self-BLEU is the mean over texts.

    Sentence BLEU of Papineni et al. (2002): n-grams of 1 to 4 tokens with equal weights, counts clipped at the largest
    count in a reference, and brevity relative to the reference of the closest length, the shorter of two. A numerator
    of 0 is replaced by 0.1. A text that shares no token with another gets 0. Self-BLEU is that of Zhu et al., Texygen
    (arXiv 1802.01886).

    Args:
        tokens: tokens of two texts or more.
        counts: counts of orders 1 to 4.

    Returns:
        Shape (texts,), in [0, 1].

    """
    texts = len(tokens.lengths)
    logs = np.zeros(texts)
    shared = np.zeros(texts, dtype=np.int64)
    for order, table in enumerate(counts, 1):
        clipped = np.minimum(table.count, _largest_elsewhere(table))
        matched = np.bincount(table.text, weights=clipped, minlength=texts)
        if order == 1:
            shared = matched.astype(np.int64)
        total = np.maximum(tokens.lengths - order + 1, 1)
        logs += np.log(np.where(matched > 0, matched, EPSILON) / total)
    bleu = np.exp(logs / len(counts) + _log_brevity(tokens.lengths))
    return np.where(shared > 0, bleu, 0.0)


def _largest_elsewhere(table: Counts) -> Ints:
    """Return for each entry the largest count of its n-gram in any other text, 0 if no other text has it.

    This is the overall largest count, or the second largest for the text with the largest.
    """
    if not len(table.gram):
        return table.count
    order = np.lexsort((table.count, table.gram))
    gram, count = table.gram[order], table.count[order]
    last = np.append(gram[1:] != gram[:-1], True)
    first = np.roll(last, 1)
    ends = np.flatnonzero(last)
    second = np.where(first[ends], 0, count[ends - 1])
    number = np.cumsum(first) - 1  # number of the n-gram of each entry
    elsewhere = np.where(last, second[number], count[ends][number])
    result: Ints = np.empty_like(elsewhere)
    result[order] = elsewhere
    return result


def _log_brevity(lengths: Ints) -> Floats:
    """Return the logarithm of the brevity penalty of each text, with all other texts as references."""
    kinds, number, counts = np.unique(lengths, return_inverse=True, return_counts=True)
    closest = kinds.copy()  # another text of the same length is the closest possible
    for index in np.flatnonzero(counts == 1):
        neighbours = [kinds[other] for other in (index - 1, index + 1) if 0 <= other < len(kinds)]
        closest[index] = min(neighbours, key=lambda length: (abs(length - kinds[index]), length))
    with np.errstate(divide="ignore", invalid="ignore"):  # a text without tokens
        penalty = np.where(closest <= kinds, 0.0, 1 - closest / kinds)
    return np.asarray(penalty[number], dtype=np.float64)


def self_repetition(grams: Counts, texts: int) -> Floats:
    """Return ln(1 + occurrences in other texts of the n-grams of a text), for each text; the score is their mean.

    An n-gram counts once per text. After Salkar et al. (2022), "Self-repetition in abstractive neural summarizers".

    Args:
        grams: counts of one order; 4 in the paper.
        texts: number of texts.

    """
    having = np.bincount(grams.gram)
    elsewhere = np.bincount(grams.text, weights=having[grams.gram] - 1, minlength=texts)
    return np.log1p(elsewhere)
