"""What is measured of one arm of an experiment, at equal numbers of texts, from diversity to utility.

The figures are those of the four metrics, by the same functions; each is told here with what is better. A block is
measured whole, and in halves that are drawn alike for all arms, which tells the error of differences (see `paired`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from personagen.metrics.diversity import clusters
from personagen.metrics.diversity.lexical import lexical
from personagen.metrics.diversity.measure import semantic
from personagen.metrics.diversity.rouge import homogenization_rouge_l
from personagen.metrics.emotion_classifiers import LinearClassifier
from personagen.metrics.realism.measure import Side, side_of
from personagen.metrics.realism.measure import compare as against
from personagen.metrics.statistics.intervals import Rows, mean
from personagen.metrics.texts.corpus import Corpus
from personagen.metrics.texts.emotion_words import names_emotion
from personagen.metrics.texts.inputs import Vectors, rows_by_label
from personagen.metrics.texts.words import normalise
from personagen.metrics.utility.leakage import overlaps_test
from personagen.metrics.utility.probe import codes, macro_f1, predict_from_vectors, predict_from_words
from personagen.metrics.utility.transfer import joined

MEASURES: Mapping[str, Mapping[str, str]] = {
    "diversity": {
        "duplicate_share": "lower", "distinct_2": "higher", "self_bleu": "lower", "homogenization_rouge_l": "lower",
        "compression_ratio": "lower", "hdd": "higher", "vendi_score": "higher", "rke": "higher",
        "mean_cosine": "lower", "cluster_entropy": "higher", "between_label_variance": "higher", "mean_words": "real",
    },
    "realism": {
        "mmd2": "lower", "frechet_distance": "lower", "energy_distance": "lower", "mauve_star": "higher",
        "c2st_auc": "0.5", "c2st_auc_length_matched": "0.5", "c2st_auc_style": "0.5", "precision": "higher",
        "recall": "higher", "density": "real", "coverage": "higher", "authenticity": "real", "copied_share": "lower",
        "js_length": "lower", "js_punctuation": "lower", "js_words": "lower",
    },
    "labels": {
        "label_agreement": "higher", "label_confidence": "higher", "leak_rate": "lower",
        "masked_label_agreement": "higher",
    },
    "utility": {
        "tstr_macro_f1": "higher", "masked_tstr_macro_f1": "higher", "tfidf_tstr_macro_f1": "higher",
        "masked_tfidf_tstr_macro_f1": "higher", "gain_macro_f1": "higher", "masked_gain_macro_f1": "higher",
    },
    "personas": {"persona_f": "higher"},
}  # fmt: skip
"""By suite: every figure, and where a better arm lies: "higher", "lower", a number, or "real" (that of real texts)."""

VERSION = 2
"""Of the figures: what was measured by another one is measured again."""

COUNTS = ("vendi_score", "rke")
"""Figures that count texts, and so grow with their number nearly in proportion where there are few."""

FEW_REAL = 100
"""Real texts to which those of an arm are added for `gain_macro_f1`."""

Figures = dict[str, float | None]


@dataclass(frozen=True, slots=True, eq=False)
class Real:
    """What arms are measured against, the same for all.

    Attributes:
        held: real texts that no arm has seen.
        test: real texts that classifiers are tested on.
        masked_test: the same with the words of emotions hidden.
        few: 100 real texts, evenly of all labels, to which an arm's are added.
        masked_few: the same with the words of emotions hidden.
        alone: macro-F1 of a classifier of those few; with hidden words under "masked_".
        known: all real texts an arm may have copied, normalised.
        classifier: reads emotions; trained on `held`.
        classes: the labels.
        width: bandwidth of MMD.
        centres: centres of clusters of the held texts; None where they are too few.

    """

    held: Side
    test: Corpus
    masked_test: Corpus
    few: Corpus
    masked_few: Corpus
    alone: Mapping[str, float]
    known: frozenset[str]
    classifier: LinearClassifier
    classes: Sequence[str]
    width: float
    centres: Vectors | None


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """One part of one arm.

    Attributes:
        corpus: texts with labels.
        masked: the same with the words of emotions hidden.
        personas: who wrote each text; None where nobody in particular did.
        places: place of each text in the plan of the block, which all arms share.
        planned: rows of that plan.
        seed: of the real texts that it is measured against, the same for all arms.

    """

    corpus: Corpus
    masked: Corpus
    personas: Sequence[str | None]
    places: Sequence[int]
    planned: int
    seed: int


def measure(block: Block, real: Real, draws: int) -> tuple[Figures, list[Figures]]:
    """Measure a block whole, and in so many halves, which hold the same rows of the plan in every arm."""
    generator = np.random.default_rng([block.seed, block.planned, 21])
    count = min(block.planned, len(real.held.corpus))
    others = np.sort(generator.choice(len(real.held.corpus), size=count, replace=False))
    side, held = side_of(block.corpus), real.held.take(others)
    whole = _figures(block, side, held, real, np.arange(len(block.corpus)))
    halves = []
    for _ in range(draws):
        chosen = generator.choice(block.planned, size=max(block.planned // 2, 1), replace=False)
        rows = np.flatnonzero(np.isin(block.places, chosen))
        part = np.sort(generator.choice(count, size=max(count // 2, 1), replace=False))
        halves.append(_figures(block, side.take(rows), held.take(part), real, rows))
    for name in COUNTS:
        _level(name, whole, halves)
    return whole, halves


def _level(name: str, whole: Figures, halves: Sequence[Figures]) -> None:
    """Bring the values of halves to the level of the whole: of half as many texts, half as many can be different."""
    level, value = mean([half[name] for half in halves]), whole[name]
    if level and value is not None:
        for half in halves:
            found = half[name]
            half[name] = None if found is None else found * value / level


def _figures(block: Block, side: Side, held: Side, real: Real, rows: Rows) -> Figures:
    corpus, masked = side.corpus, block.masked.take(rows)
    found: Figures = dict(against(side, held, real.width, block.seed))
    found |= _diversity(side, real.centres)
    copied = [normalise(text) in real.known for text in corpus.texts]
    found["copied_share"] = float(np.mean(copied))
    found |= _labels(corpus, masked, real.classifier)
    found |= _utility(corpus, masked, real)
    found["persona_f"] = persona_f(corpus, [block.personas[row] for row in rows])
    return {name: found.get(name) for names in MEASURES.values() for name in names}


def _diversity(side: Side, centres: Vectors | None) -> Figures:
    corpus, tokens = side.corpus, side.tokens
    groups = np.unique(corpus.labels or [], return_inverse=True)[1]
    repeats = len(corpus) - len({normalise(text) for text in corpus.texts})
    return {
        **lexical(tokens, corpus.texts),
        **semantic(corpus.vectors),
        "homogenization_rouge_l": homogenization_rouge_l(tokens),
        "cluster_entropy": None if centres is None else clusters.cluster_entropy(corpus.vectors, centres),
        "between_label_variance": clusters.between_group_variance(corpus.vectors, groups),
        "duplicate_share": repeats / len(corpus),
        "mean_words": float(np.mean(side.lengths)),
    }


def _labels(corpus: Corpus, masked: Corpus, classifier: LinearClassifier) -> Figures:
    """Hold the labels against what the classifier reads, as means over labels; and look for the label's own words."""
    labels = list(corpus.labels or ())
    told, blind = classifier.predict_vectors(corpus.vectors), classifier.predict_vectors(masked.vectors)
    by_label = rows_by_label(labels)
    agree = np.array([reading.label == label for reading, label in zip(told, labels, strict=True)])
    hidden = np.array([reading.label == label for reading, label in zip(blind, labels, strict=True)])
    return {
        "label_agreement": mean([float(agree[rows].mean()) for rows in by_label.values()]),
        "masked_label_agreement": mean([float(hidden[rows].mean()) for rows in by_label.values()]),
        "label_confidence": float(np.mean([reading.confidence for reading in told])),
        "leak_rate": float(np.mean(list(map(names_emotion, corpus.texts, labels)))),
    }


def _utility(corpus: Corpus, masked: Corpus, real: Real) -> Figures:
    """Train on an arm, alone and with few real texts, and read real ones; texts of the test part are left out."""
    rows = np.flatnonzero(~overlaps_test(corpus, real.test))
    found: Figures = {}
    for name, side, test, few in (
        ("", corpus, real.test, real.few),
        ("masked_", masked, real.masked_test, real.masked_few),
    ):
        train = side.take(rows)
        several = len(set(train.labels or ())) > 1
        for way, read in (("", predict_from_vectors), ("tfidf_", predict_from_words)):
            told = read(train, test, real.classes) if several else None
            found[f"{name}{way}tstr_macro_f1"] = None if told is None else f1_of(told, test, real.classes)
        both = predict_from_vectors(joined(few, train), test, real.classes)
        found[f"{name}gain_macro_f1"] = f1_of(both, test, real.classes) - real.alone[name]
    return found


def f1_of(told: NDArray[np.intp], test: Corpus, classes: Sequence[str]) -> float:
    """Return macro-F1 of what was read in the test texts."""
    return macro_f1(told, codes(test.labels or (), classes), len(classes))


def persona_f(corpus: Corpus, personas: Sequence[str | None]) -> float | None:
    """Return variance between personas over that within: the F ratio of a one-way analysis of the vectors.

    The mean of each label is taken away first. 1 is what personas that leave no trace get. None where there are none,
    or no persona has two texts.
    """
    if any(persona is None for persona in personas):
        return None
    groups = np.unique(np.array(personas, dtype=str), return_inverse=True)[1]
    count, kinds = len(groups), int(groups.max()) + 1
    if kinds < 2 or kinds == count:
        return None
    vectors = corpus.vectors.astype(np.float64)
    for rows in rows_by_label(corpus.labels or ()).values():
        vectors[rows] -= vectors[rows].mean(axis=0)
    sums = np.zeros((kinds, vectors.shape[1]))
    np.add.at(sums, groups, vectors)
    sizes = np.bincount(groups)
    between = float((np.square(sums).sum(axis=1) / sizes).sum() - np.square(vectors.sum(axis=0)).sum() / count)
    within = float(np.square(vectors).sum()) - float((np.square(sums).sum(axis=1) / sizes).sum())
    return None if within <= 0 else (between / (kinds - 1)) / (within / (count - kinds))


def few_of(held: Corpus) -> Corpus:
    """Take 100 real texts, evenly of all labels, or all where there are fewer."""
    rows = rows_by_label(held.labels or ())
    each = FEW_REAL // len(rows)
    return held.take(sorted(int(row) for label in sorted(rows) for row in rows[label][:each]))
