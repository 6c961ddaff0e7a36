"""Find the words that distinguish the labels of real texts."""

import math
from collections import Counter
from collections.abc import Sequence

from personagen.metrics.texts.words import tokenise

MAX_LABEL_WORDS = 40
"""Words per label."""

MIN_LABEL_WORD_TEXTS = 2
"""Texts of the label in which a word must occur."""

MIN_Z = 1.0
"""Standard errors by which a word must be more frequent in texts of its label than in others."""

PRIOR = 0.5
"""Weight of the words of all texts as a prior, relative to the size of a label."""


def label_words(texts: Sequence[str], labels: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return the words that are most typical of each label, the most typical first.

    The order is that of the log-odds ratio with an informative Dirichlet prior, in standard errors (Monroe, Colaresi
    and Quinn 2008, equations 16, 19 and 22), of the numbers of texts that have the word.

    Args:
        texts: real texts.
        labels: one per text.

    """
    by_label: dict[str, Counter[str]] = {}
    for text, label in zip(texts, labels, strict=True):
        by_label.setdefault(label, Counter()).update(set(tokenise(text)))
    total = sum(by_label.values(), Counter())
    return {label: _typical(counts, total) for label, counts in sorted(by_label.items())}


def _typical(counts: "Counter[str]", total: "Counter[str]") -> tuple[str, ...]:
    size, whole = counts.total(), total.total()
    scores = {}
    for word, count in counts.items():
        prior = PRIOR * size * total[word] / whole
        here, there = count + prior, total[word] - count + prior
        others = whole - size + PRIOR * size
        odds = math.log(here / (size + PRIOR * size - here)) - math.log(there / (others - there))
        scores[word] = odds / math.sqrt(1 / here + 1 / there)
    typical = [word for word, score in scores.items() if score >= MIN_Z and counts[word] >= MIN_LABEL_WORD_TEXTS]
    return tuple(sorted(typical, key=lambda word: (-scores[word], word))[:MAX_LABEL_WORDS])
