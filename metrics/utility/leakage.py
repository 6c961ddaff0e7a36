"""What must not be in the training texts: those of the test part, and nearly those; and, on request, emotion words."""

import re
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from personagen.metrics.texts.corpus import Corpus
from personagen.metrics.texts.inputs import brief
from personagen.metrics.texts.words import tokenise

NEAR = 0.95
"""Cosine of vectors from which on two texts count as nearly the same."""

BLOCK = 1024

MASK = "[EMOTION]"

FORMS: Mapping[str, str] = {
    "anger": "anger angers angered angering angry angrier angriest angrily",
    "disgust": "disgust disgusts disgusted disgusting disgustingly",
    "fear": "fear fears feared fearing fearful fearfully afraid",
    "joy": "joy joys joyful joyfully joyous joyously enjoy enjoys enjoyed enjoying",
    "sadness": "sad sadder saddest sadly sadness sadden saddens saddened saddening",
    "surprise": "surprise surprises surprised surprising surprisingly",
    "trust": "trust trusts trusted trusting trustful",
    "anticipation": "anticipate anticipates anticipated anticipating anticipation",
    "neutral": "neutral neutrally",
}
"""Words by which common labels are named in a text."""


def leaked(train: Corpus, test: Corpus) -> NDArray[np.bool_]:
    """Mark the training texts that are in the test part, word by word or nearly (cosine 0.95 or more)."""
    known = {" ".join(tokenise(text)) for text in test.texts}
    same = np.array([" ".join(tokenise(text)) in known for text in train.texts])
    near = np.zeros(len(train), dtype=bool)
    for start in range(0, len(train), BLOCK):
        near[start : start + BLOCK] = (train.vectors[start : start + BLOCK] @ test.vectors.T).max(
            axis=1, initial=-1
        ) >= NEAR
    return np.asarray(same | near)


def words_to_mask(given: object, classes: Sequence[str]) -> list[str]:
    """List the words that name emotions: of all classes for True, else those that are given by label.

    Raises:
        TypeError: it is neither True nor a mapping of labels to lists of words.

    """
    if given is True:
        return sorted({word for label in classes for word in (label, *FORMS.get(label, "").split())})
    if not isinstance(given, Mapping) or not all(
        isinstance(words, Sequence) and not isinstance(words, str) and all(isinstance(word, str) for word in words)
        for words in given.values()
    ):
        raise TypeError(f"mask_words is {brief(given)}, wanted True or a mapping of labels to lists of words")
    return sorted({word for words in given.values() for word in words if word})


def masked(texts: Sequence[str], words: Sequence[str]) -> list[str]:
    """Put [EMOTION] in the place of words, whatever their case; parts of words stay."""
    if not words:
        return list(texts)
    pattern = re.compile(rf"\b(?:{'|'.join(map(re.escape, words))})\b", re.IGNORECASE)
    return [pattern.sub(MASK, text) for text in texts]
