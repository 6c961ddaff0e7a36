"""All measures of diversity together: of a corpus, beside a reference, and per label, at a stated number of texts."""

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import chain
from typing import Any, SupportsIndex

import numpy as np

from personagen.metrics.diversity import clusters
from personagen.metrics.diversity.lexical import validate_vocabulary, expected_words
from personagen.metrics.diversity.ngrams import (
    counts_by_order,
    distinct,
    number_words,
    self_bleu,
    self_repetition,
)
from personagen.metrics.diversity.personas import (
    association_p,
    evenness,
    label_association,
    pair_coverage,
    persona_variance,
)
from personagen.metrics.diversity.redundancy import compression_ratio
from personagen.metrics.diversity.richness import hdd, mattr, mtld
from personagen.metrics.diversity.rouge import homogenization_rouge_l
from personagen.metrics.diversity.spectrum import eigenvalues, hill_number, mean_cosine
from personagen.metrics.statistics.intervals import Rows, interval, rarefied
from personagen.metrics.texts.corpus import Corpus
from personagen.metrics.texts.inputs import Vectors, rows_by_label
from personagen.metrics.texts.words import count_words, normalise, tokenise

SAMPLE = 1000
"""Texts at which a corpus is measured, if it has so many: nearly every measure depends on their number."""

LABEL_DRAWS = 5
"""Parts that are drawn of each label; a second standard error a label would take more time than it tells."""

FEWEST = 10
"""Texts that a label needs to be measured alone."""

UNIT = (0.0, 1.0)

BOUNDS = {
    **dict.fromkeys(("vendi_score", "vendi_score_0_5", "vendi_score_inf", "rke", "mtld"), (1.0, np.inf)),
    **dict.fromkeys(("self_repetition", "compression_ratio"), (0.0, np.inf)),
    "mean_cosine": (-1.0, 1.0),
}
"""What a figure can be, where it is not a share."""

Figures = dict[str, float | None]


def diversity(
    corpus: Corpus,
    reference: Corpus | None = None,
    *,
    seed: int = 0,
    sample_size: int | None = None,
    personas: Sequence[Mapping[str, str]] | None = None,
    vocabulary: SupportsIndex | None = None,
) -> dict[str, Any]:
    """Measure how diverse a corpus is.

    Args:
        corpus: the texts; with labels they are measured per label too.
        reference: real texts to set beside; measured at the same number of texts.
        seed: of all draws.
        sample_size: number of texts at which to measure; None for 1,000, or for as many as both corpora have.
        personas: attributes of the persona behind each text, for the keys that begin with `persona_`.
        vocabulary: number of words that the writer might have used, for `ead_1`.

    Returns:
        A flat dictionary, described in the card of the metric; None stands where there is no number.

    Raises:
        ValueError: `sample_size` is larger than a corpus, or the vocabulary is smaller than that of the texts.

    """
    smallest = min(len(corpus), len(reference) if reference else len(corpus))
    count = min(SAMPLE, smallest) if sample_size is None else sample_size
    if count > smallest:
        raise ValueError(f"sample_size is {count}, wanted {smallest} or less: the smaller corpus has no more texts")
    words = [tokenise(text) for text in corpus.texts]
    centres = clusters.centres_of(reference.vectors, seed) if reference else None
    values, errors = rarefied(partial(_at, corpus, words, centres), [len(corpus)], count, seed)
    result: dict[str, Any] = {"n": len(corpus), "sample_size": count, **_whole(corpus, words, vocabulary)}
    result |= values
    result |= {f"{name}_ci": interval(values[name], error, BOUNDS.get(name, UNIT)) for name, error in errors.items()}
    if reference:
        real_words = [tokenise(text) for text in reference.texts]
        real = rarefied(partial(_at, reference, real_words, centres), [len(reference)], count, seed)[0]
        result |= {f"{name}_reference": value for name, value in real.items()}
    result |= _by_label(corpus, words, centres, count, seed)
    result |= _structure(corpus, seed)
    result |= _of_personas(corpus, personas, seed)
    return {**result, "seed": seed, "embedding_model": corpus.model}


def lexical(words: Sequence[Sequence[str]], texts: Sequence[str]) -> Figures:
    """Measure words, n-grams and bytes; see the card for each."""
    numbered = number_words(words)
    counts = counts_by_order(numbered)
    joined = list(chain.from_iterable(words))
    several = len(words) > 1
    return {
        **{f"distinct_{order}": distinct(table) for order, table in enumerate(counts, 1)},
        "self_bleu": float(self_bleu(numbered, counts).mean()) if several else None,
        "self_repetition": float(self_repetition(counts[-1], len(words)).mean()) if several else None,
        "compression_ratio": compression_ratio(texts),
        "hdd": hdd(joined),
        "mattr": mattr(joined),
        "mtld": mtld(joined),
    }


def semantic(vectors: Vectors) -> Figures:
    """Measure the spread of vectors."""
    shares = eigenvalues(vectors)
    return {
        "vendi_score": hill_number(shares, 1),
        "vendi_score_0_5": hill_number(shares, 0.5),
        "vendi_score_inf": hill_number(shares, np.inf),
        "rke": hill_number(shares, 2),
        "mean_cosine": mean_cosine(vectors),
    }


def _at(corpus: Corpus, words: Sequence[Sequence[str]], centres: Vectors | None, rows: Rows) -> Figures:
    """Measure some rows by all that depends on their number."""
    taken, chosen = corpus.take(rows), [words[row] for row in rows]
    return {
        **lexical(chosen, taken.texts),
        "homogenization_rouge_l": homogenization_rouge_l(chosen),
        **semantic(taken.vectors),
        "cluster_entropy": None if centres is None else clusters.cluster_entropy(taken.vectors, centres),
    }


def _whole(corpus: Corpus, words: Sequence[Sequence[str]], vocabulary: SupportsIndex | None) -> dict[str, Any]:
    """Measure the whole corpus by what is told of all its texts."""
    size = None if vocabulary is None else validate_vocabulary(vocabulary)
    kinds = Counter(chain.from_iterable(words))
    total = kinds.total()
    if size is not None and size < len(kinds):
        raise ValueError(f"vocabulary is {size}, wanted {len(kinds)} or more: so many different words are in the texts")
    repeats = len(corpus) - len({normalise(text) for text in corpus.texts})
    return {
        "mean_words": sum(map(count_words, corpus.texts)) / len(corpus),
        "duplicate_share": repeats / len(corpus),
        "ead_1": len(kinds) / expected_words(size, total) if size and total else None,
        "ead_vocabulary": size,
        "silhouette": clusters.own_silhouette(corpus.vectors[:20_000], 0),
    }


def _by_label(
    corpus: Corpus, words: Sequence[Sequence[str]], centres: Vectors | None, count: int, seed: int
) -> dict[str, Any]:
    """Measure each label alone, all at the same number of texts; a label of too few texts is left out."""
    if corpus.labels is None:
        return {}
    rows = {label: found for label, found in rows_by_label(corpus.labels).items() if len(found) >= FEWEST}
    if not rows:
        return {}
    equal = min(count, *map(len, rows.values()))
    found: dict[str, dict[str, float | None]] = {}
    for label, places in rows.items():
        part, chosen = corpus.take(places), [words[row] for row in places]
        values = rarefied(partial(_at, part, chosen, centres), [len(part)], equal, seed, LABEL_DRAWS)[0]
        for name, value in values.items():
            found.setdefault(f"{name}_by_label", {})[label] = value
    return {"sample_size_by_label": equal, **found}


def _structure(corpus: Corpus, seed: int) -> dict[str, Any]:
    """Measure how far labels lie apart."""
    if corpus.labels is None:
        return {"between_label_variance": None, "knn_label_purity": None, "label_silhouette": None}
    groups = np.unique(corpus.labels, return_inverse=True)[1]
    return {
        "between_label_variance": clusters.between_group_variance(corpus.vectors, groups),
        "knn_label_purity": clusters.knn_purity(corpus.vectors, groups, seed),
        "label_silhouette": clusters.silhouette(corpus.vectors, groups),
    }


def _of_personas(corpus: Corpus, given: Sequence[Mapping[str, str]] | None, seed: int) -> dict[str, Any]:
    """Measure what personas cover, and what labels and texts have to do with them."""
    if given is None or not given[0]:
        return {}
    share, chance = persona_variance(corpus.vectors, given, seed)
    found: dict[str, Any] = {
        "persona_pair_coverage": pair_coverage(given),
        "persona_evenness": evenness(given),
        "persona_variance": share,
        "persona_variance_p": chance,
    }
    if corpus.labels is not None:
        found["persona_label_association"] = label_association(given, corpus.labels)
        found["persona_label_p"] = association_p(given, corpus.labels, seed)
    return found
