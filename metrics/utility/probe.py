"""Classifiers that are trained on some texts and read the emotions of others, and how well they do."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from personagen.metrics.texts.corpus import Corpus

VECTOR_STRENGTH = 10.0
TFIDF_STRENGTH = 3.0
"""Inverse regularisation of the logistic regressions, fixed: tuned on the test part it would flatter."""

Classes = Sequence[str]


def codes(labels: Sequence[str], classes: Classes) -> NDArray[np.intp]:
    """Number labels by their place among the classes.

    Raises:
        KeyError: a label is none of them.

    """
    place = {label: number for number, label in enumerate(classes)}
    return np.array([place[label] for label in labels], dtype=np.intp)


def read_vectors(train: Corpus, test: Corpus, classes: Classes) -> NDArray[np.intp]:
    """Train a logistic regression on the vectors of one corpus, and read the classes of another, shape (m,)."""
    return _read(train.vectors, codes(_labels(train), classes), test.vectors, VECTOR_STRENGTH)


def read_words(train: Corpus, test: Corpus, classes: Classes) -> NDArray[np.intp]:
    """Do the same on TF-IDF of words and pairs of words of the training texts, which no pretrained model knows of."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    features = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=1)
    try:
        taught = features.fit_transform(train.texts)
    except ValueError:  # no text has a word: all that can be told is the most frequent class
        return np.full(len(test), np.bincount(codes(_labels(train), classes)).argmax())
    return _read(taught, codes(_labels(train), classes), features.transform(test.texts), TFIDF_STRENGTH)


def _read(taught: object, labels: NDArray[np.intp], asked: object, strength: float) -> NDArray[np.intp]:
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=strength, max_iter=300).fit(taught, labels)
    return np.asarray(model.predict(asked), dtype=np.intp)


def _labels(corpus: Corpus) -> Sequence[str]:
    if corpus.labels is None:
        raise ValueError("labels are missing, wanted one per text")
    return corpus.labels


def f1_by_class(told: NDArray[np.intp], true: NDArray[np.intp], count: int) -> NDArray[np.float64]:
    """Return F1 of each class: 2 TP / (2 TP + FP + FN); 0 for a class that is neither there nor told."""
    hit = np.bincount(true[told == true], minlength=count)
    both = np.bincount(told, minlength=count) + np.bincount(true, minlength=count)
    return np.asarray(2 * hit / np.maximum(both, 1))


def resampled_macro_f1(
    told: NDArray[np.intp], true: NDArray[np.intp], weights: NDArray[np.float32], count: int
) -> NDArray[np.float64]:
    """Return macro-F1 on resamples of the test texts.

    Args:
        told: what a classifier read, shape (m,).
        true: the classes, shape (m,).
        weights: how often each text is in each resample, shape (resamples, m).
        count: number of classes.

    Returns:
        Shape (resamples,): the mean over the classes that are in the resample.

    """
    kinds = np.eye(count, dtype=np.float32)
    hit = weights @ (kinds[true] * (told == true)[:, None])
    there = weights @ kinds[true]
    scores = 2 * hit / np.maximum(weights @ kinds[told] + there, 1)
    return np.asarray((scores * (there > 0)).sum(axis=1, dtype=np.float64) / (there > 0).sum(axis=1))


def mcnemar_p(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    """Return the p of McNemar's test that two classifiers are right equally often: exact, two-sided (McNemar 1947).

    Args:
        one: whether the first was right, a text.
        other: the same for the second.

    """
    from scipy.stats import binomtest

    only_one, only_other = int((one & ~other).sum()), int((other & ~one).sum())
    differ = only_one + only_other
    return float(binomtest(only_one, differ).pvalue) if differ else 1.0
