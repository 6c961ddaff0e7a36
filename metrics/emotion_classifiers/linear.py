"""A emotion classifier: a classifier of real texts that says which emotion it reads in a text, and how sure it is.

It is a logistic regression on sentence embeddings, or a fine-tuned encoder. Its confidence is calibrated: logits are
divided by one temperature, which makes the labels of texts that it was not trained on most likely (Guo et al., 2017).
What it gets right on texts that nobody trained it on comes with it, and belongs beside everything that it says.
"""

import hashlib
import json
import warnings
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from personagen.metrics.texts.cache import cache_folder
from personagen.metrics.texts.corpus import Corpus
from personagen.metrics.texts.embeddings import embed
from personagen.metrics.texts.inputs import Vectors, rows_by_label
from personagen.metrics.texts.reference import Reference
from personagen.metrics.utility.probe import codes, f1_by_class

VERSION = 1
"""Of the way a classifier is trained; another one does not take over what is cached."""

STRENGTH = 1.0
"""Inverse regularisation of the logistic regression."""

FOLDS = 5
BINS = 10

Logits = NDArray[np.float64]
"""Shape (n, classes)."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a classifier reads in a text: a label, and its probability."""

    label: str
    confidence: float


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a classifier.

    Attributes:
        model: what it reads with.
        version: hash of all that made it: texts, labels, model, way of training.
        reference: real texts that it was trained on.
        trained_on: number of them.
        tested_on: number of real texts that it was tested on, which it was not trained on.
        accuracy: share of them whose label it read.
        balanced_accuracy: the same, as a mean over labels.
        macro_f1: mean F1 over labels.
        calibration_error: mean distance of confidence and accuracy, over 10 bins of confidence (ECE).
        temperature: what logits are divided by.

    """

    model: str
    version: str
    reference: str
    trained_on: int
    tested_on: int
    accuracy: float
    balanced_accuracy: float
    macro_f1: float
    calibration_error: float
    temperature: float


class EmotionClassifier(Protocol):
    """Anything that reads emotions.

    Attributes:
        classes: the labels that it can read.
        facts: how good it is.

    """

    @property
    def classes(self) -> tuple[str, ...]:
        """See above."""

    @property
    def facts(self) -> Facts:
        """See above."""

    def read(self, texts: Sequence[str]) -> list[Prediction]:
        """Read texts."""


@dataclass(frozen=True, slots=True, eq=False)
class Probe:
    """A classifier that reads vectors: a linear classifier.

    Attributes:
        classes: k labels.
        weights: shape (d, k).
        bias: shape (k,).
        facts: how good it is.
        encode: turns texts into vectors.

    """

    classes: tuple[str, ...]
    weights: NDArray[np.float64]
    bias: NDArray[np.float64]
    facts: Facts
    encode: Callable[[Sequence[str]], Vectors]

    def read(self, texts: Sequence[str]) -> list[Prediction]:
        """Read texts."""
        return self.read_vectors(self.encode(texts)) if texts else []

    def read_vectors(self, vectors: Vectors) -> list[Prediction]:
        """Read vectors, shape (n, d)."""
        return predictions(vectors @ self.weights + self.bias, self.facts.temperature, self.classes)


Labelled = tuple[list[str], list[str]]
"""Texts and their labels."""


def train_and_test(reference: Reference) -> tuple[Labelled, Labelled]:
    """Take what a classifier is trained on and what it is tested on: the test part, or every fifth text of each label.

    Raises:
        ValueError: the reference has no labels.

    """
    if reference.labels is None:
        raise ValueError(f"reference {reference.name} has no labels, wanted one per text; name another one")
    train = reference.texts, reference.labels
    if reference.test_texts and reference.test_labels:
        return train, (reference.test_texts, reference.test_labels)
    apart = {int(row) for rows in rows_by_label(reference.labels).values() for row in rows[::5]}
    sides: tuple[Labelled, Labelled] = ([], []), ([], [])
    for row, pair in enumerate(zip(*train, strict=True)):
        for part, value in zip(sides[row in apart], pair, strict=True):
            part.append(value)
    return sides


def vectors_of(texts: Sequence[str], model: str) -> Vectors:
    """Encode texts; those that were encoded before are taken from the cache."""
    return embed(list(texts), model).vectors


def predictions(logits: Logits, temperature: float, classes: Sequence[str]) -> list[Prediction]:
    """Turn logits into labels with probabilities."""
    from scipy.special import softmax

    shares = softmax(logits / temperature, axis=1)
    return [Prediction(classes[row.argmax()], round(float(row.max()), 4)) for row in shares]


def train_probe(train: Corpus, test: Corpus, name: str, encode: Callable[[Sequence[str]], Vectors]) -> Probe:
    """Train a linear classifier; what was trained before on the same texts is taken from the cache.

    Args:
        train: real texts with labels.
        test: real texts with labels, none of them in `train`.
        name: of the reference.
        encode: turns texts into vectors of the same model.

    Raises:
        ValueError: labels are missing, or there are fewer than two.

    """
    if train.labels is None or test.labels is None or len(set(train.labels)) < 2:
        raise ValueError("labels are missing, wanted two or more different ones: a classifier is trained on labels")
    version = _version(train, test)
    place = cache_folder("classifiers") / f"{version}.npz"
    return _kept(place, encode) or _keep(_trained(train, test, name, version, encode), place)


def _trained(train: Corpus, test: Corpus, name: str, version: str, encode: Callable[[Sequence[str]], Vectors]) -> Probe:
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    labels = list(train.labels or ())
    classes = tuple(sorted(set(labels)))
    true = codes(labels, classes)
    model = LogisticRegression(C=STRENGTH, max_iter=500, class_weight="balanced")
    folds = min(FOLDS, int(np.bincount(true).min()))
    if folds > 1:
        shuffle = StratifiedKFold(folds, shuffle=True, random_state=0)
        unseen = cross_val_predict(model, train.vectors, true, cv=shuffle, method="decision_function")
        temperature = best_temperature(_columns(unseen), true)
    else:
        temperature = 1.0
    fitted = model.fit(train.vectors, true)
    weights, bias = _columns(fitted.coef_.T), _columns(fitted.intercept_[None])[0]
    facts = held_out(_of_classes(test, classes), (weights, bias), temperature, classes)
    whole = Facts(train.model, version, name, len(train), temperature=round(temperature, 4), **facts)
    return Probe(classes, weights, bias, whole, encode)


def _columns(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give two classes a column each, where scikit-learn gives the second one's score alone."""
    wide = scores[:, None] if scores.ndim == 1 else scores
    return np.hstack([-wide / 2, wide / 2]) if wide.shape[1] == 1 else wide


def _of_classes(corpus: Corpus, classes: Sequence[str]) -> Corpus:
    rows = [row for row, label in enumerate(corpus.labels or ()) if label in classes]
    if not rows:
        raise ValueError("no test text has a label that the classifier was trained on, wanted one of each at least")
    return corpus.take(rows)


def held_out(
    test: Corpus, linear: tuple[NDArray[np.float64], NDArray[np.float64]], temperature: float, classes: Sequence[str]
) -> dict[str, Any]:
    """Measure a linear classifier on real texts that it was not trained on."""
    return accuracy_facts(test.vectors @ linear[0] + linear[1], codes(test.labels or (), classes), temperature)


def accuracy_facts(logits: Logits, true: NDArray[np.intp], temperature: float) -> dict[str, Any]:
    """Measure logits of texts whose classes are known: the figures of `Facts`."""
    from scipy.special import softmax

    shares = softmax(logits / temperature, axis=1)
    told, sure = shares.argmax(axis=1), shares.max(axis=1)
    there = np.unique(true)
    right = told == true
    return {
        "tested_on": len(true),
        "accuracy": round(float(right.mean()), 4),
        "balanced_accuracy": round(float(np.mean([right[true == kind].mean() for kind in there])), 4),
        "macro_f1": round(float(f1_by_class(told, true, logits.shape[1])[there].mean()), 4),
        "calibration_error": round(calibration_error(sure, right), 4),
    }


def calibration_error(sure: NDArray[np.float64], right: NDArray[np.bool_]) -> float:
    """Return the expected calibration error: over 10 equal bins of confidence, |accuracy - confidence| by share."""
    bins = np.minimum((sure * BINS).astype(np.intp), BINS - 1)
    found = 0.0
    for number in np.unique(bins):
        chosen = bins == number
        found += float(chosen.mean() * abs(right[chosen].mean() - sure[chosen].mean()))
    return found


def best_temperature(logits: Logits, true: NDArray[np.intp]) -> float:
    """Find the temperature in [0.05, 20] at which the true classes are most likely (Guo et al., 2017)."""
    from scipy.optimize import minimize_scalar
    from scipy.special import softmax

    def loss(log: float) -> float:
        shares = softmax(logits / np.exp(log), axis=1)
        return -float(np.log(np.maximum(shares[np.arange(len(true)), true], 1e-12)).mean())

    return float(np.exp(minimize_scalar(loss, bounds=(np.log(0.05), np.log(20)), method="bounded").x))


def _version(train: Corpus, test: Corpus) -> str:
    parts = [VERSION, train.model, *([list(side.texts), list(side.labels or ())] for side in (train, test))]
    digest = hashlib.sha256(json.dumps(parts).encode())
    for side in (train, test):  # another version of the model has the same name and other vectors
        digest.update(np.round(side.vectors[:3], 3).tobytes())
    return digest.hexdigest()[:12]


def _kept(place: Path, encode: Callable[[Sequence[str]], Vectors]) -> Probe | None:
    """Read a classifier from the cache; None where there is none that can be read."""
    try:
        with place.open("rb") as file, np.load(file, allow_pickle=False) as found:
            facts = Facts(**json.loads(str(found["facts"])))
            classes = tuple(map(str, found["classes"]))
            return Probe(classes, found["weights"], found["bias"], facts, encode)
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile):
        return None


def _keep(probe: Probe, place: Path) -> Probe:
    """Write a classifier to the cache, whole or not at all; where that cannot be, it is told and made anew next time."""
    part = place.with_suffix(f".{id(probe)}.part")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            np.savez(
                file,
                allow_pickle=False,
                classes=np.array(probe.classes),
                weights=probe.weights,
                bias=probe.bias,
                facts=np.array(json.dumps(asdict(probe.facts))),
            )
        part.replace(place)
    except OSError as error:
        warnings.warn(
            f"the emotion classifier is not kept: {place} cannot be written ({error})", UserWarning, stacklevel=3
        )
    return probe
