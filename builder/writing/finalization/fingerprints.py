"""Compare two texts word for word or nearly, and hash a text so that similar ones can be found without comparing all.

Locality-sensitive hashing of MinHash signatures (rensa) proposes texts, and the exact Jaccard similarity of the word
triples of both texts decides. No text is therefore rejected by an estimate; hashing can only miss a duplicate.
The hashes are fixed functions of the words, so the results are the same in every process and on every 64-bit machine.
"""

import struct
import unicodedata
from dataclasses import dataclass
from zlib import crc32

from rensa import RMinHash

from personagen.metrics.texts.words import letter_runs

SHINGLE_WORDS = 3
"""Words in a row that are compared; a shorter text is compared as a whole."""

SIGNATURE_VALUES = 64
"""Values of a MinHash signature."""

PERMUTATION_SEED = 42
"""Seed of the permutations behind a signature."""

MIN_RECALL = 0.98
"""Least probability that hashing proposes a text at the threshold; it is higher for more similar ones. At a threshold
of 0.7 it takes 16 bands; 0.99 would take 32, and twice the space."""


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """Form of a text in which it is compared; computed once per text.

    Attributes:
        folded: its words; see `fold`.
        hashes: number and hash of each band of its signature. Two texts are compared if they share one.

    """

    folded: str
    hashes: tuple[int, ...]


def fingerprint_of(text: str, bands: int) -> Fingerprint:
    """Return the fingerprint of a text; `bands`: see `band_count`."""
    folded = fold(text)
    return Fingerprint(folded, _hashes(_shingles(folded), bands))


def similarity(folded: str, other: str) -> float:
    """Return the Jaccard similarity of the word triples of two folded texts, in [0, 1]."""
    if folded == other:
        return 1.0
    one, two = _shingles(folded), _shingles(other)
    shared = len(one & two)
    return shared / (len(one) + len(two) - shared)


def fold(text: str) -> str:
    """Return the words of a text, without case, compatibility forms, marks and punctuation; else its symbols."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    words = letter_runs(folded.replace("'", "").replace("’", ""))
    return " ".join(words) if words else "".join(folded.split())


def band_count(threshold: float) -> int:
    """Return the fewest bands that reach MIN_RECALL at the threshold: the least memory and fewest vain proposals.

    A band of r values agrees with probability t**r, and one of b bands with 1 - (1 - t**r)**b (Leskovec, Rajaraman and
    Ullman, Mining of Massive Datasets, section 3.4). Below a threshold of 0.06 no number of bands reaches it.

    Args:
        threshold: Jaccard similarity of word triples, in (0, 1], from which on two texts count as the same.

    Raises:
        ValueError: the threshold is out of its range.

    """
    if not 0 < threshold <= 1:
        raise ValueError(f"threshold is {threshold}, wanted above 0 and at most 1")
    divisors = [bands for bands in range(1, SIGNATURE_VALUES + 1) if SIGNATURE_VALUES % bands == 0]
    for bands in divisors:
        if 1 - (1 - threshold ** (SIGNATURE_VALUES // bands)) ** bands >= MIN_RECALL:
            return bands
    return SIGNATURE_VALUES


def _shingles(folded: str) -> set[str]:
    words = folded.split(" ")
    starts = range(max(1, len(words) - SHINGLE_WORDS + 1))
    return {" ".join(words[start : start + SHINGLE_WORDS]) for start in starts}


def _hashes(shingles: set[str], bands: int) -> tuple[int, ...]:
    """Hash each band of the signature into its number and 32 bits; a collision costs one vain proposal."""
    signature = RMinHash(num_perm=SIGNATURE_VALUES, seed=PERMUTATION_SEED)
    signature.update([shingle.encode("utf-8", "surrogatepass") for shingle in shingles])
    size = SIGNATURE_VALUES * 4 // bands
    packed = struct.pack(f"<{SIGNATURE_VALUES}I", *signature.digest())
    return tuple(band << 32 | crc32(packed[band * size : (band + 1) * size]) for band in range(bands))
