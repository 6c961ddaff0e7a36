"""Nearest neighbours within and across two sets of vectors: precision, recall, density, coverage, copies.

Rows have length 1, so that the nearest is the one with the largest product, and products are all that is looked at: one
matrix product a block, and no n x n matrix. A row lies in a ball if its product with the centre is above that of the
ball's edge.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from personagen.metrics.texts.inputs import Vectors

NEIGHBOURS = 5
"""The ball around a row reaches to its fifth nearest other row of the same set."""

BLOCK = 255
"""Rows a block: counts over them fit into a byte."""

STRIP = 128
"""Rows a block within one set."""

TOGETHER = 4
"""Blocks that are multiplied at once: a matrix product of more rows takes less time a row."""

GROUPS = 128
"""Groups of columns among whose maxima the largest products are looked for first."""

SAME = 1 - 5e-7
"""Product of float32 rows from which on they count as equal: rounding must not tell copies apart."""

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Neighbourhood:
    """What nearest neighbours say; `one` is the set that is measured, `other` the real one.

    Attributes:
        precision: share of texts within a ball of real text; one odd real text can legitimate many.
        recall: share of real texts within a ball of the texts.
        density: balls of real text that a text lies in, over 5; may exceed 1.
        coverage: share of real texts with a text in their ball.
        authenticity: share of texts that are farther from their nearest real text than that is from its own.
        novelty: mean distance of a text to its nearest real text, over that of real texts to theirs.

    """

    precision: float
    recall: float
    density: float
    coverage: float
    authenticity: float
    novelty: float | None


def neighbourhood(one: Vectors, other: Vectors, k: int = NEIGHBOURS) -> Neighbourhood | None:
    """Measure how two sets lie among each other.

    Precision and recall are those of Kynkäänniemi et al. (arXiv 1904.06991), density and coverage those of Naeem et al.
    (arXiv 2002.09797), authenticity that of Alaa et al. (arXiv 2102.08921). A ball without extent, around a row that
    has k copies, holds nothing.

    Args:
        one: shape (n, d), rows of length 1.
        other: shape (m, d).
        k: which neighbour the balls reach to.

    Returns:
        None where a set has k rows or fewer.

    """
    if min(len(one), len(other)) <= k:
        return None
    edge_one, _ = _edges(one, k)
    edge_other, nearest_other = _edges(other, k)
    balls = np.zeros(len(one), dtype=np.int64)
    best, at = np.full(len(one), -np.inf, dtype=np.float32), np.zeros(len(one), dtype=np.intp)
    recalled = covered = 0
    for start, products in _strips(other, one, BLOCK):
        edges = edge_other[start : start + BLOCK]
        balls += np.add.reduce((products > edges[:, None]).view(np.uint8), axis=0, dtype=np.uint8)
        recalled += int((products > edge_one).any(axis=1).sum())
        covered += int((products.max(axis=1) > edges).sum())
        nearer = np.flatnonzero(products.max(axis=0) > best)
        rows = products[:, nearer].argmax(axis=0)
        best[nearer], at[nearer] = products[rows, nearer], start + rows
    own = np.minimum(nearest_other, np.float32(SAME))
    usual = _mean_distance(nearest_other)
    return Neighbourhood(
        precision=float((balls > 0).mean()),
        recall=recalled / len(other),
        density=float(balls.mean()) / k,
        coverage=covered / len(other),
        authenticity=float((best < own[at]).mean()),
        novelty=_mean_distance(best) / usual if usual > 0 else None,
    )


def _mean_distance(products: Floats) -> float:
    return float(np.sqrt(np.where(products < SAME, 2 - 2 * products.astype(np.float64), 0)).mean())


def _strips(rows: Vectors, columns: Vectors, size: int, *, after: bool = False) -> Iterator[tuple[int, Floats]]:
    """Give the products of `size` rows at a time, and the number of the first; several strips by one multiplication.

    With `after`, columns before the first row are left out.
    """
    for start in range(0, len(rows), TOGETHER * size):
        products = rows[start : start + TOGETHER * size] @ (columns[start:] if after else columns).T
        for first in range(0, len(products), size):
            yield start + first, products[first : first + size, first if after else 0 :]


def _edges(vectors: Vectors, k: int) -> tuple[Floats, Floats]:
    """Give the product of each row with its k-th nearest other row, infinity for an equal one, and with the nearest.

    A product is that of both its rows, so each strip is multiplied with itself and with what comes after: for its own
    rows the largest of the strip are sought, and for a later row only where the strip has one that is large enough,
    which becomes rare.
    """
    top = np.full((len(vectors), k), -np.inf, dtype=np.float32)
    for start, products in _strips(vectors, vectors, STRIP, after=True):
        count = len(products)
        np.fill_diagonal(products, -np.inf)
        mine = [top[start : start + count], _largest(products, k) if products.shape[1] > k else products]
        top[start : start + count] = _largest(np.concatenate(mine, axis=1), k)
        after, lowest = products[:, count:], top[start + count :].min(axis=1)
        columns = np.flatnonzero(after.max(axis=0) > lowest)
        theirs = np.concatenate([top[start + count + columns], after[:, columns].T], axis=1)
        top[start + count + columns] = np.partition(theirs, -k, axis=1)[:, -k:]
    edges = top.min(axis=1)
    edges[edges >= SAME] = np.inf
    return edges, top.max(axis=1)


def _largest(products: Floats, k: int) -> Floats:
    """Give the k largest of each row, in any order.

    They lie in the k groups of columns with the largest maxima, so that only those have to be sorted out.
    """
    count, width = products.shape
    wide = width // GROUPS
    if wide <= k:
        return np.partition(products, width - k, axis=1)[:, width - k :]
    groups = products[:, : wide * GROUPS].reshape(count, GROUPS, wide).max(axis=1)
    chosen = np.argpartition(groups, wide - k, axis=1)[:, wide - k :]
    columns = (chosen[:, :, None] + np.arange(GROUPS) * wide).reshape(count, -1)
    candidates = np.concatenate([np.take_along_axis(products, columns, axis=1), products[:, wide * GROUPS :]], axis=1)
    return np.partition(candidates, candidates.shape[1] - k, axis=1)[:, candidates.shape[1] - k :]
