"""Intervals of utility: two sides of one source train classifiers, and both are tested on further texts of it."""

from collections.abc import Iterator

import numpy as np

from benchmarks.inference.comparisons import all_comments
from benchmarks.inference.rates import ErrorCounts, ErrorRate, below, holds
from personagen.metrics.texts.inputs import rows_by_label
from personagen.metrics.utility.probe import predict_from_vectors
from personagen.metrics.utility.transfer import TransferSetting, transfer

SLOWNESS = {3: 0.5, 10: 0.5, 50: 0.2}
"""Data sets per set that is asked for, by training texts per label."""


def transfers(sets: int) -> Iterator[ErrorRate]:
    """Yield the rates of the intervals and of McNemar's p, over training texts and test texts."""
    corpus = all_comments()
    by_label = rows_by_label(corpus.labels or ())
    classes = sorted(by_label)
    promises = {
        "utility: tstr_macro_f1_ci holds its mean": ">= 95 %",
        "utility: tstr_trtr_gap_ci holds 0": ">= 95 %",
        "utility: tstr_trtr_ratio_ci holds 1": ">= 95 %",
        "utility: mcnemar_p < 0.05": "<= 5 %",
    }
    names = list(promises)
    for per_class, tests in ((3, 20), (10, 20), (50, 100)):
        results = []
        for seed in range(max(int(sets * SLOWNESS[per_class]), 2)):
            generator = np.random.default_rng([seed, per_class, 12])
            drawn = [generator.permutation(by_label[label])[: 2 * per_class + tests] for label in classes]
            sides = [
                corpus.take(np.sort(np.concatenate([rows[part] for rows in drawn])))
                for part in (slice(per_class), slice(per_class, 2 * per_class), slice(2 * per_class, None))
            ]
            setting = TransferSetting(sides[0], sides[1], sides[2], classes, per_class, seed)
            results.append(transfer(setting, predict_from_vectors, ("tstr", "trtr")))
        counter = ErrorCounts()
        mean = float(np.mean([found["tstr_macro_f1"] for found in results]))
        for found in results:
            for name, key, truth in zip(
                names, ("tstr_macro_f1_ci", "tstr_trtr_gap_ci", "tstr_trtr_ratio_ci"), (mean, 0, 1), strict=False
            ):
                ends = found[key] or (None, None)
                counter.add(name, holds(ends[0], ends[1], truth))
            counter.add(names[3], below(found["mcnemar_p"]))
        yield from counter.rates(f"{7 * per_class} training, {7 * tests} test texts", promises)
