"""Divergence frontiers of two sets of vectors over common clusters: MAUVE* and the frontier integral FI*."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from personagen.metrics.statistics.clustering import distinct_rows, kmeans
from personagen.metrics.texts.inputs import Vectors

CLUSTERS = 100
"""Clusters of both sets together, if they have ten texts for each. The value depends on this number: on the same
2,000 texts a side it went from 1.000 with 20 clusters to 0.799 with 500."""

TEXTS_A_CLUSTER = 10

SEEDS = 5

SCALE = 5.0
"""Factor of the divergences in MAUVE, as its authors set it."""

MIXTURES = np.linspace(1e-6, 1 - 1e-6, 25)

VARIANCE = 0.9
"""Share of variance that is kept before clustering."""

Shares = NDArray[np.float64]


def frontier(one: Vectors, other: Vectors, seed: int, clusters: int | None = None) -> tuple[float, float, float] | None:
    """Return MAUVE*, its standard deviation over seeds of the clustering, and FI*; means over 5 seeds.

    Both sets are clustered together, and their shares of the clusters compared (Pillutla et al., arXiv 2212.14578); the
    star says that shares are smoothed by half a text a cluster, after Krichevsky and Trofimov. None for fewer than 20
    rows together.

    Args:
        one: shape (n, d).
        other: shape (m, d).
        seed: the first of five.
        clusters: their number; None for 100, or a tenth of the rows.

    """
    both = np.concatenate([one, other])
    count = clusters or min(CLUSTERS, len(both) // TEXTS_A_CLUSTER)
    if count < 2:
        return None
    reduced = principal(both)
    found = []
    for start in range(SEEDS):
        assignment = kmeans(reduced, count, seed + start).assignment
        shares = [smoothed(np.bincount(part, minlength=count)) for part in np.split(assignment, [len(one)])]
        found.append((mauve(*shares), frontier_integral(*shares)))
    scores = np.array(found)
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


def smoothed(counts: NDArray[np.intp]) -> Shares:
    """Turn counts into shares, each with half a text more than it has."""
    return np.asarray((counts + 0.5) / (counts.sum() + len(counts) / 2))


def mauve(one: Shares, other: Shares) -> float:
    """Return the area under the divergence frontier of two lists of shares (Pillutla et al., arXiv 2102.01454).

    For mixtures R = w P + (1 - w) Q the frontier has the points exp(-5 KL(Q | R)), exp(-5 KL(P | R)), and ends on both
    axes. The area is the mean of that over either axis. In (0, 1]; 1 for equal shares.
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


def _divergence(one: Shares, other: Shares) -> float:
    taken = one > 0
    return max(0.0, float((one[taken] * np.log(one[taken] / other[taken])).sum()))


def frontier_integral(one: Shares, other: Shares) -> float:
    """Return the frontier integral of two lists of shares (Liu et al. 2021, "Divergence Frontiers").

    The mean over mixtures of the weighted divergences of both from the mixture, doubled; for each cluster it is
    (p + q) / 2 - p q ln(p / q) / (p - q). In [0, 1]; 0 for equal shares.
    """
    differ = ~np.isclose(one, other, rtol=1e-9, atol=0)
    p, q = one[differ], other[differ]
    inner = np.zeros(len(p))
    both = (p > 0) & (q > 0)
    inner[both] = p[both] * q[both] * np.log(p[both] / q[both]) / (p[both] - q[both])
    return max(0.0, float(((p + q) / 2 - inner).sum()))
