"""Whether labels mean the same in two corpora: by a classifier of real texts, and label by label."""

from collections.abc import Sequence

import numpy as np

from personagen.metrics.realism.mmd import mmd2
from personagen.metrics.statistics.intervals import mean
from personagen.metrics.texts.corpus import Corpus
from personagen.metrics.texts.inputs import rows_by_label

MIN_LABEL_TEXTS = 20
"""Texts per side that a label needs to be compared."""

INVERSE_REGULARISATION = 1.0


def common_labels(one: Sequence[str], other: Sequence[str]) -> list[str]:
    """Return the labels with 20 texts or more on both sides."""
    counts = [{label: len(rows) for label, rows in rows_by_label(side).items()} for side in (one, other)]
    return [label for label in counts[0] if min(side.get(label, 0) for side in counts) >= MIN_LABEL_TEXTS]


def label_consistency(corpus: Corpus, reference: Corpus) -> float | None:
    """Return the recall of the labels by a classifier of real texts: the mean over common labels.

    A logistic regression on vectors, trained on equally many real texts per label. Its recall on unseen real texts is
    the upper bound to expect. None for fewer than two common labels.
    """
    from sklearn.linear_model import LogisticRegression

    if corpus.labels is None or reference.labels is None:
        return None
    common = common_labels(corpus.labels, reference.labels)
    if len(common) < 2:
        return None
    rows = rows_by_label(reference.labels)
    least = min(len(rows[label]) for label in common)
    chosen = np.concatenate([rows[label][:: max(len(rows[label]) // least, 1)][:least] for label in common])
    train_labels = [reference.labels[row] for row in chosen]
    model = LogisticRegression(C=INVERSE_REGULARISATION, max_iter=500).fit(reference.vectors[chosen], train_labels)
    text_rows = rows_by_label(corpus.labels)
    recalls = [float((model.predict(corpus.vectors[text_rows[label]]) == label).mean()) for label in common]
    return float(np.mean(recalls))


def mmd2_by_label(corpus: Corpus, reference: Corpus, width: float) -> dict[str, float]:
    """Return MMD^2 between the texts of each common label; labels given to the wrong texts raise it."""
    if corpus.labels is None or reference.labels is None:
        return {}
    rows, real_rows = rows_by_label(corpus.labels), rows_by_label(reference.labels)
    values: dict[str, float] = {}
    for label in common_labels(corpus.labels, reference.labels):
        value = mmd2(corpus.vectors[rows[label]], reference.vectors[real_rows[label]], width)
        if value is not None:
            values[label] = value
    return values


def label_mmd2(corpus: Corpus, reference: Corpus, width: float) -> float | None:
    """Return the mean of MMD^2 over common labels; None: no common label."""
    return mean(list(mmd2_by_label(corpus, reference, width).values()))
