"""How texts lie in the space of their vectors: spread over clusters of real text, and apart by label."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from personagen.metrics.statistics.clustering import kmeans, nearest
from personagen.metrics.texts.inputs import Vectors

CENTRES = 50
"""Clusters of the reference, if it has so many texts twenty times over."""

TEXTS_A_CENTRE = 20

OWN_CLUSTERS = 20
"""Clusters of the texts themselves, whose silhouette is told."""

NEIGHBOURS = 10

MOST_TEXTS = 5_000
"""Texts among which nearest neighbours are looked for."""

BLOCK = 1024


def centres_of(reference: Vectors, seed: int) -> Vectors | None:
    """Fit the clusters of a reference; None where it has too few texts for two.

    Clusters of the texts themselves would say little: k-means makes shares equal, whatever it is given.
    """
    k = min(CENTRES, len(reference) // TEXTS_A_CENTRE)
    return kmeans(reference, k, seed).centres if k > 1 else None


def cluster_entropy(vectors: Vectors, centres: Vectors) -> float:
    """Return how evenly texts fall to the clusters of a reference: the entropy of their shares over that of equal ones.

    In [0, 1]; 0 where all fall to one.
    """
    counts = np.bincount(nearest(vectors, centres), minlength=len(centres))
    shares = counts[counts > 0] / len(vectors)
    return max(0.0, float(-(shares * np.log(shares)).sum() / np.log(len(centres))))


def silhouette(vectors: Vectors, groups: Sequence[int] | NDArray[np.intp]) -> float | None:
    """Return the mean silhouette of texts in groups, by cosine distance; exact (Rousseeuw 1987).

    For rows of length 1 the mean distance of a row to a group is 1 less its product with the mean of the group, so that
    no pair is looked at. In [-1, 1]; a text alone in its group counts as 0. None for fewer than two groups, or as many
    as texts.

    Args:
        vectors: shape (n, d), rows of length 1.
        groups: number of the group of each row.

    """
    kinds, own = np.unique(groups, return_inverse=True)
    if not 2 <= len(kinds) < len(vectors):
        return None
    sizes = np.bincount(own).astype(np.float64)
    sums = np.zeros((len(kinds), vectors.shape[1]))
    for group in range(len(kinds)):
        sums[group] = vectors[own == group].sum(axis=0, dtype=np.float64)
    total = 0.0
    for start in range(0, len(vectors), BLOCK):
        block = vectors[start : start + BLOCK].astype(np.float64)
        mine = own[start : start + BLOCK]
        rows = np.arange(len(block))
        apart = sizes - block @ sums.T
        self_apart = 1 - np.square(block).sum(axis=1)
        within = (apart[rows, mine] - self_apart) / np.maximum(sizes[mine] - 1, 1)
        apart /= sizes
        apart[rows, mine] = np.inf
        nearest_other = apart.min(axis=1)
        widest = np.maximum(within, nearest_other)
        scores = np.divide(nearest_other - within, widest, out=np.zeros(len(block)), where=widest > 0)
        total += float(scores[sizes[mine] > 1].sum())
    return total / len(vectors)


def own_silhouette(vectors: Vectors, seed: int) -> float | None:
    """Return the silhouette of the texts in clusters of their own: a diagnostic, no measure of diversity."""
    if len(vectors) < 3:
        return None
    return silhouette(vectors, kmeans(vectors, min(OWN_CLUSTERS, len(vectors) // 2 + 1), seed).assignment)


def between_group_variance(vectors: Vectors, groups: NDArray[np.intp]) -> float | None:
    """Return the share of variance that lies between groups, in [0, 1]; None without variance."""
    centre = vectors.mean(axis=0, dtype=np.float64)
    whole = _squared_distances(vectors, centre)
    if whole <= 0:
        return None
    between = 0.0
    order = np.argsort(groups, kind="stable")
    starts = np.flatnonzero(np.diff(groups[order], prepend=-1))
    for rows in np.split(order, starts[1:]):
        mean = vectors[rows].mean(axis=0, dtype=np.float64)
        between += len(rows) * float(np.square(mean - centre).sum())
    return between / whole


def _squared_distances(vectors: Vectors, centre: NDArray[np.float64]) -> float:
    blocks = range(0, len(vectors), BLOCK)
    return sum(float(np.square(vectors[start : start + BLOCK] - centre).sum()) for start in blocks)


def knn_purity(vectors: Vectors, groups: NDArray[np.intp], seed: int) -> float | None:
    """Return the mean share of the 10 nearest other texts that have the same label; None for fewer than three texts.

    Chance is the sum of squares of the shares of labels. Of more than `MOST_TEXTS`, that many are drawn.
    """
    if len(vectors) > MOST_TEXTS:
        rows = np.sort(np.random.default_rng(seed).choice(len(vectors), size=MOST_TEXTS, replace=False))
        vectors, groups = vectors[rows], groups[rows]
    count = len(vectors)
    k = min(NEIGHBOURS, count - 1)
    if count < 3:
        return None
    same = 0
    for start in range(0, count, BLOCK):
        alike = vectors[start : start + BLOCK] @ vectors.T
        rows = np.arange(len(alike))
        alike[rows, start + rows] = -np.inf
        near = np.argpartition(-alike, k - 1, axis=1)[:, :k]
        same += int((groups[near] == groups[start : start + BLOCK, None]).sum())
    return same / (count * k)
