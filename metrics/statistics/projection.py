"""Put vectors on a map: two coordinates a text, so that what is near in meaning lies near."""

import numpy as np
from numpy.typing import NDArray

from personagen.metrics.texts.inputs import Vectors

COMPONENTS = 50
"""Principal components that the map is made of: the rest is hardly more than noise, and costs time."""

PERPLEXITY = 30.0
"""Neighbours that count, as usual; fewer where there are few texts."""


def project(vectors: Vectors, seed: int = 0) -> NDArray[np.float32]:
    """Return a map by t-SNE (van der Maaten and Hinton, 2008) from the first principal components.

    Distances within a cluster tell something; those between clusters, and the size of clusters, do not.

    Args:
        vectors: shape (n, d).
        seed: of the map.

    Returns:
        Shape (n, 2); the same on one machine, whatever its number of processors.

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
        found = TSNE(perplexity=perplexity, init="pca", random_state=seed).fit_transform(reduced)
    return np.asarray(found, dtype=np.float32)
