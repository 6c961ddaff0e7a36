"""Find an accepted text that a new one repeats, word for word or nearly; see `fingerprints` for the comparison.

Texts and hashes are in a database on disk that SQLite deletes by itself, so memory does not grow with their number.
"""

import sqlite3
from types import TracebackType
from typing import Self

from personagen.builder.core.errors import FolderError
from personagen.builder.writing.finalization.fingerprints import Fingerprint, band_count, fingerprint_of, similarity

CACHE_KIB = 2048
"""Memory of the database; the rest is on disk."""

TABLES = """
PRAGMA journal_mode = OFF;
CREATE TABLE texts (position INTEGER PRIMARY KEY, id TEXT NOT NULL, text BLOB NOT NULL);
CREATE TABLE bands (hash INTEGER NOT NULL, position INTEGER NOT NULL, PRIMARY KEY (hash, position)) WITHOUT ROWID;
"""


class DuplicateIndex:
    """Index of the texts that were accepted so far; a context manager that frees the disk.

    Attributes:
        threshold: Jaccard similarity of word triples from which on two texts count as the same.

    """

    def __init__(self, threshold: float) -> None:
        """Create an empty index.

        Args:
            threshold: Jaccard similarity of word triples, in (0, 1], from which on two texts count as the same.

        Raises:
            ValueError: the threshold is out of its range.

        """
        self.threshold = threshold
        self._bands = band_count(threshold)
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

    def fingerprint(self, text: str) -> Fingerprint:
        """Return the fingerprint of a text for `find` and `add`."""
        return fingerprint_of(text, self._bands)

    def find(self, fingerprint: Fingerprint) -> str | None:
        """Return the id of the first text that is the same or nearly so; None: there is none.

        Raises:
            FolderError: the disk is full.

        """
        for row_id, text in self._proposed(fingerprint.hashes):
            if similarity(fingerprint.folded, text.decode("utf-8", "surrogatepass")) >= self.threshold:
                return row_id
        return None

    def add(self, row_id: str, fingerprint: Fingerprint) -> None:
        """Add the text of a row.

        Raises:
            FolderError: the disk is full.

        """
        # As bytes, since a text may hold lone surrogates, which SQLite rejects.
        values = (self._count, row_id, fingerprint.folded.encode("utf-8", "surrogatepass"))
        rows = ((band_hash, self._count) for band_hash in fingerprint.hashes)
        try:
            self._database.execute("INSERT INTO texts VALUES (?, ?, ?)", values)
            self._database.executemany("INSERT OR IGNORE INTO bands VALUES (?, ?)", rows)
        except sqlite3.Error as error:
            raise _disk_error(error) from error
        self._count += 1

    def _proposed(self, hashes: tuple[int, ...]) -> list[tuple[str, bytes]]:
        """Return id and folded text of the texts that share a band, in the order in which they were added."""
        marks = ",".join("?" * len(hashes))
        try:
            return self._database.execute(
                "SELECT id, text FROM texts WHERE position IN "
                f"(SELECT position FROM bands WHERE hash IN ({marks})) ORDER BY position",
                hashes,
            ).fetchall()
        except sqlite3.Error as error:
            raise _disk_error(error) from error


def _disk_error(error: sqlite3.Error) -> FolderError:
    return FolderError(
        f"cannot write the index of duplicates: {error}; free some space on the disk for temporary files and "
        "run the command again"
    )
