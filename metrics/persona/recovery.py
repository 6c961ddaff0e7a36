"""How well a reader model recovers an attribute of personas from the vectors of their texts, beyond labels and chance.

The reader is a ridge regression of each value of the attribute on the vectors, less the mean vector of the label. Each
fifth of the personas is predicted from the others. The figure is the area under the ROC curve of a value against all
others (chance: 0.5), averaged over values. Chance is measured with the values shuffled among whole personas.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from personagen.metrics.statistics.groups import Codes, codes_of, without_group_means
from personagen.metrics.statistics.paired import LEVEL
from personagen.metrics.statistics.shuffles import pearson_tail, upper_p
from personagen.metrics.texts.inputs import Vectors

MIN_PERSONAS = 5
"""Least personas of a value, and of all others: one or more in each fold."""

FOLDS = 5

SHUFFLES = 500
"""Shuffles that give the distribution of chance."""

MAX_CELLS = 500_000
"""Predictions in memory for shuffles that are ranked together."""

RIDGE = 1.0
"""Penalty in units of the mean variance of a column times the number of texts."""

Columns = NDArray[np.float64]
"""Shape (n, k): a column per value of an attribute, or per persona."""


@dataclass(frozen=True, slots=True)
class RecoveredByReader:
    """Recovery of an attribute by a reader model.

    Attributes:
        attribute: name of the attribute.
        values: values that were tested.
        auc: mean area under the ROC curve of a value against the others. None: see `reason`.
        low: lower end of its 95 % interval.
        high: upper end.
        chance: mean with shuffled personas.
        p: one-sided p that `auc` is chance.
        reason: why it was not measured. None: it was.

    """

    attribute: str
    values: int
    auc: float | None
    low: float | None
    high: float | None
    chance: float | None
    p: float | None
    reason: str | None = None


def recovered_by_reader(
    vectors: Vectors, labels: Sequence[str], personas: Sequence[Mapping[str, str]], groups: Codes, seed: int
) -> list[RecoveredByReader]:
    """Measure how well each attribute of the personas can be read from the vectors of their texts.

    Args:
        vectors: shape (n, d).
        labels: label of each text.
        personas: attributes of the persona of each text; an attribute of whole numbers is divided into thirds.
        groups: number of the persona of each text, from 0.
        seed: seed of folds and shuffles.

    """
    first = np.unique(groups, return_index=True)[1]
    owners = [personas[number] for number in first]
    attributes = list(dict.fromkeys(name for owner in owners for name in owner))
    targets = {name: _targets([owner.get(name) for owner in owners]) for name in attributes}
    testable = any(table.shape[1] for table in targets.values())
    reader = _reader(without_group_means(vectors, codes_of(labels)), groups, seed) if testable else np.zeros((0, 0))
    return [_recovered(name, table, reader, groups, seed) for name, table in targets.items()]


def _targets(values: Sequence[str | None]) -> Columns:
    """Return columns of 0 and 1 for the values that enough personas have, shape (personas, k); of two values one."""
    known = [value for value in values if value is not None]
    if known and all(value.isdecimal() for value in known):
        numbers = np.array([int(value) for value in known])
        ends = np.quantile(numbers, (1 / 3, 2 / 3))
        values = [None if value is None else str(np.searchsorted(ends, int(value))) for value in values]
    kinds = sorted({value for value in values if value is not None})
    columns = [[float(value == kind) for value in values] for kind in kinds]
    enough = [column for column in columns if MIN_PERSONAS <= sum(column) <= len(values) - MIN_PERSONAS]
    if len(kinds) == 2 and len(enough) == 2 and None not in values:
        enough = enough[:1]
    return np.array(enough, dtype=np.float64).reshape(len(enough), len(values)).T


def _reader(vectors: Columns, groups: Codes, seed: int) -> Columns:
    """Return the matrix that turns values of personas into predictions for texts of left-out personas, shape (n, p)."""
    count = int(groups.max()) + 1
    folds = np.random.default_rng([seed, 52]).permutation(np.arange(count) % FOLDS)[groups]
    reader = np.zeros((len(vectors), count))
    for fold in range(FOLDS):
        train, test = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        if not len(train) or not len(test):
            continue
        inputs = vectors[train]
        penalty = RIDGE * float(np.square(inputs).sum()) / inputs.shape[1] + 1e-12
        weights = np.linalg.solve(inputs.T @ inputs + penalty * np.eye(inputs.shape[1]), inputs.T)
        members = np.zeros((len(train), count))
        members[np.arange(len(train)), groups[train]] = 1.0
        members -= members.mean(axis=0)  # without it, a value that is rare in training is predicted low in its fold
        reader[test] = vectors[test] @ (weights @ members)
    return reader


def _recovered(attribute: str, targets: Columns, reader: Columns, groups: Codes, seed: int) -> RecoveredByReader:
    from scipy.stats import t

    kinds = targets.shape[1]
    if not kinds:
        reason = f"no value has {MIN_PERSONAS} personas beside {MIN_PERSONAS} others"
        return RecoveredByReader(attribute, 0, None, None, None, None, None, reason)
    auc, error = _auc_with_error(reader @ targets, targets[groups] > 0, groups)
    shuffles = _shuffled(targets, reader, groups, seed)
    chance, spread = float(shuffles.mean()), float(shuffles.std(ddof=1))
    p = upper_p(auc, shuffles, pearson_tail)
    reach = float(t.ppf(1 - LEVEL / 2, len(targets) - 1)) * max(error, spread)
    low, high = max(auc - reach, 0.0), min(auc + reach, 1.0)
    low = min(low, chance) if p >= LEVEL else low
    return RecoveredByReader(attribute, kinds, auc, low, high, chance, p)


def _shuffled(targets: Columns, reader: Columns, groups: Codes, seed: int) -> Columns:
    """Return the mean area under the ROC curve for each shuffle of the personas, ranked in batches."""
    generator = np.random.default_rng([seed, 53])
    kinds = targets.shape[1]
    size = max(1, min(SHUFFLES, MAX_CELLS // (len(groups) * kinds)))
    means: list[float] = []
    while len(means) < SHUFFLES:
        batch = np.hstack(
            [targets[generator.permutation(len(targets))] for _ in range(min(size, SHUFFLES - len(means)))]
        )
        aucs = _aucs(_ranks(reader @ batch), batch[groups] > 0)
        means += aucs.reshape(-1, kinds).mean(axis=1).tolist()
    return np.array(means)


def _ranks(scores: Columns) -> Columns:
    from scipy.stats import rankdata

    return np.asarray(rankdata(scores, axis=0))


def _aucs(ranks: Columns, positive: NDArray[np.bool_]) -> Columns:
    """Return the area under the ROC curve of each column, from ranks: the statistic of Mann and Whitney."""
    ones = positive.sum(axis=0)
    zeros = len(positive) - ones
    return np.asarray(((ranks * positive).sum(axis=0) - ones * (ones + 1) / 2) / (ones * zeros))


def _auc_with_error(scores: Columns, positive: NDArray[np.bool_], groups: Codes) -> tuple[float, float]:
    """Return the mean area under the ROC curve and its standard error, clustered by persona (Obuchowski, 1997)."""
    ranks = _ranks(scores)
    aucs = _aucs(ranks, positive)
    count, kinds = int(groups.max()) + 1, scores.shape[1]
    influence = np.zeros(count)
    for column in range(kinds):
        is_one = positive[:, column]
        ones, zeros = int(is_one.sum()), int((~is_one).sum())
        places = np.empty(len(scores))
        places[is_one] = (ranks[is_one, column] - _ranks(scores[is_one, column])) / zeros
        places[~is_one] = 1 - (ranks[~is_one, column] - _ranks(scores[~is_one, column])) / ones
        parts = (places - aucs[column]) / np.where(is_one, ones, zeros) / kinds
        influence += np.bincount(groups, parts, minlength=count)
    return float(aucs.mean()), float(np.square(influence).sum() * count / (count - 1)) ** 0.5
