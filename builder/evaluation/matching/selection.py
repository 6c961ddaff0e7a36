"""Score the arms on the pool by cross-validation, and choose the best.

With labels the score is macro-F1 of a classifier that is trained on the texts of an arm and predicts the real texts of
the pool. Without labels it is the distance MMD^2 of the texts' embeddings from those of the pool.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from personagen.builder.evaluation.matching.parts import FOLDS, MatchParts

if TYPE_CHECKING:
    from personagen.metrics.texts.corpus import Corpus

HALVES = 10
"""Random halves of an arm's texts whose spread gives the error of its score."""


@dataclass(frozen=True, slots=True, eq=False)
class ArmTexts:
    """Texts of an arm, encoded, with the fold that each must not be tested on."""

    corpus: "Corpus"
    folds: NDArray[np.intp]

    def half(self, generator: np.random.Generator) -> "ArmTexts":
        """Return a random half of the texts."""
        rows = np.sort(generator.permutation(len(self.corpus))[: max(len(self.corpus) // 2, 1)])
        return ArmTexts(self.corpus.take(rows), self.folds[rows])


@dataclass(frozen=True, slots=True, eq=False)
class PoolScore:
    """Score of an arm on the pool.

    Attributes:
        value: macro-F1 (greater is better), or MMD^2 (smaller is better).
        interval: 95 % interval; None: its error is unknown.
        resamples: values on resamples of the pool's texts, equal ones for all arms; None: MMD^2, which has none.
        halves: values on random halves of the arm's texts.

    """

    value: float
    interval: list[float] | None
    resamples: NDArray[np.float64] | None
    halves: NDArray[np.float64]


def pool_scores(arms: Mapping[str, ArmTexts], parts: MatchParts, seed: int) -> dict[str, PoolScore]:
    """Score the texts of every arm on the pool."""
    score = _f1_score if parts.classes else _distance_score
    return {name: score(arm, parts, seed) for name, arm in arms.items()}


def is_better(one: PoolScore, other: PoolScore, *, is_labelled: bool) -> bool:
    """Return whether the first score is better than the second."""
    return one.value > other.value if is_labelled else one.value < other.value


def difference(one: PoolScore, other: PoolScore) -> tuple[float, list[float] | None]:
    """Return the first score less the second, and its 95 % interval: paired over the texts of the pool."""
    from personagen.metrics.statistics.intervals import interval

    errors = [one.halves.std(ddof=1), other.halves.std(ddof=1)]
    if one.resamples is not None and other.resamples is not None:
        errors.append((one.resamples - other.resamples).std(ddof=1))
    value = one.value - other.value
    return value, interval(value, float(np.linalg.norm(errors)))


def _f1_score(arm: ArmTexts, parts: MatchParts, seed: int) -> PoolScore:
    from personagen.metrics.statistics.intervals import interval
    from personagen.metrics.utility.probe import codes, macro_f1
    from personagen.metrics.utility.transfer import resampled_mean_f1

    true = codes(parts.pool.labels or [], parts.classes)
    count = len(parts.classes)
    predicted = cross_validated(arm, parts)
    generator = np.random.default_rng([seed, 21])
    halves = [macro_f1(cross_validated(arm.half(generator), parts), true, count) for _ in range(HALVES)]
    resamples = resampled_mean_f1([predicted], true, count, seed)
    value = macro_f1(predicted, true, count)
    spread = float(np.hypot(resamples.std(ddof=1), np.std(halves, ddof=1)))
    return PoolScore(value, interval(value, spread, (0, 1)), resamples, np.array(halves))


def cross_validated(arm: ArmTexts, parts: MatchParts) -> NDArray[np.intp]:
    """Predict every text of the pool by a classifier that is trained on the texts of the other folds, shape (m,)."""
    folds = np.asarray(parts.folds)
    predicted = np.zeros(len(parts.pool), dtype=np.intp)
    for fold in range(FOLDS):
        tested = np.flatnonzero(folds == fold)
        train = arm.corpus.take(np.flatnonzero(arm.folds != fold))
        predicted[tested] = predict(train, parts.pool.take(tested), parts.classes)
    return predicted


def predict(train: "Corpus", test: "Corpus", classes: Sequence[str]) -> NDArray[np.intp]:
    """Train a classifier on vectors, and predict; texts of fewer than two labels predict one for all, shape (m,)."""
    from personagen.metrics.utility.probe import codes, predict_from_vectors

    labels = codes(train.labels or [], classes)
    if len(set(labels.tolist())) < 2:
        return np.full(len(test), labels[0] if len(labels) else 0, dtype=np.intp)
    return predict_from_vectors(train, test, classes)


def _distance_score(arm: ArmTexts, parts: MatchParts, seed: int) -> PoolScore:
    from personagen.metrics.realism.mmd import bandwidth
    from personagen.metrics.statistics.intervals import interval

    width = bandwidth(parts.pool.vectors, seed)
    value = _fold_distance(arm, parts.pool, np.asarray(parts.folds), width)
    generator = np.random.default_rng([seed, 22])
    halves = []
    for _ in range(HALVES):
        rows = np.sort(generator.permutation(len(parts.pool))[: len(parts.pool) // 2])
        half = _fold_distance(arm.half(generator), parts.pool.take(rows), np.asarray(parts.folds)[rows], width)
        halves.append(half)
    return PoolScore(value, interval(value, float(np.std(halves, ddof=1))), None, np.array(halves))


def _fold_distance(arm: ArmTexts, pool: "Corpus", folds: NDArray[np.intp], width: float) -> float:
    """Return the mean over folds of MMD^2 between the pool's texts of a fold and the arm's texts of the others."""
    from personagen.metrics.realism.mmd import mmd2

    values = [mmd2(arm.corpus.vectors[arm.folds != fold], pool.vectors[folds == fold], width) for fold in range(FOLDS)]
    return float(np.mean([value for value in values if value is not None] or [np.nan]))
