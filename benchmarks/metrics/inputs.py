"""Input of both sides: texts, words and vectors, made once per size and cached in the folder of the peers."""

import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

from personagen.metrics.texts.reference import load_reference
from personagen.metrics.texts.words import tokenise

WIDTH = 384

LABELS = 20


def texts_of(count: int, seed: int) -> list[str]:
    """Return comments of the GoEmotions slice; beyond its size, texts are drawn from its word pairs."""
    reference = load_reference("goemotions")
    real = [*reference.texts, *reference.test_texts]
    generator = np.random.default_rng(seed)
    taken = [real[row] for row in generator.permutation(len(real))[:count]]
    follow: dict[str, list[str]] = {}
    for text in real:
        words = ["", *text.split(), ""]
        for word, after in pairwise(words):
            follow.setdefault(word, []).append(after)
    while len(taken) < count:
        words, word = [], ""
        while word or not words:
            choices = follow[word]
            word = choices[int(generator.integers(len(choices)))]
            words.append(word)
        taken.append(" ".join(words).strip())
    return taken


def vectors_of(corpus: Sequence[Sequence[str]], seed: int) -> np.ndarray:
    """Compute unit vectors: fixed random directions of the words of a text, weighted by rarity."""
    kinds = {word: place for place, word in enumerate(sorted({word for words in corpus for word in words}))}
    counts = np.zeros(len(kinds))
    for words in corpus:
        for word in set(words):
            counts[kinds[word]] += 1
    directions = np.random.default_rng(1).normal(size=(len(kinds), WIDTH)).astype(np.float32)
    directions *= np.log(1 + len(corpus) / counts)[:, None].astype(np.float32)
    noise = np.random.default_rng(seed).normal(size=(len(corpus), WIDTH)).astype(np.float32)
    found = np.stack([directions[[kinds[word] for word in words]].sum(axis=0) for words in corpus]) + noise
    return np.asarray(found / np.linalg.norm(found, axis=1, keepdims=True))


def prepare(folder: Path, count: int) -> Path:
    """Make the input of one size; return its folder with texts.json, words.json, one.npy and other.npy."""
    place = folder / f"input-{count}"
    if (place / "other.npy").exists():
        return place
    place.mkdir(parents=True, exist_ok=True)
    texts = texts_of(2 * count, 0) if 2 * count <= 50_000 else texts_of(count, 0)
    corpus = [tokenise(text) or ["nothing"] for text in texts]
    vectors = vectors_of(corpus, 2)
    (place / "texts.json").write_text(json.dumps(texts[:count]), encoding="utf-8")
    (place / "words.json").write_text(json.dumps(corpus[:count]), encoding="utf-8")
    np.save(place / "one.npy", vectors[:count])
    np.save(place / "other.npy", vectors[-count:])
    return place
