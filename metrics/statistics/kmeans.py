"""k-means of many vectors: Lloyd's algorithm in blocks of matrix products."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from personagen.metrics.texts.inputs import Vectors

BLOCK = 4096
"""Rows that are compared to all centres at a time."""

STOP = 1e-4
"""Relative gain of a step below which the search ends."""

MOST_STEPS = 100


@dataclass(frozen=True, slots=True, eq=False)
class Clusters:
    """What was found: centres, shape (k, d), and the number of the nearest one for each vector."""

    centres: Vectors
    assignment: NDArray[np.intp]


def kmeans(vectors: Vectors, k: int, seed: int) -> Clusters:
    """Find k centres, from k of the vectors that are drawn at random.

    Drawing the first centres at random instead of far from each other (k-means++) changes the final sum of distances
    of text embeddings by less than its spread over seeds, and costs nothing. A centre that loses all its vectors gets
    the vector that lies farthest from its own.

    Args:
        vectors: shape (n, d).
        k: number of clusters, from 1 to n.
        seed: of the draw.

    Raises:
        ValueError: there are fewer vectors than clusters.

    """
    count = len(vectors)
    if not 1 <= k <= count:
        raise ValueError(f"k is {k}, wanted 1 to {count}: as many clusters as vectors at most")
    generator = np.random.default_rng([seed, k, count])
    centres = vectors[np.sort(generator.choice(count, size=k, replace=False))].copy()
    assignment, distances = _nearest(vectors, centres)
    before = np.inf
    for _ in range(MOST_STEPS):
        total = float(distances.sum())
        if before - total <= STOP * before and np.isfinite(before):
            break
        before = total
        centres = _means(vectors, assignment, distances, k)
        assignment, distances = _nearest(vectors, centres)
    return Clusters(centres, assignment)


def nearest(vectors: Vectors, centres: Vectors) -> NDArray[np.intp]:
    """Return the number of the nearest centre for each vector, the first of equals."""
    return _nearest(vectors, centres)[0]


def _nearest(vectors: Vectors, centres: Vectors) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Return the number of the nearest centre and the squared distance to it."""
    half = (centres * centres).sum(axis=1) / 2
    assignment = np.empty(len(vectors), dtype=np.intp)
    distances = np.empty(len(vectors))
    for start in range(0, len(vectors), BLOCK):
        block = vectors[start : start + BLOCK]
        scores = block @ centres.T
        scores -= half
        best = scores.argmax(axis=1)
        assignment[start : start + BLOCK] = best
        closest = np.take_along_axis(scores, best[:, None], axis=1)[:, 0].astype(np.float64)
        distances[start : start + BLOCK] = (block * block).sum(axis=1, dtype=np.float64) - 2 * closest
    return assignment, np.maximum(distances, 0)


def _means(vectors: Vectors, assignment: NDArray[np.intp], distances: NDArray[np.float64], k: int) -> Vectors:
    """Move each centre to the mean of its vectors."""
    order = np.argsort(assignment, kind="stable")
    counts = np.bincount(assignment, minlength=k)
    starts = np.concatenate(([0], np.cumsum(counts)[:-1]))
    taken = counts > 0
    centres = np.empty((k, vectors.shape[1]), dtype=np.float32)
    sums = np.add.reduceat(vectors[order], starts[taken], axis=0)
    centres[taken] = sums / counts[taken, None].astype(np.float32)
    empty = np.flatnonzero(~taken)
    centres[empty] = vectors[np.argsort(-distances, kind="stable")[: len(empty)]]
    return centres
