"""Diversity as an effective number of texts, from the spectrum of their similarities: the Vendi scores."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from personagen.metrics.texts.inputs import Vectors

BLOCK = 8192

TINY = 1e-10
"""Eigenvalues below this share of their sum are rounding."""


def eigenvalues(vectors: Vectors) -> NDArray[np.float64]:
    """Return the eigenvalues of K / n for the cosine kernel K, none of them negative, with the sum 1.

    K itself has n times n entries; X'X / n has the same eigenvalues but for zeros, and d times d.

    Args:
        vectors: shape (n, d), rows of length 1.

    """
    count, width = vectors.shape
    if count < width:
        whole = vectors.astype(np.float64)
        product = whole @ whole.T
    else:
        product = np.zeros((width, width))
        for start in range(0, count, BLOCK):
            block = vectors[start : start + BLOCK].astype(np.float64)
            product += block.T @ block
    found = np.linalg.eigvalsh(product / count)
    found[found < TINY * found.sum()] = 0
    return np.asarray(found / found.sum())


def hill_number(shares: Sequence[float] | NDArray[np.float64], order: float) -> float:
    """Return the effective number of kinds with these shares: the exponential of their Renyi entropy.

    Order 1 is the exponential of Shannon's entropy, order 2 one over the sum of squares, infinity one over the largest
    share. Of the eigenvalues of K / n it is the Vendi score of that order (Friedman and Dieng, arXiv 2210.02410;
    Pasarkar and Dieng, arXiv 2310.12952), and with order 2 RKE (Jalali et al. 2023).

    Args:
        shares: numbers that add up to 1.
        order: 0 or more.

    """
    taken = np.asarray(shares, dtype=np.float64)
    taken = taken[taken > 0]
    if order == 1:
        return float(np.exp(-(taken * np.log(taken)).sum()))
    if np.isinf(order):
        return float(1 / taken.max())
    return float((taken**order).sum() ** (1 / (1 - order)))


def mean_cosine(vectors: Vectors) -> float | None:
    """Return the mean cosine over all pairs of different rows; None for fewer than two rows.

    The sum over pairs is that of the square of the sum of rows, less the squares of the rows.
    """
    count = len(vectors)
    if count < 2:
        return None
    total = vectors.sum(axis=0, dtype=np.float64)
    squares = float(np.square(vectors, dtype=np.float64).sum()) if count < BLOCK else _squares(vectors)
    return (float(total @ total) - squares) / (count * (count - 1))


def _squares(vectors: Vectors) -> float:
    blocks = range(0, len(vectors), BLOCK)
    return sum(float(np.square(vectors[start : start + BLOCK], dtype=np.float64).sum()) for start in blocks)
