"""Measures of realism: against their definitions written out, and on real text against real text."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from personagen.metrics.realism.c2st import c2st_auc, groups_of, style_of
from personagen.metrics.realism.frechet import extrapolated_frechet, frechet_distance
from personagen.metrics.realism.frontier import frontier, frontier_integral, mauve, principal, smoothed
from personagen.metrics.realism.labels import label_consistency, label_mmd2
from personagen.metrics.realism.mmd import bandwidth, energy_distance, mmd2, mmd2_p
from personagen.metrics.realism.neighbours import Neighbourhood, neighbourhood
from personagen.metrics.realism.profiles import jensen_shannon, lengths, punctuation, word_kinds
from personagen.metrics.texts.corpus import Corpus
from personagen.metrics.texts.inputs import Vectors
from tests.helpers.real_texts import half_twice, real, shuffled_words, templates, unit, vectors_of

REAL = 500
HELD = 1200
"""Where other real texts begin."""


def held() -> Vectors:
    return real(REAL, HELD).vectors


def near(one: Vectors, other: Vectors) -> Neighbourhood:
    found = neighbourhood(one, other)
    assert found is not None
    return found


def gaussian(one: Vectors, other: Vectors, width: float) -> Any:
    squares = np.square(one.astype(float)[:, None] - other.astype(float)[None]).sum(axis=2)
    return np.exp(-squares / (2 * width * width))


def test_mmd_is_that_of_the_definition() -> None:
    one, other = real(60).vectors, real(80, 600).vectors
    kernels = [gaussian(*pair, 0.9) for pair in ((one, one), (other, other), (one, other))]
    within = [(kernel.sum() - len(kernel)) / (len(kernel) * (len(kernel) - 1)) for kernel in kernels[:2]]
    assert mmd2(one, other, 0.9) == pytest.approx(sum(within) - 2 * kernels[2].mean(), abs=1e-9)
    assert mmd2(one[:1], other, 0.9) is None and energy_distance(one, other[:1]) is None


def test_energy_distance_is_that_of_the_definition() -> None:
    one, other = real(60).vectors, real(80, 600).vectors
    means = []
    for left, right in ((one, other), (one, one), (other, other)):
        apart = np.linalg.norm(left.astype(float)[:, None] - right.astype(float)[None], axis=2)
        means.append(apart.sum() / (len(left) * (len(right) - (left is right))))
    assert energy_distance(one, other) == pytest.approx(2 * means[0] - means[1] - means[2], abs=1e-7)


def test_random_features_come_close_to_the_exact_mmd() -> None:
    shifted = vectors_of(templates(real().texts))
    exact = mmd2(shifted, held(), 1.0)
    assert mmd2(shifted, held(), 1.0, 3, max_exact_rows=100) == pytest.approx(exact, rel=0.05)
    assert exact is not None and exact > 0.01


def test_the_permutation_test_rejects_different_sources_only() -> None:
    assert mmd2_p(vectors_of(templates(real().texts)), held(), 1.0, 0) == pytest.approx(1 / 201)
    values = [mmd2_p(real(100, skip).vectors, real(100, skip + 1500).vectors, 1.0, 0) for skip in range(0, 1200, 100)]
    assert min(values) > 0.005 and max(values) > 0.4


def test_bandwidth_is_the_median_distance_of_real_texts() -> None:
    vectors = real(200).vectors.astype(float)
    apart = np.linalg.norm(vectors[:, None] - vectors[None], axis=2)[np.triu_indices(200, 1)]
    assert bandwidth(real(200).vectors, 0) == pytest.approx(np.median(apart), abs=1e-6)
    assert bandwidth(unit([[1, 0]] * 5), 0) == 1.0 and bandwidth(unit([[1, 0]]), 0) == 1.0


def test_frechet_is_that_of_scipy() -> None:
    from scipy.linalg import sqrtm

    one, other = real(200).vectors.astype(float), real(300, 600).vectors.astype(float)
    covariances = np.cov(one, rowvar=False), np.cov(other, rowvar=False)
    root = sqrtm(covariances[0] @ covariances[1]).real
    wanted = np.square(one.mean(0) - other.mean(0)).sum() + np.trace(covariances[0] + covariances[1] - 2 * root)
    assert frechet_distance(real(200).vectors, real(300, 600).vectors) == pytest.approx(wanted, abs=1e-9)
    few = [side[:30].astype(np.float32) for side in (one, other)]  # fewer rows than columns: another way to the same
    covariances = np.cov(one[:30], rowvar=False), np.cov(other[:30], rowvar=False)
    values = np.linalg.eigvals(covariances[0] @ covariances[1]).real
    shift = np.square(one[:30].mean(0) - other[:30].mean(0)).sum()
    wanted = shift + np.trace(covariances[0] + covariances[1]) - 2 * np.sqrt(np.maximum(values, 0)).sum()
    assert frechet_distance(*few) == pytest.approx(wanted, abs=1e-6)
    assert frechet_distance(real(1).vectors, held()) is None and extrapolated_frechet(held()[:3], held(), 0) is None


def naive_prdc(one: Vectors, other: Vectors, k: int) -> tuple[float, float, float, float]:
    """Precision, recall, density, coverage from whole matrices of products, as `prdc` has them of distances."""
    within = [side @ side.T for side in (one, other)]
    for product in within:
        np.fill_diagonal(product, np.inf)
    edges = [np.sort(product, axis=1)[:, -k - 1] for product in within]
    across = other @ one.T
    inside = across > edges[1][:, None]
    return (
        float(inside.any(axis=0).mean()),
        float((across > edges[0][None]).any(axis=1).mean()),
        float(inside.sum(axis=0).mean() / k),
        float((across.max(axis=1) > edges[1]).mean()),
    )


@pytest.mark.parametrize(("sizes", "k"), [((300, 290), 5), ((40, 300), 5), ((300, 40), 3), ((7, 6), 5)])
def test_neighbours_are_those_of_the_definition(sizes: tuple[int, int], k: int) -> None:
    one, other = real(sizes[0]).vectors, real(sizes[1], 600).vectors
    found = neighbourhood(one, other, k)
    assert found is not None
    mine = found.precision, found.recall, found.density, found.coverage
    assert mine == pytest.approx(naive_prdc(one, other, k), abs=1e-12)
    assert neighbourhood(one, other[:5]) is None and neighbourhood(one[:5], other) is None


def test_neighbours_with_copies_within_and_across() -> None:
    one = np.concatenate([real(60).vectors, real(60).vectors[:30]])
    other = np.concatenate([real(60, 600).vectors, real(60).vectors[:10]])
    found = near(one, other)
    mine = found.precision, found.recall, found.density, found.coverage
    assert mine == pytest.approx(naive_prdc(one, other, 5), abs=0.05), "rounding may put a copy on either side"


@given(st.lists(st.integers(0, 30), min_size=2, max_size=8), st.lists(st.integers(0, 30), min_size=2, max_size=8))
def test_divergences_of_any_counts(one: list[int], other: list[int]) -> None:
    size = min(len(one), len(other))
    counts = [{str(place): count for place, count in enumerate(side[:size])} for side in (one, other)]
    found = jensen_shannon(counts[0], counts[1])
    if not (sum(one[:size]) and sum(other[:size])):
        assert found is None
        return
    assert found is not None and -1e-12 <= found <= 1 + 1e-12
    assert found == pytest.approx(jensen_shannon(counts[1], counts[0]), abs=1e-12)
    shares = [smoothed(np.array(side[:size])) for side in (one, other)]
    assert 0 < mauve(*shares) <= 1 + 1e-9 and 0 <= frontier_integral(*shares) <= 1
    assert mauve(*shares) == pytest.approx(mauve(*shares[::-1]), abs=1e-9)
    assert mauve(shares[0], shares[0]) == pytest.approx(1) and frontier_integral(shares[0], shares[0]) == 0


def test_jensen_shannon_is_that_of_the_definition() -> None:
    """The mean relative entropy, in bits, of (3/8, 5/8, 0) and (0, 1/10, 9/10) to their mean."""
    one, other = (3 / 8, 5 / 8, 0), (0, 1 / 10, 9 / 10)
    entropies = [
        sum(p * math.log2(2 * p / (a + b)) for p, a, b in zip(side, one, other, strict=True) if p)
        for side in (one, other)
    ]
    assert jensen_shannon({"a": 3, "b": 5}, {"b": 1, "c": 9}) == pytest.approx(sum(entropies) / 2, abs=1e-12)
    assert jensen_shannon({"a": 3}, {"b": 1}) == 1.0 and jensen_shannon({}, {"a": 1}) is None


def test_jensen_shannon_of_nearly_equal_counts_is_a_number() -> None:
    generator = np.random.default_rng(0)
    for _ in range(200):
        one = {str(key): int(count) for key, count in enumerate(generator.integers(1, 10**9, size=5))}
        other = {key: 3 * count for key, count in one.items()}
        other["0"] += 1
        assert 0 <= (jensen_shannon(one, other) or 0) < 1e-12


def test_the_classifier_test_is_cross_validated_as_defined() -> None:
    """Five folds of groups, standardised features, and the mean area of scikit-learn."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score

    one, other = vectors_of(templates(real(60).texts)), real(80, 600).vectors
    rows = np.concatenate([one, other])
    rows = (rows - rows.mean(axis=0)) / rows.std(axis=0)
    sides, folds = np.repeat([0, 1], [60, 80]), np.random.default_rng([4, 9]).permutation(140) % 5
    areas = []
    for fold in range(5):
        fitted = LogisticRegression(C=0.01, max_iter=200).fit(rows[folds != fold], sides[folds != fold])
        areas.append(roc_auc_score(sides[folds == fold], fitted.decision_function(rows[folds == fold])))
    assert c2st_auc(one, other, np.arange(140), 4) == pytest.approx(np.mean(areas), abs=1e-6)


def test_profiles_count_what_they_say() -> None:
    assert lengths([1, 2, 1]) == {"1": 2, "2": 1}
    signs = punctuation(["Hi! (really) 😡", "no."])
    assert signs["!"] == 1 and signs["("] == 1 and sum(signs.values()) == 5
    kinds = word_kinds([["i", "was", "walking", "to", "the", "xyzzy"]])
    assert sum(kinds.values()) == 6 and len(kinds) >= 4
    assert style_of(["Hi THERE!", ""]).shape == (2, 15) and np.isfinite(style_of(["", "😡"])).all()


def test_principal_axes_are_those_of_the_covariance() -> None:
    vectors = real(300).vectors
    values, axes = np.linalg.eigh(np.cov(vectors.astype(float), rowvar=False))
    kept = int(np.argmax(np.cumsum(values[::-1]) / values.sum() > 0.9)) + 1
    reduced = principal(vectors)
    wanted = (vectors - vectors.mean(axis=0)) @ axes[:, ::-1][:, :kept]
    assert reduced.shape == wanted.shape and np.abs(reduced) == pytest.approx(np.abs(wanted), abs=1e-4)
    moved = principal((vectors + np.float32(100)).astype(np.float32))
    assert moved.shape[1] <= kept + 1, "a common offset is no variance"
    assert not principal(vectors[:1].repeat(4, axis=0)).any()


def test_r1_a_set_against_itself() -> None:
    vectors = real().vectors
    assert frechet_distance(vectors, vectors) == pytest.approx(0, abs=1e-9)
    assert (mmd2(vectors, vectors, 1.0) or 1) < 0
    found = near(vectors, vectors)
    assert (found.precision, found.recall, found.coverage) == (1.0, 1.0, 1.0)
    assert found.authenticity == 0.0 and found.novelty == pytest.approx(0, abs=1e-3)
    assert jensen_shannon({"a": 1, "b": 2}, {"a": 1, "b": 2}) == 0.0
    front = frontier(vectors, vectors, 0)
    assert front is not None and front[0] == pytest.approx(1) and front[2] == pytest.approx(0, abs=1e-12)
    assert c2st_auc(vectors, vectors, groups_of([[text] for text in real().texts] * 2), 0) == pytest.approx(
        0.5, abs=0.05
    )


def test_r2_two_halves_of_one_source() -> None:
    one, other = real(1500).vectors, real(1500, 1500).vectors
    groups = groups_of([[str(row)] for row in range(3000)])
    assert c2st_auc(one, other, groups, 0) == pytest.approx(0.5, abs=0.03)
    assert abs(mmd2(one, other, bandwidth(other, 0)) or 1) < 5e-4
    assert abs(extrapolated_frechet(one, other, 0) or 1) < 2e-3 < (frechet_distance(one, other) or 0)


def test_r3_distances_are_symmetric_and_precision_is_recall_the_other_way() -> None:
    one, other = vectors_of(shuffled_words(real().texts)), held()
    for measure in (energy_distance, frechet_distance):
        assert measure(one, other) == pytest.approx(measure(other, one), abs=1e-9)
    assert mmd2(one, other, 1.0) == pytest.approx(mmd2(other, one, 1.0), abs=1e-12)
    found, turned = near(one, other), near(other, one)
    assert (found.precision, found.recall) == (turned.recall, turned.precision)


@pytest.mark.parametrize("kind", ["junk", "noise"])
def test_r4_more_junk_and_more_noise_are_farther(kind: str) -> None:
    generator = np.random.default_rng(5)
    junk = unit(generator.normal(size=real().vectors.shape) * 0.2 + 1)
    noise = generator.normal(size=real().vectors.shape)
    found: list[tuple[float, ...]] = []
    for step in range(5):
        if kind == "junk":
            made = real().vectors.copy()
            made[: 100 * step] = junk[: 100 * step]
        else:
            made = unit(real().vectors + noise * 0.08 * step)
        groups = groups_of([[str(row)] for row in range(1000)])
        values = mmd2(made, held(), 1.0), energy_distance(made, held()), frechet_distance(made, held())
        found.append(tuple(value or 0.0 for value in (*values, c2st_auc(made, held(), groups, 0))))
    for column in zip(*found, strict=True):
        assert list(column) == sorted(column), "MMD, energy, Frechet, C2ST"


def two_labels(count: int) -> list[int]:
    return [row for row, label in enumerate(real(3000).labels or []) if label in ("joy", "anger")][:count]


def test_r5_lost_labels_against_as_many_texts_of_all() -> None:
    """MMD and the classifier detect that five of seven labels are missing; recall and coverage hardly: a weakness."""
    other = real(3360).take(np.arange(1500, 3360))
    lost = real(1500).take([row for row in two_labels(400) if row < 1500])
    whole = real(len(lost))
    width = bandwidth(other.vectors, 0)
    assert (mmd2(lost.vectors, other.vectors, width) or 0) > 3 * abs(mmd2(whole.vectors, other.vectors, width) or 0)
    groups = groups_of([[str(row)] for row in range(len(lost) + len(other))])
    assert (c2st_auc(lost.vectors, other.vectors, groups, 0) or 0) > 0.54
    assert near(lost.vectors, other.vectors).coverage == pytest.approx(
        near(whole.vectors, other.vectors).coverage, abs=0.06
    )


def test_r5_invented_modes_lower_precision() -> None:
    made = real().vectors.copy()
    made[:100] = unit(np.random.default_rng(0).normal(size=(100, made.shape[1])))
    assert near(made, held()).precision < near(real().vectors, held()).precision - 0.1


def test_r6_one_odd_real_text_changes_precision_and_not_coverage() -> None:
    """A real text far from all others has a ball that holds junk: a known weakness of precision."""
    generator = np.random.default_rng(2)
    axis = np.zeros(held().shape[1])
    axis[-1] = 1.0
    away = np.asarray(held(), dtype=np.float64)
    away[:, -1] = 0
    made = unit(np.concatenate([away[: REAL // 2], axis + generator.normal(size=(50, len(axis))) * 0.02]))
    others = unit(away[REAL // 2 :])
    odd = np.concatenate([others, unit([axis])])
    before, after = near(made, others), near(made, odd)
    assert after.precision - before.precision > 0.1
    assert after.coverage == pytest.approx(before.coverage, abs=0.01)


def test_r7_only_authenticity_reveals_copies() -> None:
    fresh, copies = near(real().vectors, held()), near(held(), held())
    assert fresh.authenticity > 0.5 and copies.authenticity == 0.0
    mixed = near(np.concatenate([held()[:250], real().vectors[:250]]), held())
    assert mixed.authenticity == pytest.approx(fresh.authenticity / 2, abs=0.06)
    assert copies.precision == copies.coverage == 1.0 and (mmd2(held(), held(), 1.0) or 1) <= 0


def test_r8_only_measures_of_labels_reveal_shuffled_labels() -> None:
    corpus, other = real(1500), real(1500, 1500)
    order = np.random.default_rng(0).permutation(1500)
    wrong = Corpus(corpus.texts, [(corpus.labels or [])[row] for row in order], corpus.vectors, corpus.model)
    width = bandwidth(other.vectors, 0)
    assert mmd2(wrong.vectors, other.vectors, width) == mmd2(corpus.vectors, other.vectors, width)
    assert (label_mmd2(wrong, other, width) or 0) > 10 * abs(label_mmd2(corpus, other, width) or 0)
    assert (label_consistency(wrong, other) or 1) < 0.2 < 0.1 + (label_consistency(corpus, other) or 0)


def test_r9_a_bias_that_falls_with_the_number_is_gone_after_extrapolation() -> None:
    """Between two samples of one source the plain Frechet distance halves where texts are doubled; MMD stays near 0."""
    plain, better, unbiased = [], [], []
    for count in (200, 400, 800):
        one, other = real(count).vectors, real(count, 1500).vectors
        plain.append(frechet_distance(one, other) or 0)
        better.append(extrapolated_frechet(one, other, 0) or 0)
        unbiased.append(mmd2(one, other, 1.0) or 0)
    assert plain[0] > 1.7 * plain[1] > 2.9 * plain[2]
    assert max(map(abs, better)) < plain[2] and max(map(abs, unbiased)) < 2e-3


def test_weaknesses_that_are_known() -> None:
    """Precision takes templates for real text; recall and coverage do not; MAUVE* moves with its clusters."""
    filled = near(vectors_of(templates(real().texts)), held())
    usual = near(real().vectors, held())
    assert filled.recall < 0.5 * usual.recall and filled.coverage < 0.5 * usual.coverage
    assert filled.precision > 0.8 * usual.precision
    scores = [frontier(real().vectors, held(), 0, clusters) for clusters in (5, 100, 300)]
    values = [score[0] for score in scores if score is not None]
    assert values == sorted(values, reverse=True) and values[0] - values[-1] > 0.1


def test_v11_shuffled_words_are_not_realistic() -> None:
    """Noise on the vectors stands for shuffled words: vectors of word counts do not change with the order of words."""
    noisy = unit(real().vectors + np.random.default_rng(0).normal(scale=0.1, size=real().vectors.shape))
    width = bandwidth(held(), 0)
    assert (mmd2(noisy, held(), width) or 0) > 5 * abs(mmd2(real().vectors, held(), width) or 0)


def test_a_classifier_does_not_learn_copies_by_heart() -> None:
    """Where half of the texts are copies of the other half, each pair lies in one fold: no leak (0.63 with one)."""
    twice = half_twice(real().texts)
    groups = groups_of([text.split() for text in [*twice, *real(REAL, HELD).texts]])
    assert c2st_auc(vectors_of(twice), held(), groups, 0) == pytest.approx(0.5, abs=0.06)
    assert c2st_auc(held()[:19], held(), np.arange(19 + REAL), 0) is None
