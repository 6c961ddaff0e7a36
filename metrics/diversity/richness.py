"""Richness of the vocabulary of a corpus that does not fall with its length: HD-D, MATTR and MTLD."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

DRAWN = 42
"""Words of a sample of HD-D, as McCarthy and Jarvis (2010) take them."""

WINDOW = 50
"""Words of a window of MATTR."""

THRESHOLD = 0.72
"""Type-token ratio at which a factor of MTLD ends."""


def hdd(words: Sequence[str]) -> float | None:
    """Return HD-D: the expected share of different words among 42 that are drawn without replacement.

    A word that occurs f times among N is missing from the sample with the hypergeometric probability
    C(N - f, 42) / C(N, 42). From McCarthy and Jarvis (2010), whose values are the same. In (0, 1]; None for fewer than
    42 words.
    """
    total = len(words)
    if total < DRAWN:
        return None
    whole = _log_choose(total)
    found = 0.0
    for frequency, kinds in Counter(Counter(words).values()).items():
        left = total - frequency
        missing = math.exp(_log_choose(left) - whole) if left >= DRAWN else 0.0
        found += kinds * (1 - missing)
    return found / DRAWN


def _log_choose(count: int) -> float:
    """Return ln C(count, 42), without what does not depend on the count."""
    return math.lgamma(count + 1) - math.lgamma(count - DRAWN + 1)


def mattr(words: Sequence[str]) -> float | None:
    """Return MATTR: the mean share of different words in all windows of 50 words in a row (Covington and McFall 2010).

    A word is the first of its kind in the windows that begin after its last occurrence before; counting those takes one
    pass. Depends on the order of the texts. In (0, 1]; None for fewer than 50 words.
    """
    if len(words) < WINDOW:
        return None
    seen: dict[str, int] = {}
    before = np.empty(len(words), dtype=np.int64)
    for place, word in enumerate(words):
        before[place] = seen.get(word, -1)
        seen[word] = place
    places = np.arange(len(words))
    first = np.maximum(before + 1, places - WINDOW + 1).clip(0)
    last = np.minimum(places, len(words) - WINDOW)
    windows = len(words) - WINDOW + 1
    return float(np.maximum(last - first + 1, 0).sum()) / (WINDOW * windows)


def mtld(words: Sequence[str]) -> float | None:
    """Return MTLD: the mean number of words in a row until their type-token ratio is down to 0.72, both ways.

    What is left at the end counts as the part of a factor that its ratio has fallen (McCarthy and Jarvis 2010). Depends
    on the order of the texts. 1 or more; None without words, or where the ratio never falls.
    """
    forward, backward = _factors(words), _factors(reversed(words))
    return (len(words) / forward + len(words) / backward) / 2 if forward and backward else None


def _factors(words: Iterable[str]) -> float:
    kinds: set[str] = set()
    count = 0
    full = 0
    for word in words:
        count += 1
        kinds.add(word)
        if len(kinds) <= THRESHOLD * count:
            full += 1
            kinds.clear()
            count = 0
    return full + ((1 - len(kinds) / count) / (1 - THRESHOLD) if count else 0)
