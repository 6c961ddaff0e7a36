"""Shared by everything that measures a release: installed packages, reference texts, and predictions for its texts."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from personagen.builder.core.errors import BackendError, ReleaseError, raise_as
from personagen.builder.release.formats.plain_json import as_records
from personagen.builder.release.manifest import classifier_facts
from personagen.builder.release.texts import Texts

if TYPE_CHECKING:
    from personagen.metrics.emotion_classifiers import Prediction
    from personagen.metrics.texts.reference import Reference

PACKAGES = ("numpy", "scipy", "sklearn", "rapidfuzz", "sentence_transformers")
"""Packages of the `metrics` extra that every measurement imports."""


@dataclass(frozen=True, slots=True)
class ClassifierAccuracy:
    """How often the predictions of an emotion classifier are right, at home and elsewhere.

    Attributes:
        reference: real texts that trained it.
        tested_on: number of unseen texts of the reference.
        accuracy: fraction of these with the right prediction.
        other_reference: corpora that it was not trained on; None: it was not tested on others.
        other_tested_on: number of their texts.
        other_accuracy: fraction of these with the right prediction; None: not tested.
        other_calibration_error: mean distance there between confidence and accuracy (ECE); None: not tested.

    """

    reference: str
    tested_on: int
    accuracy: float
    other_reference: str | None = None
    other_tested_on: int = 0
    other_accuracy: float | None = None
    other_calibration_error: float | None = None


@dataclass(frozen=True, slots=True)
class PredictedTexts:
    """Predicted emotions of texts.

    Attributes:
        predictions: one per text.
        accuracy: how often the classifier is right; None: unknown.

    """

    predictions: "Sequence[Prediction]"
    accuracy: ClassifierAccuracy | None


def require_metrics_extra(*more: str) -> None:
    """Raise BackendError if a package of the `metrics` extra is missing: `PACKAGES` or one of `more`."""
    missing = [name for name in (*PACKAGES, *more) if find_spec(name) is None]
    if missing:
        raise BackendError(f"cannot measure without {', '.join(missing)}; run: pip install 'personagen[metrics]'")


def require_reference(source: str) -> "Reference":
    """Load real texts. Raises ReleaseError if they cannot be loaded."""
    from personagen.metrics.texts.reference import load_reference

    with raise_as(ReleaseError):
        return load_reference(source)


def predictions(texts: Texts, manifest: Mapping[str, Any], source: str, embeddings: str | None) -> PredictedTexts:
    """Return the predictions stored in the rows, or those of a classifier trained on a reference if any is missing.

    Args:
        texts: texts of a release.
        manifest: its manifest, which has the accuracy of stored predictions.
        source: the reference: a name or a file.
        embeddings: name of a sentence-transformers model. None: the default model.

    Raises:
        ReleaseError: the reference has no texts of an emotion of the release.
        BackendError: the embedding model cannot be loaded.

    """
    from personagen.metrics.emotion_classifiers import Prediction, train_and_test, train_linear
    from personagen.metrics.emotion_classifiers.linear import vectors_of
    from personagen.metrics.texts.corpus import read_corpus
    from personagen.metrics.texts.embeddings import DEFAULT_MODEL

    stored = [row["provenance"] for row in texts.rows]
    if all(provenance["checker_label"] for provenance in stored):
        labels = [Prediction(provenance["checker_label"], provenance["checker_confidence"]) for provenance in stored]
        return PredictedTexts(labels, accuracy_of(classifier_facts(manifest)))
    reference = require_reference(source)
    missing = sorted(set(texts.labels) - set(reference.labels or ()))
    if missing:
        raise ReleaseError(f"{reference.name} has no texts of {', '.join(missing)[:200]} to train a classifier on")
    with raise_as(BackendError):
        train, test = (read_corpus(part, labels, embeddings) for part, labels in train_and_test(reference))
        vectors = partial(vectors_of, model=embeddings or DEFAULT_MODEL)
        classifier = train_linear(train, test, reference.name, vectors)
        return PredictedTexts(classifier.predict(texts.texts), accuracy_of(asdict(classifier.facts)))


def accuracy_of(facts: Mapping[str, Any] | None) -> ClassifierAccuracy | None:
    """Return the accuracy in facts on a classifier; None: there are none, or others wrote them without it."""
    try:
        return None if facts is None else as_records(ClassifierAccuracy, [facts])[0]
    except ValueError:
        return None


def accuracy_line(accuracy: ClassifierAccuracy | None) -> str:
    """Return how often the predictions of a classifier are right, on its own corpus and on others."""
    if accuracy is None or accuracy.other_accuracy is None or accuracy.other_reference is None:
        return "How often it is right on texts unlike those of its training is unknown; expect far from always."
    return (
        f"Of its predictions {accuracy.accuracy:.0%} are right on unseen texts of its own corpus "
        f"({accuracy.reference}), and {accuracy.other_accuracy:.0%} on texts of other corpora "
        f"({accuracy.other_reference})."
    )


def agreement_line(facts: Mapping[str, Any] | None) -> str | None:
    """Return how often stored predictions are the labels, and how often they are right; None: there are none."""
    agreement = (facts or {}).get("agreement")
    if not isinstance(agreement, float | int):
        return None
    return (
        f"An emotion classifier predicts the label of {agreement:.0%} of the texts. {accuracy_line(accuracy_of(facts))}"
    )
