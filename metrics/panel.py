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
from personagen.metrics.statistics.persona_trace import persona_f
from personagen.metrics.texts.corpus import Corpus
from personagen.metrics.texts.emotion_words import names_emotion
from personagen.metrics.texts.inputs import Vectors, rows_by_label
from personagen.metrics.texts.language import is_in_other_language
from personagen.metrics.texts.words import normalise
from personagen.metrics.utility.leakage import overlaps_test
from personagen.metrics.utility.probe import codes, f1_by_class, predict_from_vectors, predict_from_words
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

VERSION = 4
"""Version of the figures; a change invalidates saved ones."""

TEXT_COUNTS = ("vendi_score", "rke")
"""Figures that count texts: they grow with their number, so that halves say little about the whole.

On real texts the variance of halves is 0.6 to 0.8 of that of independent sets, that of parts of four fifths 0.8 to 1.
"""

LEFT_OUT = 5
"""Part of the personas, as one of so many, that is left out to find the error of `TEXT_COUNTS`."""

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
        pool: all real texts from which `few` is drawn.
        masked_pool: the same with emotion words masked.
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
    pool: Corpus
    masked_pool: Corpus
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

    def with_few(self, few_rows: Rows, test_rows: Rows) -> "PanelReference":
        """Return the reference with the given rows of the pool as `few`, and the given rows of the test texts."""
        test, masked_test = self.test.take(test_rows), self.masked_test.take(test_rows)
        few, masked_few = self.pool.take(few_rows), self.masked_pool.take(few_rows)
        return replace(
            self,
            test=test,
            masked_test=masked_test,
            few=few,
            masked_few=masked_few,
            few_f1=_f1(predict_from_vectors(few, test, self.classes), test, self.classes),
            masked_few_f1=_f1(predict_from_vectors(masked_few, masked_test, self.classes), masked_test, self.classes),
        )


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
    masked_test, masked_held = masked(test), masked(held)
    whole = PanelReference(
        held=side_of(held),
        test=test,
        masked_test=masked_test,
        pool=held,
        masked_pool=masked_held,
        few=held,
        masked_few=masked_held,
        few_f1=0.0,
        masked_few_f1=0.0,
        known=frozenset(map(normalise, known)),
        classifier=classifier,
        classes=sorted(set(held.labels or ())),
        width=bandwidth(held.vectors, 0),
        centres=clusters.centres_of(held.vectors, 0),
    )
    return whole.with_few(few_rows(held, np.random.default_rng(0)), np.arange(len(test)))


def few_rows(corpus: Corpus, generator: np.random.Generator) -> Rows:
    """Draw the rows of 100 texts, evenly distributed over labels; of rarer labels all texts."""
    rows = rows_by_label(corpus.labels or ())
    per_label = FEW_TEXTS // len(rows)
    return np.sort(np.concatenate([generator.permutation(rows[label])[:per_label] for label in sorted(rows)]))


def dealt(labels: Sequence[str], part: int, parts: int, generator: np.random.Generator) -> Rows:
    """Return the rows of one of several disjoint parts with equal labels; all rows if there are fewer than parts."""
    by_label = rows_by_label(labels)
    order = np.concatenate([generator.permutation(by_label[label]) for label in sorted(by_label)])
    return np.sort(order[part::parts] if len(order) >= parts else order)


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


def measure_resampled(  # noqa: PLR0913 - the parts of one experiment
    sample: Sample,
    positions: Sequence[int],
    planned: int,
    reference: PanelReference,
    *,
    seed: int,
    draws: int,
    personas: Sequence[int] | None = None,
    block: tuple[int, int] = (0, 1),
) -> tuple[Figures, list[Figures]]:
    """Compute the figures of a sample and of random halves of it.

    Halves are drawn from the plan that all arms share, so that the same seed draws the same rows in every arm. They
    consist of whole personas, because texts of one persona are not independent. The whole and each half have their own
    100 real texts, and blocks have disjoint test texts, so that both kinds of chance are part of the spread.

    Args:
        sample: the texts.
        positions: position of each text in the plan.
        planned: number of rows of the plan; as many held texts are drawn for comparison.
        reference: real texts and models.
        seed: seed of all draws; equal for all arms.
        draws: number of halves.
        personas: persona of each row of the plan; None: one per row.
        block: number of the block, and number of blocks that share the test texts.

    """
    generator = np.random.default_rng([seed, planned, 21])
    groups = np.unique(np.arange(planned) if personas is None else personas, return_inverse=True)[1][positions]
    kinds = len(set(range(planned) if personas is None else personas))
    held_texts = len(reference.held.corpus)
    count = min(planned, held_texts)
    held_rows = np.sort(generator.choice(held_texts, size=count, replace=False))
    test_rows = dealt(reference.test.labels or (), *block, np.random.default_rng([block[1], 22]))
    reference = reference.with_held(held_rows).with_few(few_rows(reference.pool, generator), test_rows)
    whole = measure(sample, reference, seed)
    halves = []
    for _ in range(draws):
        chosen = generator.choice(kinds, size=max(kinds // 2, 1), replace=False)
        held_rows = np.sort(generator.choice(count, size=max(count // 2, 1), replace=False))
        half_tests = dealt(reference.test.labels or (), 0, 2, generator)
        rows = np.flatnonzero(np.isin(groups, chosen))
        half = reference.with_held(held_rows).with_few(few_rows(reference.pool, generator), half_tests)
        halves.append(measure(sample.take(rows), half, seed))
    _replace_text_counts(sample.side.corpus.vectors, groups, kinds, whole, halves)
    return whole, halves


def _replace_text_counts(
    vectors: Vectors, groups: NDArray[np.intp], kinds: int, whole: Figures, halves: Sequence[Figures]
) -> None:
    """Replace the figures that count texts by values at the level of the whole, with the spread of halves.

    The spread is that of parts of four fifths of the personas: the delete-d jackknife, see `intervals`.
    """
    generator = np.random.default_rng([kinds, 23])
    left_out = max(kinds // LEFT_OUT, 1)
    if left_out >= kinds:
        return
    parts = [semantic(vectors[~np.isin(groups, generator.choice(kinds, size=left_out, replace=False))]) for _ in halves]
    for name in TEXT_COUNTS:
        level, value = mean([part[name] for part in parts]), whole[name]
        for half, part in zip(halves, parts, strict=True):
            figure = part[name]
            if level and value is not None and figure is not None:
                half[name] = value * (1 + (figure / level - 1) * ((kinds - left_out) / left_out) ** 0.5)


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
    """Return the mean F1 over the classes of the test texts."""
    true = codes(test.labels or (), classes)
    return float(f1_by_class(predicted, true, len(classes))[np.unique(true)].mean())
