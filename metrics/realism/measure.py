"""All measures of realism together: texts against real ones, beside real against real at the same number of texts."""

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
from personagen.metrics.statistics.intervals import Rows, disjoint_pairs, interval, mean, rarefied, spread
from personagen.metrics.statistics.matching import same_lengths
from personagen.metrics.texts.corpus import Corpus
from personagen.metrics.texts.words import count_words, normalise

SAMPLE = 1000
"""Texts a side at which two corpora are compared, if the reference has twice as many."""

DRAWS = 10
"""Parts that give the standard error, and pairs of parts of the reference that give the null."""

FEWEST = 10
"""Texts a side that a null needs."""

NEAR = 0.95
"""Cosine from which on a text counts as nearly a real one."""

BLOCK = 1024

NOTHING_NEAR: dict[str, float | None] = dict.fromkeys(
    ("precision", "recall", "density", "coverage", "authenticity", "novelty")
)

UNBOUNDED = ("mmd2", "energy_distance", "frechet_distance", "density", "novelty", "label_mmd2")
"""Figures that may lie outside [0, 1]."""

Figures = dict[str, float | None]


def realism(corpus: Corpus, reference: Corpus, *, seed: int = 0, sample_size: int | None = None) -> dict[str, Any]:
    """Measure how far texts are from real ones.

    Every value is taken at `sample_size` texts a side, and stands beside its null: the same between two parts of the
    reference of that size, which is what a perfect imitation would get.

    Args:
        corpus: the texts.
        reference: real texts.
        seed: of all draws.
        sample_size: texts a side; None for 1,000, or fewer where there are not so many, or not twice as many real ones.

    Returns:
        A flat dictionary, described in the card of the metric; None stands where there is no number.

    Raises:
        ValueError: `sample_size` is larger than a side; or the vectors of the two sides have different widths.

    """
    if corpus.vectors.shape[1] != reference.vectors.shape[1]:
        widths = corpus.vectors.shape[1], reference.vectors.shape[1]
        raise ValueError(f"embeddings have {widths[0]} columns and reference_embeddings {widths[1]}, wanted the same")
    count = _size(corpus, reference, sample_size)
    width = bandwidth(reference.vectors, seed)
    one, other = side_of(corpus), side_of(reference)
    values, errors = rarefied(
        lambda rows, others: compare(one.take(rows), other.take(others), width, seed),
        [len(corpus), len(reference)],
        count,
        seed,
        DRAWS,
    )
    null, null_spread = _null(other, width, count, seed)
    result: dict[str, Any] = {"n": len(corpus), "n_reference": len(reference), "sample_size": count}
    result["mauve_star_sd"] = values.pop("mauve_star_sd")
    for name, value in values.items():
        bounds = (-np.inf, np.inf) if name in UNBOUNDED else (0.0, 1.0)
        result[name] = value
        result[f"{name}_ci"] = interval(value, errors[name], bounds)
        result[f"{name}_null"] = null.get(name)
        result[f"{name}_null_ci"] = interval(null.get(name), null_spread.get(name), bounds)
    sides = [side.vectors[_even(len(side), count)] for side in (corpus, reference)]
    result["mmd2_p"] = mmd2_p(sides[0], sides[1], width, seed) if count > 1 else None
    result["label_mmd2_by_label"] = labels.mmd2_by_label(corpus, reference, width)
    result |= _overlap(corpus, reference) | _unknown(corpus, reference)
    return {**result, "bandwidth": width, "seed": seed, "embedding_model": corpus.model}


@dataclass(frozen=True, slots=True, eq=False)
class Side:
    """A corpus with what takes time to find out and is the same in every part of it.

    Attributes:
        corpus: texts, labels, vectors.
        tokens: of each text.
        lengths: of each text, in words.
        style: see `style_of`.

    """

    corpus: Corpus
    tokens: Sequence[list[str]]
    lengths: Sequence[int]
    style: NDArray[np.float64]

    def take(self, rows: Rows) -> "Side":
        """Pick some rows, in the order given."""
        return Side(
            self.corpus.take(rows),
            [self.tokens[row] for row in rows],
            [self.lengths[row] for row in rows],
            self.style[rows],
        )


def side_of(corpus: Corpus) -> Side:
    """Find out about a corpus what does not depend on the other."""
    lengths = [count_words(text) for text in corpus.texts]
    return Side(corpus, profiles.tokens_by_text(corpus.texts), lengths, style_of(corpus.texts))


def compare(one: Side, other: Side, width: float, seed: int) -> Figures:
    """Compare two corpora by every measure, all of both; see the card for each."""
    corpus, reference = one.corpus, other.corpus
    near = neighbourhood(corpus.vectors, reference.vectors)
    front = frontier(corpus.vectors, reference.vectors, seed)
    return {
        "mmd2": mmd2(corpus.vectors, reference.vectors, width, seed),
        "energy_distance": energy_distance(corpus.vectors, reference.vectors),
        "frechet_distance": extrapolated_frechet(corpus.vectors, reference.vectors, seed),
        **dict(zip(("mauve_star", "mauve_star_sd", "fi_star"), front or (None, None, None), strict=True)),
        **(asdict(near) if near else NOTHING_NEAR),
        **_detection(one, other, seed),
        "js_label": _label_shares(corpus, reference),
        "js_length": profiles.jensen_shannon(*(profiles.lengths(side.lengths) for side in (one, other))),
        "js_punctuation": profiles.jensen_shannon(*(profiles.punctuation(side.texts) for side in (corpus, reference))),
        "js_words": profiles.jensen_shannon(*(profiles.word_kinds(side.tokens) for side in (one, other))),
        "label_consistency": labels.label_consistency(corpus, reference),
        "label_mmd2": labels.label_mmd2(corpus, reference, width),
    }


def _size(corpus: Corpus, reference: Corpus, wanted: int | None) -> int:
    smallest = min(len(corpus), len(reference))
    if wanted is None:
        half = len(reference) // 2
        return min(SAMPLE, len(corpus), half if half >= FEWEST else len(reference))
    if wanted > smallest:
        raise ValueError(f"sample_size is {wanted}, wanted {smallest} or less: the smaller side has no more texts")
    return wanted


def _null(real: Side, width: float, count: int, seed: int) -> tuple[Figures, Figures]:
    """Compare parts of the reference with each other; empty where it has too few texts for two parts."""
    size = len(real.corpus)
    if 2 * count > size or count < FEWEST:
        return {}, {}
    drawn = [
        compare(real.take(rows), real.take(others), width, seed)
        for rows, others in disjoint_pairs(size, count, seed, DRAWS)
    ]
    names = drawn[0].keys()
    columns = {name: [figures[name] for figures in drawn] for name in names}
    return {name: mean(columns[name]) for name in names}, {name: spread(columns[name]) for name in names}


def _detection(one: Side, other: Side, seed: int) -> Figures:
    """Try to tell the texts from real ones: by what they say, by that at equal lengths, and by how they are written."""
    groups = groups_of([*one.tokens, *other.tokens])
    rows, others = same_lengths(one.lengths, other.lengths, seed)
    matched = np.concatenate([rows, others + len(one.lengths)])
    vectors = one.corpus.vectors, other.corpus.vectors
    return {
        "c2st_auc": c2st_auc(*vectors, groups, seed),
        "c2st_auc_length_matched": c2st_auc(vectors[0][rows], vectors[1][others], groups[matched], seed),
        "c2st_auc_style": c2st_auc(one.style, other.style, groups, seed),
    }


def _label_shares(corpus: Corpus, reference: Corpus) -> float | None:
    if corpus.labels is None or reference.labels is None:
        return None
    return profiles.jensen_shannon(Counter(corpus.labels), Counter(reference.labels))


def _overlap(corpus: Corpus, reference: Corpus) -> dict[str, Any]:
    """Tell the shares of texts that are in the reference: but for case and white space, and nearly."""
    real = {normalise(text) for text in reference.texts}
    copied = sum(normalise(text) in real for text in corpus.texts)
    if copied:
        warnings.warn(
            f"{copied} of {len(corpus)} texts are in the references too: what is measured here is memory, not likeness",
            UserWarning,
            stacklevel=3,
        )
    nearest = np.concatenate(
        [
            (corpus.vectors[start : start + BLOCK] @ reference.vectors.T).max(axis=1)
            for start in range(0, len(corpus), BLOCK)
        ]
    )
    return {"copied_share": copied / len(corpus), "near_copied_share": float((nearest >= NEAR).mean())}


def _unknown(corpus: Corpus, reference: Corpus) -> dict[str, Any]:
    """List the labels that the reference does not have; texts with them are left out where labels are compared."""
    if corpus.labels is None or reference.labels is None:
        return {"labels_unknown": None}
    unknown = sorted(set(corpus.labels) - set(reference.labels))
    if unknown:
        warnings.warn(
            f"labels {', '.join(unknown)[:200]} are not in the references: their texts are left out where labels count",
            UserWarning,
            stacklevel=3,
        )
    return {"labels_unknown": len(unknown)}


def _even(size: int, count: int) -> Rows:
    """Number `count` rows of `size`, at equal distances."""
    return np.arange(count) * size // count
