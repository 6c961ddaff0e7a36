"""Shared by everything that measures a release: installed packages, reference texts, and predictions for its texts."""

from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING

from personagen.builder.core.errors import BackendError, ReleaseError, raise_as
from personagen.builder.release.texts import Texts

if TYPE_CHECKING:
    from personagen.metrics.emotion_classifiers import Prediction
    from personagen.metrics.texts.reference import Reference

PACKAGES = ("numpy", "scipy", "sklearn", "rapidfuzz", "sentence_transformers")
"""Packages of the `metrics` extra that every measurement imports."""


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


def predictions(texts: Texts, source: str, embeddings: str | None) -> "list[Prediction]":
    """Return the predictions stored in the rows, or those of a classifier trained on a reference if any is missing.

    Args:
        texts: texts of a release.
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

    provenances = [row["provenance"] for row in texts.rows]
    if all(provenance["checker_label"] for provenance in provenances):
        return [Prediction(provenance["checker_label"], provenance["checker_confidence"]) for provenance in provenances]
    reference = require_reference(source)
    missing = sorted(set(texts.labels) - set(reference.labels or ()))
    if missing:
        raise ReleaseError(f"{reference.name} has no texts of {', '.join(missing)[:200]} to train a classifier on")
    with raise_as(BackendError):
        train, test = (read_corpus(part, labels, embeddings) for part, labels in train_and_test(reference))
        vectors = partial(vectors_of, model=embeddings or DEFAULT_MODEL)
        return train_linear(train, test, reference.name, vectors).predict(texts.texts)
