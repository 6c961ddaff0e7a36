"""Find a text that was written before, word for word or nearly.

Locality-sensitive hashing of MinHash signatures (rensa) proposes earlier texts; the exact Jaccard similarity of the
word triples of both texts decides. So a text is never refused by an estimate; the hashing can only overlook one. Its
hashes are fixed functions of the words, so the answers are the same in every process and on every 64-bit machine.

Texts and hashes lie in a database on disk that SQLite deletes by itself: memory stays the same however many there are.
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
"""Words in a row that are compared; a text that is shorter is compared whole."""

SIGNATURE, SEED = 64, 42
"""Values of a MinHash signature and the seed of their permutations."""

RECALL = 0.98
"""Chance at least that hashing proposes a text right at the threshold, more above it. At a threshold of 0.7 this takes
16 bands; 0.99 would take 32, and twice the room."""

CACHE_KIB = 2048
"""Memory for the database; what does not fit is on disk."""

TABLES = """
PRAGMA journal_mode = OFF;
CREATE TABLE texts (position INTEGER PRIMARY KEY, id TEXT NOT NULL, text BLOB NOT NULL);
CREATE TABLE bands (hash INTEGER NOT NULL, position INTEGER NOT NULL, PRIMARY KEY (hash, position)) WITHOUT ROWID;
"""


class DuplicateIndex:
    """Texts that were accepted so far; a context manager that frees the disk."""

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
        self._bands = _bands(threshold)
        self._count = 0
        self._database = sqlite3.connect("", isolation_level=None)
        self._database.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        self._database.executescript(TABLES)
        self._database.execute("BEGIN")  # and never committed: nobody reads it after this process

    def __enter__(self) -> Self:
        """Start."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Free the disk."""
        self._database.close()

    def add(self, row_id: str, text: str) -> str | None:
        """Return the id of the first text that is the same or nearly so; else remember this one, and return None.

        Raises:
            FolderError: the disk is full.

        """
        normal = match_form(text)
        own = _shingles(normal)
        hashes = _hashes(own, self._bands)
        try:
            for earlier, other in self._proposed(hashes):
                if _jaccard(own, _shingles(other.decode("utf-8", "surrogatepass"))) >= self._threshold:
                    return earlier
            # As bytes, for a text may hold half characters, which SQLite does not take.
            values = (self._count, row_id, normal.encode("utf-8", "surrogatepass"))
            self._database.execute("INSERT INTO texts VALUES (?, ?, ?)", values)
            rows = ((each, self._count) for each in hashes)
            self._database.executemany("INSERT OR IGNORE INTO bands VALUES (?, ?)", rows)
        except sqlite3.Error as error:
            raise FolderError(
                f"cannot write the index of duplicates: {error}; free some space on the disk for temporary files and "
                "run the command again"
            ) from error
        self._count += 1
        return None

    def _proposed(self, hashes: list[int]) -> list[tuple[str, bytes]]:
        """List id and text of those that share a band, in the order in which they came."""
        marks = ",".join("?" * len(hashes))
        return self._database.execute(
            "SELECT id, text FROM texts WHERE position IN "
            f"(SELECT position FROM bands WHERE hash IN ({marks})) ORDER BY position",
            hashes,
        ).fetchall()


def match_form(text: str) -> str:
    """Reduce a text to its words: compatibility forms and case folded, marks dropped; without words, to its symbols."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    words = letter_runs(folded.replace("'", "").replace("’", ""))
    return " ".join(words) if words else "".join(folded.split())


def _shingles(normal: str) -> set[str]:
    words = normal.split(" ")
    runs = range(max(1, len(words) - SHINGLE_WORDS + 1))
    return {" ".join(words[start : start + SHINGLE_WORDS]) for start in runs}


def _jaccard(one: set[str], other: set[str]) -> float:
    shared = len(one & other)
    return shared / (len(one) + len(other) - shared)


def _hashes(shingles: set[str], bands: int) -> list[int]:
    """Hash each band of the signature: its number, and 32 bits of its values (a collision only proposes in vain)."""
    signature = RMinHash(num_perm=SIGNATURE, seed=SEED)
    signature.update([shingle.encode("utf-8", "surrogatepass") for shingle in shingles])
    size = SIGNATURE * 4 // bands
    packed = struct.pack(f"<{SIGNATURE}I", *signature.digest())
    return [band << 32 | crc32(packed[band * size : (band + 1) * size]) for band in range(bands)]


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
