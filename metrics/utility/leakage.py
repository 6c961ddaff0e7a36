"""Texts that training must not contain: those of the test part; and, on request, words that name an emotion."""

import re
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from personagen.metrics.texts.corpus import Corpus
from personagen.metrics.texts.emotion_words import mask_pattern, word_pattern
from personagen.metrics.texts.inputs import brief
from personagen.metrics.texts.words import tokenise

MIN_COSINE = 0.95
"""Cosine of two vectors from which on their texts count as nearly the same."""

BLOCK_ROWS = 1024
"""Training texts compared with all test texts at a time, which bounds the memory of the products."""


def overlaps_test(train: Corpus, test: Corpus) -> NDArray[np.bool_]:
    """Return which training texts have the tokens of a test text or nearly its vector (cosine >= 0.95), shape (n,)."""
    test_tokens = {tuple(tokenise(text)) for text in test.texts}
    same = np.array([tuple(tokenise(text)) in test_tokens for text in train.texts])
    near = np.zeros(len(train), dtype=bool)
    for start in range(0, len(train), BLOCK_ROWS):
        cosines = train.vectors[start : start + BLOCK_ROWS] @ test.vectors.T
        near[start : start + BLOCK_ROWS] = cosines.max(axis=1, initial=-1) >= MIN_COSINE
    return np.asarray(same | near)


def requested_mask(mask_words: object, labels: Sequence[str]) -> re.Pattern[str] | None:
    """Compile the pattern of the words to mask; None: nothing to mask.

    Args:
        mask_words: True: the words that name any of the labels. A mapping: its own words per label.
        labels: labels of all texts.

    Raises:
        TypeError: `mask_words` is neither True nor a mapping of labels to lists of words.

    """
    if mask_words is True:
        return mask_pattern(frozenset(labels))
    if not isinstance(mask_words, Mapping) or not all(_is_word_list(words) for words in mask_words.values()):
        raise TypeError(f"mask_words is {brief(mask_words)}, wanted True or a mapping of labels to lists of words")
    words = {word for words in mask_words.values() for word in words if word}
    longest_first = sorted(words, key=lambda word: (-len(word), word))
    return word_pattern(map(re.escape, longest_first)) if words else None


def _is_word_list(words: object) -> bool:
    return isinstance(words, Sequence) and not isinstance(words, str) and all(isinstance(word, str) for word in words)
