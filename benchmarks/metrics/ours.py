"""Our side of each case, in a process of its own: `python -m benchmarks.metrics.ours CASE INPUT`."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.metrics.timing import LABELS, Case, run
from personagen.metrics.diversity.clusters import silhouette
from personagen.metrics.diversity.lexical import lexical
from personagen.metrics.diversity.measure import semantic
from personagen.metrics.diversity.ngrams import counts_by_order, number_tokens, self_bleu
from personagen.metrics.diversity.rouge import homogenization_rouge_l
from personagen.metrics.diversity.spectrum import eigenvalues, hill_number, mean_cosine
from personagen.metrics.realism.c2st import c2st_auc, groups_of
from personagen.metrics.realism.frechet import extrapolated_frechet, frechet_distance
from personagen.metrics.realism.frontier import mauve, principal, smoothed
from personagen.metrics.realism.measure import compare, side_of
from personagen.metrics.realism.mmd import MAX_EXACT_ROWS, bandwidth, energy_distance, mmd2
from personagen.metrics.realism.neighbours import neighbourhood
from personagen.metrics.realism.profiles import jensen_shannon, lengths, punctuation, word_kinds
from personagen.metrics.texts.corpus import Corpus
from personagen.metrics.texts.words import count_words, tokenise


def bleu(case: Case) -> Any:
    """Compute self-BLEU of every text."""
    numbered = number_tokens(case.words)
    return self_bleu(numbered, counts_by_order(numbered))


def neighbours(case: Case) -> Any:
    """Compute precision, recall, density and coverage."""
    found = neighbourhood(case.one, case.other)
    return found and (found.precision, found.recall, found.density, found.coverage)


def clustered_mauve(case: Case) -> Any:
    """Compute MAUVE with its authors' number of clusters."""
    from personagen.metrics.statistics.clustering import kmeans

    both = principal(np.concatenate([case.one, case.other]))
    k = max(2, round(len(case.one) / 10))
    assignment = kmeans(both, k, 0).assignment
    parts = np.split(assignment, [len(case.one)])
    return mauve(*(smoothed(np.bincount(part, minlength=k)) for part in parts))


def exact_mmd(case: Case) -> Any:
    """Compute MMD with a Gaussian kernel; exact up to the limit of the module."""
    return mmd2(case.one, case.other, bandwidth(case.other, 0))


def exact_energy(case: Case) -> Any:
    """Compute the energy distance of at most 5,000 texts per side."""
    return energy_distance(case.one, case.other) if len(case.one) <= MAX_EXACT_ROWS else None


def diversity_core(case: Case) -> Any:
    """Compute all measures of words, bytes and vectors except those over pairs of texts."""
    found = {**lexical(case.words, case.texts), **semantic(case.one)}
    return found["vendi_score"]


def realism_core(case: Case) -> Any:
    """Compute neighbours, authenticity, MMD, Frechet distance, profiles and the classifier test."""
    tokens = [tokenise(text) for text in case.texts]
    half = len(tokens) // 2
    counts = [count_words(text) for text in case.texts]
    profiles = [
        jensen_shannon(lengths(counts[:half]), lengths(counts[half:])),
        jensen_shannon(word_kinds(tokens[:half]), word_kinds(tokens[half:])),
    ]
    profiles.append(jensen_shannon(punctuation(case.texts[:half]), punctuation(case.texts[half:])))
    groups = groups_of([*tokens, *([str(row)] for row in range(len(tokens)))])
    near = neighbourhood(case.one, case.other)
    value = mmd2(case.one, case.other, bandwidth(case.other, 0))
    return (
        near,
        value,
        extrapolated_frechet(case.one, case.other, 0),
        c2st_auc(case.one, case.other, groups, 0),
    ) and value


def realism_all(case: Case) -> Any:
    """Compute every measure of realism, with MAUVE* and FI* over five seeds."""
    sides = [side_of(Corpus(case.texts, None, vectors, "given")) for vectors in (case.one, case.other)]
    return compare(sides[0], sides[1], bandwidth(case.other, 0), 0)["mmd2"]


CASES: dict[str, Callable[[Case], Any]] = {
    "self_bleu": bleu,
    "self_bleu_nltk": bleu,
    "rouge_l": lambda case: homogenization_rouge_l(case.words),
    "vendi": lambda case: hill_number(eigenvalues(case.one), 1),
    "vendi_primal": lambda case: hill_number(eigenvalues(case.one), 1),
    "mean_cosine": lambda case: mean_cosine(case.one),
    "silhouette": lambda case: silhouette(case.one, np.arange(len(case.one)) % LABELS),
    "prdc": neighbours,
    "frechet": lambda case: frechet_distance(case.one, case.other),
    "mmd2": exact_mmd,
    "energy": exact_energy,
    "mauve": clustered_mauve,
    "diversity core": diversity_core,
    "realism core": realism_core,
    "realism, all of it": realism_all,
}

if __name__ == "__main__":
    run(CASES, Path(__file__).stem)
