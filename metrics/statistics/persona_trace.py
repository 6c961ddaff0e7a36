"""The trace that personas leave in the vectors of their texts: an F ratio that is 1 without one."""

from collections.abc import Sequence

import numpy as np

from personagen.metrics.statistics.groups import codes_of, without_group_means
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
    groups = codes_of([str(persona) for persona in personas])
    kinds = int(groups.max()) + 1
    label_codes = codes_of(corpus.labels or [""] * len(corpus))
    labels = np.eye(int(label_codes.max()) + 1)[label_codes]
    both = without_group_means(np.hstack([labels, corpus.vectors]), groups)
    within_labels, within_both = both[:, : labels.shape[1]], both[:, labels.shape[1] :]
    rank = int(np.linalg.matrix_rank(within_labels, tol=1e-8)) if len(corpus) > kinds else 0
    freedom = len(corpus) - kinds - rank
    between_freedom = kinds + rank - labels.shape[1]
    if kinds < 2 or freedom < 1 or between_freedom < 1:
        return None
    fitted = within_labels @ np.linalg.lstsq(within_labels, within_both, rcond=1e-10)[0]
    within = float(np.square(within_both - fitted).sum())
    whole = float(np.square(without_group_means(corpus.vectors, label_codes)).sum())
    return None if within <= 1e-12 else ((whole - within) / between_freedom) / (within / freedom)
