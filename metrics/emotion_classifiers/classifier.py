"""Shared by all emotion classifiers: predictions from logits, calibration, and accuracy on unseen texts.

Confidence is calibrated by temperature scaling: logits are divided by the temperature that maximises the likelihood of
the labels of texts outside the training (Guo et al., 2017). Every classifier carries its accuracy on such texts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from personagen.metrics.texts.inputs import rows_by_label
from personagen.metrics.texts.reference import Reference
from personagen.metrics.utility.probe import f1_by_class

VERSION = 1
"""Version of the training; a change invalidates cached classifiers."""

TEST_STEP = 5
"""Every fifth text of a label is for testing if the reference has no test split."""

BINS = 10
"""Bins of confidence of the expected calibration error."""

UNKNOWN_LABELS = "no test text has a label of the training texts, wanted at least one"

Logits = NDArray[np.float64]
"""Shape (n, classes)."""

Labelled = tuple[list[str], list[str]]
"""Texts and their labels."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """The predicted label of a text and its calibrated probability."""

    label: str
    confidence: float


@dataclass(frozen=True, slots=True)
class ClassifierFacts:
    """Origin and accuracy of a classifier.

    Attributes:
        model: embedding model or encoder.
        version: hash of texts, labels, model and training.
        reference: name of the real texts.
        trained_on: number of training texts.
        tested_on: number of test texts, none of them used in training.
        accuracy: fraction of test texts with the right prediction.
        balanced_accuracy: the same as a mean over labels.
        macro_f1: mean F1 over labels.
        calibration_error: mean distance between confidence and accuracy over 10 bins of confidence (ECE).
        temperature: divisor of the logits.

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
    """Any classifier of emotions.

    Attributes:
        classes: labels that it predicts.
        facts: its origin and accuracy.

    """

    @property
    def classes(self) -> tuple[str, ...]:
        """Labels that the classifier predicts."""

    @property
    def facts(self) -> ClassifierFacts:
        """Origin and accuracy of the classifier."""

    def predict(self, texts: Sequence[str]) -> list[Prediction]:
        """Predict the label of each text."""


def train_and_test(reference: Reference) -> tuple[Labelled, Labelled]:
    """Divide a reference into training and test texts: by its test split, or every fifth text of each label.

    Raises:
        ValueError: the reference has no labels.

    """
    if reference.labels is None:
        raise ValueError(f"reference {reference.name} has no labels, wanted one per text; name another one")
    train = reference.texts, reference.labels
    if reference.test_texts and reference.test_labels:
        return train, (reference.test_texts, reference.test_labels)
    test_rows = {int(row) for rows in rows_by_label(reference.labels).values() for row in rows[::TEST_STEP]}
    parts: tuple[Labelled, Labelled] = ([], []), ([], [])
    for row, pair in enumerate(zip(*train, strict=True)):
        for column, value in zip(parts[row in test_rows], pair, strict=True):
            column.append(value)
    return parts


def predictions(logits: Logits, temperature: float, classes: Sequence[str]) -> list[Prediction]:
    """Convert logits to labels with probabilities."""
    from scipy.special import softmax

    probabilities = softmax(logits / temperature, axis=1)
    return [Prediction(classes[row.argmax()], round(float(row.max()), 4)) for row in probabilities]


def accuracy_facts(logits: Logits, true: NDArray[np.intp], temperature: float) -> dict[str, Any]:
    """Compute the figures of `ClassifierFacts` from the logits of texts with known classes."""
    from scipy.special import softmax

    probabilities = softmax(logits / temperature, axis=1)
    predicted, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)
    occurring = np.unique(true)
    right = predicted == true
    return {
        "tested_on": len(true),
        "accuracy": round(float(right.mean()), 4),
        "balanced_accuracy": round(float(np.mean([right[true == kind].mean() for kind in occurring])), 4),
        "macro_f1": round(float(f1_by_class(predicted, true, logits.shape[1])[occurring].mean()), 4),
        "calibration_error": round(calibration_error(confidence, right), 4),
    }


def calibration_error(confidence: NDArray[np.float64], right: NDArray[np.bool_]) -> float:
    """Compute the expected calibration error: |accuracy - confidence| over 10 equal bins, weighted by their texts."""
    bins = np.minimum((confidence * BINS).astype(np.intp), BINS - 1)
    error = 0.0
    for number in np.unique(bins):
        rows = bins == number
        error += float(rows.mean() * abs(right[rows].mean() - confidence[rows].mean()))
    return error


def best_temperature(logits: Logits, true: NDArray[np.intp]) -> float:
    """Return the temperature in [0.05, 20] that maximises the likelihood of the true classes (Guo et al., 2017)."""
    from scipy.optimize import minimize_scalar
    from scipy.special import softmax

    def loss(log: float) -> float:
        probabilities = softmax(logits / np.exp(log), axis=1)
        return -float(np.log(np.maximum(probabilities[np.arange(len(true)), true], 1e-12)).mean())

    return float(np.exp(minimize_scalar(loss, bounds=(np.log(0.05), np.log(20)), method="bounded").x))
