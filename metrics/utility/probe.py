"""Probes: classifiers trained on some texts that predict the labels of others, and their scores."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from personagen.metrics.texts.corpus import Corpus

VECTORS_INVERSE_REGULARISATION = 10.0
"""Of the logistic regression on vectors. Fixed, because tuning on the test part would overestimate the scores."""

TFIDF_INVERSE_REGULARISATION = 3.0
"""Of the logistic regression on TF-IDF. Fixed as well."""

Classes = Sequence[str]
"""Labels in the order of their codes."""


def codes(labels: Sequence[str], classes: Classes) -> NDArray[np.intp]:
    """Return the position of each label among the classes.

    Raises:
        KeyError: a label is not among the classes.

    """
    positions = {label: number for number, label in enumerate(classes)}
    return np.array([positions[label] for label in labels], dtype=np.intp)


def predict_from_vectors(train: Corpus, test: Corpus, classes: Classes) -> NDArray[np.intp]:
    """Train a logistic regression on the vectors of one corpus, and predict the classes of another, shape (m,)."""
    return _predict(
        train.vectors,
        codes(_labels(train), classes),
        test.vectors,
        inverse_regularisation=VECTORS_INVERSE_REGULARISATION,
    )


def predict_from_words(train: Corpus, test: Corpus, classes: Classes) -> NDArray[np.intp]:
    """Do the same on TF-IDF of words and pairs of words, features without a pretrained model."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectoriser = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=1)
    try:
        features = vectoriser.fit_transform(train.texts)
    except ValueError:  # no text has a word: predict the most frequent class
        return np.full(len(test), np.bincount(codes(_labels(train), classes)).argmax())
    return _predict(
        features,
        codes(_labels(train), classes),
        vectoriser.transform(test.texts),
        inverse_regularisation=TFIDF_INVERSE_REGULARISATION,
    )


def _predict(
    train: object, labels: NDArray[np.intp], test: object, *, inverse_regularisation: float
) -> NDArray[np.intp]:
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):  # matrices this small take 16 to 80 times as long with threads on a busy machine
        model = LogisticRegression(C=inverse_regularisation, max_iter=300).fit(train, labels)
        return np.asarray(model.predict(test), dtype=np.intp)


def _labels(corpus: Corpus) -> Sequence[str]:
    if corpus.labels is None:
        raise ValueError("labels are missing, wanted one per text")
    return corpus.labels


def f1_by_class(predicted: NDArray[np.intp], true: NDArray[np.intp], count: int) -> NDArray[np.float64]:
    """Return F1 of each class, 2 TP / (2 TP + FP + FN); 0 for a class that is neither true nor predicted."""
    hits = np.bincount(true[predicted == true], minlength=count)
    both = np.bincount(predicted, minlength=count) + np.bincount(true, minlength=count)
    return np.asarray(2 * hits / np.maximum(both, 1))


def macro_f1(predicted: NDArray[np.intp], true: NDArray[np.intp], count: int) -> float:
    """Return the mean of F1 over classes."""
    return float(f1_by_class(predicted, true, count).mean())


def resampled_macro_f1(
    predicted: NDArray[np.intp], true: NDArray[np.intp], weights: NDArray[np.float32], count: int
) -> NDArray[np.float64]:
    """Return macro-F1 on resamples of the test texts.

    Args:
        predicted: predicted classes, shape (m,).
        true: true classes, shape (m,).
        weights: number of times each text is in each resample, shape (resamples, m).
        count: number of classes.

    Returns:
        Shape (resamples,): the mean over the classes in the resample.

    """
    kinds = np.eye(count, dtype=np.float32)
    hits = weights @ (kinds[true] * (predicted == true)[:, None])
    occurring = weights @ kinds[true]
    scores = 2 * hits / np.maximum(weights @ kinds[predicted] + occurring, 1)
    return np.asarray((scores * (occurring > 0)).sum(axis=1, dtype=np.float64) / (occurring > 0).sum(axis=1))


def mcnemar_p(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    """Return the p-value of McNemar's test of equal accuracy: exact, two-sided (McNemar 1947).

    Args:
        one: whether the first classifier is right, per text.
        other: the same for the second.

    """
    from scipy.stats import binomtest

    only_one, only_other = int((one & ~other).sum()), int((other & ~one).sum())
    different = only_one + only_other
    return float(binomtest(only_one, different).pvalue) if different else 1.0
