"""Richness of the vocabulary of a corpus, independent of its length: HD-D, MATTR and MTLD."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

SAMPLE_TOKENS = 42
"""Tokens per sample of HD-D, as in McCarthy and Jarvis (2010)."""

WINDOW_TOKENS = 50
"""Tokens per window of MATTR."""

THRESHOLD = 0.72
"""Type-token ratio at which a factor of MTLD ends."""


def hdd(tokens: Sequence[str]) -> float | None:
    """Compute HD-D: the expected fraction of distinct tokens among 42 drawn without replacement.

    A token that occurs f times among N is absent from the sample with the hypergeometric probability
    C(N - f, 42) / C(N, 42). The values are those of McCarthy and Jarvis (2010). In (0, 1]; None for fewer than 42
    tokens.
    """
    total = len(tokens)
    if total < SAMPLE_TOKENS:
        return None
    whole = _log_choose(total)
    expected = 0.0
    for frequency, kinds in Counter(Counter(tokens).values()).items():
        others = total - frequency
        absent = math.exp(_log_choose(others) - whole) if others >= SAMPLE_TOKENS else 0.0
        expected += kinds * (1 - absent)
    return expected / SAMPLE_TOKENS


def _log_choose(count: int) -> float:
    """Return ln C(count, 42), up to a constant."""
    return math.lgamma(count + 1) - math.lgamma(count - SAMPLE_TOKENS + 1)


def mattr(tokens: Sequence[str]) -> float | None:
    """Compute MATTR: the mean fraction of distinct tokens in all windows of 50 tokens (Covington and McFall 2010).

    A token is the first of its kind in every window that starts after its previous occurrence, so one pass counts them.
    The value depends on the order of the texts. In (0, 1]; None for fewer than 50 tokens.
    """
    if len(tokens) < WINDOW_TOKENS:
        return None
    last_position: dict[str, int] = {}
    previous = np.empty(len(tokens), dtype=np.int64)
    for position, token in enumerate(tokens):
        previous[position] = last_position.get(token, -1)
        last_position[token] = position
    positions = np.arange(len(tokens))
    first = np.maximum(previous + 1, positions - WINDOW_TOKENS + 1).clip(0)
    last = np.minimum(positions, len(tokens) - WINDOW_TOKENS)
    windows = len(tokens) - WINDOW_TOKENS + 1
    return float(np.maximum(last - first + 1, 0).sum()) / (WINDOW_TOKENS * windows)


def mtld(tokens: Sequence[str]) -> float | None:
    """Compute MTLD: the mean number of tokens until their type-token ratio falls to 0.72, in both directions.

    The rest at the end counts as a partial factor, in proportion to the fall of its ratio (McCarthy and Jarvis 2010).
    The value depends on the order of the texts. 1 or more; None: no tokens, or a ratio that never falls.
    """
    forward, backward = _factors(tokens), _factors(reversed(tokens))
    return (len(tokens) / forward + len(tokens) / backward) / 2 if forward and backward else None


def _factors(tokens: Iterable[str]) -> float:
    kinds: set[str] = set()
    count = 0
    full = 0
    for token in tokens:
        count += 1
        kinds.add(token)
        if len(kinds) <= THRESHOLD * count:
            full += 1
            kinds.clear()
            count = 0
    return full + ((1 - len(kinds) / count) / (1 - THRESHOLD) if count else 0)
