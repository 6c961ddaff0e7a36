"""Maximum mean discrepancy and energy distance between two sets of vectors, in blocks instead of an n x n matrix."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from personagen.metrics.statistics.clustering import distinct_rows
from personagen.metrics.texts.inputs import Vectors

BLOCK_ROWS = 1024

MAX_EXACT_ROWS = 5_000
"""Rows per side up to which MMD is exact; above, random features replace it with an error of 2 to 3 %."""

FEATURES = 2048

PERMUTATIONS = 200

BANDWIDTH_ROWS = 1_000
"""Rows whose distances give the bandwidth."""


def bandwidth(reference: Vectors, seed: int) -> float:
    """Return the bandwidth of the Gaussian kernel: the median distance between real texts; 1 if all are equal.

    Only real texts count: with synthetic texts the kernel would adapt to the texts that it measures.
    """
    rows = reference
    if len(rows) > BANDWIDTH_ROWS:
        rows = rows[np.random.default_rng([seed, 5]).choice(len(rows), size=BANDWIDTH_ROWS, replace=False)]
    upper = np.triu_indices(len(rows), 1)
    distances = _distances(rows.astype(np.float64), rows.astype(np.float64))[upper]
    return (float(np.median(distances)) if len(distances) else 0.0) or 1.0


def mmd2(
    one: Vectors, other: Vectors, width: float, seed: int = 0, *, max_exact_rows: int = MAX_EXACT_ROWS
) -> float | None:
    """Compute the unbiased estimate of MMD^2 with a Gaussian kernel (Gretton et al. 2012, lemma 6).

    Two samples of one source get about 0, possibly a negative value. None for fewer than two rows on a side.

    Args:
        one: shape (n, d), rows of length 1.
        other: shape (m, d).
        width: bandwidth of the kernel exp(-|x - y|^2 / (2 width^2)).
        seed: seed of the random features.
        max_exact_rows: rows per side above which random features are used.

    """
    if min(len(one), len(other)) < 2:
        return None
    if max(len(one), len(other)) > max_exact_rows:
        return _from_features(one, other, width, seed)
    within = (_kernel_sum(one, one, width) - len(one)) / (len(one) * (len(one) - 1))
    within += (_kernel_sum(other, other, width) - len(other)) / (len(other) * (len(other) - 1))
    return within - 2 * _kernel_sum(one, other, width) / (len(one) * len(other))


def mmd2_p(one: Vectors, other: Vectors, width: float, seed: int) -> float | None:
    """Return the p-value of MMD^2 by a permutation test: the fraction of random divisions that differ as much.

    Equal rows of a side count once, because copies are not independent texts. One set of random features serves all
    divisions, because their sums give MMD^2 for any division. None for fewer than two different rows on a side.
    """
    one, other = (side[distinct_rows(side)[0]] for side in (one, other))
    if min(len(one), len(other)) < 2:
        return None
    features = np.concatenate(list(_features(np.concatenate([one, other]), width, seed)))
    squares = np.einsum("ij,ij->i", features, features, dtype=np.float64)
    whole, all_squares = features.sum(axis=0, dtype=np.float64), float(squares.sum())
    generator = np.random.default_rng([seed, 6])
    members = np.zeros((PERMUTATIONS + 1, len(features)), dtype=np.float32)
    members[0, : len(one)] = 1
    for number in range(1, PERMUTATIONS + 1):
        members[number, generator.choice(len(features), size=len(one), replace=False)] = 1
    sums = (members @ features).astype(np.float64)
    member_squares = members @ squares
    values = _unbiased(sums, whole - sums, member_squares, all_squares - member_squares, (len(one), len(other)))
    return float((values >= values[0] - 1e-12).sum()) / (PERMUTATIONS + 1)


def energy_distance(one: Vectors, other: Vectors) -> float | None:
    """Compute the energy distance 2 E|X - Y| - E|X - X'| - E|Y - Y'|, unbiased, over pairs of different rows.

    Székely and Rizzo (2013). Above `MAX_EXACT_ROWS` rows, that many at equal distances are compared. None for fewer
    than two rows on a side.
    """
    if min(len(one), len(other)) < 2:
        return None
    one, other = (side[_even(len(side))] if len(side) > MAX_EXACT_ROWS else side for side in (one, other))
    across = _distance_sum(one, other) / (len(one) * len(other))
    within = sum(_distance_sum(side, side) / (len(side) * (len(side) - 1)) for side in (one, other))
    return 2 * across - within


def _even(size: int) -> NDArray[np.intp]:
    return np.arange(MAX_EXACT_ROWS) * size // MAX_EXACT_ROWS


def _unbiased(
    one: NDArray[np.float64],
    other: NDArray[np.float64],
    one_squares: NDArray[np.float64],
    other_squares: NDArray[np.float64],
    sizes: tuple[int, int],
) -> NDArray[np.float64]:
    """Return MMD^2 per division, from the sums of features and of their squares on both sides."""
    n, m = sizes
    within = (np.square(one).sum(axis=1) - one_squares) / (n * (n - 1))
    within += (np.square(other).sum(axis=1) - other_squares) / (m * (m - 1))
    return np.asarray(within - 2 * (one * other).sum(axis=1) / (n * m))


def _from_features(one: Vectors, other: Vectors, width: float, seed: int) -> float:
    """Return MMD^2 from the sums of random features."""
    sums, squares = [], []
    for side in (one, other):
        total, square = np.zeros((1, FEATURES)), 0.0
        for features in _features(side, width, seed):
            total += features.sum(axis=0, dtype=np.float64)
            square += float(np.einsum("ij,ij->", features, features, dtype=np.float64))
        sums.append(total)
        squares.append(np.array([square]))
    return float(_unbiased(sums[0], sums[1], squares[0], squares[1], (len(one), len(other)))[0])


def _features(vectors: Vectors, width: float, seed: int) -> Iterator[NDArray[np.float32]]:
    """Yield random Fourier features of the kernel (Rahimi and Recht 2007) in blocks of shape (rows, FEATURES)."""
    generator = np.random.default_rng([seed, 7])
    directions = (generator.standard_normal((vectors.shape[1], FEATURES // 2)) / width).astype(np.float32)
    for start in range(0, len(vectors), BLOCK_ROWS):
        angles = vectors[start : start + BLOCK_ROWS] @ directions
        features = np.concatenate([np.cos(angles), np.sin(angles)], axis=1, dtype=np.float32)
        features /= np.float32((FEATURES // 2) ** 0.5)
        yield features


def _blocks(one: Vectors, other: Vectors) -> Iterator[tuple[bool, NDArray[np.float64]]]:
    """Yield blocks of squared distances, and whether each counts twice: of one set, only the upper half is computed."""
    same = one is other
    exact = other.astype(np.float64)
    for start in range(0, len(one), BLOCK_ROWS):
        rows = one[start : start + BLOCK_ROWS].astype(np.float64)
        for first in range(start if same else 0, len(other), BLOCK_ROWS):
            products = rows @ exact[first : first + BLOCK_ROWS].T
            yield same and first != start, np.maximum(2 - 2 * products, 0)


def _kernel_sum(one: Vectors, other: Vectors, width: float) -> float:
    total = 0.0
    for twice, squares in _blocks(one, other):
        np.multiply(squares, -1 / (2 * width * width), out=squares)
        total += float(np.exp(squares, out=squares).sum()) * (2 if twice else 1)
    return total


def _distance_sum(one: Vectors, other: Vectors) -> float:
    total = 0.0
    for twice, squares in _blocks(one, other):
        if one is other and not twice:
            np.fill_diagonal(squares, 0)  # the distance of a row to itself has a rounding error
        total += float(np.sqrt(squares, out=squares).sum()) * (2 if twice else 1)
    return total


def _distances(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.sqrt(np.maximum(2 - 2 * one @ other.T, 0))
