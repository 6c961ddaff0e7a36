"""Intervals of realism and of written style: texts beside real ones, real texts beside others of one source."""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.inference.comparisons import all_comments
from benchmarks.inference.rates import ErrorCounts, ErrorRate, holds
from personagen.metrics.realism.measure import compare, realism_at, side_of
from personagen.metrics.realism.mmd import bandwidth
from personagen.metrics.realism.written_style import _compare, _table

SLOWNESS = {20: 0.06, 70: 0.04, 350: 0.012}
"""Data sets per set that is asked for, by number of texts: one takes 1.5, 3 and 12 seconds."""

OTHER = ("anger", "disgust", "fear", "sadness")
"""Labels of the texts that differ from the real ones."""


def intervals(sets: int) -> Iterator[ErrorRate]:
    """Yield how often `x_ci` holds the mean of x over independent sets, and `x_null_ci` the x of a real sample.

    Texts are comments of four labels, real ones comments of all seven, twice as many or ten times as many.
    """
    corpus = all_comments()
    whole, width = side_of(corpus), bandwidth(corpus.vectors, 0)
    unlike = np.flatnonzero(np.isin(corpus.labels or [], OTHER))
    for texts, times in ((20, 2), (70, 2), (70, 10), (350, 2)):
        counter, results = ErrorCounts(), []
        for seed in range(max(int(sets * SLOWNESS[texts]), 2)):
            generator = np.random.default_rng([seed, texts, times, 9])
            rows = generator.permutation(unlike)[:texts]
            rest = generator.permutation(np.setdiff1d(np.arange(len(corpus)), rows))
            real, others = rest[: times * texts], rest[times * texts :][:texts]
            found = realism_at(whole.take(rows), whole.take(real), width, texts, seed)
            results.append(found)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                sample = compare(whole.take(others), whole.take(real[:texts]), width, seed)
            for name, value in sample.items():
                if value is not None and f"{name}_null_ci" in found:
                    ends = found[f"{name}_null_ci"] or (None, None)
                    counter.add(f"realism: {name}_null_ci holds a real sample", holds(ends[0], ends[1], value))
        _add_coverage(counter, results)
        promises = {figure: "95 %" if "null" in figure else ">= 95 %" for figure in counter.hits}
        yield from counter.rates(f"{texts} texts, {times * texts} real", promises)


def _add_coverage(counter: ErrorCounts, results: Sequence[Mapping[str, Any]]) -> None:
    for key in (key for key in results[0] if key.endswith("_ci") and not key.endswith("_null_ci")):
        name = key.removesuffix("_ci")
        values = [found[name] for found in results if found[name] is not None]
        for found in results:
            ends = found[key] or (None, None)
            counter.add(
                f"realism: {key} holds its mean", holds(ends[0], ends[1], float(np.mean(values))) if values else None
            )


def styles(sets: int) -> Iterator[ErrorRate]:
    """Yield the rates of the intervals of written style: own, of as many real texts, of the difference."""
    corpus = all_comments()
    table = _table(corpus.texts, corpus.labels)
    everything = np.arange(len(table))
    means = {name: found["value"] for name, found in _compare(table, table, [(everything, everything)]).items()}
    for texts in (20, 70, 350):
        counter = ErrorCounts()
        for seed in range(sets):
            rows = np.random.default_rng([seed, texts, 10]).permutation(len(table))[: 3 * texts]
            found = _compare(table[rows[:texts]], table[rows[texts:]], [(np.arange(texts), np.arange(2 * texts))])
            for name, figures in found.items():
                for key, truth in (("ci", means[name]), ("difference_ci", 0.0), ("null_ci", figures["value"])):
                    ends = figures[key] or (None, None)
                    counter.add(f"style: {name}_{key}", holds(ends[0], ends[1], truth))
        yield from counter.rates(f"{texts} texts, {2 * texts} real", dict.fromkeys(counter.hits, "95 %"))
