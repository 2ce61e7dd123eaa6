"""Removes noise from rows of many columns before their nearest neighbours are searched for.

Most of the distance between two rows of many noisy columns is noise, so their nearest rows are hardly like them.
"""

from collections.abc import Callable

import numpy as np
from sklearn.decomposition import PCA

from vade_jax.core.moments import far_means

MANY_COLUMNS = 128  # rows with fewer are left as they are
_MOST_ROWS = 10_000  # that components are computed from
_MOST_COMPONENTS = 100
_COMPONENTS_PER_CLUSTER = 2
_LEAST_SIGNAL = 0.5  # of the variance; digits, MNIST and HAR have 0.64 to 0.83, texts and cells 0.07 to 0.13


def fit_denoising(rows: np.ndarray, num_clusters: int) -> Callable[[np.ndarray], np.ndarray]:
    """Returns a function that removes noise: it takes rows to their leading principal components, or leaves them.

    Components are signal as long as their variance exceeds that of the first component of the same columns, each
    permuted by itself (parallel analysis, Horn 1965, Psychometrika 30). Rows are left as they are if these components
    hold at least half of the variance, or if there are at most 128 columns. Few components can exceed noise if single
    columns vary much, as common words do. So at least two for each cluster are kept, and at most 100.

    Args:
      rows: [N, D].
      num_clusters: K.

    Returns:
      Rows [M, D] -> [M, d], d <= D; float32 if they are components.
    """
    if rows.shape[1] <= MANY_COLUMNS:
        return _unchanged
    centre = far_means(rows)
    sample = rows[:: -(-len(rows) // _MOST_ROWS)] - centre
    most = min(_MOST_COMPONENTS, *sample.shape)
    found = PCA(most, svd_solver="randomized", random_state=0).fit(sample)
    permuted = np.random.default_rng(0).permuted(sample, axis=0)
    noise = PCA(1, svd_solver="randomized", random_state=0).fit(permuted).explained_variance_
    is_signal = found.explained_variance_ > noise
    if found.explained_variance_ratio_[is_signal].sum() >= _LEAST_SIGNAL:
        return _unchanged
    count = min(max(int(is_signal.sum()), _COMPONENTS_PER_CLUSTER * num_clusters), most)
    axes = found.components_[:count].T.astype(np.float32)
    return lambda others: (others - centre) @ axes


def _unchanged(rows: np.ndarray) -> np.ndarray:
    return rows
