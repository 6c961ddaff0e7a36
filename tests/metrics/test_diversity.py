"""Measures of diversity: against their definitions written out, against published values, and on real text."""

import gzip
import math
import re
from collections import Counter
from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from personagen.metrics.diversity import diversity
from personagen.metrics.diversity.clusters import (
    between_group_variance,
    centres_of,
    cluster_entropy,
    knn_purity,
    own_silhouette,
    silhouette,
)
from personagen.metrics.diversity.ngrams import counts_by_order, distinct, number_tokens, self_bleu, self_repetition
from personagen.metrics.diversity.personas import (
    association_p,
    cramers_v,
    evenness,
    label_association,
    pair_coverage,
    persona_variance,
)
from personagen.metrics.diversity.redundancy import compression_ratio
from personagen.metrics.diversity.richness import hdd, mattr, mtld
from personagen.metrics.diversity.rouge import homogenization_rouge_l
from personagen.metrics.diversity.spectrum import eigenvalues, hill_number, mean_cosine
from personagen.metrics.texts.corpus import Corpus
from personagen.metrics.texts.words import tokenise
from tests.helpers.real_texts import corpus_of, half_twice, real, shuffled_words, templates, unit

ORDERS = (0.5, 1, 2, np.inf)

some_words = st.lists(st.lists(st.sampled_from("abcd"), max_size=7), min_size=2, max_size=7)


def words(texts: Sequence[str]) -> list[list[str]]:
    return [tokenise(text) for text in texts]


def bleu_of_all(corpus: list[list[str]]) -> list[float]:
    numbered = number_tokens(corpus)
    return self_bleu(numbered, counts_by_order(numbered)).tolist()


def naive_bleu(text: list[str], references: list[list[str]]) -> float:
    """BLEU of one sentence as its authors define it, with the first smoothing of Chen and Cherry."""
    logs = []
    for order in range(1, 5):
        own = Counter(zip(*(text[start:] for start in range(order)), strict=False))
        others = [Counter(zip(*(each[start:] for start in range(order)), strict=False)) for each in references]
        matched = sum(min(count, max(other[gram] for other in others)) for gram, count in own.items())
        if order == 1 and not matched:
            return 0.0
        logs.append(math.log((matched or 0.1) / max(len(text) - order + 1, 1)))
    closest = min((len(each) for each in references), key=lambda length: (abs(length - len(text)), length))
    brevity = 1.0 if len(text) >= closest else math.exp(1 - closest / len(text))
    return brevity * math.exp(sum(logs) / 4)


@given(some_words)
def test_self_bleu_is_that_of_the_definition(corpus: list[list[str]]) -> None:
    wanted = [naive_bleu(text, corpus[:row] + corpus[row + 1 :]) for row, text in enumerate(corpus)]
    assert bleu_of_all(corpus) == pytest.approx(wanted, abs=1e-12)


def test_self_bleu_of_real_texts_is_that_of_the_definition() -> None:
    corpus = words(real(80).texts)
    wanted = [naive_bleu(text, corpus[:row] + corpus[row + 1 :]) for row, text in enumerate(corpus)]
    assert bleu_of_all(corpus) == pytest.approx(wanted, abs=1e-15)


@given(some_words)
def test_self_repetition_is_that_of_the_definition(corpus: list[list[str]]) -> None:
    grams = [set(zip(*(text[start:] for start in range(4)), strict=False)) for text in corpus]
    wanted = [
        math.log1p(sum(gram in other for row, other in enumerate(grams) if row != own for gram in grams[own]))
        for own in range(len(corpus))
    ]
    assert self_repetition(counts_by_order(number_tokens(corpus))[3], len(corpus)) == pytest.approx(wanted, abs=1e-12)


@given(some_words, st.integers(1, 4))
def test_distinct_is_that_of_the_definition(corpus: list[list[str]], order: int) -> None:
    grams = [gram for text in corpus for gram in zip(*(text[start:] for start in range(order)), strict=False)]
    wanted = len(set(grams)) / len(grams) if grams else None
    assert distinct(counts_by_order(number_tokens(corpus))[order - 1]) == wanted


def longest_common(one: Sequence[str], other: Sequence[str]) -> int:
    row = [0] * (len(other) + 1)
    for word in one:
        before = row[:]
        for place, against in enumerate(other, 1):
            row[place] = before[place - 1] + 1 if word == against else max(row[place - 1], before[place])
    return row[-1]


@given(some_words)
def test_homogenization_is_that_of_the_definition(corpus: list[list[str]]) -> None:
    pairs = [
        2 * longest_common(one, other) / (len(one) + len(other)) if one and other else 0.0
        for one, other in combinations(corpus, 2)
    ]
    assert homogenization_rouge_l(corpus) == pytest.approx(sum(pairs) / len(pairs), abs=1e-12)


def test_homogenization_across_blocks_and_beyond_the_most() -> None:
    corpus = words(real(300).texts)
    pairs = [2 * longest_common(*pair) / max(1, sum(map(len, pair))) for pair in combinations(corpus[:40] * 2, 2)]
    assert homogenization_rouge_l(corpus[:40] * 2) == pytest.approx(sum(pairs) / len(pairs), abs=1e-12)
    twenty = homogenization_rouge_l(corpus[:20] * 260)
    assert twenty == pytest.approx(
        homogenization_rouge_l([corpus[:20][row * 5200 // 5000 % 20] for row in range(5000)])
    )
    assert homogenization_rouge_l(corpus[:1]) is None
    many = [[f"w{number}"] for number in range(60_000)]  # beyond the surrogates, and two that are equal
    assert homogenization_rouge_l([*many[:4000], many[0]]) == pytest.approx(1 / (4001 * 4000 / 2))


@pytest.mark.parametrize("order", ORDERS)
def test_vendi_of_the_dual_is_that_of_the_kernel(order: float) -> None:
    """From the eigenvalues of the n x n kernel, for more and for fewer texts than columns."""
    for vectors in (real(120).vectors, real(30).vectors):
        exact = vectors.astype(np.float64)
        shares = np.linalg.eigvalsh(exact @ exact.T / len(exact))
        shares[shares < 1e-12] = 0
        wanted = hill_number(shares / shares.sum(), order)
        tolerance = 1e-4 if order == 0.5 else 1e-9
        assert hill_number(eigenvalues(vectors), order) == pytest.approx(wanted, rel=tolerance)


def kernel_vendi(kernel: object) -> float:
    shares = np.linalg.eigvalsh(np.asarray(kernel, dtype=float) / len(np.asarray(kernel)))
    return hill_number(np.maximum(shares, 0), 1)


def test_published_vendi_scores() -> None:
    """From the README of vendi-score: numbers under exp(-|a - b|), a kernel, and sentences by 1- and 2-grams."""
    numbers = np.array([0, 0, 10, 10, 20, 20], dtype=float)
    assert f"{kernel_vendi(np.exp(-np.abs(np.subtract.outer(numbers, numbers)))):.9f}".startswith("2.9999")
    assert round(kernel_vendi([[1.0, 0.9, 0.0], [0.9, 1.0, 0.0], [0.0, 0.0, 1.0]]), 4) == 2.1573
    sentences = ["Look, Jane.", "See Spot.", "See Spot run.", "Run, Spot, run.", "Jane sees Spot run."]
    tokens = [text.replace(",", " ,").replace(".", " .").split() for text in sentences]
    kernels = []
    for order in (1, 2):
        counts = [Counter(zip(*(text[start:] for start in range(order)), strict=False)) for text in tokens]
        kinds = sorted(set().union(*counts))
        rows = unit([[count[kind] for kind in kinds] for count in counts]).astype(np.float64)
        kernels.append(rows @ rows.T)
    assert round(kernel_vendi(np.mean(kernels, axis=0)), 2) == 3.91


def test_published_values_of_words() -> None:
    """The example of the README of `diversity`, which splits at spaces and lets n-grams run on from text to text."""
    texts = [
        "I enjoy walking with my cute dog for the rest of the day, but this time it was hard for me to figure out what "
        "to do with it. When I finally looked at this for a few moments, I immediately thought,",
        "I enjoy walking with my cute dog. The only time I felt like walking was when I was working, so it was awesome "
        "for me. I didn't want to walk for days. I am really curious how she can walk with me",
        "I enjoy walking with my cute dog (Chama-I-I-I-I-I), and I really enjoy running. I play in a little game I "
        "play with my brother in which I take pictures of our houses.",
    ]
    split = [text.split() for text in texts]
    grams = counts_by_order(number_tokens(split))[3]
    assert self_repetition(grams, 3).mean() == pytest.approx(2.0349, abs=5e-5)
    joined = counts_by_order(number_tokens([[word for text in split for word in text]]))
    assert sum(distinct(table) or 0 for table in joined) == pytest.approx(3.315, abs=5e-4)
    letters = [re.findall("[a-z0-9]+", text.lower()) for text in texts]
    assert homogenization_rouge_l(letters) == pytest.approx(0.3182, abs=5e-5), "as computed; the README prints 0.222"


def test_gzip_would_be_blind_to_a_corpus_that_repeats() -> None:
    """The known defect that xz does not have: beyond 32 KiB a copy is new to gzip."""
    texts = real(2000).texts
    once, often = (len(data) / len(gzip.compress(data)) for data in ("\n".join(texts * n).encode() for n in (1, 2)))
    assert often == pytest.approx(once, rel=0.03)


@pytest.mark.parametrize("order", ORDERS)
def test_v1_to_v4_known_effective_numbers(order: float) -> None:
    """V1 copies: 1. V2 orthogonal: n. V3 groups: their number, or what their shares say. V4 two texts of cosine c."""
    assert hill_number(eigenvalues(unit([[0.6, 0.8]] * 50)), order) == pytest.approx(1, abs=1e-6)
    assert hill_number(eigenvalues(np.eye(100, dtype=np.float32)), order) == pytest.approx(100)
    assert hill_number(eigenvalues(np.eye(7, dtype=np.float32).repeat(30, axis=0)), order) == pytest.approx(7)
    shares = np.array([0.5, 0.3, 0.2])
    groups = np.eye(3, dtype=np.float32).repeat([5, 3, 2], axis=0)
    assert hill_number(eigenvalues(groups), order) == pytest.approx(hill_number(shares, order))
    for cosine in (0.0, 0.6, 0.9):
        pair = unit([[1, 0], [cosine, math.sqrt(1 - cosine**2)]])
        wanted = hill_number([(1 + cosine) / 2, (1 - cosine) / 2], order)
        assert hill_number(eigenvalues(pair), order) == pytest.approx(wanted, rel=1e-6)
    if order == 1:
        assert hill_number([0.8, 0.2], order) == pytest.approx(1.649, abs=5e-4)
        assert hill_number(shares, order) == pytest.approx(2.80, abs=5e-3)


def test_v1_copies_of_one_text() -> None:
    copies = ["the bus was late again today"] * 30
    found = diversity(Corpus(copies, None, unit([[0.6, 0.8]] * 30), "given"))
    assert found["self_bleu"] == pytest.approx(1) and found["mean_cosine"] == pytest.approx(1, abs=1e-6)
    assert found["duplicate_share"] == 29 / 30 and found["homogenization_rouge_l"] == pytest.approx(1)


def test_v5_vendi_falls_with_its_order() -> None:
    scores = [hill_number(eigenvalues(real().vectors), order) for order in ORDERS]
    assert scores == sorted(scores, reverse=True) and scores[0] > 1.1 * scores[1] > 1.2 * scores[2]


def test_v6_order_of_texts_does_not_matter() -> None:
    corpus = real(120)
    turned = corpus.take(np.random.default_rng(4).permutation(120))
    one, other = diversity(corpus), diversity(turned)
    for key in ("distinct_2", "self_bleu", "self_repetition", "compression_ratio", "hdd", "homogenization_rouge_l"):
        assert other[key] == pytest.approx(one[key], rel=1e-12), key
    for key in ("vendi_score", "rke", "mean_cosine"):
        assert other[key] == pytest.approx(one[key], rel=1e-9), key
    assert other["mattr"] != one["mattr"], "windows run on over the border of texts"


def test_v7_rotation_does_not_matter() -> None:
    vectors = real().vectors
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(vectors.shape[1],) * 2))[0]
    turned = unit(vectors @ turn)
    assert hill_number(eigenvalues(turned), 1) == pytest.approx(hill_number(eigenvalues(vectors), 1), rel=1e-5)
    assert mean_cosine(turned) == pytest.approx(mean_cosine(vectors), abs=1e-6)
    groups = np.arange(len(vectors)) % 5
    assert silhouette(turned, groups) == pytest.approx(silhouette(vectors, groups), abs=1e-6)


def test_v8_copies_of_half_lower_diversity() -> None:
    clean, twice = diversity(corpus_of(real().texts)), diversity(corpus_of(half_twice(real().texts)))
    assert twice["duplicate_share"] == 1 / 2 and clean["duplicate_share"] < 0.01
    assert twice["self_bleu"] > 0.9 and clean["self_bleu"] < 0.3
    assert twice["distinct_2"] < 0.7 * clean["distinct_2"] and twice["vendi_score"] < clean["vendi_score"]


def test_v9_doubling_the_whole_is_seen_by_xz_and_not_by_vendi() -> None:
    """gzip would look back 32 KiB only, which is less than the corpus."""
    texts = real(2000).texts
    assert sum(len(text.encode()) for text in texts) > 100_000
    once, often = compression_ratio(texts), compression_ratio(texts * 2)
    assert once is not None and often is not None and often == pytest.approx(2 * once, rel=0.03)
    vectors = real(200).vectors
    assert hill_number(eigenvalues(np.concatenate([vectors, vectors])), 1) == pytest.approx(
        hill_number(eigenvalues(vectors), 1), rel=1e-6
    )


def test_v10_shrinking_to_the_mean_lowers_vendi_and_raises_cosine() -> None:
    vectors = real().vectors
    shrunk = unit(0.3 * vectors + 0.7 * vectors.mean(axis=0) / np.linalg.norm(vectors.mean(axis=0)))
    assert hill_number(eigenvalues(shrunk), 1) < hill_number(eigenvalues(vectors), 1) / 2
    assert (mean_cosine(shrunk) or 0) > (mean_cosine(vectors) or 0) + 0.3


def test_v11_noise_counts_as_diversity_which_is_a_weakness() -> None:
    """Noise on vectors and shuffled words both raise it; `realism` has to object (see test_realism)."""
    vectors = real().vectors
    noisy = unit(vectors + np.random.default_rng(0).normal(scale=0.1, size=vectors.shape))
    assert hill_number(eigenvalues(noisy), 1) > hill_number(eigenvalues(vectors), 1)
    clean, shuffled = diversity(corpus_of(real().texts)), diversity(corpus_of(shuffled_words(real().texts)))
    assert shuffled["distinct_2"] > clean["distinct_2"] and shuffled["self_bleu"] < clean["self_bleu"]


def test_templates_are_seen_by_every_measure() -> None:
    clean, filled = diversity(corpus_of(real().texts)), diversity(corpus_of(templates(real().texts)))
    for key in ("distinct_2", "vendi_score", "rke", "hdd"):
        assert filled[key] < 0.8 * clean[key], key
    for key in ("self_bleu", "homogenization_rouge_l", "compression_ratio", "mean_cosine", "self_repetition"):
        assert filled[key] > 1.9 * clean[key], key


def test_silhouette_is_that_of_scikit_learn() -> None:
    from sklearn.metrics import silhouette_score

    vectors = real(300).vectors.astype(np.float64)
    for groups in (np.arange(300) % 7, np.r_[0, np.ones(299, dtype=int)], np.arange(300) // 2):
        wanted = silhouette_score(vectors, groups, metric="cosine")
        assert silhouette(real(300).vectors, groups) == pytest.approx(wanted, abs=1e-7)
    assert silhouette(real(3).vectors, [0, 0, 0]) is None and silhouette(real(3).vectors, [0, 1, 2]) is None
    assert own_silhouette(real(2).vectors, 0) is None


def test_mean_cosine_is_that_of_all_pairs() -> None:
    vectors = real(100).vectors.astype(np.float64)
    wanted = (vectors @ vectors.T)[np.triu_indices(100, 1)].mean()
    assert mean_cosine(real(100).vectors) == pytest.approx(wanted, abs=1e-9)
    assert mean_cosine(real(1).vectors) is None


def test_richness_of_known_samples() -> None:
    """HD-D of all different words is 1, MATTR too; of one word 1/42 and 1/50. A drawn sample gives the same mean."""
    assert hdd([f"w{row}" for row in range(60)]) == pytest.approx(1) and mattr(list("ab" * 25)) == 2 / 50
    assert hdd(["a"] * 60) == pytest.approx(1 / 42)
    assert hdd(["a"] * 41) is None and mattr(["a"] * 49) is None and mtld([]) is None
    corpus = [word for text in words(real(40).texts) for word in text]
    generator = np.random.default_rng(0)
    drawn = [len(set(generator.choice(corpus, size=42, replace=False))) / 42 for _ in range(3000)]
    assert hdd(corpus) == pytest.approx(np.mean(drawn), abs=0.004)
    windows = [len(set(corpus[start : start + 50])) / 50 for start in range(len(corpus) - 49)]
    assert mattr(corpus) == pytest.approx(np.mean(windows), abs=1e-12)
    assert mtld(["a", "b"] * 30) == pytest.approx(3), "a b a: 2 of 3 is below 0.72, so three words a factor"
    assert mtld([f"w{row}" for row in range(60)]) is None


def test_clusters_come_from_the_reference() -> None:
    reference = np.eye(8, dtype=np.float32).repeat(30, axis=0)
    centres = centres_of(reference, 0)
    assert centres is not None and centres_of(reference[:39], 0) is None
    assert centres_of(reference[:1].repeat(40, axis=0), 0) is None, "all texts are equal"
    assert cluster_entropy(reference[:30], centres) == 0.0
    whole = cluster_entropy(real().vectors, centres_of(real(1000, 600).vectors, 0))  # type: ignore[arg-type]
    half = cluster_entropy(real(40).vectors[:20], centres_of(real(1000, 600).vectors, 0))  # type: ignore[arg-type]
    assert half < whole < 1


def test_structure_of_classes() -> None:
    groups = np.arange(60) % 3
    apart = unit(np.eye(3)[groups] + np.random.default_rng(0).normal(scale=0.05, size=(60, 3)))
    assert (between_group_variance(apart, groups) or 0) > 0.95 and knn_purity(apart, groups, 0) == 1.0
    mixed = np.random.default_rng(1).permutation(groups)
    assert (between_group_variance(apart, mixed) or 0) < 0.15 and (knn_purity(apart, mixed, 0) or 1) < 0.6
    assert between_group_variance(unit([[1, 0]] * 4), np.arange(4)) is None and knn_purity(apart[:2], groups, 0) is None


def test_personas_cover_their_attributes() -> None:
    full = [{"age": age, "job": job} for age in "123" for job in "xy"]
    assert pair_coverage(full) == 1.0 and pair_coverage(full[:1]) == 1.0 and pair_coverage([{"age": "1"}]) is None
    assert pair_coverage([{"age": "1", "job": "x"}, {"age": "2", "job": "y"}]) == 0.5
    assert evenness(full) == {"age": pytest.approx(1), "job": pytest.approx(1)}
    assert evenness(full[:1]) == {"age": 0.0, "job": 0.0}


def test_association_of_attributes_with_labels() -> None:
    codes = np.arange(120) % 4
    assert cramers_v(codes, codes) == pytest.approx(1) and cramers_v(codes, np.zeros(120, dtype=int)) == 0.0
    independent = np.random.default_rng(0).integers(0, 4, size=120)
    assert cramers_v(codes, independent) < 0.2
    tied = [{"sex": "fm"[row % 2], "age": str(row % 7)} for row in range(120)]
    labels = ["joy" if row % 2 else "fear" for row in range(120)]
    assert label_association(tied, labels)["sex"] == pytest.approx(1) and label_association(tied, labels)["age"] < 0.1
    assert association_p(tied, labels, 0) == pytest.approx(1 / 201)
    assert association_p(tied, [str(label) for label in np.random.default_rng(3).integers(0, 2, size=120)], 0) > 0.02


def test_variance_between_personas() -> None:
    personas = [{"name": "abcdefgh"[row % 8]} for row in range(80)]
    own = unit(np.eye(8)[np.arange(80) % 8] + np.random.default_rng(0).normal(scale=0.2, size=(80, 8)))
    share, chance = persona_variance(own, personas, 0)
    assert share is not None and share > 0.5 and chance == pytest.approx(1 / 201)
    assert persona_variance(own, [{"name": str(row)} for row in range(80)], 0) == (None, None)
    share, chance = persona_variance(unit(np.random.default_rng(2).normal(size=(80, 8))), personas, 0)
    assert chance is not None and chance > 0.02


def test_each_label_is_measured_at_the_same_number() -> None:
    corpus = real(300)
    found = diversity(corpus, real(300, 600))
    counts = Counter(corpus.labels or [])
    assert found["sample_size_by_label"] == min(counts.values()) and set(found["self_bleu_by_label"]) == set(counts)
    assert (
        found["sample_size"] == 300 and found["vendi_score_ci"][0] < found["vendi_score"] < found["vendi_score_ci"][1]
    )
    assert found["vendi_score_reference"] == pytest.approx(found["vendi_score"], rel=0.2)
    few = diversity(corpus_of(corpus.texts[:12], ["a"] * 9 + ["b"] * 3))
    assert [key for key in few if key.endswith("by_label")] == [], "no label has ten texts"


def test_values_are_taken_at_the_number_that_is_asked_for() -> None:
    """Self-BLEU more than doubles from 60 to 480 texts; at one number a larger corpus gets what a smaller one gets."""
    small, large = diversity(real(60)), diversity(real(480))
    assert large["self_bleu"] > 1.3 * small["self_bleu"]
    at_sixty = diversity(real(480), sample_size=60)
    assert at_sixty["sample_size"] == 60 and at_sixty["self_bleu"] == pytest.approx(small["self_bleu"], rel=0.3)
    low, high = at_sixty["vendi_score_ci"]
    assert low < small["vendi_score"] * 1.15 and high > small["vendi_score"] * 0.85
