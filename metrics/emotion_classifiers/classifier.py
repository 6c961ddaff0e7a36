"""Shared by all emotion classifiers: predictions from logits, calibration, and accuracy on unseen texts.

Confidence is calibrated by temperature scaling: logits are divided by the temperature that maximises the likelihood of
the labels of texts outside the training (Guo et al., 2017). These texts come from other corpora than the training, as
those of a release do. A classifier is less accurate there than on unseen texts of its own corpus, and would claim too
much: calibrated on GoEmotions, it erred by 0.13 (ECE) on XED, now by 0.05. The price is that it claims too little at
home. Every classifier carries its accuracy on unseen texts of its own corpus and of the others.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from personagen.metrics.texts.inputs import rows_by_label
from personagen.metrics.texts.language import is_mostly_in_other_language
from personagen.metrics.texts.reference import SLICES, Reference, load_reference
from personagen.metrics.utility.probe import codes, f1_by_class

VERSION = 2
"""Version of the training; a change invalidates cached classifiers."""

TEST_STEP = 5
"""Every fifth text of a label is for testing if the reference has no test split."""

BINS = 10
"""Bins of confidence of the expected calibration error."""

MAX_OTHER_TEXTS = 350
"""Most texts of another corpus that calibrate or test a classifier: encoding them takes seconds."""

MIN_OTHER_TEXTS = 10
"""Least texts of a label of another corpus; rarer labels are left out."""

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
        calibrated_on: corpora whose texts give the temperature; None: texts of the reference outside the training.
        other_reference: corpora on whose other texts the classifier was tested; None: none has its language and labels.
        other_tested_on: number of these texts.
        other_accuracy: fraction of them with the right prediction.
        other_balanced_accuracy: the same as a mean over labels.
        other_calibration_error: ECE there.

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
    calibrated_on: str | None = None
    other_reference: str | None = None
    other_tested_on: int = 0
    other_accuracy: float | None = None
    other_balanced_accuracy: float | None = None
    other_calibration_error: float | None = None


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


def other_corpora(name: str, texts: Sequence[str], classes: Sequence[str]) -> list[tuple[str, Labelled]]:
    """Return labelled texts of the bundled slices that are not the reference, by their names.

    Args:
        name: name of the reference.
        texts: its training texts.
        classes: labels of the classifier; texts of other labels are left out.

    Returns:
        Pairs of a name and texts with at least two labels; none if the training texts are mostly not in English, the
        language of the slices.

    """
    if is_mostly_in_other_language(texts, "en"):
        return []
    corpora = []
    for source in sorted(set(SLICES.values()) - {name}):
        slice_ = load_reference(source)
        all_texts, labels = [*slice_.texts, *slice_.test_texts], [*(slice_.labels or ()), *(slice_.test_labels or ())]
        by_label = {
            label: rows
            for label, rows in rows_by_label(labels).items()
            if label in classes and len(rows) >= MIN_OTHER_TEXTS
        }
        if len(by_label) > 1:
            most = MAX_OTHER_TEXTS // len(by_label)
            rows = sorted(int(row) for numbers in by_label.values() for row in numbers[:most])
            corpora.append((source, ([all_texts[row] for row in rows], [labels[row] for row in rows])))
    return corpora


def calibrated_facts(
    name: str, texts: Sequence[str], classes: Sequence[str], logits: Callable[[list[str]], Logits], default: float
) -> dict[str, Any]:
    """Find the temperature on every other text of other corpora, and test it on the rest.

    Args:
        name: name of the reference.
        texts: its training texts.
        classes: labels, in the order of the logits.
        logits: computes the logits of texts.
        default: temperature if no other corpus has the language and the labels of the reference.

    Returns:
        `temperature` and the fields of `ClassifierFacts` on other corpora.

    """
    corpora = other_corpora(name, texts, classes)
    if not corpora:
        return {"temperature": default}
    others, labels = ([item for _, corpus in corpora for item in corpus[part]] for part in (0, 1))
    values, true = logits(others), codes(labels, classes)
    temperature = best_temperature(values[::2], true[::2])
    figures = accuracy_facts(values[1::2], true[1::2], temperature)
    names = " and ".join(source for source, _ in corpora)
    return {
        "temperature": temperature,
        "calibrated_on": names,
        "other_reference": names,
        **{
            f"other_{name}": figures[name]
            for name in ("tested_on", "accuracy", "balanced_accuracy", "calibration_error")
        },
    }


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
