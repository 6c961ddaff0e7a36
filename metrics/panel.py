"""The panel: all figures of one arm of an experiment, from diversity to utility, at equal numbers of texts.

The figures are those of the four metrics, computed by the same functions. `measure` computes them for a sample;
`measure_resampled` computes them for halves as well, which give the error of differences between arms (see `paired`).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from personagen.metrics.diversity import clusters
from personagen.metrics.diversity.lexical import duplicate_fraction, lexical
from personagen.metrics.diversity.measure import semantic
from personagen.metrics.diversity.rouge import homogenization_rouge_l
from personagen.metrics.emotion_classifiers import LinearClassifier
from personagen.metrics.realism.measure import Side, compare, side_of
from personagen.metrics.realism.mmd import bandwidth
from personagen.metrics.statistics.intervals import Rows, mean
from personagen.metrics.texts.corpus import Corpus
from personagen.metrics.texts.emotion_words import names_emotion
from personagen.metrics.texts.inputs import Vectors, rows_by_label
from personagen.metrics.texts.language import is_in_other_language
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
"""Figures by suite, each with its better direction: "higher", "lower", a number, or "real" (as real texts)."""

VERSION = 3
"""Version of the figures; a change invalidates saved ones."""

TEXT_COUNTS = ("vendi_score", "rke")
"""Figures that count texts; for few texts they grow nearly in proportion to their number."""

FEW_TEXTS = 100
"""Real texts that `gain_macro_f1` adds the texts of an arm to."""

Figures = dict[str, float | None]


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """Texts of one arm.

    Attributes:
        side: texts, labels, vectors, and features of the texts.
        masked: the same texts with emotion words masked.
        personas: persona of each text; None: no persona.
        english: whether each text may be in English, the language of the lexicon of emotion words.

    """

    side: Side
    masked: Corpus
    personas: Sequence[str | None]
    english: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.side.corpus)

    def take(self, rows: Rows) -> "Sample":
        """Return the given rows, in the given order."""
        personas = [self.personas[row] for row in rows]
        return Sample(self.side.take(rows), self.masked.take(rows), personas, self.english[np.asarray(rows)])


@dataclass(frozen=True, slots=True, eq=False)
class PanelReference:
    """Real texts and models that all arms are compared with.

    Attributes:
        held: real texts that no arm uses.
        test: real texts for testing classifiers.
        masked_test: the same with emotion words masked.
        few: 100 real texts, evenly distributed over labels.
        masked_few: the same with emotion words masked.
        few_f1: macro-F1 of a classifier trained on `few`.
        masked_few_f1: macro-F1 of a classifier trained on `masked_few`.
        known: all real texts that an arm could copy, normalised.
        classifier: emotion classifier, trained on `held`.
        classes: the labels.
        width: bandwidth of MMD.
        centres: centres of the clusters of the held texts; None: too few texts.

    """

    held: Side
    test: Corpus
    masked_test: Corpus
    few: Corpus
    masked_few: Corpus
    few_f1: float
    masked_few_f1: float
    known: frozenset[str]
    classifier: LinearClassifier
    classes: Sequence[str]
    width: float
    centres: Vectors | None

    def with_held(self, rows: Rows) -> "PanelReference":
        """Return the reference with the given rows of the held texts."""
        return replace(self, held=self.held.take(rows))


def sample_of(corpus: Corpus, masked: Corpus, personas: Sequence[str | None]) -> Sample:
    """Build a sample from texts, the same texts masked, and their personas."""
    english = np.array([not is_in_other_language(text, "en") for text in corpus.texts], dtype=bool)
    return Sample(side_of(corpus), masked, personas, english)


def reference_of(
    held: Corpus,
    test: Corpus,
    known: Iterable[str],
    classifier: LinearClassifier,
    masked: Callable[[Corpus], Corpus],
) -> PanelReference:
    """Build the reference of a comparison.

    Args:
        held: real texts with labels that no arm uses.
        test: real texts with labels for testing classifiers.
        known: all real texts that an arm could copy.
        classifier: emotion classifier, trained on `held`.
        masked: masks the emotion words of a corpus.

    """
    classes = sorted(set(held.labels or ()))
    few = few_of(held)
    masked_test, masked_few = masked(test), masked(few)
    return PanelReference(
        held=side_of(held),
        test=test,
        masked_test=masked_test,
        few=few,
        masked_few=masked_few,
        few_f1=_f1(predict_from_vectors(few, test, classes), test, classes),
        masked_few_f1=_f1(predict_from_vectors(masked_few, masked_test, classes), masked_test, classes),
        known=frozenset(map(normalise, known)),
        classifier=classifier,
        classes=classes,
        width=bandwidth(held.vectors, 0),
        centres=clusters.centres_of(held.vectors, 0),
    )


def few_of(corpus: Corpus) -> Corpus:
    """Return 100 texts, evenly distributed over labels, or all texts of rarer labels."""
    rows = rows_by_label(corpus.labels or ())
    per_label = FEW_TEXTS // len(rows)
    return corpus.take(sorted(int(row) for label in sorted(rows) for row in rows[label][:per_label]))


def measure(sample: Sample, reference: PanelReference, seed: int) -> Figures:
    """Compute all figures of a sample.

    Args:
        sample: the texts.
        reference: real texts, of which `held` should have as many texts as the sample.
        seed: seed of random features, folds and clusterings.

    Returns:
        All figures of `MEASURES`; None: not defined.

    """
    corpus = sample.side.corpus
    figures: Figures = dict(compare(sample.side, reference.held, reference.width, seed))
    figures |= _diversity(sample.side, reference.centres)
    figures["copied_share"] = float(np.mean([normalise(text) in reference.known for text in corpus.texts]))
    figures |= _labels(sample, reference.classifier)
    figures |= _utility(sample, reference)
    figures["persona_f"] = persona_f(corpus, sample.personas)
    return {name: figures.get(name) for names in MEASURES.values() for name in names}


def measure_resampled(
    sample: Sample, positions: Sequence[int], planned: int, reference: PanelReference, *, seed: int, draws: int
) -> tuple[Figures, list[Figures]]:
    """Compute the figures of a sample and of random halves of it.

    Halves are drawn from the plan that all arms share, so that the same seed draws the same rows in every arm.

    Args:
        sample: the texts.
        positions: position of each text in the plan.
        planned: number of rows of the plan; as many held texts are drawn for comparison.
        reference: real texts and models.
        seed: seed of all draws; equal for all arms.
        draws: number of halves.

    """
    generator = np.random.default_rng([seed, planned, 21])
    held_texts = len(reference.held.corpus)
    count = min(planned, held_texts)
    reference = reference.with_held(np.sort(generator.choice(held_texts, size=count, replace=False)))
    whole = measure(sample, reference, seed)
    halves = []
    for _ in range(draws):
        chosen = generator.choice(planned, size=max(planned // 2, 1), replace=False)
        held_rows = np.sort(generator.choice(count, size=max(count // 2, 1), replace=False))
        rows = np.flatnonzero(np.isin(positions, chosen))
        halves.append(measure(sample.take(rows), reference.with_held(held_rows), seed))
    for name in TEXT_COUNTS:
        _scale_to_whole(name, whole, halves)
    return whole, halves


def _scale_to_whole(name: str, whole: Figures, halves: Sequence[Figures]) -> None:
    """Scale a figure of halves to the level of the whole: half as many texts can have half as many kinds."""
    level, value = mean([half[name] for half in halves]), whole[name]
    if level and value is not None:
        for half in halves:
            figure = half[name]
            half[name] = None if figure is None else figure * value / level


def _diversity(side: Side, centres: Vectors | None) -> Figures:
    corpus = side.corpus
    groups = np.unique(corpus.labels or [], return_inverse=True)[1]
    return {
        **lexical(side.tokens, corpus.texts),
        **semantic(corpus.vectors),
        "homogenization_rouge_l": homogenization_rouge_l(side.tokens),
        "cluster_entropy": None if centres is None else clusters.cluster_entropy(corpus.vectors, centres),
        "between_label_variance": clusters.between_group_variance(corpus.vectors, groups),
        "duplicate_share": duplicate_fraction(corpus.texts),
        "mean_words": float(np.mean(side.lengths)),
    }


def _labels(sample: Sample, classifier: LinearClassifier) -> Figures:
    """Compare labels with predictions, as means over labels, and look for words that name the label."""
    corpus, masked = sample.side.corpus, sample.masked
    labels = list(corpus.labels or ())
    predictions = classifier.predict_vectors(corpus.vectors)
    by_label = rows_by_label(labels)
    agreement = []
    for predicted in (predictions, classifier.predict_vectors(masked.vectors)):
        right = np.array([prediction.label == label for prediction, label in zip(predicted, labels, strict=True)])
        agreement.append(mean([float(right[rows].mean()) for rows in by_label.values()]))
    return {
        "label_agreement": agreement[0],
        "masked_label_agreement": agreement[1],
        "label_confidence": float(np.mean([prediction.confidence for prediction in predictions])),
        "leak_rate": _leak_rate(sample),
    }


def _leak_rate(sample: Sample) -> float | None:
    """Return the fraction of English texts with a word for their label; None: most texts are in other languages."""
    if 2 * sample.english.sum() < len(sample):
        return None
    corpus = sample.side.corpus
    leaks = map(names_emotion, corpus.texts, corpus.labels or ())
    return float(np.mean([leak for leak, english in zip(leaks, sample.english, strict=True) if english]))


def _utility(sample: Sample, reference: PanelReference) -> Figures:
    """Score classifiers trained on the sample, alone and with few real texts; overlaps with the test are left out."""
    rows = np.flatnonzero(~overlaps_test(sample.side.corpus, reference.test))
    classes = reference.classes
    figures: Figures = {}
    for prefix, corpus, test, few, few_f1 in (
        ("", sample.side.corpus, reference.test, reference.few, reference.few_f1),
        ("masked_", sample.masked, reference.masked_test, reference.masked_few, reference.masked_few_f1),
    ):
        train = corpus.take(rows)
        several = len(set(train.labels or ())) > 1
        for features, predict in (("", predict_from_vectors), ("tfidf_", predict_from_words)):
            score = _f1(predict(train, test, classes), test, classes) if several else None
            figures[f"{prefix}{features}tstr_macro_f1"] = score
        both = predict_from_vectors(joined(few, train), test, classes)
        figures[f"{prefix}gain_macro_f1"] = _f1(both, test, classes) - few_f1
    return figures


def _f1(predicted: NDArray[np.intp], test: Corpus, classes: Sequence[str]) -> float:
    return macro_f1(predicted, codes(test.labels or (), classes), len(classes))


def persona_f(corpus: Corpus, personas: Sequence[str | None]) -> float | None:
    """Compute the variance of vectors between personas over that within: the F ratio of a one-way analysis.

    The mean of each label is subtracted first. Personas without influence get about 1. None: a text has no persona,
    there is one persona, or no persona has two texts.
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
