"""Comparisons of arms that are one distribution: real texts of the bundled slice, dealt to arms and personas at random.

Pairs of few arms are not independent: the rate of a measure is that of all pairs, without an error of its own.
"""

from collections.abc import Iterator
from functools import cache, partial
from itertools import combinations

import numpy as np

from benchmarks.inference.rates import ErrorCounts, ErrorRate, below, holds
from personagen.builder.evaluation.claims import CLAIMS, SUPPORTED, UNDECIDED, judge_claims, verdict
from personagen.metrics.emotion_classifiers import LinearClassifier
from personagen.metrics.emotion_classifiers.classifier import ClassifierFacts
from personagen.metrics.panel import PanelReference, measure_resampled, reference_of, sample_of
from personagen.metrics.statistics.paired import Blocks, estimate
from personagen.metrics.statistics.persona_trace import persona_f
from personagen.metrics.texts.corpus import Corpus, read_corpus
from personagen.metrics.texts.inputs import rows_by_label
from personagen.metrics.texts.reference import load_reference

SEEDS = 3
DRAWS = 10
ROWS = 70
"""Texts per seed, the default of `compare`."""

MEASURES = (
    "vendi_score", "rke", "self_bleu", "label_agreement", "tstr_macro_f1", "c2st_auc", "mmd2", "gain_macro_f1",
    "persona_f",
)  # fmt: skip
"""Measures of the claims."""


@cache
def comments() -> tuple[Corpus, Corpus]:
    """Return train and test part of the bundled comments, with the vectors of the default model."""
    slice_ = load_reference("goemotions")
    return read_corpus(slice_.texts, slice_.labels), read_corpus(slice_.test_texts, slice_.test_labels)


@cache
def all_comments() -> Corpus:
    """Return both parts of the bundled comments as one corpus."""
    train, test = comments()
    labels = [*(train.labels or ()), *(test.labels or ())]
    return Corpus([*train.texts, *test.texts], labels, np.concatenate([train.vectors, test.vectors]), train.model)


def traces(sets: int) -> Iterator[ErrorRate]:
    """Yield how often the claim that a persona leaves its trace is supported without one."""
    corpus, _ = comments()
    claim = next(claim for claim in CLAIMS if claim.measure == "persona_f")
    for rows in (35, 70, 350):
        for situations in (2, 4):
            counter = ErrorCounts()
            for seed in range(sets if rows < 350 else max(sets // 4, 1)):
                blocks = _trace(corpus, rows, situations, np.random.default_rng([seed, rows, situations]))
                found = estimate(Blocks(blocks.wholes - 1, blocks.halves - 1, blocks.freedom))
                counter.add("compare: trace of a persona supported", verdict(claim, found.value, found.p) == SUPPORTED)
            yield from counter.rates(
                f"{rows} texts per seed, {situations} per persona", {"compare: trace of a persona supported": "2.5 %"}
            )


def _trace(corpus: Corpus, rows: int, situations: int, generator: np.random.Generator) -> Blocks:
    by_label = rows_by_label(corpus.labels or ())
    personas = np.arange(rows) // situations
    kinds = int(personas.max()) + 1
    wholes, halves = [], []
    for _ in range(SEEDS):
        drawn = [generator.choice(by_label[label], rows // 7, replace=False) for label in sorted(by_label)]
        part = corpus.take(np.array(drawn).T.ravel())
        wholes.append(persona_f(part, [str(persona) for persona in personas]))
        chosen = [
            np.flatnonzero(np.isin(personas, generator.choice(kinds, kinds // 2, replace=False))) for _ in range(DRAWS)
        ]
        halves.append([persona_f(part.take(some), [str(personas[row]) for row in some]) for some in chosen])
    complete = all(value is not None for block in halves for value in block)
    return Blocks(
        np.array(wholes, dtype=float),
        np.array(halves if complete else [[]] * SEEDS, dtype=float).reshape(SEEDS, -1),
        SEEDS * (kinds - 1),
    )


def arms(count: int, families: int) -> Iterator[ErrorRate]:
    """Yield rates over all pairs of arms, and over families of claims between arms.

    Args:
        count: number of arms, each of three seeds of 70 texts.
        families: number of families; each assigns the arms of the claims to measured arms at random.

    """
    corpus, test = comments()
    held, pool = corpus.take(range(0, len(corpus), 2)), corpus.take(range(1, len(corpus), 2))
    reference = _reference(held, test)
    measured = [_arm(pool, reference, number) for number in range(count)]
    counter = ErrorCounts()
    promises = {}
    for name in MEASURES:
        usable = [arm[name] for arm in measured if name in arm]
        figure = f"compare: {name}, p of arm - arm < 0.05"
        promises[figure] = "<= 5 %"
        for one, other in combinations(usable, 2):
            counter.add(figure, below(estimate(one.minus(other)).p))
    for name in MEASURES:
        mean = float(np.mean([arm[name].wholes.mean() for arm in measured]))
        figure = f"compare: interval of {name} holds its mean"
        promises[figure] = ">= 95 %"
        for arm in measured:
            found = estimate(arm[name])
            counter.add(figure, holds(found.low, found.high, mean))
    yield from counter.rates(f"{ROWS} texts per seed, 2 per persona, {count} arms", promises)
    yield from _families(measured, families, count)


def _families(measured: list[dict[str, Blocks]], families: int, count: int) -> Iterator[ErrorRate]:
    names = sorted({name for claim in CLAIMS for name in (claim.arm, claim.against) if name})
    counter = ErrorCounts()
    figure = "compare: any verdict on arm - arm claims (Holm)"
    for seed in range(families):
        chosen = np.random.default_rng([seed, 8]).permutation(count)[: len(names)]
        if len(chosen) < len(names):
            return
        judged = judge_claims({name: measured[row] for name, row in zip(names, chosen.tolist(), strict=True)})
        counter.add(figure, any(claim.verdict != UNDECIDED for claim in judged if claim.against and not claim.null))
    yield from counter.rates(f"{ROWS} texts per seed, {count} arms", {figure: "<= 5 %"})


def _reference(held: Corpus, test: Corpus) -> PanelReference:
    """Build the reference with a classifier of the held texts; nothing is masked."""
    from sklearn.linear_model import LogisticRegression

    classes = tuple(sorted(set(held.labels or ())))
    fitted = LogisticRegression(max_iter=500, class_weight="balanced").fit(held.vectors, list(held.labels or ()))
    facts = ClassifierFacts(held.model, "", "", len(held), len(test), 0, 0, 0, 0, 1)
    classifier = LinearClassifier(classes, fitted.coef_.T, fitted.intercept_, facts, partial(_encode, held))
    return reference_of(held, test, held.texts, classifier, lambda corpus: corpus)


def _encode(held: Corpus, texts: list[str]) -> np.ndarray:
    raise RuntimeError("vectors are given")


def _arm(pool: Corpus, reference: PanelReference, number: int) -> dict[str, Blocks]:
    by_label = rows_by_label(pool.labels or ())
    personas = [row // 2 for row in range(ROWS)]
    blocks = []
    for seed in range(SEEDS):
        generator = np.random.default_rng([number, seed, 7])
        drawn = [generator.choice(by_label[label], ROWS // 7, replace=False) for label in sorted(by_label)]
        part = pool.take(np.array(drawn).T.ravel())
        sample = sample_of(part, part, [str(persona) for persona in personas])
        blocks.append(
            measure_resampled(
                sample,
                range(ROWS),
                ROWS,
                reference,
                seed=seed * 1000,
                draws=DRAWS,
                personas=personas,
                block=(seed, SEEDS),
            )
        )
    result = {}
    for name in MEASURES:
        halves = [[half[name] for half in block[1]] for block in blocks]
        complete = all(value is not None for row in halves for value in row)
        result[name] = Blocks(
            np.array([block[0][name] for block in blocks], dtype=float),
            np.array(halves if complete else [[]] * SEEDS, dtype=float).reshape(SEEDS, -1),
            SEEDS * (ROWS // 2 - 1),
        )
    return result
