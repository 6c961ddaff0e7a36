"""Cache of text vectors by the hash of the text: one SQLite file per model and version.

The cache holds vectors and hashes, no texts. If it cannot be read or written, a warning is issued and the texts are
encoded without it.
"""

import hashlib
import re
import sqlite3
import time
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

import numpy as np

from personagen.metrics.texts.cache import cache_folder
from personagen.metrics.texts.inputs import Vectors

LOCK_TIMEOUT_S = 60
"""Longest wait for another process that writes to the cache."""

RETRY_S = 0.02
"""Pause between two attempts to open a cache that another process opens."""


class VectorCache:
    """An open cache; see `open_cache`."""

    def __init__(self, database: sqlite3.Connection | None, path: str) -> None:
        """Wrap an open database; None: a cache that stores nothing."""
        self._database = database
        self._path = path

    def read(self, keys: Iterable[bytes]) -> dict[bytes, Vectors]:
        """Return the cached vectors of the given keys; none of them if widths differ or a number is not finite."""
        vectors: dict[bytes, Vectors] = {}
        if self._database is None:
            return vectors
        try:
            for key in keys:
                row = self._database.execute("SELECT vector FROM vectors WHERE key = ?", (key,)).fetchone()
                if row:
                    vectors[key] = np.frombuffer(row[0], dtype="<f4")
        except (sqlite3.Error, ValueError) as error:
            self._give_up(error)
            return {}
        widths = {len(vector) for vector in vectors.values()}
        return vectors if len(widths) < 2 and all(np.isfinite(vector).all() for vector in vectors.values()) else {}

    def write(self, vectors: Mapping[bytes, Vectors]) -> None:
        """Store vectors in one transaction."""
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
        _warn(self._path, error)
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
        database = sqlite3.connect(path, timeout=LOCK_TIMEOUT_S)
        cache = VectorCache(database, str(path))
        _switch_to_wal(database)
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


def _switch_to_wal(database: sqlite3.Connection) -> None:
    """Set the journal mode; SQLite applies no timeout while another process opens the same new file."""
    deadline = time.monotonic() + LOCK_TIMEOUT_S
    while True:
        try:
            database.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(RETRY_S)
        else:
            return


def _warn(path: str, error: Exception) -> None:
    warnings.warn(
        f"embeddings are not cached: {path} cannot be used ({error}); delete it, or set PERSONAGEN_CACHE",
        UserWarning,
        stacklevel=4,
    )
