"""The structure of text vectors: their spread over clusters of real texts, and their separation by label."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from personagen.metrics.statistics.clustering import kmeans, nearest
from personagen.metrics.texts.inputs import Vectors

REFERENCE_CLUSTERS = 50
"""Clusters of the reference, unless a cluster would have fewer than `TEXTS_PER_CLUSTER` texts on average."""

TEXTS_PER_CLUSTER = 20

OWN_CLUSTERS = 20
"""Clusters of the texts themselves, for their silhouette."""

NEIGHBOURS = 10

MAX_TEXTS = 5_000
"""Largest number of texts among which nearest neighbours are searched."""

BLOCK_ROWS = 1024


def centres_of(reference: Vectors, seed: int) -> Vectors | None:
    """Return the centres of the clusters of a reference; None: too few different texts for two clusters.

    The clusters are not those of the measured texts, because k-means makes clusters of similar size from any texts.
    """
    k = min(REFERENCE_CLUSTERS, len(reference) // TEXTS_PER_CLUSTER)
    if k < 2:
        return None
    centres = kmeans(reference, k, seed).centres
    return centres if len(centres) > 1 else None


def cluster_entropy(vectors: Vectors, centres: Vectors) -> float:
    """Compute the evenness of texts over the clusters of a reference: entropy of their fractions over its maximum.

    In [0, 1]; 0: all texts in one cluster.
    """
    counts = np.bincount(nearest(vectors, centres), minlength=len(centres))
    fractions = counts[counts > 0] / len(vectors)
    return max(0.0, float(-(fractions * np.log(fractions)).sum() / np.log(len(centres))))


def silhouette(vectors: Vectors, groups: Sequence[int] | NDArray[np.intp]) -> float | None:
    """Compute the mean silhouette of grouped texts by cosine distance, exactly (Rousseeuw 1987).

    For rows of length 1 the mean distance of a row to a group is 1 less its product with the mean of the group, so the
    time does not grow with the number of pairs. In [-1, 1]; a text alone in its group counts as 0.

    Args:
        vectors: shape (n, d), rows of length 1.
        groups: number of the group of each row.

    Returns:
        None for fewer than two groups, or as many groups as texts.

    """
    kinds, members = np.unique(groups, return_inverse=True)
    if not 2 <= len(kinds) < len(vectors):
        return None
    sizes = np.bincount(members).astype(np.float64)
    sums = np.zeros((len(kinds), vectors.shape[1]))
    for group in range(len(kinds)):
        sums[group] = vectors[members == group].sum(axis=0, dtype=np.float64)
    total = 0.0
    for start in range(0, len(vectors), BLOCK_ROWS):
        block = vectors[start : start + BLOCK_ROWS].astype(np.float64)
        own_group = members[start : start + BLOCK_ROWS]
        rows = np.arange(len(block))
        distances = sizes - block @ sums.T
        self_distances = 1 - np.square(block).sum(axis=1)
        within = (distances[rows, own_group] - self_distances) / np.maximum(sizes[own_group] - 1, 1)
        distances /= sizes
        distances[rows, own_group] = np.inf
        nearest_other = distances.min(axis=1)
        widest = np.maximum(within, nearest_other)
        scores = np.divide(nearest_other - within, widest, out=np.zeros(len(block)), where=widest > 0)
        total += float(scores[sizes[own_group] > 1].sum())
    return total / len(vectors)


def own_silhouette(vectors: Vectors, seed: int) -> float | None:
    """Compute the silhouette of the texts in k-means clusters of their own: a diagnostic, not a measure of diversity.

    None for fewer than three texts.
    """
    if len(vectors) < 3:
        return None
    return silhouette(vectors, kmeans(vectors, min(OWN_CLUSTERS, len(vectors) // 2 + 1), seed).assignment)


def between_group_variance(vectors: Vectors, groups: NDArray[np.intp]) -> float | None:
    """Return the fraction of variance between groups, in [0, 1]; None: no variance."""
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
    blocks = range(0, len(vectors), BLOCK_ROWS)
    return sum(float(np.square(vectors[start : start + BLOCK_ROWS] - centre).sum()) for start in blocks)


def knn_purity(vectors: Vectors, groups: NDArray[np.intp], seed: int) -> float | None:
    """Return the mean fraction of the 10 nearest other texts with the same label; None for fewer than three texts.

    Chance is the sum of squares of the labels' fractions. Above `MAX_TEXTS` texts, a random sample of that size is
    measured.
    """
    if len(vectors) > MAX_TEXTS:
        rows = np.sort(np.random.default_rng(seed).choice(len(vectors), size=MAX_TEXTS, replace=False))
        vectors, groups = vectors[rows], groups[rows]
    count = len(vectors)
    k = min(NEIGHBOURS, count - 1)
    if count < 3:
        return None
    same = 0
    for start in range(0, count, BLOCK_ROWS):
        similarity = vectors[start : start + BLOCK_ROWS] @ vectors.T
        rows = np.arange(len(similarity))
        similarity[rows, start + rows] = -np.inf
        neighbours = np.argpartition(-similarity, k - 1, axis=1)[:, :k]
        same += int((groups[neighbours] == groups[start : start + BLOCK_ROWS, None]).sum())
    return same / (count * k)
