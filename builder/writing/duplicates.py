"""Find a text that repeats an earlier one, word for word or nearly.

Locality-sensitive hashing of MinHash signatures (rensa) proposes earlier texts, and the exact Jaccard similarity of the
word triples of both texts decides. No text is therefore rejected by an estimate; hashing can only miss a duplicate.
The hashes are fixed functions of the words, so the results are the same in every process and on every 64-bit machine.

Texts and hashes are in a database on disk that SQLite deletes by itself, so memory does not grow with their number.
"""

import sqlite3
import struct
import unicodedata
from types import TracebackType
from typing import Self
from zlib import crc32

from rensa import RMinHash

from personagen.builder.core.errors import FolderError
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

CACHE_KIB = 2048
"""Memory of the database; the rest is on disk."""

TABLES = """
PRAGMA journal_mode = OFF;
CREATE TABLE texts (position INTEGER PRIMARY KEY, id TEXT NOT NULL, text BLOB NOT NULL);
CREATE TABLE bands (hash INTEGER NOT NULL, position INTEGER NOT NULL, PRIMARY KEY (hash, position)) WITHOUT ROWID;
"""


class DuplicateIndex:
    """Index of the texts that were accepted so far; a context manager that frees the disk."""

    def __init__(self, threshold: float) -> None:
        """Create an empty index.

        Args:
            threshold: Jaccard similarity of word triples, in (0, 1], from which on two texts count as the same.

        Raises:
            ValueError: the threshold is out of its range.

        """
        if not 0 < threshold <= 1:
            raise ValueError(f"threshold is {threshold}, wanted above 0 and at most 1")
        self._threshold = threshold
        self._bands = _bands(threshold)
        self._count = 0
        self._database = sqlite3.connect("", isolation_level=None)
        self._database.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        self._database.executescript(TABLES)
        self._database.execute("BEGIN")  # never committed: the database ends with this process

    def __enter__(self) -> Self:
        """Return the index."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Free the disk."""
        self._database.close()

    def add(self, row_id: str, text: str) -> str | None:
        """Return the id of the first earlier text that is the same or nearly so; None: there is none, and it is added.

        Raises:
            FolderError: the disk is full.

        """
        folded = fold(text)
        shingles = _shingles(folded)
        hashes = _hashes(shingles, self._bands)
        try:
            for earlier_id, earlier in self._proposed(hashes):
                if _jaccard(shingles, _shingles(earlier.decode("utf-8", "surrogatepass"))) >= self._threshold:
                    return earlier_id
            # As bytes, since a text may hold lone surrogates, which SQLite rejects.
            values = (self._count, row_id, folded.encode("utf-8", "surrogatepass"))
            self._database.execute("INSERT INTO texts VALUES (?, ?, ?)", values)
            rows = ((band_hash, self._count) for band_hash in hashes)
            self._database.executemany("INSERT OR IGNORE INTO bands VALUES (?, ?)", rows)
        except sqlite3.Error as error:
            raise FolderError(
                f"cannot write the index of duplicates: {error}; free some space on the disk for temporary files and "
                "run the command again"
            ) from error
        self._count += 1
        return None

    def _proposed(self, hashes: list[int]) -> list[tuple[str, bytes]]:
        """Return id and folded text of the texts that share a band, in the order in which they were added."""
        marks = ",".join("?" * len(hashes))
        return self._database.execute(
            "SELECT id, text FROM texts WHERE position IN "
            f"(SELECT position FROM bands WHERE hash IN ({marks})) ORDER BY position",
            hashes,
        ).fetchall()


def fold(text: str) -> str:
    """Return the words of a text, without case, compatibility forms, marks and punctuation; else its symbols."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    words = letter_runs(folded.replace("'", "").replace("’", ""))
    return " ".join(words) if words else "".join(folded.split())


def _shingles(folded: str) -> set[str]:
    words = folded.split(" ")
    starts = range(max(1, len(words) - SHINGLE_WORDS + 1))
    return {" ".join(words[start : start + SHINGLE_WORDS]) for start in starts}


def _jaccard(one: set[str], other: set[str]) -> float:
    shared = len(one & other)
    return shared / (len(one) + len(other) - shared)


def _hashes(shingles: set[str], bands: int) -> list[int]:
    """Hash each band of the signature into its number and 32 bits; a collision costs one vain proposal."""
    signature = RMinHash(num_perm=SIGNATURE_VALUES, seed=PERMUTATION_SEED)
    signature.update([shingle.encode("utf-8", "surrogatepass") for shingle in shingles])
    size = SIGNATURE_VALUES * 4 // bands
    packed = struct.pack(f"<{SIGNATURE_VALUES}I", *signature.digest())
    return [band << 32 | crc32(packed[band * size : (band + 1) * size]) for band in range(bands)]


def _bands(threshold: float) -> int:
    """Return the fewest bands that reach MIN_RECALL at the threshold: the least memory and fewest vain proposals.

    A band of r values agrees with probability t**r, and one of b bands with 1 - (1 - t**r)**b (Leskovec, Rajaraman and
    Ullman, Mining of Massive Datasets, section 3.4). Below a threshold of 0.06 no number of bands reaches it.
    """
    divisors = [bands for bands in range(1, SIGNATURE_VALUES + 1) if SIGNATURE_VALUES % bands == 0]
    for bands in divisors:
        if 1 - (1 - threshold ** (SIGNATURE_VALUES // bands)) ** bands >= MIN_RECALL:
            return bands
    return SIGNATURE_VALUES
