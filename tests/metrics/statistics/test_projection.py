"""Maps of vectors by t-SNE."""

import numpy as np
import pytest

from personagen.metrics.statistics.projection import project


def test_similar_vectors_lie_close_together() -> None:
    generator = np.random.default_rng(0)
    centres = np.repeat(np.eye(3, 20), 20, axis=0)
    vectors = (centres + generator.normal(scale=0.05, size=centres.shape)).astype(np.float32)
    points = project(vectors)
    assert points.shape == (60, 2) and (points == project(vectors)).all()
    for start in (0, 20, 40):
        cluster = points[start : start + 20]
        others = np.delete(points, range(start, start + 20), axis=0)
        centre = cluster.mean(axis=0)
        assert np.linalg.norm(cluster - centre, axis=1).max() < np.linalg.norm(others - centre, axis=1).min()


@pytest.mark.parametrize("count", [1, 2, 9])
def test_few_vectors_have_a_map(count: int) -> None:
    assert project(np.eye(9, dtype=np.float32)[:count]).shape == (count, 2)
