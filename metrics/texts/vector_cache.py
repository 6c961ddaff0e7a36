"""Vectors that are kept from one time to the next, by the hash of their text: one SQLite file a model.

What is kept are vectors and hashes, no texts. A cache is a convenience: where it cannot be read or written, that is
told as a warning, and the work goes on without it.
"""

import hashlib
import re
import sqlite3
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

import numpy as np

from personagen.metrics.texts.cache import cache_folder
from personagen.metrics.texts.inputs import Vectors

WAIT = 60
"""Seconds to wait for another process that writes."""


class VectorCache:
    """An open cache; see `open_cache`."""

    def __init__(self, database: sqlite3.Connection | None, place: str) -> None:
        """Take an open database, or None for a cache that keeps nothing."""
        self._database = database
        self._place = place

    def read(self, keys: Iterable[bytes]) -> dict[bytes, Vectors]:
        """Return the vectors of those keys that are kept."""
        found: dict[bytes, Vectors] = {}
        if self._database is None:
            return found
        try:
            for key in keys:
                row = self._database.execute("SELECT vector FROM vectors WHERE key = ?", (key,)).fetchone()
                if row:
                    found[key] = np.frombuffer(row[0], dtype="<f4")
        except (sqlite3.Error, ValueError) as error:
            self._give_up(error)
            return {}
        widths = {len(vector) for vector in found.values()}
        return found if len(widths) < 2 and all(np.isfinite(vector).all() for vector in found.values()) else {}

    def write(self, vectors: Mapping[bytes, Vectors]) -> None:
        """Keep vectors, at once or not at all."""
        if self._database is None:
            return
        rows = [(key, vector.astype("<f4").tobytes()) for key, vector in vectors.items()]
        try:
            with self._database:
                self._database.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?)", rows)
        except sqlite3.Error as error:
            self._give_up(error)

    def close(self) -> None:
        """Close the database."""
        if self._database is not None:
            self._database.close()

    def _give_up(self, error: Exception) -> None:
        _warn(self._place, error)
        self.close()
        self._database = None


@contextmanager
def open_cache(model: str, version: str) -> Iterator[VectorCache]:
    """Open the cache of one version of a model."""
    readable = re.sub(r"[^A-Za-z0-9.-]+", "--", model)[-60:]
    digest = hashlib.sha256(f"{model}\n{version}".encode()).hexdigest()[:12]
    folder = cache_folder("embeddings")
    path = folder / f"{readable}-{digest}.sqlite"
    cache = VectorCache(None, str(path))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        database = sqlite3.connect(path, timeout=WAIT)
        cache = VectorCache(database, str(path))
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("PRAGMA synchronous=NORMAL")
        database.execute(
            "CREATE TABLE IF NOT EXISTS vectors (key BLOB PRIMARY KEY, vector BLOB NOT NULL) WITHOUT ROWID"
        )
    except (OSError, sqlite3.Error) as error:
        cache.close()
        _warn(str(path), error)
        cache = VectorCache(None, str(path))
    try:
        yield cache
    finally:
        cache.close()


def _warn(place: str, error: Exception) -> None:
    warnings.warn(
        f"embeddings are not kept: {place} cannot be used ({error}); delete it, or set PERSONAGEN_CACHE",
        UserWarning,
        stacklevel=4,
    )
