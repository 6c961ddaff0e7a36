"""All measures of realism: texts compared with real ones, and real texts with real ones at the same number of texts."""

import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from personagen.metrics.realism import labels, profiles
from personagen.metrics.realism.c2st import c2st_auc, groups_of, style_of
from personagen.metrics.realism.frechet import extrapolated_frechet
from personagen.metrics.realism.frontier import frontier
from personagen.metrics.realism.mmd import bandwidth, energy_distance, mmd2, mmd2_p
from personagen.metrics.realism.neighbours import neighbourhood
from personagen.metrics.realism.written_style import written_style
from personagen.metrics.statistics.intervals import Rows, disjoint_pairs, interval, mean, rarefied, spread
from personagen.metrics.statistics.matching import same_lengths
from personagen.metrics.texts.corpus import Corpus, to_corpus
from personagen.metrics.texts.inputs import Vectors
from personagen.metrics.texts.words import count_words, normalise, tokenise

SAMPLE_TEXTS = 1000
"""Default number of texts per side, if the reference has twice as many."""

DRAWS = 10
"""Random parts for the standard errors, and pairs of parts of the reference for the null."""

MIN_NULL_TEXTS = 10
"""Texts per side that a null needs."""

NEAR_COSINE = 0.95
"""Cosine from which on a text counts as a near copy of a real one."""

BLOCK_ROWS = 1024

NO_NEIGHBOURS: dict[str, float | None] = dict.fromkeys(
    ("precision", "recall", "density", "coverage", "authenticity", "novelty")
)

UNBOUNDED = ("mmd2", "energy_distance", "frechet_distance", "density", "novelty", "label_mmd2")
"""Figures that may lie outside [0, 1]."""

Figures = dict[str, float | None]


def realism(
    corpus: Corpus | Sequence[str],
    reference: Corpus | Sequence[str],
    *,
    seed: int = 0,
    sample_size: int | None = None,
) -> dict[str, Any]:
    """Measure the distance of texts from real ones.

    Every value is taken at `sample_size` texts per side. It comes with its null: the same between two parts of the
    reference of that size, the value of a perfect imitation.

    Args:
        corpus: texts, as a list or as a corpus, which can have labels.
        reference: real texts, likewise.
        seed: seed of all draws.
        sample_size: texts per side. None: 1,000, or fewer for fewer texts or fewer than twice as many real ones.

    Returns:
        A flat dictionary, described in the card of the metric; None marks a value that is not defined.

    Raises:
        ValueError: `sample_size` is larger than a side, or the vectors of the sides differ in width.

    """
    corpus, reference = to_corpus(corpus), to_corpus(reference, "reference_")
    if corpus.vectors.shape[1] != reference.vectors.shape[1]:
        widths = corpus.vectors.shape[1], reference.vectors.shape[1]
        raise ValueError(f"embeddings have {widths[0]} columns and reference_embeddings {widths[1]}, wanted the same")
    count = _sample_size(corpus, reference, sample_size)
    width = bandwidth(reference.vectors, seed)
    one, other = side_of(corpus), side_of(reference)
    result: dict[str, Any] = {"n": len(corpus), "n_reference": len(reference), "sample_size": count}
    result |= realism_at(one, other, width, count, seed)
    sides = [_different(side.take(_even_rows(len(side.corpus), count))) for side in (one, other)]
    result["mmd2_p"] = mmd2_p(sides[0], sides[1], width, seed)
    result["label_mmd2_by_label"] = labels.mmd2_by_label(corpus, reference, width)
    result |= _copies(corpus, reference) | _unknown_labels(corpus, reference)
    result |= written_style(corpus.texts, corpus.labels, reference.texts, reference.labels)
    return {**result, "bandwidth": width, "seed": seed, "embedding_model": corpus.model}


def realism_at(one: "Side", other: "Side", width: float, count: int, seed: int) -> dict[str, Any]:
    """Compute all figures of `compare` at a number of texts per side, with intervals and nulls.

    Args:
        one: texts.
        other: real texts.
        width: bandwidth of MMD.
        count: texts per side.
        seed: seed of all draws.

    """
    values, errors = rarefied(
        lambda rows, others: compare(one.take(rows), other.take(others), width, seed),
        [len(one.corpus), len(other.corpus)],
        count,
        seed,
        DRAWS,
    )
    null, null_spread = _null(other, width, count, seed)
    result: dict[str, Any] = {"mauve_star_sd": values.pop("mauve_star_sd")}
    for name, value in values.items():
        bounds = (-np.inf, np.inf) if name in UNBOUNDED else (0.0, 1.0)
        result[name] = value
        result[f"{name}_ci"] = interval(value, errors[name], bounds)
        result[f"{name}_null"] = null.get(name)
        result[f"{name}_null_ci"] = _prediction_interval(null.get(name), null_spread.get(name), bounds)
    return result


@dataclass(frozen=True, slots=True, eq=False)
class Side:
    """A corpus with the features of its texts, computed once for all parts of it.

    Attributes:
        corpus: texts, labels, vectors.
        tokens: tokens per text.
        lengths: words per text.
        style: see `style_of`.

    """

    corpus: Corpus
    tokens: Sequence[list[str]]
    lengths: Sequence[int]
    style: NDArray[np.float64]

    def take(self, rows: Rows) -> "Side":
        """Return the given rows, in the given order."""
        return Side(
            self.corpus.take(rows),
            [self.tokens[row] for row in rows],
            [self.lengths[row] for row in rows],
            self.style[rows],
        )


def side_of(corpus: Corpus) -> Side:
    """Compute the features of the texts of a corpus."""
    tokens = [tokenise(text) for text in corpus.texts]
    lengths = [count_words(text) for text in corpus.texts]
    return Side(corpus, tokens, lengths, style_of(corpus.texts))


def compare(one: Side, other: Side, width: float, seed: int) -> Figures:
    """Compare all texts of two corpora by every measure; see the card for each."""
    corpus, reference = one.corpus, other.corpus
    neighbours = neighbourhood(corpus.vectors, reference.vectors)
    front = frontier(corpus.vectors, reference.vectors, seed)
    return {
        "mmd2": mmd2(corpus.vectors, reference.vectors, width, seed),
        "energy_distance": energy_distance(corpus.vectors, reference.vectors),
        "frechet_distance": extrapolated_frechet(corpus.vectors, reference.vectors, seed),
        **dict(zip(("mauve_star", "mauve_star_sd", "fi_star"), front or (None, None, None), strict=True)),
        **(asdict(neighbours) if neighbours else NO_NEIGHBOURS),
        **_detection(one, other, seed),
        "js_label": _label_divergence(corpus, reference),
        "js_length": profiles.jensen_shannon(*(profiles.lengths(side.lengths) for side in (one, other))),
        "js_punctuation": profiles.jensen_shannon(*(profiles.punctuation(side.texts) for side in (corpus, reference))),
        "js_words": profiles.jensen_shannon(*(profiles.word_kinds(side.tokens) for side in (one, other))),
        "label_consistency": labels.label_consistency(corpus, reference),
        "label_mmd2": labels.label_mmd2(corpus, reference, width),
    }


def _sample_size(corpus: Corpus, reference: Corpus, wanted: int | None) -> int:
    smallest = min(len(corpus), len(reference))
    if wanted is None:
        half = len(reference) // 2
        return min(SAMPLE_TEXTS, len(corpus), half if half >= MIN_NULL_TEXTS else len(reference))
    if wanted > smallest:
        raise ValueError(f"sample_size is {wanted}, wanted {smallest} or less: the smaller side has no more texts")
    return wanted


def _null(real: Side, width: float, count: int, seed: int) -> tuple[Figures, Figures]:
    """Compare parts of the reference with each other; return means and spreads, empty for too few texts."""
    size = len(real.corpus)
    if 2 * count > size or count < MIN_NULL_TEXTS:
        return {}, {}
    drawn = [
        compare(real.take(rows), real.take(others), width, seed)
        for rows, others in disjoint_pairs(size, count, seed, DRAWS)
    ]
    names = drawn[0].keys()
    columns = {name: [figures[name] for figures in drawn] for name in names}
    return {name: mean(columns[name]) for name in names}, {name: spread(columns[name]) for name in names}


def _prediction_interval(
    value: float | None, deviation: float | None, bounds: tuple[float, float]
) -> list[float] | None:
    """Return the interval of 95 % of further values, from mean and standard deviation of `DRAWS` of them."""
    further = None if deviation is None else deviation * (1 + 1 / DRAWS) ** 0.5
    return interval(value, further, bounds, DRAWS - 1)


def _detection(one: Side, other: Side, seed: int) -> Figures:
    """Run the classifier test on vectors, on vectors of texts of equal lengths, and on style."""
    groups = groups_of([*one.tokens, *other.tokens])
    rows, others = same_lengths(one.lengths, other.lengths, seed)
    matched = np.concatenate([rows, others + len(one.lengths)])
    vectors = one.corpus.vectors, other.corpus.vectors
    return {
        "c2st_auc": c2st_auc(*vectors, groups, seed),
        "c2st_auc_length_matched": c2st_auc(vectors[0][rows], vectors[1][others], groups[matched], seed),
        "c2st_auc_style": c2st_auc(one.style, other.style, groups, seed),
    }


def _label_divergence(corpus: Corpus, reference: Corpus) -> float | None:
    if corpus.labels is None or reference.labels is None:
        return None
    return profiles.jensen_shannon(Counter(corpus.labels), Counter(reference.labels))


def _copies(corpus: Corpus, reference: Corpus) -> dict[str, Any]:
    """Return the fractions of texts that copy a real one: apart from case and white space, and nearly (by cosine)."""
    real = {normalise(text) for text in reference.texts}
    copied = sum(normalise(text) in real for text in corpus.texts)
    if copied:
        warnings.warn(
            f"{copied} of {len(corpus)} texts are in the references too: the figures show memory, not likeness",
            UserWarning,
            stacklevel=3,
        )
    nearest = np.concatenate(
        [
            (corpus.vectors[start : start + BLOCK_ROWS] @ reference.vectors.T).max(axis=1)
            for start in range(0, len(corpus), BLOCK_ROWS)
        ]
    )
    return {"copied_share": copied / len(corpus), "near_copied_share": float((nearest >= NEAR_COSINE).mean())}


def _unknown_labels(corpus: Corpus, reference: Corpus) -> dict[str, Any]:
    """Count the labels that the reference does not have; comparisons of labels leave their texts out."""
    if corpus.labels is None or reference.labels is None:
        return {"labels_unknown": None}
    unknown = sorted(set(corpus.labels) - set(reference.labels))
    if unknown:
        warnings.warn(
            f"labels {', '.join(unknown)[:200]} are not in the references: comparisons of labels leave them out",
            UserWarning,
            stacklevel=3,
        )
    return {"labels_unknown": len(unknown)}


def _different(side: Side) -> Vectors:
    """Return the vectors of the texts with different words, each once."""
    return side.corpus.vectors[np.unique(groups_of(side.tokens), return_index=True)[1]]


def _even_rows(size: int, count: int) -> Rows:
    """Return `count` of `size` row numbers, at equal distances."""
    return np.arange(count) * size // count
