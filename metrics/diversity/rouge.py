"""Homogenisation: mean similarity of two texts, by the longest common subsequence of their tokens."""

from collections.abc import Sequence

BLOCK_TEXTS = 256
"""Texts compared with all later texts in one call."""

MAX_TEXTS = 5_000
"""Largest number of texts compared pair by pair; a mean over pairs hardly changes with it."""

SURROGATES = range(0xD800, 0xE000)


def homogenization_rouge_l(corpus: Sequence[Sequence[str]]) -> float | None:
    """Compute the mean ROUGE-L F1 over all pairs of texts, exactly; None for fewer than two texts.

    ROUGE-L F1 (Lin 2004) of texts of a and b tokens with a longest common subsequence of L tokens is 2 L / (a + b), the
    normalised indel similarity. A text without tokens has similarity 0 to every other. The mean is the homogenisation
    of Padmakumar and He (arXiv 2309.05196).

    Args:
        corpus: tokens of every text. Above `MAX_TEXTS` texts, that many at equal distances are compared.

    """
    from rapidfuzz.distance import Indel
    from rapidfuzz.process import cdist

    if len(corpus) > MAX_TEXTS:
        corpus = [corpus[index * len(corpus) // MAX_TEXTS] for index in range(MAX_TEXTS)]
    if len(corpus) < 2:
        return None
    coded = _as_strings(corpus)
    total = 0.0
    for start in range(0, len(coded), BLOCK_TEXTS):
        block = coded[start : start + BLOCK_TEXTS]
        similarity = cdist(block, coded[start:], scorer=Indel.normalized_similarity, dtype="float64", workers=1)
        square = similarity[:, : len(block)]
        total += float(similarity[:, len(block) :].sum()) + (float(square.sum()) - float(square.trace())) / 2
    empty = sum(not text for text in coded)
    total -= empty * (empty - 1) / 2  # the library gives two empty texts a similarity of 1
    return total / (len(coded) * (len(coded) - 1) / 2)


def _as_strings(corpus: Sequence[Sequence[str]]) -> list[str]:
    """Encode each token as one character: the library compares strings fastest."""
    numbers: dict[str, int] = {}
    codes = [[numbers.setdefault(token, len(numbers)) for token in tokens] for tokens in corpus]
    shift = len(SURROGATES)
    return ["".join(chr(code if code < SURROGATES.start else code + shift) for code in text) for text in codes]
