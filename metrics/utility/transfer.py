"""Training on synthetic texts and testing on real ones (TSTR), compared with training on as many real texts (TRTR)."""

from collections.abc import Callable, Collection, Mapping, Sequence
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

SIDES = ("tstr", "trtr", "trts", "shuffled")
"""Scores of classifiers trained on synthetic texts, on real ones, on real ones tested on synthetic, and by chance."""

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
        per_class: training texts per class: one number for all, or one per class.
        seed: first of all seeds.
        plain: plain sentences of all classes (see `floor`); None: no floor.

    """

    synthetic: Corpus
    real: Corpus
    test: Corpus
    classes: Classes
    per_class: int | Sequence[int]
    seed: int
    plain: Corpus | None = None

    def counts(self) -> list[int]:
        """Return the number of training texts of each class."""
        return _counts(self.per_class, len(self.classes))


def balanced(corpus: Corpus, classes: Classes, per_class: int | Sequence[int], seed: int) -> Corpus:
    """Draw texts of each class: equally many, or the given number of each."""
    rows = rows_by_label(corpus.labels or [])
    generator = np.random.default_rng([seed, 10])
    counts = zip(classes, _counts(per_class, len(classes)), strict=True)
    drawn = [generator.choice(rows[label], size=count, replace=False) for label, count in counts]
    return corpus.take(np.sort(np.concatenate(drawn)))


def _counts(per_class: int | Sequence[int], classes: int) -> list[int]:
    return [per_class] * classes if isinstance(per_class, int) else list(per_class)


def shuffled(corpus: Corpus, seed: int) -> Corpus:
    """Shuffle the labels of a corpus."""
    order = np.random.default_rng([seed, 11]).permutation(len(corpus))
    labels = [(corpus.labels or [])[row] for row in order]
    return Corpus(corpus.texts, labels, corpus.vectors, corpus.model)


def joined(one: Corpus, other: Corpus) -> Corpus:
    """Concatenate two corpora."""
    labels = [*(one.labels or []), *(other.labels or [])]
    return Corpus([*one.texts, *other.texts], labels, np.concatenate([one.vectors, other.vectors]), one.model)


def transfer(setting: TransferSetting, predict: Predict, sides: Collection[str] = SIDES) -> dict[str, Any]:
    """Score classifiers trained on synthetic texts, on as many real ones, and on plain sentences.

    Values are means over 5 draws of the training texts. The variance of a value has two parts: that of the test texts,
    from a bootstrap with the same resamples for both sides (test texts count separately, so repeats do no harm), and
    that of the training texts, from the spread over draws of half as many (see `intervals`). Plain sentences are not
    drawn, so the variance of their value has the first part only.

    Args:
        setting: training and test texts.
        predict: trains a classifier, and predicts.
        sides: scores to compute, some of `SIDES`; the first two are needed.

    Returns:
        `tstr_macro_f1`, `trtr_macro_f1`, `trts_macro_f1`, `floor_macro_f1`, gaps of the first to the second and the
        last, and the ratio of the first two, each with `_ci`; F1 by label, `utility_floor_shuffled`, and the p-value of
        McNemar's test for the first draw. Without plain sentences the floor and the gap to it are None.

    """
    true = codes(setting.test.labels or [], setting.classes)
    synthetic_true = codes(setting.synthetic.labels or [], setting.classes)
    count, counts = len(setting.classes), setting.counts()
    whole = _predictions(setting, predict, counts, sides)
    half = _predictions(setting, predict, [max(number // 2, 1) for number in counts], sides)
    if setting.plain is not None:
        whole["floor"] = [predict(setting.plain, setting.test, setting.classes)]
        half["floor"] = whole["floor"] * SEEDS
    targets = {name: synthetic_true if name == "trts" else true for name in whole}
    scores = {name: _mean_f1(predicted, targets[name], count) for name, predicted in whole.items()}
    resamples = {
        name: resampled_mean_f1(predicted, targets[name], count, setting.seed) for name, predicted in whole.items()
    }
    halves = {
        name: np.array([macro_f1(draw, targets[name], count) for draw in predicted]) for name, predicted in half.items()
    }
    macro = {name: float(score.mean()) for name, score in scores.items()}
    result: dict[str, Any] = {}
    for name in ("tstr", "trtr", "trts", "floor"):
        if name in macro:
            result[f"{name}_macro_f1"] = macro[name]
            result[f"{name}_macro_f1_ci"] = _interval(macro[name], resamples[name], halves[name])
    result |= _ratio(macro, resamples, halves)
    result |= _gap("trtr", macro, resamples, halves) | _gap("floor", macro, resamples, halves)
    for name in ("tstr", "trtr"):
        result[f"{name}_f1_by_label"] = dict(zip(setting.classes, map(float, scores[name]), strict=True))
    if "shuffled" in macro:
        result["utility_floor_shuffled"] = macro["shuffled"]
    result["mcnemar_p"] = mcnemar_p(whole["tstr"][0] == true, whole["trtr"][0] == true)
    return result


Values = Mapping[str, NDArray[np.float64]]


def _gap(other: str, macro: Mapping[str, float], resamples: Values, halves: Values) -> dict[str, Any]:
    """Return macro-F1 of synthetic texts minus that of others, with its interval; None: there are no others."""
    if other not in macro:
        return dict.fromkeys((f"{other}_macro_f1", f"{other}_macro_f1_ci", f"tstr_{other}_gap", f"tstr_{other}_gap_ci"))
    gap = macro["tstr"] - macro[other]
    deviations = (part["tstr"] - part[other] for part in (resamples, halves))
    return {f"tstr_{other}_gap": gap, f"tstr_{other}_gap_ci": _interval(gap, *deviations)}


def _ratio(macro: Mapping[str, float], resamples: Values, halves: Values) -> dict[str, Any]:
    """Return macro-F1 of synthetic texts over that of real ones, with its interval."""
    if not macro["trtr"]:
        return dict.fromkeys(("tstr_trtr_ratio", "tstr_trtr_ratio_ci"))
    ratio = macro["tstr"] / macro["trtr"]
    divisible = resamples["trtr"].all() and halves["trtr"].all()
    ratios = (part["tstr"] / part["trtr"] for part in (resamples, halves)) if divisible else ()
    return {"tstr_trtr_ratio": ratio, "tstr_trtr_ratio_ci": _interval(ratio, *ratios) if divisible else None}


def _predictions(
    setting: TransferSetting, predict: Predict, counts: Sequence[int], sides: Collection[str]
) -> dict[str, list[NDArray[np.intp]]]:
    """Train on 5 draws of synthetic texts, of real texts, and of synthetic texts with shuffled labels."""
    predicted: dict[str, list[NDArray[np.intp]]] = {name: [] for name in sides}
    # One classifier trained on real texts predicts both the test part and the synthetic texts.
    test = joined(setting.test, setting.synthetic) if "trts" in sides else setting.test
    drawn: dict[tuple[str, ...], NDArray[np.intp]] = {}
    for seed in range(setting.seed, setting.seed + SEEDS):
        synthetic = balanced(setting.synthetic, setting.classes, counts, seed)
        key = tuple(synthetic.texts)
        if key not in drawn:  # draws of all texts are the same
            drawn[key] = predict(synthetic, setting.test, setting.classes)
        predicted["tstr"].append(drawn[key])
        both = predict(balanced(setting.real, setting.classes, counts, seed), test, setting.classes)
        predicted["trtr"].append(both[: len(setting.test)])
        if "trts" in sides:
            predicted["trts"].append(both[len(setting.test) :])
        if "shuffled" in sides:
            predicted["shuffled"].append(predict(shuffled(synthetic, seed), setting.test, setting.classes))
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
