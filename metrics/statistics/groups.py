"""Groups of texts, such as those of a label or a persona: their numbers, and deviations from their means."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Codes = NDArray[np.intp]
"""Number of a group of each text or persona, from 0."""


def codes_of(names: Sequence[str]) -> Codes:
    """Return the number of each name, in the order of the sorted names."""
    return np.unique(np.array(names, dtype=str), return_inverse=True)[1].reshape(-1)


def without_group_means(rows: NDArray[Any], groups: Codes) -> NDArray[np.float64]:
    """Return the deviations of rows from the mean of their group, shape (n, d)."""
    values = rows.astype(np.float64)
    sums = np.zeros((int(groups.max()) + 1, values.shape[1]))
    np.add.at(sums, groups, values)
    return np.asarray(values - (sums / np.bincount(groups)[:, None])[groups])
