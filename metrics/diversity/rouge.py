"""Homogenisation: how alike two texts of a corpus are on average, by their longest common subsequence of words."""

from collections.abc import Sequence

BLOCK = 256
"""Texts that are compared to all later ones at a time."""

MOST_TEXTS = 5_000
"""Texts that are compared pair by pair; a mean over pairs hardly changes with their number."""

SURROGATES = range(0xD800, 0xE000)


def homogenization_rouge_l(corpus: Sequence[Sequence[str]]) -> float | None:
    """Return the mean ROUGE-L F1 over all pairs of texts, exact; None for fewer than two texts.

    ROUGE-L F1 (Lin 2004) is 2 L / (a + b) for texts of a and b words whose longest common subsequence has L: the
    normalised indel similarity of the two sequences. A text without words has nothing in common with any other. As a
    measure of a corpus it is the homogenisation of Padmakumar and He (arXiv 2309.05196).

    Args:
        corpus: words of each text. Of more than `MOST_TEXTS`, texts at equal distances are compared.

    """
    from rapidfuzz.distance import Indel
    from rapidfuzz.process import cdist

    if len(corpus) > MOST_TEXTS:
        corpus = [corpus[place * len(corpus) // MOST_TEXTS] for place in range(MOST_TEXTS)]
    if len(corpus) < 2:
        return None
    coded = _coded(corpus)
    total = 0.0
    for start in range(0, len(coded), BLOCK):
        block = coded[start : start + BLOCK]
        alike = cdist(block, coded[start:], scorer=Indel.normalized_similarity, dtype="float64", workers=1)
        square = alike[:, : len(block)]
        total += float(alike[:, len(block) :].sum()) + (float(square.sum()) - float(square.trace())) / 2
    empty = sum(not text for text in coded)
    total -= empty * (empty - 1) / 2  # two texts without words are equal to the library
    return total / (len(coded) * (len(coded) - 1) / 2)


def _coded(corpus: Sequence[Sequence[str]]) -> list[str]:
    """Write each text with one character a word, which is what the library compares fastest."""
    numbers: dict[str, int] = {}
    codes = [[numbers.setdefault(word, len(numbers)) for word in words] for words in corpus]
    shift = len(SURROGATES)
    return ["".join(chr(code if code < SURROGATES.start else code + shift) for code in text) for text in codes]
