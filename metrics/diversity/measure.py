"""All measures of diversity of a corpus at a stated number of texts: overall, per label, and beside a reference."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, SupportsIndex

import numpy as np

from personagen.metrics.diversity import clusters
from personagen.metrics.diversity.lexical import duplicate_fraction, lexical, word_figures
from personagen.metrics.diversity.personas import (
    association_p,
    evenness,
    groups_of_personas,
    label_association,
    pair_coverage,
    persona_variance,
)
from personagen.metrics.diversity.rouge import homogenization_rouge_l
from personagen.metrics.diversity.spectrum import eigenvalues, hill_number, mean_cosine
from personagen.metrics.statistics.intervals import DRAWS, Rows, bounded_interval, rarefied, spread_freedom
from personagen.metrics.texts.corpus import Corpus, to_corpus
from personagen.metrics.texts.inputs import Vectors, rows_by_label
from personagen.metrics.texts.words import tokenise

SAMPLE_TEXTS = 1000
"""Default number of texts at which a corpus is measured; nearly every measure depends on it."""

LABEL_DRAWS = 5
"""Random parts per label; enough for a value without a standard error."""

MIN_LABEL_TEXTS = 10
"""Smallest number of texts of a label that is measured separately."""

MAX_SILHOUETTE_TEXTS = 20_000

KEPT = 0.8
"""Fraction of the texts in the parts that give the error: most measures have another level at half as many."""

TEXT_COUNTS = ("vendi_score", "vendi_score_0_5", "vendi_score_inf", "rke")
"""Figures that count texts: for few texts they grow nearly in proportion to their number."""

UNIT = (0.0, 1.0)

BOUNDS = {
    "mtld": (1.0, np.inf),
    **dict.fromkeys(("self_repetition", "compression_ratio"), (0.0, np.inf)),
    "mean_cosine": (-1.0, 1.0),
}
"""Range of the figures that are not in [0, 1]; figures that count texts end at the number of texts."""

MIN_FACTORS = 5
"""Factors of MTLD in a sample that its interval needs: of 1.4 factors, in 20 comments, it held 87 % of truths."""

Figures = dict[str, float | None]


def diversity(
    corpus: Corpus | Sequence[str],
    reference: Corpus | Sequence[str] | None = None,
    *,
    seed: int = 0,
    sample_size: int | None = None,
    personas: Sequence[Mapping[str, str]] | None = None,
    vocabulary: SupportsIndex | None = None,
) -> dict[str, Any]:
    """Measure the diversity of a corpus.

    Args:
        corpus: texts, as a list or as a corpus; with labels, every label is measured too.
        reference: real texts, measured at the same number of texts; None: no comparison.
        seed: seed of all draws.
        sample_size: number of texts at which to measure. None: 1,000, or the size of the smaller corpus.
        personas: attributes of the persona of each text, for the keys `persona_*`.
        vocabulary: number of words available to the writer, for `ead_1`.

    Returns:
        A flat dictionary, described in the card of the metric; None marks a value that is not defined.

    Raises:
        ValueError: `sample_size` is larger than a corpus, or the vocabulary is smaller than that of the texts.

    """
    corpus, reference = to_corpus(corpus), None if reference is None else to_corpus(reference, "reference_")
    smallest = min(len(corpus), len(reference) if reference else len(corpus))
    count = min(SAMPLE_TEXTS, smallest) if sample_size is None else sample_size
    if count > smallest:
        raise ValueError(f"sample_size is {count}, wanted {smallest} or less: the smaller corpus has no more texts")
    tokens = [tokenise(text) for text in corpus.texts]
    centres = clusters.centres_of(reference.vectors, seed) if reference else None
    owners = None if personas is None or not personas[0] else groups_of_personas(personas)
    measure = partial(_at, corpus, tokens, centres)
    values, errors = rarefied(measure, [len(corpus)], count, seed, kept=KEPT, groups=owners, proportional=TEXT_COUNTS)
    result = {"n": len(corpus), "sample_size": count, **_of_all_texts(corpus, tokens, vocabulary), **values}
    errors["mtld"] = errors["mtld"] if _has_factors(values["mtld"], tokens, count) else None
    freedom = spread_freedom(DRAWS, len(corpus) if owners is None else int(owners.max()) + 1)
    bounds = {**dict.fromkeys(errors, UNIT), **BOUNDS, **dict.fromkeys(TEXT_COUNTS, (1.0, float(count)))}
    result |= {f"{name}_ci": bounded_interval(values[name], errors[name], bounds[name], freedom) for name in errors}
    if reference:
        real_tokens = [tokenise(text) for text in reference.texts]
        real = rarefied(partial(_at, reference, real_tokens, centres), [len(reference)], count, seed)[0]
        result |= {f"{name}_reference": value for name, value in real.items()}
    result |= _by_label(corpus, tokens, centres, count, seed)
    result |= _structure(corpus, seed)
    result |= _of_personas(corpus, personas, seed)
    return {**result, "seed": seed, "embedding_model": corpus.model}


def _has_factors(mtld: float | None, tokens: Sequence[Sequence[str]], count: int) -> bool:
    """Return whether so many texts hold enough factors of MTLD, which is the mean length of a factor in tokens."""
    return mtld is not None and sum(map(len, tokens)) * count / len(tokens) >= MIN_FACTORS * mtld


def semantic(vectors: Vectors) -> Figures:
    """Compute the spread of vectors: Vendi scores and mean cosine."""
    fractions = eigenvalues(vectors)
    return {
        "vendi_score": hill_number(fractions, 1),
        "vendi_score_0_5": hill_number(fractions, 0.5),
        "vendi_score_inf": hill_number(fractions, np.inf),
        "rke": hill_number(fractions, 2),
        "mean_cosine": mean_cosine(vectors),
    }


def _at(corpus: Corpus, tokens: Sequence[Sequence[str]], centres: Vectors | None, rows: Rows) -> Figures:
    """Compute all figures that depend on the number of texts, for some rows."""
    part, part_tokens = corpus.take(rows), [tokens[row] for row in rows]
    return {
        **lexical(part_tokens, part.texts),
        "homogenization_rouge_l": homogenization_rouge_l(part_tokens),
        **semantic(part.vectors),
        "cluster_entropy": None if centres is None else clusters.cluster_entropy(part.vectors, centres),
    }


def _of_all_texts(corpus: Corpus, tokens: Sequence[Sequence[str]], vocabulary: SupportsIndex | None) -> dict[str, Any]:
    """Compute the figures that are taken of all texts of a corpus."""
    return {
        **word_figures(tokens, corpus.texts, vocabulary),
        "duplicate_share": duplicate_fraction(corpus.texts),
        "silhouette": clusters.own_silhouette(corpus.vectors[:MAX_SILHOUETTE_TEXTS], 0),
    }


def _by_label(
    corpus: Corpus, tokens: Sequence[Sequence[str]], centres: Vectors | None, count: int, seed: int
) -> dict[str, Any]:
    """Measure every label at the same number of texts; labels with too few texts are left out."""
    if corpus.labels is None:
        return {}
    rows = {label: rows for label, rows in rows_by_label(corpus.labels).items() if len(rows) >= MIN_LABEL_TEXTS}
    if not rows:
        return {}
    equal = min(count, *map(len, rows.values()))
    figures: dict[str, dict[str, float | None]] = {}
    for label, numbers in rows.items():
        part, part_tokens = corpus.take(numbers), [tokens[row] for row in numbers]
        values = rarefied(partial(_at, part, part_tokens, centres), [len(part)], equal, seed, LABEL_DRAWS)[0]
        for name, value in values.items():
            figures.setdefault(f"{name}_by_label", {})[label] = value
    return {"sample_size_by_label": equal, **figures}


def _structure(corpus: Corpus, seed: int) -> dict[str, Any]:
    """Measure the separation of labels."""
    if corpus.labels is None:
        return {"between_label_variance": None, "knn_label_purity": None, "label_silhouette": None}
    groups = np.unique(corpus.labels, return_inverse=True)[1]
    return {
        "between_label_variance": clusters.between_group_variance(corpus.vectors, groups),
        "knn_label_purity": clusters.knn_purity(corpus.vectors, groups, seed),
        "label_silhouette": clusters.silhouette(corpus.vectors, groups),
    }


def _of_personas(corpus: Corpus, personas: Sequence[Mapping[str, str]] | None, seed: int) -> dict[str, Any]:
    """Measure the coverage of personas and their association with labels and texts."""
    if personas is None or not personas[0]:
        return {}
    fraction, p = persona_variance(corpus.vectors, personas, seed)
    figures: dict[str, Any] = {
        "persona_pair_coverage": pair_coverage(personas),
        "persona_evenness": evenness(personas),
        "persona_variance": fraction,
        "persona_variance_p": p,
    }
    if corpus.labels is not None:
        figures["persona_label_association"] = label_association(personas, corpus.labels)
        figures["persona_label_p"] = association_p(personas, corpus.labels, seed)
    return figures
