"""Intervals of `match`: arms of one source, scored on a pool and on a test part of that source."""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from benchmarks.inference.comparisons import all_comments
from benchmarks.inference.rates import ErrorCounts, ErrorRate, holds
from personagen.builder.evaluation.matching.parts import FOLDS, MatchParts
from personagen.builder.evaluation.matching.selection import ArmTexts, difference, pool_scores
from personagen.builder.evaluation.matching.yardsticks import SYNTHETIC, _trained_on_parts, score_trained
from personagen.metrics.texts.inputs import rows_by_label

SLOWNESS = {10: 0.1, 50: 0.03}
"""Data sets per set that is asked for, by texts of an arm per label."""

POOL, TEST = 50, 50
"""Texts of the pool and of the test part per label."""

PROMISES = {
    "match: interval of an arm's score holds its mean": ">= 95 %",
    "match: interval of the difference of two arms holds 0": ">= 95 %",
    "match: interval of macro-F1 on the test part holds its mean": ">= 95 %",
    "match: interval of the difference to as many real texts holds 0": ">= 95 %",
}


def arms_of_one_source(sets: int) -> Iterator[ErrorRate]:
    """Yield the coverage of the scores of arms, of their differences, and of the yardsticks."""
    for per_label, slowness in SLOWNESS.items():
        count = max(int(sets * slowness), 2)
        results = [_match(np.random.default_rng([seed, per_label, 13]), per_label, seed) for seed in range(count)]
        counter = ErrorCounts()
        for position, name in enumerate(PROMISES):
            values = [found[position][0] for found in results]
            truth = float(np.mean(values)) if position in (0, 2) else 0.0
            for found in results:
                ends = found[position][1] or (None, None)
                counter.add(name, holds(ends[0], ends[1], truth))
        yield from counter.rates(
            f"{7 * per_label} texts per arm, {7 * POOL} of the pool, {7 * TEST} to test on", PROMISES
        )


def _match(generator: np.random.Generator, per_label: int, seed: int) -> list[tuple[float, list[float] | None]]:
    """Return the four values with their intervals."""
    corpus = all_comments()
    by_label = rows_by_label(corpus.labels or ())
    drawn = [generator.permutation(by_label[label]) for label in sorted(by_label)]
    ends = np.cumsum([0, POOL, TEST, per_label, per_label])
    pool, test, *arms = (
        corpus.take(np.concatenate([rows[start:end] for rows in drawn])) for start, end in pairwise(ends)
    )
    parts = MatchParts("comments", pool, test, [row % FOLDS for row in range(len(pool))], 0)
    folds = np.arange(7 * per_label) % FOLDS
    scores = pool_scores({name: ArmTexts(arm, folds) for name, arm in zip("ab", arms, strict=True)}, parts, seed)
    trained = {SYNTHETIC: _trained_on_parts(arms[0], len(arms[0]), parts, seed)}
    for rows in (50, 100, 200, 7 * POOL):
        trained[f"real {rows}"] = _trained_on_parts(pool, rows, parts, seed)
    trained["as many"] = _trained_on_parts(pool, len(arms[0]), parts, seed)
    yardsticks, _ = score_trained(trained, parts, seed)
    own, real = yardsticks[SYNTHETIC], yardsticks["as many"]
    return [
        (scores["a"].value, scores["a"].interval),
        difference(scores["a"], scores["b"]),
        (own.value, own.interval),
        (real.difference, real.difference_interval),
    ]
