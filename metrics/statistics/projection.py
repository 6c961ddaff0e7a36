"""Projection of text vectors to two coordinates per text; texts of similar meaning lie close together."""

import numpy as np
from numpy.typing import NDArray

from personagen.metrics.texts.inputs import Vectors

COMPONENTS = 50
"""Principal components that enter the projection; the rest is mostly noise and costs time."""

PERPLEXITY = 30.0
"""Effective number of neighbours, as in most uses of t-SNE; less for few texts."""


def project(vectors: Vectors, seed: int = 0) -> NDArray[np.float32]:
    """Project vectors by t-SNE (van der Maaten and Hinton, 2008) of their first principal components.

    Distances within a cluster are meaningful; distances between clusters, and sizes of clusters, are not.

    Args:
        vectors: shape (n, d).
        seed: seed of the projection.

    Returns:
        Shape (n, 2); the same on one machine for any number of threads.

    """
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    count, size = vectors.shape
    with threadpool_limits(1):
        if count < 10:
            centred = vectors - vectors.mean(axis=0)
            axes = np.linalg.svd(centred, full_matrices=False)[2][:2]
            flat = np.zeros((count, 2), dtype=np.float32)
            flat[:, : len(axes)] = centred @ axes.T
            return flat
        reduced = PCA(min(COMPONENTS, count, size), random_state=seed).fit_transform(vectors)
        perplexity = min(PERPLEXITY, (count - 1) / 3)
        projected = TSNE(perplexity=perplexity, init="pca", random_state=seed).fit_transform(reduced)
    return np.asarray(projected, dtype=np.float32)
