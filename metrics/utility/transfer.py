"""Train on synthetic texts, test on real ones; beside training on as many real texts, and the floors and the ceiling."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from personagen.metrics.corpus import Corpus
from personagen.metrics.inputs import rows_by_label
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

    Means over 5 draws of the training texts. Intervals are those of a bootstrap over the test texts, the same resamples
    for both, so that the gap is paired; it is right here, because a test text counts for itself.

    Returns:
        `tstr_macro_f1`, `trtr_macro_f1`, `trts_macro_f1`, their `_ci`, ratio and gap of the first two, F1 by label,
        `utility_floor_shuffled`, and the p of McNemar's test for the first draw.

    """
    true = codes(setting.test.labels or [], setting.classes)
    read_back = codes(setting.synthetic.labels or [], setting.classes)
    told: dict[str, list[NDArray[np.intp]]] = {"tstr": [], "trtr": [], "trts": [], "floor": []}
    for seed in range(setting.seed, setting.seed + SEEDS):
        made = balanced(setting.synthetic, setting.classes, setting.each, seed)
        real = balanced(setting.real, setting.classes, setting.each, seed)
        told["tstr"].append(read(made, setting.test, setting.classes))
        told["trtr"].append(read(real, setting.test, setting.classes))
        told["trts"].append(read(real, setting.synthetic, setting.classes))
        told["floor"].append(read(shuffled(made, seed), setting.test, setting.classes))
    count = len(setting.classes)
    tstr, trtr = (_resampled(told[name], true, count, setting.seed) for name in ("tstr", "trtr"))
    scores = {name: _mean_f1(told[name], read_back if name == "trts" else true, count) for name in told}
    macro = {name: float(score.mean()) for name, score in scores.items()}
    return {
        "tstr_macro_f1": macro["tstr"],
        "tstr_macro_f1_ci": _percentiles(tstr),
        "trtr_macro_f1": macro["trtr"],
        "trtr_macro_f1_ci": _percentiles(trtr),
        "tstr_trtr_ratio": macro["tstr"] / macro["trtr"] if macro["trtr"] else None,
        "tstr_trtr_ratio_ci": _percentiles(tstr / trtr) if trtr.all() else None,
        "tstr_trtr_gap": macro["tstr"] - macro["trtr"],
        "tstr_trtr_gap_ci": _percentiles(tstr - trtr),
        "trts_macro_f1": macro["trts"],
        "trts_macro_f1_ci": _percentiles(_resampled(told["trts"], read_back, count, setting.seed)),
        "tstr_f1_by_label": dict(zip(setting.classes, map(float, scores["tstr"]), strict=True)),
        "trtr_f1_by_label": dict(zip(setting.classes, map(float, scores["trtr"]), strict=True)),
        "utility_floor_shuffled": macro["floor"],
        "mcnemar_p": mcnemar_p(told["tstr"][0] == true, told["trtr"][0] == true),
    }


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


def _percentiles(values: NDArray[np.float64]) -> list[float]:
    return [float(value) for value in np.percentile(values, [2.5, 97.5])]
