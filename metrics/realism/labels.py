"""Whether labels mean in one corpus what they mean in another: by a classifier of real text, and label by label."""

from collections.abc import Sequence

import numpy as np

from personagen.metrics.realism.mmd import mmd2
from personagen.metrics.statistics.intervals import mean
from personagen.metrics.texts.corpus import Corpus
from personagen.metrics.texts.inputs import Vectors, rows_by_label

FEWEST = 20
"""Texts of a label on each side below which it is not compared, and below which no classifier is trained."""

STRENGTH = 1.0
"""Inverse regularisation of the classifier."""


def common_labels(one: Sequence[str], other: Sequence[str]) -> list[str]:
    """List the labels of which both sides have 20 texts or more."""
    counts = [{label: len(rows) for label, rows in rows_by_label(side).items()} for side in (one, other)]
    return [label for label in counts[0] if min(side.get(label, 0) for side in counts) >= FEWEST]


def label_consistency(corpus: Corpus, reference: Corpus) -> float | None:
    """Return how often a classifier of real text reads the label of a text from it: the mean share over labels.

    A logistic regression on vectors, trained on as many real texts of each label. What it gets on real texts that it
    has not seen is the most that can be expected. None for fewer than two common labels.
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
    taught = [reference.labels[row] for row in chosen]
    model = LogisticRegression(C=STRENGTH, max_iter=500).fit(reference.vectors[chosen], taught)
    own = rows_by_label(corpus.labels)
    shares = [float((model.predict(corpus.vectors[own[label]]) == label).mean()) for label in common]
    return float(np.mean(shares))


def mmd2_by_label(corpus: Corpus, reference: Corpus, width: float) -> dict[str, float]:
    """Return MMD^2 between the texts of each common label; it reacts where labels were given to the wrong texts."""
    if corpus.labels is None or reference.labels is None:
        return {}
    rows, real = rows_by_label(corpus.labels), rows_by_label(reference.labels)
    found: dict[str, float] = {}
    for label in common_labels(corpus.labels, reference.labels):
        value = mmd2(_of(corpus, rows[label]), _of(reference, real[label]), width)
        if value is not None:
            found[label] = value
    return found


def label_mmd2(corpus: Corpus, reference: Corpus, width: float) -> float | None:
    """Return the mean of MMD^2 over common labels; None where there are none."""
    return mean(list(mmd2_by_label(corpus, reference, width).values()))


def _of(corpus: Corpus, rows: "np.typing.NDArray[np.intp]") -> Vectors:
    return corpus.vectors[rows]
