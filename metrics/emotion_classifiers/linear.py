"""A linear emotion classifier: a logistic regression on sentence embeddings, trained in seconds and cached."""

import hashlib
import json
import warnings
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from personagen.metrics.emotion_classifiers.classifier import (
    UNKNOWN_LABELS,
    VERSION,
    ClassifierFacts,
    Prediction,
    accuracy_facts,
    best_temperature,
    calibrated_facts,
    predictions,
)
from personagen.metrics.texts.cache import cache_folder, flush
from personagen.metrics.texts.corpus import Corpus
from personagen.metrics.texts.embeddings import embed
from personagen.metrics.texts.inputs import Vectors
from personagen.metrics.utility.probe import codes

INVERSE_REGULARISATION = 1.0

FOLDS = 5
"""Folds whose unseen logits give the temperature."""

Encode = Callable[[Sequence[str]], Vectors]
"""Conversion of texts to vectors."""


@dataclass(frozen=True, slots=True, eq=False)
class LinearClassifier:
    """An emotion classifier that is linear in the vector of a text.

    Attributes:
        classes: k labels.
        weights: shape (d, k).
        bias: shape (k,).
        facts: origin and accuracy.
        encode: converts texts to vectors.

    """

    classes: tuple[str, ...]
    weights: NDArray[np.float64]
    bias: NDArray[np.float64]
    facts: ClassifierFacts
    encode: Encode

    def predict(self, texts: Sequence[str]) -> list[Prediction]:
        """Predict the label of each text."""
        return self.predict_vectors(self.encode(texts)) if texts else []

    def predict_vectors(self, vectors: Vectors) -> list[Prediction]:
        """Predict the label of each vector, shape (n, d)."""
        return predictions(vectors @ self.weights + self.bias, self.facts.temperature, self.classes)


def vectors_of(texts: Sequence[str], model: str) -> Vectors:
    """Encode texts with the cache of vectors."""
    return embed(list(texts), model).vectors


def train_linear(train: Corpus, test: Corpus, name: str, encode: Encode) -> LinearClassifier:
    """Train a linear classifier, or load it from the cache if it was trained on the same texts.

    Args:
        train: real texts with labels.
        test: real texts with labels, none of them in `train`.
        name: name of the reference.
        encode: converts texts to vectors of the same model.

    Raises:
        ValueError: labels are missing, or there are fewer than two.

    """
    if train.labels is None or test.labels is None or len(set(train.labels)) < 2:
        raise ValueError("labels are missing, wanted two or more different ones: a classifier is trained on labels")
    version = _version(train, test)
    path = cache_folder("classifiers") / f"{version}.npz"
    return _load(path, encode) or _save(_train(train, test, name, version, encode), path)


def _train(train: Corpus, test: Corpus, name: str, version: str, encode: Encode) -> LinearClassifier:
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    labels = list(train.labels or ())
    classes = tuple(sorted(set(labels)))
    true = codes(labels, classes)
    model = LogisticRegression(C=INVERSE_REGULARISATION, max_iter=500, class_weight="balanced")
    folds = min(FOLDS, int(np.bincount(true).min()))
    if folds > 1:
        shuffle = StratifiedKFold(folds, shuffle=True, random_state=0)
        unseen = cross_val_predict(model, train.vectors, true, cv=shuffle, method="decision_function")
        temperature = best_temperature(_as_columns(unseen), true)
    else:
        temperature = 1.0
    fitted = model.fit(train.vectors, true)
    weights, bias = _as_columns(fitted.coef_.T), _as_columns(fitted.intercept_[None])[0]
    known = _of_classes(test, classes)
    elsewhere = calibrated_facts(name, train.texts, classes, lambda texts: encode(texts) @ weights + bias, temperature)
    temperature = elsewhere.pop("temperature")
    figures = accuracy_facts(known.vectors @ weights + bias, codes(known.labels or (), classes), temperature)
    facts = ClassifierFacts(
        train.model, version, name, len(train), temperature=round(temperature, 4), **figures, **elsewhere
    )
    return LinearClassifier(classes, weights, bias, facts, encode)


def _as_columns(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return one column per class; for two classes scikit-learn returns only the score of the second."""
    wide = scores[:, None] if scores.ndim == 1 else scores
    return np.hstack([-wide / 2, wide / 2]) if wide.shape[1] == 1 else wide


def _of_classes(corpus: Corpus, classes: Sequence[str]) -> Corpus:
    rows = [row for row, label in enumerate(corpus.labels or ()) if label in classes]
    if not rows:
        raise ValueError(UNKNOWN_LABELS)
    return corpus.take(rows)


def _version(train: Corpus, test: Corpus) -> str:
    """Return the hash of all that determines the classifier."""
    parts = [VERSION, train.model, *([list(side.texts), list(side.labels or ())] for side in (train, test))]
    digest = hashlib.sha256(json.dumps(parts).encode())
    for side in (train, test):  # another version of a model has the same name and other vectors
        digest.update(np.round(side.vectors[:3], 3).tobytes())
    return digest.hexdigest()[:12]


def _load(path: Path, encode: Encode) -> LinearClassifier | None:
    """Load a classifier from the cache; None: not cached, or damaged."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            facts = ClassifierFacts(**json.loads(str(arrays["facts"])))
            classes = tuple(map(str, arrays["classes"]))
            return LinearClassifier(classes, arrays["weights"], arrays["bias"], facts, encode)
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile):
        return None


def _save(classifier: LinearClassifier, path: Path) -> LinearClassifier:
    """Save a classifier to the cache in one step, or warn that it cannot be cached."""
    part = path.with_suffix(f".{id(classifier)}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            np.savez(
                file,
                allow_pickle=False,
                classes=np.array(classifier.classes),
                weights=classifier.weights,
                bias=classifier.bias,
                facts=np.array(json.dumps(asdict(classifier.facts))),
            )
        flush(part)
        part.replace(path)
    except OSError as error:
        warnings.warn(
            f"the emotion classifier is not cached: {path} cannot be written ({error})", UserWarning, stacklevel=3
        )
    return classifier
