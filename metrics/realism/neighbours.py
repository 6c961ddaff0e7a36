"""Nearest neighbours within and across two sets of vectors: precision, recall, density, coverage, copies.

Rows have length 1, so the nearest row is the one with the largest product: one matrix product per block, and no n x n
matrix. A row lies in a ball if its product with the centre is above that of the ball's edge.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from personagen.metrics.texts.inputs import Vectors

NEIGHBOURS = 5
"""The ball around a row extends to its fifth nearest other row of the same set."""

BLOCK_ROWS = 255
"""Rows per block across two sets: counts over them fit into a byte."""

STRIP_ROWS = 128
"""Rows per block within one set."""

BLOCKS_PER_PRODUCT = 4
"""Blocks per matrix product: larger products take less time per row."""

COLUMN_GROUPS = 128
"""Groups of columns; the largest products are searched in the groups with the largest maxima."""

EQUAL_PRODUCT = 1 - 5e-7
"""Product of float32 rows from which on they count as equal: copies differ by rounding errors."""

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Neighbourhood:
    """Figures of nearest neighbours between texts and real texts.

    Attributes:
        precision: fraction of texts in a ball of a real text; the ball of one outlier can contain many.
        recall: fraction of real texts in a ball of a text.
        density: mean number of balls of real texts around a text, over 5; may exceed 1.
        coverage: fraction of real texts with a text in their ball.
        authenticity: fraction of texts farther from their nearest real text than that is from its nearest real text.
        novelty: mean distance of texts to their nearest real text, over the same of real texts; None: all are equal.

    """

    precision: float
    recall: float
    density: float
    coverage: float
    authenticity: float
    novelty: float | None


def neighbourhood(one: Vectors, other: Vectors, k: int = NEIGHBOURS) -> Neighbourhood | None:
    """Compute the figures of nearest neighbours of two sets.

    Precision and recall are those of Kynkäänniemi et al. (arXiv 1904.06991), density and coverage those of Naeem et al.
    (arXiv 2002.09797), authenticity that of Alaa et al. (arXiv 2102.08921). The ball of a row with k copies has no
    extent and contains nothing.

    Args:
        one: texts, shape (n, d), rows of length 1.
        other: real texts, shape (m, d).
        k: rank of the neighbour to which a ball extends.

    Returns:
        None if a set has k rows or fewer.

    """
    if min(len(one), len(other)) <= k:
        return None
    edge_one, _ = _edges(one, k)
    edge_other, nearest_other = _edges(other, k)
    balls = np.zeros(len(one), dtype=np.int64)
    best, best_row = np.full(len(one), -np.inf, dtype=np.float32), np.zeros(len(one), dtype=np.intp)
    recalled = covered = 0
    for start, products in _strips(other, one, BLOCK_ROWS):
        edges = edge_other[start : start + BLOCK_ROWS]
        balls += np.add.reduce((products > edges[:, None]).view(np.uint8), axis=0, dtype=np.uint8)
        recalled += int((products > edge_one).any(axis=1).sum())
        covered += int((products.max(axis=1) > edges).sum())
        nearer = np.flatnonzero(products.max(axis=0) > best)
        rows = products[:, nearer].argmax(axis=0)
        best[nearer], best_row[nearer] = products[rows, nearer], start + rows
    nearest_real = np.minimum(nearest_other, np.float32(EQUAL_PRODUCT))
    real_distance = _mean_distance(nearest_other)
    return Neighbourhood(
        precision=float((balls > 0).mean()),
        recall=recalled / len(other),
        density=float(balls.mean()) / k,
        coverage=covered / len(other),
        authenticity=float((best < nearest_real[best_row]).mean()),
        novelty=_mean_distance(best) / real_distance if real_distance > 0 else None,
    )


def _mean_distance(products: Floats) -> float:
    return float(np.sqrt(np.where(products < EQUAL_PRODUCT, 2 - 2 * products.astype(np.float64), 0)).mean())


def _strips(rows: Vectors, columns: Vectors, size: int, *, after: bool = False) -> Iterator[tuple[int, Floats]]:
    """Yield the number of the first row, and the products, of `size` rows at a time.

    With `after`, columns before the first row are left out.
    """
    for start in range(0, len(rows), BLOCKS_PER_PRODUCT * size):
        products = rows[start : start + BLOCKS_PER_PRODUCT * size] @ (columns[start:] if after else columns).T
        for first in range(0, len(products), size):
            yield start + first, products[first : first + size, first if after else 0 :]


def _edges(vectors: Vectors, k: int) -> tuple[Floats, Floats]:
    """Return the product of each row with its k-th nearest other row, infinity if equal, and with its nearest.

    Products are symmetric, so each strip is multiplied with itself and with the rows after it. A later row is updated
    only if the strip contains a larger product than its k-th so far, which becomes rare.
    """
    top = np.full((len(vectors), k), -np.inf, dtype=np.float32)
    for start, products in _strips(vectors, vectors, STRIP_ROWS, after=True):
        count = len(products)
        np.fill_diagonal(products, -np.inf)
        candidates = [top[start : start + count], _largest(products, k) if products.shape[1] > k else products]
        top[start : start + count] = _largest(np.concatenate(candidates, axis=1), k)
        after, lowest = products[:, count:], top[start + count :].min(axis=1)
        columns = np.flatnonzero(after.max(axis=0) > lowest)
        later = np.concatenate([top[start + count + columns], after[:, columns].T], axis=1)
        top[start + count + columns] = np.partition(later, -k, axis=1)[:, -k:]
    edges = top.min(axis=1)
    edges[edges >= EQUAL_PRODUCT] = np.inf
    return edges, top.max(axis=1)


def _largest(products: Floats, k: int) -> Floats:
    """Return the k largest values of each row, in any order.

    They lie in the k groups of columns with the largest maxima, so only these groups are partitioned.
    """
    count, width = products.shape
    wide = width // COLUMN_GROUPS
    if wide <= k:
        return np.partition(products, width - k, axis=1)[:, width - k :]
    groups = products[:, : wide * COLUMN_GROUPS].reshape(count, COLUMN_GROUPS, wide).max(axis=1)
    chosen = np.argpartition(groups, wide - k, axis=1)[:, wide - k :]
    columns = (chosen[:, :, None] + np.arange(COLUMN_GROUPS) * wide).reshape(count, -1)
    candidates = np.concatenate(
        [np.take_along_axis(products, columns, axis=1), products[:, wide * COLUMN_GROUPS :]], axis=1
    )
    return np.partition(candidates, candidates.shape[1] - k, axis=1)[:, candidates.shape[1] - k :]
