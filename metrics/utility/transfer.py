"""Training on synthetic texts and testing on real ones (TSTR), compared with training on as many real texts (TRTR)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from personagen.metrics.statistics.intervals import interval
from personagen.metrics.texts.corpus import Corpus
from personagen.metrics.texts.inputs import rows_by_label
from personagen.metrics.utility.probe import Classes, codes, f1_by_class, macro_f1, mcnemar_p, resampled_macro_f1

SEEDS = 5
"""Draws of the training texts."""

RESAMPLES = 1000
"""Bootstrap samples of the test texts."""

RESAMPLES_AT_A_TIME = 100

Predict = Callable[[Corpus, Corpus, Classes], NDArray[np.intp]]
"""Trains on the first corpus, and predicts the classes of the second, shape (m,)."""


@dataclass(frozen=True, slots=True, eq=False)
class TransferSetting:
    """Training and test texts, all with labels among the classes.

    Attributes:
        synthetic: the measured texts.
        real: real texts for training.
        test: real texts for testing.
        classes: labels that all three have.
        per_class: training texts per class.
        seed: first of all seeds.

    """

    synthetic: Corpus
    real: Corpus
    test: Corpus
    classes: Classes
    per_class: int
    seed: int


def balanced(corpus: Corpus, classes: Classes, per_class: int, seed: int) -> Corpus:
    """Draw equally many texts of each class."""
    rows = rows_by_label(corpus.labels or [])
    generator = np.random.default_rng([seed, 10])
    drawn = [generator.choice(rows[label], size=per_class, replace=False) for label in classes]
    return corpus.take(np.sort(np.concatenate(drawn)))


def shuffled(corpus: Corpus, seed: int) -> Corpus:
    """Shuffle the labels of a corpus."""
    order = np.random.default_rng([seed, 11]).permutation(len(corpus))
    labels = [(corpus.labels or [])[row] for row in order]
    return Corpus(corpus.texts, labels, corpus.vectors, corpus.model)


def joined(one: Corpus, other: Corpus) -> Corpus:
    """Concatenate two corpora."""
    labels = [*(one.labels or []), *(other.labels or [])]
    return Corpus([*one.texts, *other.texts], labels, np.concatenate([one.vectors, other.vectors]), one.model)


def transfer(setting: TransferSetting, predict: Predict) -> dict[str, Any]:
    """Score classifiers trained on synthetic texts, and on as many real ones.

    Values are means over 5 draws of the training texts. The variance of a value has two parts: that of the test texts,
    from a bootstrap with the same resamples for both sides (test texts count separately, so repeats do no harm), and
    that of the training texts, from the spread over draws of half as many (see `intervals`).

    Returns:
        `tstr_macro_f1`, `trtr_macro_f1`, `trts_macro_f1`, ratio and gap of the first two, each with `_ci`; F1 by label,
        `utility_floor_shuffled`, and the p-value of McNemar's test for the first draw.

    """
    true = codes(setting.test.labels or [], setting.classes)
    synthetic_true = codes(setting.synthetic.labels or [], setting.classes)
    targets = {"tstr": true, "trtr": true, "trts": synthetic_true, "floor": true}
    whole = _predictions(setting, predict, setting.per_class)
    half = _predictions(setting, predict, max(setting.per_class // 2, 1))
    count = len(setting.classes)
    scores = {name: _mean_f1(predicted, targets[name], count) for name, predicted in whole.items()}
    resamples = {
        name: resampled_mean_f1(predicted, targets[name], count, setting.seed) for name, predicted in whole.items()
    }
    halves = {
        name: np.array([macro_f1(draw, targets[name], count) for draw in predicted]) for name, predicted in half.items()
    }
    macro = {name: float(score.mean()) for name, score in scores.items()}
    result: dict[str, Any] = {}
    for name in ("tstr", "trtr", "trts"):
        result[f"{name}_macro_f1"] = macro[name]
        result[f"{name}_macro_f1_ci"] = _interval(macro[name], resamples[name], halves[name])
    synthetic, real = macro["tstr"], macro["trtr"]
    gaps = resamples["tstr"] - resamples["trtr"], halves["tstr"] - halves["trtr"]
    divisible = real > 0 and resamples["trtr"].all() and halves["trtr"].all()
    result["tstr_trtr_gap"] = synthetic - real
    result["tstr_trtr_gap_ci"] = _interval(synthetic - real, *gaps)
    result["tstr_trtr_ratio"] = synthetic / real if real else None
    ratios = (part["tstr"] / part["trtr"] for part in (resamples, halves)) if divisible else ()
    result["tstr_trtr_ratio_ci"] = _interval(synthetic / real, *ratios) if divisible else None
    result["tstr_f1_by_label"] = dict(zip(setting.classes, map(float, scores["tstr"]), strict=True))
    result["trtr_f1_by_label"] = dict(zip(setting.classes, map(float, scores["trtr"]), strict=True))
    result["utility_floor_shuffled"] = macro["floor"]
    result["mcnemar_p"] = mcnemar_p(whole["tstr"][0] == true, whole["trtr"][0] == true)
    return result


def _predictions(setting: TransferSetting, predict: Predict, per_class: int) -> dict[str, list[NDArray[np.intp]]]:
    """Train on 5 draws of synthetic texts, of real texts, and of synthetic texts with shuffled labels."""
    predicted: dict[str, list[NDArray[np.intp]]] = {"tstr": [], "trtr": [], "trts": [], "floor": []}
    for seed in range(setting.seed, setting.seed + SEEDS):
        synthetic = balanced(setting.synthetic, setting.classes, per_class, seed)
        real = balanced(setting.real, setting.classes, per_class, seed)
        # One classifier trained on real texts predicts both the test part and the synthetic texts.
        both = predict(real, joined(setting.test, setting.synthetic), setting.classes)
        predicted["tstr"].append(predict(synthetic, setting.test, setting.classes))
        predicted["trtr"].append(both[: len(setting.test)])
        predicted["trts"].append(both[len(setting.test) :])
        predicted["floor"].append(predict(shuffled(synthetic, seed), setting.test, setting.classes))
    return predicted


def _interval(value: float, resamples: NDArray[np.float64], halves: NDArray[np.float64]) -> list[float] | None:
    return interval(value, float(np.hypot(resamples.std(ddof=1), halves.std(ddof=1))))


def _mean_f1(predicted: Sequence[NDArray[np.intp]], true: NDArray[np.intp], count: int) -> NDArray[np.float64]:
    return np.asarray(np.mean([f1_by_class(draw, true, count) for draw in predicted], axis=0))


def resampled_mean_f1(
    predicted: Sequence[NDArray[np.intp]], true: NDArray[np.intp], count: int, seed: int
) -> NDArray[np.float64]:
    """Return the mean macro-F1 over draws on each of 1,000 resamples of the test texts, which depend on the seed alone.

    Args:
        predicted: predicted classes per draw, each of shape (m,).
        true: true classes, shape (m,).
        count: number of classes.
        seed: seed of the resamples.

    """
    generator = np.random.default_rng([seed, 12])
    uniform = np.full(len(true), 1 / len(true))
    means = []
    for _ in range(0, RESAMPLES, RESAMPLES_AT_A_TIME):
        weights = generator.multinomial(len(true), uniform, size=RESAMPLES_AT_A_TIME).astype(np.float32)
        means.append(np.mean([resampled_macro_f1(draw, true, weights, count) for draw in predicted], axis=0))
    return np.concatenate(means)
