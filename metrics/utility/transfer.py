"""Train on synthetic texts, test on real ones; beside training on as many real texts, and a floor."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from personagen.metrics.statistics.intervals import interval
from personagen.metrics.texts.corpus import Corpus
from personagen.metrics.texts.inputs import rows_by_label
from personagen.metrics.utility.probe import Classes, codes, f1_by_class, mcnemar_p, resampled_macro_f1

SEEDS = 5

RESAMPLES = 1000

Read = Callable[[Corpus, Corpus, Classes], NDArray[np.intp]]
"""Trains on the first corpus and reads the classes of the second."""


@dataclass(frozen=True, slots=True, eq=False)
class Setting:
    """What is trained and tested on, all with labels among the classes.

    Attributes:
        synthetic: the texts that are measured.
        real: real texts to train on.
        test: real texts to test on.
        classes: labels that all three have.
        each: training texts of each class.
        seed: the first of all seeds.

    """

    synthetic: Corpus
    real: Corpus
    test: Corpus
    classes: Classes
    each: int
    seed: int


def balanced(corpus: Corpus, classes: Classes, each: int, seed: int) -> Corpus:
    """Draw as many texts of each class."""
    rows = rows_by_label(corpus.labels or [])
    generator = np.random.default_rng([seed, 10])
    drawn = [generator.choice(rows[label], size=each, replace=False) for label in classes]
    return corpus.take(np.sort(np.concatenate(drawn)))


def shuffled(corpus: Corpus, seed: int) -> Corpus:
    """Give labels to texts at random."""
    order = np.random.default_rng([seed, 11]).permutation(len(corpus))
    labels = [(corpus.labels or [])[row] for row in order]
    return Corpus(corpus.texts, labels, corpus.vectors, corpus.model)


def transfer(setting: Setting, read: Read) -> dict[str, Any]:
    """Measure what a classifier learns from synthetic texts, and from as many real ones.

    Values are means over 5 draws of the training texts. The error of a value has two parts: that of the test texts,
    from a bootstrap over them with the same resamples for both sides, which is right here because a test text counts
    for itself; and that of the training texts, from what differs between draws of half as many (see `intervals`).

    Returns:
        `tstr_macro_f1`, `trtr_macro_f1`, `trts_macro_f1`, ratio and gap of the first two, each with `_ci`; F1 by label,
        `utility_floor_shuffled`, and the p of McNemar's test for the first draw.

    """
    true = codes(setting.test.labels or [], setting.classes)
    own = codes(setting.synthetic.labels or [], setting.classes)
    whole, half = (_told(setting, read, each) for each in (setting.each, max(setting.each // 2, 1)))
    count = len(setting.classes)
    scores = {name: _mean_f1(told, own if name == "trts" else true, count) for name, told in whole.items()}
    resamples = {
        name: _resampled(told, own if name == "trts" else true, count, setting.seed) for name, told in whole.items()
    }
    halves = {
        name: np.array([macro_f1(each, own if name == "trts" else true, count) for each in told])
        for name, told in half.items()
    }
    macro = {name: float(score.mean()) for name, score in scores.items()}
    result: dict[str, Any] = {}
    for name in ("tstr", "trtr", "trts"):
        result[f"{name}_macro_f1"] = macro[name]
        result[f"{name}_macro_f1_ci"] = _interval(macro[name], resamples[name], halves[name])
    made, real = macro["tstr"], macro["trtr"]
    apart = resamples["tstr"] - resamples["trtr"], halves["tstr"] - halves["trtr"]
    sound = real > 0 and resamples["trtr"].all() and halves["trtr"].all()
    result["tstr_trtr_gap"] = made - real
    result["tstr_trtr_gap_ci"] = _interval(made - real, *apart)
    result["tstr_trtr_ratio"] = made / real if real else None
    ratios = (part["tstr"] / part["trtr"] for part in (resamples, halves)) if sound else ()
    result["tstr_trtr_ratio_ci"] = _interval(made / real, *ratios) if sound else None
    result["tstr_f1_by_label"] = dict(zip(setting.classes, map(float, scores["tstr"]), strict=True))
    result["trtr_f1_by_label"] = dict(zip(setting.classes, map(float, scores["trtr"]), strict=True))
    result["utility_floor_shuffled"] = macro["floor"]
    result["mcnemar_p"] = mcnemar_p(whole["tstr"][0] == true, whole["trtr"][0] == true)
    return result


def _told(setting: Setting, read: Read, each: int) -> dict[str, list[NDArray[np.intp]]]:
    """Train on 5 draws of so many texts of each class: on synthetic, on real, and on synthetic with shuffled labels."""
    told: dict[str, list[NDArray[np.intp]]] = {"tstr": [], "trtr": [], "trts": [], "floor": []}
    for seed in range(setting.seed, setting.seed + SEEDS):
        made = balanced(setting.synthetic, setting.classes, each, seed)
        real = balanced(setting.real, setting.classes, each, seed)
        # One classifier of real texts reads both the test part and the synthetic texts.
        both = read(real, joined(setting.test, setting.synthetic), setting.classes)
        told["tstr"].append(read(made, setting.test, setting.classes))
        told["trtr"].append(both[: len(setting.test)])
        told["trts"].append(both[len(setting.test) :])
        told["floor"].append(read(shuffled(made, seed), setting.test, setting.classes))
    return told


def _interval(value: float, resamples: NDArray[np.float64], halves: NDArray[np.float64]) -> list[float] | None:
    return interval(value, float(np.hypot(resamples.std(ddof=1), halves.std(ddof=1))))


def joined(one: Corpus, other: Corpus) -> Corpus:
    """Put two corpora together."""
    labels = [*(one.labels or []), *(other.labels or [])]
    return Corpus([*one.texts, *other.texts], labels, np.concatenate([one.vectors, other.vectors]), one.model)


def macro_f1(told: NDArray[np.intp], true: NDArray[np.intp], count: int) -> float:
    """Return the mean of F1 over classes."""
    return float(f1_by_class(told, true, count).mean())


def _mean_f1(told: Sequence[NDArray[np.intp]], true: NDArray[np.intp], count: int) -> NDArray[np.float64]:
    return np.asarray(np.mean([f1_by_class(each, true, count) for each in told], axis=0))


def _resampled(told: Sequence[NDArray[np.intp]], true: NDArray[np.intp], count: int, seed: int) -> NDArray[np.float64]:
    """Give the mean macro-F1 over draws on each resample of the test texts."""
    generator = np.random.default_rng([seed, 12])
    found = []
    for _ in range(0, RESAMPLES, 100):
        weights = generator.multinomial(len(true), np.full(len(true), 1 / len(true)), size=100).astype(np.float32)
        found.append(np.mean([resampled_macro_f1(each, true, weights, count) for each in told], axis=0))
    return np.concatenate(found)
