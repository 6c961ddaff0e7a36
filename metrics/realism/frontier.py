"""Divergence frontiers of two sets of vectors over common clusters: MAUVE* and the frontier integral FI*."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from personagen.metrics.statistics.clustering import distinct_rows, kmeans
from personagen.metrics.texts.inputs import Vectors

CLUSTERS = 100
"""Clusters of both sets together, unless a cluster would have fewer than `TEXTS_PER_CLUSTER` texts on average.

The value depends on this number: for the same 2,000 texts per side it was 1.000 with 20 clusters and 0.799 with 500."""

TEXTS_PER_CLUSTER = 10

SEEDS = 5
"""Clusterings over which the figures are averaged."""

SCALE = 5.0
"""Factor of the divergences in MAUVE, as set by its authors."""

MIXTURES = np.linspace(1e-6, 1 - 1e-6, 25)
"""Weights of the mixtures on the frontier."""

VARIANCE = 0.9
"""Fraction of variance kept before clustering."""

Fractions = NDArray[np.float64]
"""Fractions of a set in each cluster, shape (clusters,), with the sum 1."""


def frontier(one: Vectors, other: Vectors, seed: int, clusters: int | None = None) -> tuple[float, float, float] | None:
    """Compute MAUVE*, its standard deviation over clusterings, and FI*; means over 5 clusterings.

    Both sets are clustered together, and their fractions of the clusters compared (Pillutla et al., arXiv 2212.14578).
    The star marks fractions smoothed by half a text per cluster, after Krichevsky and Trofimov.

    Args:
        one: shape (n, d).
        other: shape (m, d).
        seed: seed of the first clustering; the others follow.
        clusters: number of clusters; None: 100, or a tenth of the rows if that is less.

    Returns:
        None for fewer than 20 rows in total.

    """
    both = np.concatenate([one, other])
    count = clusters or min(CLUSTERS, len(both) // TEXTS_PER_CLUSTER)
    if count < 2:
        return None
    reduced = principal(both)
    pairs = []
    for start in range(SEEDS):
        assignment = kmeans(reduced, count, seed + start).assignment
        fractions = [smoothed(np.bincount(part, minlength=count)) for part in np.split(assignment, [len(one)])]
        pairs.append((mauve(*fractions), frontier_integral(*fractions)))
    scores = np.array(pairs)
    return float(scores[:, 0].mean()), float(scores[:, 0].std(ddof=1)), float(scores[:, 1].mean())


def principal(vectors: Vectors) -> Vectors:
    """Project vectors to as many principal axes as hold 90 % of the variance; equal rows stay equal."""
    from sklearn.decomposition import PCA

    rows, places = distinct_rows(vectors)
    if len(rows) == 1:
        return np.zeros((len(vectors), 1), dtype=vectors.dtype)  # no variance to keep a part of
    centred = vectors - vectors.mean(axis=0)  # PCA centres the covariance instead, which cancels digits of float32
    axes = PCA(VARIANCE, svd_solver="covariance_eigh").fit(centred)
    return np.asarray(axes.transform(centred[rows])[places])


def smoothed(counts: NDArray[np.intp]) -> Fractions:
    """Return the fractions of counts after adding a half to each."""
    return np.asarray((counts + 0.5) / (counts.sum() + len(counts) / 2))


def mauve(one: Fractions, other: Fractions) -> float:
    """Compute the area under the divergence frontier of two distributions (Pillutla et al., arXiv 2102.01454).

    For mixtures R = w P + (1 - w) Q the frontier has the points exp(-5 KL(Q | R)), exp(-5 KL(P | R)), and ends on both
    axes. The value is the mean of the areas over either axis. In (0, 1]; 1 for equal distributions.
    """
    points = [(0.0, 1.0)]
    for weight in MIXTURES:
        mixed = weight * one + (1 - weight) * other
        points.append(
            (float(np.exp(-SCALE * _divergence(other, mixed))), float(np.exp(-SCALE * _divergence(one, mixed))))
        )
    points.append((1.0, 0.0))
    return (_area(points) + _area([(y, x) for x, y in points])) / 2


def _area(points: Sequence[tuple[float, float]]) -> float:
    across, up = np.array(sorted(points, key=lambda point: (point[0], -point[1]))).T
    return float(np.trapezoid(up, across))


def _divergence(one: Fractions, other: Fractions) -> float:
    """Return the Kullback-Leibler divergence."""
    positive = one > 0
    return max(0.0, float((one[positive] * np.log(one[positive] / other[positive])).sum()))


def frontier_integral(one: Fractions, other: Fractions) -> float:
    """Compute the frontier integral of two distributions (Liu et al. 2021, "Divergence Frontiers").

    Twice the mean over mixtures of the weighted divergences of both from the mixture; for each cluster it is
    (p + q) / 2 - p q ln(p / q) / (p - q). In [0, 1]; 0 for equal distributions.
    """
    differ = ~np.isclose(one, other, rtol=1e-9, atol=0)
    p, q = one[differ], other[differ]
    inner = np.zeros(len(p))
    both = (p > 0) & (q > 0)
    inner[both] = p[both] * q[both] * np.log(p[both] / q[both]) / (p[both] - q[both])
    return max(0.0, float(((p + q) / 2 - inner).sum()))
