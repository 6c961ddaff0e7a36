"""Score the best arm on the test part beside real texts, and say how many real texts the arm's are worth."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from personagen.builder.evaluation.arms import ARMS, ArmSetting, ArmText
from personagen.builder.evaluation.matching.parts import MatchParts
from personagen.builder.evaluation.matching.selection import predict

if TYPE_CHECKING:
    from personagen.metrics.texts.corpus import Corpus

REAL_ROWS = (50, 200, 1000)
"""Numbers of real training texts that are reported."""

CURVE_ROWS = (50, 100, 200, 500, 1000, 2000)
"""Numbers of real training texts on the learning curve; the whole pool is its last point."""

DRAWS = 20
"""Draws of training texts per number."""

SYNTHETIC, RETRIEVAL, FLOOR, MAJORITY = "synthetic", "retrieval", "plain sentences", "most frequent label"
"""Names of the training texts beside numbers of real ones."""

MIN_NEIGHBOURS = 3
"""Texts of a label that retrieval needs beyond those that it draws: two neighbours and one more."""


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """Classifiers of one kind of training texts.

    Attributes:
        rows: number of training texts.
        predictions: predicted classes of the test part per draw of training texts, each of shape (m,).
        error: standard error of the mean macro-F1 from the draw of training texts.

    """

    rows: int
    predictions: Sequence[NDArray[np.intp]]
    error: float


@dataclass(frozen=True, slots=True, eq=False)
class TrainingScore:
    """Macro-F1 of one kind of training texts on the test part.

    Attributes:
        rows: number of training texts.
        value: mean macro-F1 over draws of training texts.
        interval: its 95 % interval over test texts and draws.
        difference: value less that of the best arm.
        difference_interval: its 95 % interval, paired over test texts.

    """

    rows: int
    value: float
    interval: list[float] | None
    difference: float
    difference_interval: list[float] | None


@dataclass(frozen=True, slots=True)
class Worth:
    """Number of real training texts that reach the macro-F1 of the best arm's texts.

    Attributes:
        rows: the number; 0: fewer than the first point of the curve; None: more than the pool has.
        low: lower end of the 95 % interval, likewise.
        high: upper end.
        first: number of texts at the first point of the curve.
        last: number of texts in the pool.

    """

    rows: int | None
    low: int | None
    high: int | None
    first: int
    last: int

    def words(self) -> str:
        """Return the number and its interval in words."""
        ends = list(dict.fromkeys([self._in_words(self.low), self._in_words(self.high)]))
        return f"{self._in_words(self.rows)} real rows (95 %: {' to '.join(ends)})"

    def _in_words(self, rows: int | None) -> str:
        if rows is None:
            return f"more than the {self.last} of the pool"
        return f"fewer than {self.first}" if rows == 0 else f"{rows}"


def train_all(
    arm: "Corpus", plain: "Corpus | None", parts: MatchParts, setting: ArmSetting, seed: int
) -> tuple[dict[str, Trained], dict[str, str]]:
    """Train classifiers on the best arm's texts and on every yardstick, and predict the test part.

    Args:
        arm: texts of the best arm.
        plain: plain sentences of the labels, see `read_plain`; None: there are none.
        parts: real texts.
        setting: rows of the plan, for retrieval.
        seed: seed of all draws.

    Returns:
        Classifiers by name, "real N" among them, and the reason for each yardstick that is missing.

    """
    pool, size = parts.pool, len(parts.pool)
    trained = {
        SYNTHETIC: _trained_on_parts(arm, len(arm), parts, seed),
        MAJORITY: Trained(0, [_majority(parts)], 0.0),
    }
    floor = _floor(plain, parts)
    missing: dict[str, str] = {}
    if isinstance(floor, Trained):
        trained[FLOOR] = floor
    else:
        missing[FLOOR] = floor
    for rows in sorted({*REAL_ROWS, len(arm), *curve_rows(size)}):
        if rows > size:
            missing[f"real {rows}"] = f"the pool has {size} texts"
        else:
            trained[f"real {rows}"] = _trained_on_parts(pool, rows, parts, seed)
    base = REAL_ROWS[0]
    if base > size:
        missing[f"real {base} + synthetic"] = f"the pool has {size} texts"
    else:
        trained[f"real {base} + synthetic"] = _trained_on_parts(pool, base, parts, seed, added=arm)
    retrieved = _retrieved(setting, parts)
    trained[RETRIEVAL] = _trained_on_parts(retrieved, len(retrieved), parts, seed)
    return trained, missing


def curve_rows(size: int) -> list[int]:
    """Return the numbers of real training texts on the learning curve of a pool."""
    return [rows for rows in CURVE_ROWS if rows < size] + [size] if size > CURVE_ROWS[0] else [size // 2, size]


def _trained_on_parts(
    corpus: "Corpus", rows: int, parts: MatchParts, seed: int, added: "Corpus | None" = None
) -> Trained:
    """Train on draws of `rows` texts of a corpus; halves give the error if these overlap too much.

    The error of a mean over D draws of b of n texts is their spread times sqrt(b / (n - b) + 1 / D): the delete-d
    jackknife of Shao and Wu (1989) for the corpus, plus the error of the mean.
    """
    from personagen.metrics.utility.probe import codes, macro_f1

    size, true = len(corpus), codes(parts.test.labels or [], parts.classes)

    def predictions(count: int, draws: int) -> list[NDArray[np.intp]]:
        drawn = (_rows(size, count, seed + number) for number in range(draws))
        return [predict(_joined(corpus.take(part), added), parts.test, parts.classes) for part in drawn]

    part = max(1, min(rows, size // 2))
    drawn = predictions(part, DRAWS)
    spread = float(np.std([macro_f1(one, true, len(parts.classes)) for one in drawn], ddof=1))
    factor = part / max(size - part, 1) + (1 / DRAWS if part == rows else 0)
    level = drawn if part == rows else predictions(rows, 1 if rows == size else DRAWS)
    return Trained(rows, level, spread * factor**0.5)


def _rows(size: int, count: int, seed: int) -> NDArray[np.intp]:
    """Draw rows; draws of one seed are nested, so that all points of a curve share their texts."""
    return np.sort(np.random.default_rng([seed, 23]).permutation(size)[:count])


def _joined(corpus: "Corpus", added: "Corpus | None") -> "Corpus":
    from personagen.metrics.utility.transfer import joined

    return corpus if added is None else joined(corpus, added)


def _floor(plain: "Corpus | None", parts: MatchParts) -> Trained | str:
    """Train on the plain sentences, which are no draw: their error is 0. Return the reason if that is impossible."""
    from personagen.metrics.utility.floor import floor_problem

    problem = floor_problem(plain, parts.test, parts.classes)
    if plain is None or problem is not None:
        return problem or "there are no plain sentences"
    if plain.vectors.shape[1] != parts.test.vectors.shape[1]:
        return "the plain sentences cannot be encoded: embeddings were given"
    return Trained(len(plain), [predict(plain, parts.test, parts.classes)], 0.0)


def _majority(parts: MatchParts) -> NDArray[np.intp]:
    """Predict the most frequent label of the pool for every test text."""
    from personagen.metrics.utility.probe import codes

    counts = np.bincount(codes(parts.pool.labels or [], parts.classes))
    return np.full(len(parts.test), counts.argmax(), dtype=np.intp)


def _retrieved(setting: ArmSetting, parts: MatchParts) -> "Corpus":
    """Draw as many texts of the pool as the plan has rows, each near a point between two neighbours of one label.

    A label with too few texts gives as many as it can.
    """
    available = {label: (parts.pool.labels or []).count(label) - MIN_NEIGHBOURS for label in parts.classes}
    rows = []
    for row in random.Random(f"retrieval rows:{setting.recipe.seed}").sample(list(setting.rows), len(setting.rows)):
        if available.get(row.emotion, 0) > 0:
            available[row.emotion] -= 1
            rows.append(row)
    texts = ARMS[RETRIEVAL](ArmSetting(setting.recipe, parts.pool, rows, {}))
    assert isinstance(texts, list)
    return _of_pool(texts, parts)


def _of_pool(texts: Sequence[ArmText], parts: MatchParts) -> "Corpus":
    position = {(text, label): row for row, (text, label) in enumerate(_pairs(parts))}
    return parts.pool.take([position[text.text, text.label] for text in texts])


def _pairs(parts: MatchParts) -> list[tuple[str, str]]:
    return list(zip(parts.pool.texts, parts.pool.labels or (), strict=True))


@dataclass(frozen=True, slots=True, eq=False)
class _Replicates:
    """Mean macro-F1 of one kind of training texts, and on resamples of the test part, shape (resamples,)."""

    value: float
    resamples: NDArray[np.float64]


def score_trained(
    trained: Mapping[str, Trained], parts: MatchParts, seed: int
) -> tuple[dict[str, TrainingScore], Worth]:
    """Score all classifiers on the test part, and compute how many real texts the synthetic ones are worth.

    All share the resamples of the test part, so that differences are paired.
    """
    from personagen.metrics.statistics.intervals import interval

    scores = {name: _replicates(one, parts, seed) for name, one in trained.items()}
    arm, base = scores[SYNTHETIC], trained[SYNTHETIC].error
    result = {}
    for name, one in scores.items():
        error = trained[name].error
        gap = one.value - arm.value
        paired = float((one.resamples - arm.resamples).std(ddof=1))
        result[name] = TrainingScore(
            trained[name].rows,
            one.value,
            interval(one.value, float(np.hypot(one.resamples.std(ddof=1), error)), (0, 1)),
            gap,
            None if name == SYNTHETIC else interval(gap, float(np.linalg.norm([paired, error, base]))),
        )
    return result, _worth(trained, scores, len(parts.pool), seed)


def _replicates(trained: Trained, parts: MatchParts, seed: int) -> _Replicates:
    from personagen.metrics.utility.probe import codes, macro_f1
    from personagen.metrics.utility.transfer import resampled_mean_f1

    true, count = codes(parts.test.labels or [], parts.classes), len(parts.classes)
    value = float(np.mean([macro_f1(one, true, count) for one in trained.predictions]))
    return _Replicates(value, resampled_mean_f1(trained.predictions, true, count, seed))


def _worth(trained: Mapping[str, Trained], scores: Mapping[str, _Replicates], size: int, seed: int) -> Worth:
    """Interpolate the learning curve, and again on every resample with random errors of the training texts.

    All points of the curve get the same random number, because they share the pool.
    """
    sizes = curve_rows(size)
    names = [f"real {rows}" for rows in sizes]
    generator = np.random.default_rng([seed, 24])
    count = len(scores[SYNTHETIC].resamples)
    noise, arm_noise = generator.standard_normal((2, count))
    curves = np.stack([scores[name].resamples + trained[name].error * noise for name in names], axis=1)
    arm = scores[SYNTHETIC].resamples + trained[SYNTHETIC].error * arm_noise
    drawn = sorted(rows_worth(value, sizes, curve) for value, curve in zip(arm, curves, strict=True))
    value = rows_worth(scores[SYNTHETIC].value, sizes, [scores[name].value for name in names])
    low, high = drawn[int(0.025 * (count - 1))], drawn[int(np.ceil(0.975 * (count - 1)))]
    return Worth(_whole(value), _whole(low), _whole(high), sizes[0], sizes[-1])


def rows_worth(score: float, sizes: Sequence[int], curve: Sequence[float] | NDArray[np.float64]) -> float:
    """Return the number of real training texts at which a learning curve reaches a score.

    The curve is made monotone by isotonic regression, and interpolated over the logarithm of the number.

    Args:
        score: macro-F1.
        sizes: numbers of training texts, ascending.
        curve: macro-F1 per number.

    Returns:
        0: the curve is above the score from the start; infinity: it does not reach the score.

    """
    from sklearn.isotonic import isotonic_regression

    rising = isotonic_regression(np.asarray(curve, dtype=float))
    if score < rising[0]:
        return 0.0
    if score > rising[-1]:
        return float("inf")
    above = int(np.argmax(rising >= score))
    if above == 0 or rising[above] == rising[above - 1]:
        return float(sizes[above])
    fraction = (score - rising[above - 1]) / (rising[above] - rising[above - 1])
    return float(np.exp(np.log(sizes[above - 1]) * (1 - fraction) + np.log(sizes[above]) * fraction))


def _whole(rows: float) -> int | None:
    return None if np.isinf(rows) else round(rows)
