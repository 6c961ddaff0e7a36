"""The properties of docs/metrics.md with their figures: `python -m benchmarks.metrics.validity`, two minutes.

Comments of the slice of GoEmotions, vectors of the default model; the tests hold the same properties with cheap ones.
"""

from collections.abc import Callable

import numpy as np

from personagen.metrics.diversity.clusters import silhouette
from personagen.metrics.diversity.lexical import lexical
from personagen.metrics.diversity.ngrams import counts_by_order, number_tokens, self_bleu
from personagen.metrics.diversity.redundancy import compression_ratio
from personagen.metrics.diversity.spectrum import eigenvalues, hill_number, mean_cosine
from personagen.metrics.realism.c2st import c2st_auc, groups_of
from personagen.metrics.realism.frechet import extrapolated_frechet, frechet_distance
from personagen.metrics.realism.labels import label_consistency, label_mmd2
from personagen.metrics.realism.mmd import bandwidth, mmd2
from personagen.metrics.realism.neighbours import Neighbourhood, neighbourhood
from personagen.metrics.texts.corpus import Corpus, read_corpus
from personagen.metrics.texts.inputs import Vectors
from personagen.metrics.texts.reference import load_reference
from personagen.metrics.texts.words import tokenise
from personagen.metrics.utility.probe import predict_from_vectors
from personagen.metrics.utility.transfer import TransferSetting, transfer
from tests.helpers.real_texts import half_twice

Line = tuple[str, str, str]


def unit(rows: object) -> Vectors:
    """Normalise rows to length 1."""
    read = np.asarray(rows, dtype=np.float64)
    return np.asarray(read / np.linalg.norm(read, axis=1, keepdims=True), dtype=np.float32)


def vendi(vectors: Vectors, order: float = 1) -> float:
    """Return the Vendi score."""
    return hill_number(eigenvalues(vectors), order)


def near(one: Vectors, other: Vectors) -> Neighbourhood:
    """Return the nearest-neighbour measures."""
    found = neighbourhood(one, other)
    assert found is not None
    return found


def auc(one: Vectors, other: Vectors) -> float:
    """Return the AUC of the classifier two-sample test, for sets without copies."""
    return c2st_auc(one, other, groups_of([[str(row)] for row in range(len(one) + len(other))]), 0) or 0.0


def diversity_lines(texts: list[str], vectors: Vectors) -> list[Line]:
    """Measure V1 to V11."""
    generator = np.random.default_rng(0)
    copies = number_tokens([["the", "bus", "was", "late", "again"]] * 50)
    turned = unit(vectors @ np.linalg.qr(generator.normal(size=(vectors.shape[1],) * 2))[0])
    centre = vectors.mean(axis=0) / np.linalg.norm(vectors.mean(axis=0))
    shrunk = unit(0.3 * vectors + 0.7 * centre)
    noisy = unit(vectors + generator.normal(scale=0.04, size=vectors.shape))
    words = [tokenise(text) for text in texts]
    twice = half_twice(texts)
    clean, halved = lexical(words, texts), lexical([tokenise(text) for text in twice], twice)
    order = generator.permutation(len(texts))
    moved = lexical([words[row] for row in order], [texts[row] for row in order])
    groups = np.arange(len(vectors)) % 7
    scores = [vendi(vectors, q) for q in (0.5, 1, 2, np.inf)]
    once, often = compression_ratio(texts), compression_ratio(texts * 2)
    pair = unit([[1, 0], [0.6, 0.8]])
    same = max(abs((moved[key] or 0) - (clean[key] or 0)) for key in ("self_bleu", "distinct_2", "hdd"))
    apart = abs((silhouette(turned, groups) or 0) - (silhouette(vectors, groups) or 0))
    return [
        ("V1", "50 copies: Vendi, self-BLEU", f"{vendi(unit([[0.6, 0.8]] * 50)):.6f}, "
         f"{self_bleu(copies, counts_by_order(copies)).mean():.6f}"),
        ("V2", "100 orthogonal: Vendi", f"{vendi(np.eye(100, dtype=np.float32)):.6f}"),
        ("V3", "7 groups of 30; groups 5:3:2", f"{vendi(np.eye(7, dtype=np.float32).repeat(30, axis=0)):.6f}; "
         f"{vendi(np.eye(3, dtype=np.float32).repeat([5, 3, 2], axis=0)):.4f}"),
        ("V4", "two texts of cosine 0.6", f"{vendi(pair):.4f}"),
        ("V5", "Vendi of order 0.5, 1, 2, infinity", " >= ".join(f"{score:.1f}" for score in scores)),
        ("V6", "texts in another order: largest change", f"{same:.1g}"),
        ("V7", "vectors rotated: change of Vendi, silhouette", f"{abs(vendi(turned) - scores[1]):.1g}, {apart:.1g}"),
        ("V8", "half copied: distinct_2, self-BLEU", f"{clean['distinct_2']:.3f} -> {halved['distinct_2']:.3f}, "
         f"{clean['self_bleu']:.3f} -> {halved['self_bleu']:.3f}"),
        ("V9", "all twice: compression; Vendi", f"{once:.2f} -> {often:.2f}; {scores[1]:.1f} -> "
         f"{vendi(np.concatenate([vectors, vectors])):.1f}"),
        ("V10", "drawn to the mean: Vendi, cosine", f"{vendi(shrunk):.2f}, {mean_cosine(shrunk):.3f}"),
        ("V11", "noise of 0.04: Vendi; MMD^2", f"{scores[1]:.0f} -> {vendi(noisy):.0f}; "
         f"{mmd2(noisy, vectors, bandwidth(vectors, 0)):.2g}"),
    ]  # fmt: skip


def realism_lines(train: Corpus) -> list[Line]:
    """Measure R1 to R9; 1,000 texts per side."""
    generator = np.random.default_rng(1)
    order = generator.permutation(len(train))
    one, other = train.take(order[:1000]), train.take(order[1000:2000])
    x, y = one.vectors, other.vectors
    width = bandwidth(y, 0)
    junk = unit(generator.normal(size=x.shape))
    steps: list[Vectors] = [np.concatenate([junk[: 200 * step], x[200 * step :]]) for step in range(5)]
    few = train.take([row for row in order[:2000] if (train.labels or [])[row] in ("joy", "anger")])
    rest = train.take(order[2000:])
    as_many = train.take(order[: len(few)])
    shuffled = Corpus(one.texts, [(one.labels or [])[row] for row in generator.permutation(1000)], x, one.model)
    odd, away = np.zeros(x.shape[1]), np.asarray(y, dtype=np.float64)
    odd[-1] = 1
    away[:, -1] = 0
    planted = unit(np.concatenate([x, odd + generator.normal(size=(50, len(odd))) * 0.02]))
    before, after = near(planted, unit(away)), near(planted, np.concatenate([unit(away), unit([odd])]))
    itself, swapped = near(x, x), near(y, x)
    halves = near(np.concatenate([y[:500], x[:500]]), y)
    junked = ", ".join(f"{mmd2(step, y, width):.2g}" for step in steps)
    return [
        ("R1", "against itself: Frechet, MMD^2, authenticity", f"{frechet_distance(x, x):.1g}, "
         f"{mmd2(x, x, width):.1g}, {itself.authenticity}"),
        ("R2", "two samples: C2ST, MMD^2, extrapolated Frechet", f"{auc(x, y):.3f}, {mmd2(x, y, width):.1g}, "
         f"{extrapolated_frechet(x, y, 0):.1g}"),
        ("R3", "swapped: precision is recall", f"{near(x, y).precision:.3f} = {swapped.recall:.3f}"),
        ("R4", "0, 20, 40, 60, 80 % junk: MMD^2", junked),
        ("R5", "two labels of seven v as many of all: C2ST; MMD^2; coverage",
         f"{auc(few.vectors, rest.vectors):.3f} v {auc(as_many.vectors, rest.vectors):.3f}; "
         f"{mmd2(few.vectors, rest.vectors, width):.2g} v {mmd2(as_many.vectors, rest.vectors, width):.2g}; "
         f"{near(few.vectors, rest.vectors).coverage:.3f} v {near(as_many.vectors, rest.vectors).coverage:.3f}"),
        ("R6", "one odd real text: precision; coverage", f"{before.precision:.3f} -> {after.precision:.3f}; "
         f"{before.coverage:.3f} -> {after.coverage:.3f}"),
        ("R7", "none, half, all copied: authenticity", f"{near(x, y).authenticity:.3f}, {halves.authenticity:.3f}, "
         f"{near(y, y).authenticity:.3f}"),
        ("R8", "labels shuffled: label_mmd2; label_consistency", f"{label_mmd2(one, other, width):.2g} -> "
         f"{label_mmd2(shuffled, other, width):.2g}; {label_consistency(one, other):.3f} -> "
         f"{label_consistency(shuffled, other):.3f}"),
        ("R9", "250, 500, 1,000 texts: Frechet; extrapolated; MMD^2", "; ".join(
            ", ".join(f"{measure(x[:n], y[:n]):.2g}" for n in (250, 500, 1000))
            for measure in _measures(width)
        )),
    ]  # fmt: skip


def _measures(width: float) -> list[Callable[[Vectors, Vectors], float]]:
    return [
        lambda one, other: frechet_distance(one, other) or 0.0,
        lambda one, other: extrapolated_frechet(one, other, 0) or 0.0,
        lambda one, other: mmd2(one, other, width) or 0.0,
    ]


def utility_line(train: Corpus, test: Corpus) -> Line:
    """Measure U1: real texts as synthetic ones, with half and with all labels shuffled."""
    even, odd = (train.take(np.arange(start, len(train), 2)) for start in (0, 1))
    classes = sorted(set(train.labels or []))
    generator = np.random.default_rng(0)
    found = []
    for share in (0.0, 0.5, 1.0):
        rows = generator.permutation(len(even))[: int(len(even) * share)]
        labels = list(even.labels or [])
        for row, label in zip(rows, [labels[row] for row in generator.permutation(rows)], strict=True):
            labels[row] = label
        setting = TransferSetting(Corpus(even.texts, labels, even.vectors, even.model), odd, test, classes, 230, 0)
        result = transfer(setting, predict_from_vectors)
        found.append((result["tstr_macro_f1"], result["trtr_macro_f1"]))
    summary = " / ".join(f"{one:.3f}" for one, _ in found)
    return ("U1", "real (TRTR), 0, 50, 100 % of labels shuffled: macro-F1", f"{found[0][1]:.3f}; {summary}")


def main() -> None:
    """Print the table."""
    reference = load_reference("goemotions")
    train = read_corpus(reference.texts, reference.labels)
    test = read_corpus(reference.test_texts, reference.test_labels)
    texts = [train.texts[row] for row in range(0, 2000)]
    lines = [*diversity_lines(texts, train.vectors[:2000]), *realism_lines(train), utility_line(train, test)]
    print("| | property | figures |\n| --- | --- | --- |")
    for line in lines:
        print(f"| {' | '.join(line)} |")


if __name__ == "__main__":
    main()
