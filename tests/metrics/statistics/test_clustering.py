"""k-means: clusters against their definition, and equal vectors always in one cluster."""

import numpy as np
import pytest

from personagen.metrics.realism.frontier import principal
from personagen.metrics.statistics.clustering import Clusters, distinct_rows, kmeans, nearest
from personagen.metrics.texts.inputs import Vectors
from tests.helpers.real_texts import real


def spread_within(vectors: Vectors, clusters: Clusters) -> float:
    return float(np.square(vectors - clusters.centres[clusters.assignment]).sum())


def test_separate_clusters_are_recovered() -> None:
    centres = np.eye(4, dtype=np.float32)
    vectors = centres.repeat(30, axis=0) + np.random.default_rng(0).normal(scale=0.05, size=(120, 4)).astype(np.float32)
    best = min((kmeans(vectors, 4, seed) for seed in range(5)), key=lambda clusters: spread_within(vectors, clusters))
    assert sorted(np.bincount(best.assignment)) == [30] * 4
    assert (nearest(vectors, best.centres) == best.assignment).all()
    for cluster, centre in enumerate(best.centres):
        assert centre == pytest.approx(vectors[best.assignment == cluster].mean(axis=0), abs=1e-6)


def test_every_vector_belongs_to_its_nearest_centre() -> None:
    vectors = real(400).vectors
    clusters = kmeans(vectors, 12, 0)
    distances = np.linalg.norm(vectors[:, None].astype(float) - clusters.centres[None], axis=2)
    assert (nearest(vectors, clusters.centres) == distances.argmin(axis=1)).all()
    assert (clusters.assignment == distances.argmin(axis=1)).all()


def test_clusters_of_text_are_as_tight_as_those_of_the_defaults_of_scikit_learn() -> None:
    from sklearn.cluster import KMeans

    vectors = real(1000).vectors
    ours = np.mean([spread_within(vectors, kmeans(vectors, 20, seed)) for seed in range(5)])
    theirs = np.mean([KMeans(20, n_init=1, random_state=seed).fit(vectors).inertia_ for seed in range(5)])
    assert ours == pytest.approx(theirs, rel=0.03)


def test_repeated_vectors_weigh_as_much_as_their_number() -> None:
    vectors = np.array([[0.0], [0.0], [0.0], [1.0], [5.0]], dtype=np.float32)
    clusters = kmeans(vectors, 2, 1)
    assert sorted(clusters.centres[:, 0]) == pytest.approx([0.25, 5])


@pytest.mark.parametrize("k", [2, 7, 30, 100])
def test_equal_vectors_share_a_cluster_wherever_they_stand(k: int) -> None:
    vectors = real(500).vectors
    order = np.random.default_rng(k).permutation(500)
    both = principal(np.concatenate([vectors, vectors[order]]))
    assert (both[500:] == both[:500][order]).all()
    clusters = kmeans(both, k, 0)
    assert (clusters.assignment[500:] == clusters.assignment[:500][order]).all()
    again = nearest(np.concatenate([vectors, vectors[order]]), vectors[:k])
    assert (again[500:] == again[:500][order]).all()


def test_the_same_seed_gives_the_same_clusters() -> None:
    vectors = real(500).vectors
    assert (kmeans(vectors, 9, 3).centres == kmeans(vectors, 9, 3).centres).all()
    assert not np.array_equal(kmeans(vectors, 9, 3).centres, kmeans(vectors, 9, 2**40).centres)


def test_rows_are_compared_bit_by_bit() -> None:
    rows, numbers = distinct_rows(np.array([[1, 2], [3, 4], [1, 2], [1, 3]], dtype=np.float32))
    assert rows.tolist() == [0, 1, 3] and numbers.tolist() == [0, 1, 0, 2]


def test_as_many_clusters_as_distinct_vectors_at_most() -> None:
    same = kmeans(np.ones((10, 2), dtype=np.float32), 3, 0)
    assert same.centres.tolist() == [[1, 1]] and not same.assignment.any()
    apart = np.arange(5, dtype=np.float32)[:, None]
    assert sorted(kmeans(apart, 5, 0).assignment) == [0, 1, 2, 3, 4]
    close = np.float32(1) + np.arange(4, dtype=np.float32)[:, None] * np.finfo(np.float32).eps
    assert np.isfinite(kmeans(close, 4, 0).centres).all()
    for k in (0, 6):
        with pytest.raises(ValueError, match=rf"^k is {k}, wanted 1 to 5: as many clusters as vectors at most$"):
            kmeans(apart, k, 0)
