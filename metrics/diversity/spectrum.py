"""Diversity as an effective number of texts, from the spectrum of their similarities: the Vendi scores."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from personagen.metrics.texts.inputs import Vectors

BLOCK_ROWS = 8192

ROUNDING = 1e-10
"""Eigenvalues below this fraction of their sum are rounding errors."""


def eigenvalues(vectors: Vectors) -> NDArray[np.float64]:
    """Return the eigenvalues of K / n for the cosine kernel K, 0 or more, with the sum 1.

    K is n by n. X'X / n is d by d and has the same eigenvalues apart from zeros.

    Args:
        vectors: shape (n, d), rows of length 1.

    """
    count, width = vectors.shape
    if count < width:
        whole = vectors.astype(np.float64)
        product = whole @ whole.T
    else:
        product = np.zeros((width, width))
        for start in range(0, count, BLOCK_ROWS):
            block = vectors[start : start + BLOCK_ROWS].astype(np.float64)
            product += block.T @ block
    values = np.linalg.eigvalsh(product / count)
    values[values < ROUNDING * values.sum()] = 0
    return np.asarray(values / values.sum())


def hill_number(fractions: Sequence[float] | NDArray[np.float64], order: float) -> float:
    """Return the effective number of kinds with these fractions: the exponential of their Renyi entropy.

    Order 1 is the exponential of Shannon's entropy, order 2 one over the sum of squares, infinity one over the largest
    fraction. Of the eigenvalues of K / n it is the Vendi score of that order (Friedman and Dieng, arXiv 2210.02410;
    Pasarkar and Dieng, arXiv 2310.12952); order 2 is RKE (Jalali et al. 2023).

    Args:
        fractions: numbers with the sum 1.
        order: 0 or more.

    """
    positive = np.asarray(fractions, dtype=np.float64)
    positive = positive[positive > 0]
    if order == 1:
        return float(np.exp(-(positive * np.log(positive)).sum()))
    if np.isinf(order):
        return float(1 / positive.max())
    return float((positive**order).sum() ** (1 / (1 - order)))


def mean_cosine(vectors: Vectors) -> float | None:
    """Return the mean cosine over all pairs of different rows; None for fewer than two rows.

    The sum over pairs is the squared length of the sum of rows less the squared lengths of the rows.
    """
    count = len(vectors)
    if count < 2:
        return None
    total = vectors.sum(axis=0, dtype=np.float64)
    blocks = range(0, count, BLOCK_ROWS)
    squares = sum(float(np.square(vectors[start : start + BLOCK_ROWS], dtype=np.float64).sum()) for start in blocks)
    return (float(total @ total) - squares) / (count * (count - 1))
