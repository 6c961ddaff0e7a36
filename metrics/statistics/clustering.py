"""k-means of vectors, in which equal rows always share a cluster."""

import warnings
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from personagen.metrics.texts.inputs import Vectors

if TYPE_CHECKING:
    from threadpoolctl import ThreadpoolController

RELATIVE_GAIN = 1e-4
"""Gain per step, relative to the sum of squared distances, below which the search ends."""

MAX_STEPS = 100
"""Upper bound on the steps of Lloyd's algorithm."""


@dataclass(frozen=True, slots=True, eq=False)
class Clusters:
    """Centres, shape (k, d), and the number of each vector's cluster, shape (n,)."""

    centres: Vectors
    assignment: NDArray[np.intp]


def kmeans(vectors: Vectors, k: int, seed: int) -> Clusters:
    """Cluster vectors with Lloyd's algorithm, starting from distinct rows drawn at random.

    Random starts, compared with k-means++, change the final sum of squared distances of text embeddings by less than
    its spread over seeds. Distinct rows are clustered with their counts as weights: the distance of a row to a centre
    is part of a matrix product, whose last digits depend on the row's position.

    Args:
        vectors: shape (n, d).
        k: number of clusters, from 1 to n; fewer are returned for fewer distinct rows.
        seed: seed of the starts, 0 or more.

    Raises:
        ValueError: `k` is not in 1 to n.

    """
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    if not 1 <= k <= len(vectors):
        raise ValueError(f"k is {k}, wanted 1 to {len(vectors)}: as many clusters as vectors at most")
    rows, places = distinct_rows(vectors)
    points = vectors[rows]
    k = min(k, len(points))
    # scikit-learn compares the centres' squared shift with tol times the mean variance of a column.
    # Each centre moves n / k points, so a factor of k d makes the bound relative to the sum of squared distances.
    model = KMeans(
        k,
        init="random",
        n_init=1,
        max_iter=MAX_STEPS,
        tol=RELATIVE_GAIN * k * points.shape[1],
        random_state=int(np.random.default_rng([seed, k]).integers(2**32)),
    )
    with _thread_pools().limit(limits=1), warnings.catch_warnings():  # several threads add up in no fixed order
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer clusters than k: rows a rounding error apart
        model.fit(points, sample_weight=np.bincount(places))
    return Clusters(model.cluster_centers_, model.labels_[places].astype(np.intp))


@cache
def _thread_pools() -> "ThreadpoolController":
    """Return the thread pools of the loaded libraries; finding them takes 3 ms."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def nearest(vectors: Vectors, centres: Vectors) -> NDArray[np.intp]:
    """Return the number of the nearest centre of each vector, the same for equal rows."""
    from sklearn.metrics import pairwise_distances_argmin

    rows, places = distinct_rows(vectors)
    return np.asarray(pairwise_distances_argmin(vectors[rows], centres)[places])


def distinct_rows(vectors: Vectors) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the first row of each set of bit-equal rows, and the number of the set of each row."""
    numbers: dict[bytes, int] = {}
    rows = np.ascontiguousarray(vectors)
    places = np.array([numbers.setdefault(blake2b(row, digest_size=16).digest(), len(numbers)) for row in rows])
    return np.unique(places, return_index=True)[1], places
