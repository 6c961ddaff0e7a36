"""Profiles of texts and their divergence: counts of labels, lengths, punctuation, and kinds of words."""

import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

CLOSED_CLASSES: Mapping[str, str] = {
    "first person": "i me my mine myself we us our ours ourselves i'm i've i'll i'd we're we've we'll",
    "second person": "you your yours yourself yourselves you're you've you'll u ur",
    "third person": "he him his himself she her hers herself it its itself they them their theirs themselves it's he's "
    "she's they're",
    "determiner": "a an the this that these those some any no every each either neither another such",
    "auxiliary": "am is are was were be been being have has had do does did will would shall should can could may "
    "might must",
    "negation": "not no never none nothing nobody nowhere don't doesn't didn't isn't aren't wasn't weren't can't "
    "couldn't won't wouldn't shouldn't haven't hasn't hadn't cannot",
    "preposition": "of in to for with on at from by about into over after under between out through during before "
    "without against",
    "conjunction": "and or but nor so yet because if while although though unless since when whereas",
    "question word": "who whom whose which what where why how",
    "adverb of degree": "very so too really quite just even only more most much less least almost totally absolutely",
    "interjection": "oh ah wow hey yeah yes no lol omg haha ha ugh well please thanks thank sorry ok okay",
}
"""Words of the closed classes of English; a word belongs to the first class that lists it."""

ENDINGS = ("ing", "ed", "ly", "ness", "ment", "tion", "ity", "ful", "less", "ous", "able", "er", "est", "s")
"""Kinds of other words of five letters or more: the first ending that matches."""

MAX_WORDS = 60
"""Longer texts count as texts of this length."""


def jensen_shannon(one: Mapping[str, int], other: Mapping[str, int]) -> float | None:
    """Compute the Jensen-Shannon divergence of two sets of counts, to the base 2 (Lin 1991).

    In [0, 1]; 0: equal fractions. Two samples of n from one source get about (bins - 1) / (4 n ln 2). None: a side
    without counts.
    """
    from scipy.spatial.distance import jensenshannon

    keys = sorted(one.keys() | other.keys())
    counts = [[side.get(key, 0) for key in keys] for side in (one, other)]
    if not all(map(sum, counts)):
        return None
    with np.errstate(invalid="ignore"):  # rounding can put the sum under SciPy's root just below 0
        distance = float(jensenshannon(*counts, base=2))
    return 0.0 if np.isnan(distance) else distance**2


def lengths(words: Iterable[int]) -> Counter[str]:
    """Count texts by their length in words."""
    return Counter(str(min(count, MAX_WORDS)) for count in words)


def punctuation(texts: Iterable[str]) -> Counter[str]:
    """Count punctuation marks by character, and symbols and emoji by Unicode category."""
    counts: Counter[str] = Counter()
    for text in texts:
        for char in text:
            kind = unicodedata.category(char)
            if kind[0] == "P":
                counts[char] += 1
            elif kind[0] == "S":
                counts[kind] += 1
    return counts


def word_kinds(tokens: Iterable[Sequence[str]]) -> Counter[str]:
    """Count tokens by kind: closed classes of English, and endings of others, as an approximation of a tagger."""
    counts: Counter[str] = Counter()
    for token, count in Counter(token for text in tokens for token in text).items():
        counts[_kind(token)] += count
    return counts


_CLASS_OF = {word: kind for kind, members in reversed(list(CLOSED_CLASSES.items())) for word in members.split()}


def _kind(word: str) -> str:
    if word in _CLASS_OF:
        return _CLASS_OF[word]
    if word.isdigit():
        return "number"
    long = len(word) >= 5
    return next((ending for ending in ENDINGS if long and word.endswith(ending)), "other")
