"""The trace that personas leave in the vectors of their texts: an F ratio that is 1 without one."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from personagen.metrics.texts.corpus import Corpus


def persona_f(corpus: Corpus, personas: Sequence[str | None]) -> float | None:
    """Compute the variance of vectors between personas over that within, beyond their labels.

    It is the F ratio of personas in a linear model of labels and personas, over all columns of the vectors. Its mean is
    1 for personas without influence, also if labels are unevenly distributed over personas.

    Returns:
        None: a text has no persona, there is one persona, or no degrees of freedom are left within personas.

    """
    if any(persona is None for persona in personas):
        return None
    groups = np.unique(np.array(personas, dtype=str), return_inverse=True)[1]
    kinds = int(groups.max()) + 1
    label_codes = np.unique(np.array(corpus.labels or [""] * len(corpus)), return_inverse=True)[1]
    labels = np.eye(int(label_codes.max()) + 1)[label_codes]
    both = _without_group_means(np.hstack([labels, corpus.vectors.astype(np.float64)]), groups)
    within_labels, within_both = both[:, : labels.shape[1]], both[:, labels.shape[1] :]
    rank = int(np.linalg.matrix_rank(within_labels, tol=1e-8)) if len(corpus) > kinds else 0
    freedom = len(corpus) - kinds - rank
    between_freedom = kinds + rank - labels.shape[1]
    if kinds < 2 or freedom < 1 or between_freedom < 1:
        return None
    fitted = within_labels @ np.linalg.lstsq(within_labels, within_both, rcond=1e-10)[0]
    within = float(np.square(within_both - fitted).sum())
    whole = float(np.square(_without_group_means(corpus.vectors.astype(np.float64), label_codes)).sum())
    return None if within <= 1e-12 else ((whole - within) / between_freedom) / (within / freedom)


def _without_group_means(rows: NDArray[np.float64], groups: NDArray[np.intp]) -> NDArray[np.float64]:
    sums = np.zeros((int(groups.max()) + 1, rows.shape[1]))
    np.add.at(sums, groups, rows)
    return np.asarray(rows - (sums / np.bincount(groups)[:, None])[groups])
