"""Find a text that was written before, word for word or nearly.

Locality-sensitive hashing of MinHash signatures (rensa) proposes earlier texts; the exact Jaccard similarity of the
word triples of both texts decides. So a text is never refused by an estimate; the hashing can only overlook one. Its
hashes are fixed functions of the words, so the answers are the same in every process and on every 64-bit machine.
"""

import re
import unicodedata

from rensa import RMinHash, RMinHashLSH

from personagen.builder.checks import UNSPACED

SHINGLE_WORDS = 3
"""Words in a row that are compared; a text that is shorter is compared whole."""

SIGNATURE, SEED = 64, 42
"""Values of a MinHash signature and the seed of their permutations."""

RECALL = 0.98
"""Chance at least that hashing proposes a text right at the threshold, more above it. At a threshold of 0.7 this takes
16 bands; 0.99 would take 32, and twice the memory."""

_WORD = re.compile(f"[{UNSPACED}]|[^\\W_{UNSPACED}]+")


class DuplicateIndex:
    """Texts that were accepted so far, in memory: about 1.8 KB a text of 30 words at a threshold of 0.7."""

    def __init__(self, threshold: float) -> None:
        """Start empty.

        Args:
            threshold: Jaccard similarity of word triples, in (0, 1], from which on two texts are the same.

        Raises:
            ValueError: the threshold is out of its range.

        """
        if not 0 < threshold <= 1:
            raise ValueError(f"threshold is {threshold}, wanted above 0 and at most 1")
        self._threshold = threshold
        self._near = RMinHashLSH(threshold=threshold, num_perm=SIGNATURE, num_bands=_bands(threshold))
        self._positions: dict[str, int] = {}  # by normalised text, in order
        self._texts: list[str] = []
        self._ids: list[str] = []

    def find(self, text: str) -> str | None:
        """Return the id of the same text, else of the first that is nearly the same; None if there is neither."""
        normal = normalise(text)
        same = self._positions.get(normal)
        if same is not None:
            return self._ids[same]
        own = _shingles(normal)
        proposed: list[int] = self._near.query(_signature(own))
        for position in sorted(proposed):
            if _jaccard(own, _shingles(self._texts[position])) >= self._threshold:
                return self._ids[position]
        return None

    def add(self, row_id: str, text: str) -> None:
        """Remember a text under an id; of the same text twice, the first id stays."""
        normal = normalise(text)
        if normal in self._positions:
            return
        position = len(self._ids)
        self._positions[normal] = position
        self._texts.append(normal)
        self._ids.append(row_id)
        self._near.insert(position, _signature(_shingles(normal)))


def normalise(text: str) -> str:
    """Reduce a text to its words: compatibility forms and case folded, marks dropped; without words, to its symbols."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    words = _WORD.findall(folded.replace("'", "").replace("’", ""))
    return " ".join(words) if words else "".join(folded.split())


def _shingles(normal: str) -> set[str]:
    words = normal.split(" ")
    runs = range(max(1, len(words) - SHINGLE_WORDS + 1))
    return {" ".join(words[start : start + SHINGLE_WORDS]) for start in runs}


def _jaccard(one: set[str], other: set[str]) -> float:
    shared = len(one & other)
    return shared / (len(one) + len(other) - shared)


def _signature(shingles: set[str]) -> RMinHash:
    signature = RMinHash(num_perm=SIGNATURE, seed=SEED)
    # Order does not matter to the minima, but sorting keeps a set's random order out of sight of the library.
    signature.update([shingle.encode("utf-8", "surrogatepass") for shingle in sorted(shingles)])
    return signature


def _bands(threshold: float) -> int:
    """Choose the fewest bands, so the least memory and fewest vain proposals, that reach RECALL at the threshold.

    A band of r values agrees with probability t**r, one of b bands with 1 - (1 - t**r)**b (Leskovec, Rajaraman and
    Ullman, Mining of Massive Datasets, section 3.4). Below a threshold of 0.06 no number of bands reaches it.
    """
    divisors = [bands for bands in range(1, SIGNATURE + 1) if SIGNATURE % bands == 0]
    for bands in divisors:
        if 1 - (1 - threshold ** (SIGNATURE // bands)) ** bands >= RECALL:
            return bands
    return SIGNATURE
