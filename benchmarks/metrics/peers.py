"""The peers' side of each case, in the Python of their environment: `python benchmarks/metrics/peers.py CASE INPUT`.

Nothing of PersonaGen is imported. What would take hours is done for some texts, and the time multiplied: `share` is the
part that was done.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))
from benchmarks.metrics.timing import LABELS, Case, Part, run


def fast_bleu(case: Case) -> Any:
    """Score every text against all others, as fast-bleu does in C++."""
    from fast_bleu import SelfBLEU

    scores = SelfBLEU(case.words, {"bleu": (0.25, 0.25, 0.25, 0.25)}).get_score()
    return scores["bleu"]


def nltk_bleu(case: Case) -> Any:
    """Score 20 texts against all others."""
    from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu

    smooth = SmoothingFunction().method1
    count = 20
    scores = [
        sentence_bleu(case.words[:row] + case.words[row + 1 :], case.words[row], smoothing_function=smooth)
        for row in range(count)
    ]
    return Part(scores, count / len(case.words))


def rouge(case: Case) -> Any:
    """Score all pairs of 60 texts."""
    from itertools import combinations

    from rouge_score.rouge_scorer import RougeScorer

    class Split:
        def tokenize(self, text: str) -> list[str]:
            return text.split()

    scorer = RougeScorer(["rougeL"], tokenizer=Split())
    count = 60
    lines = [" ".join(words) for words in case.words[:count]]
    scores = [scorer.score(*pair)["rougeL"].fmeasure for pair in combinations(lines, 2)]
    return Part(float(np.mean(scores)), len(scores) / (len(case.words) * (len(case.words) - 1) / 2))


def vendi_dual(case: Case) -> Any:
    """Compute the dual form."""
    from vendi_score import vendi

    return vendi.score_dual(case.one.astype(np.float64), normalize=True)


def vendi_primal(case: Case) -> Any:
    """Compute the form of the n x n kernel, the default."""
    from vendi_score import vendi

    return vendi.score_X(case.one.astype(np.float64), normalize=True)


def mean_cosine(case: Case) -> Any:
    """Compute the mean off the diagonal of the whole matrix."""
    from sklearn.metrics.pairwise import cosine_similarity

    alike = cosine_similarity(case.one)
    count = len(alike)
    return (float(alike.sum(dtype=np.float64)) - count) / (count * (count - 1))


def silhouette(case: Case) -> Any:
    """Compute the cosine silhouette by scikit-learn."""
    from sklearn.metrics import silhouette_score

    return silhouette_score(case.one, np.arange(len(case.one)) % LABELS, metric="cosine")


def prdc(case: Case) -> Any:
    """Compute them by the package of the authors of density and coverage."""
    import contextlib
    import io

    from prdc import compute_prdc

    with contextlib.redirect_stdout(io.StringIO()):
        found = compute_prdc(case.other.astype(np.float64), case.one.astype(np.float64), nearest_k=5)
    return [found[name] for name in ("precision", "recall", "density", "coverage")]


def frechet(case: Case) -> Any:
    """Compute the distance with SciPy's matrix root."""
    from scipy.linalg import sqrtm

    one, other = (side.astype(np.float64) for side in (case.one, case.other))
    covariances = np.cov(one, rowvar=False), np.cov(other, rowvar=False)
    root = sqrtm(covariances[0] @ covariances[1]).real
    shift = np.square(one.mean(axis=0) - other.mean(axis=0)).sum()
    return float(shift + np.trace(covariances[0]) + np.trace(covariances[1]) - 2 * np.trace(root))


def mmd2(case: Case) -> Any:
    """Compute MMD with scikit-learn's kernels, whole matrices."""
    from sklearn.metrics.pairwise import euclidean_distances, rbf_kernel

    rows = np.random.default_rng([0, 5]).choice(len(case.other), size=min(1000, len(case.other)), replace=False)
    sample = case.other[rows] if len(case.other) > len(rows) else case.other
    apart = euclidean_distances(sample.astype(np.float64))[np.triu_indices(len(sample), 1)]
    gamma = 1 / (2 * float(np.median(apart)) ** 2)
    n, m = len(case.one), len(case.other)
    within = (rbf_kernel(case.one, gamma=gamma).sum(dtype=np.float64) - n) / (n * (n - 1))
    within += (rbf_kernel(case.other, gamma=gamma).sum(dtype=np.float64) - m) / (m * (m - 1))
    return within - 2 * rbf_kernel(case.one, case.other, gamma=gamma).mean(dtype=np.float64)


def energy(case: Case) -> Any:
    """Compute the energy distance with scikit-learn's distances, whole matrices."""
    from sklearn.metrics.pairwise import euclidean_distances

    one, other = (side.astype(np.float64) for side in (case.one, case.other))
    n, m = len(one), len(other)
    across = 2 * euclidean_distances(one, other).mean()
    return across - sum(
        euclidean_distances(side).sum() / (count * (count - 1)) for side, count in ((one, n), (other, m))
    )


def mauve(case: Case) -> Any:
    """Compute MAUVE by the package of its authors with its defaults: a tenth as many clusters as texts."""
    import mauve as package

    return package.compute_mauve(p_features=case.one, q_features=case.other, verbose=False, seed=25).mauve


CASES: dict[str, Callable[[Case], Any]] = {
    "self_bleu": fast_bleu,
    "self_bleu_nltk": nltk_bleu,
    "rouge_l": rouge,
    "vendi": vendi_dual,
    "vendi_primal": vendi_primal,
    "mean_cosine": mean_cosine,
    "silhouette": silhouette,
    "prdc": prdc,
    "frechet": frechet,
    "mmd2": mmd2,
    "energy": energy,
    "mauve": mauve,
}

if __name__ == "__main__":
    run(CASES, Path(__file__).stem)
