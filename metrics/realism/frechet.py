"""Fréchet distance between two sets of vectors, with most of its small-sample bias removed."""

import numpy as np
from numpy.typing import NDArray

from personagen.metrics.statistics.intervals import mean, parts
from personagen.metrics.texts.inputs import Vectors

HALVES = 4
"""Pairs of halves over which the distance at half the number of rows is averaged."""

BLOCK_ROWS = 8192


def frechet_distance(one: Vectors, other: Vectors) -> float | None:
    """Compute the Fréchet distance of two sets, each modelled by a normal distribution.

    |m1 - m2|^2 + tr(S1) + tr(S2) - 2 tr((S1 S2)^(1/2)), as in FID (Heusel et al. 2017). The trace of the root is the
    sum of the roots of the eigenvalues of R S2 R' with R'R = S1, a symmetric matrix, which avoids complex numbers. 0
    or more, with an upward bias of about a constant over the number of rows. None for fewer than two rows on a side.
    """
    if min(len(one), len(other)) < 2:
        return None
    if max(len(one), len(other)) < one.shape[1]:
        return _of_few(one, other)
    (mean_one, cov_one), (mean_other, cov_other) = _moments(one), _moments(other)
    values, basis = np.linalg.eigh(cov_one)
    root = np.sqrt(np.maximum(values, 0))[:, None] * basis.T
    mixed = np.linalg.eigvalsh(root @ cov_other @ root.T)
    shift = float(np.square(mean_one - mean_other).sum())
    traces = float(np.trace(cov_one) + np.trace(cov_other))
    return max(0.0, shift + traces - 2 * float(np.sqrt(np.maximum(mixed, 0)).sum()))


def _of_few(one: Vectors, other: Vectors) -> float:
    """Return the same for fewer rows than columns, in time that depends on the rows.

    With X and Y the centred rows, the trace of the root is the sum of singular values of X Y' / ((n - 1)(m - 1))^(1/2).
    """
    (x, centre), (y, other_centre) = _centred(one), _centred(other)
    roots = float(np.linalg.svd(x @ y.T, compute_uv=False).sum()) / ((len(x) - 1) * (len(y) - 1)) ** 0.5
    traces = float(np.square(x).sum()) / (len(x) - 1) + float(np.square(y).sum()) / (len(y) - 1)
    shift = float(np.square(centre - other_centre).sum())
    return max(0.0, shift + traces - 2 * float(roots))


def _centred(vectors: Vectors) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    centre = vectors.mean(axis=0, dtype=np.float64)
    return vectors - centre, centre


def extrapolated_frechet(one: Vectors, other: Vectors, seed: int) -> float | None:
    """Compute the Fréchet distance with one Richardson step over the number of rows: 2 F(n) - mean F(n / 2).

    The step removes the part of the bias in 1 / n, after FID-infinity (Chong and Forsyth, arXiv 1911.07023). The value
    may be negative for sets of one source. None for fewer than four rows on a side.
    """
    sizes = [len(one), len(other)]
    if min(sizes) < 4:
        return None
    half_sizes = [size // 2 for size in sizes]
    halves = [frechet_distance(one[rows], other[others]) for rows, others in parts(sizes, half_sizes, seed, HALVES)]
    whole, half = frechet_distance(one, other), mean(halves)
    return None if whole is None or half is None else 2 * whole - half


def _moments(vectors: Vectors) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return mean and covariance."""
    centre = vectors.mean(axis=0, dtype=np.float64)
    product = np.zeros((vectors.shape[1], vectors.shape[1]))
    for start in range(0, len(vectors), BLOCK_ROWS):
        block = vectors[start : start + BLOCK_ROWS] - centre
        product += block.T @ block
    return centre, product / (len(vectors) - 1)
