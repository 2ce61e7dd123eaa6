"""Points in two dimensions, for plots."""

import numpy as np
from sklearn.manifold import TSNE

from vade_jax.system.process_wide import PROCESS_WIDE

_PERPLEXITY = 30.0
_NEIGHBORS_PER_PERPLEXITY = 3  # t-SNE looks at so many times its perplexity neighbours of each point
_STEPS = 500  # scikit-learn's default, 1,000, takes twice as long and looks alike
_MIN_POINTS = 10  # t-SNE is not used for fewer


def layout_2d(points: np.ndarray, seed: int) -> np.ndarray:
    """Returns a layout [N, 2] of points [N, J] that keeps neighbours together.

    It is that of t-SNE (van der Maaten and Hinton 2008, JMLR 9). The first two dimensions are used instead if there are
    no others, if there are fewer than ten points, or if all points are equal.
    """
    if points.shape[1] <= 2 or len(points) < _MIN_POINTS or not np.ptp(points, axis=0).any():
        return np.pad(points[:, :2], [(0, 0), (0, max(0, 2 - points.shape[1]))])
    perplexity = min(_PERPLEXITY, (len(points) - 1) / _NEIGHBORS_PER_PERPLEXITY)
    with PROCESS_WIDE:  # scikit-learn limits BLAS's threads
        return TSNE(init="pca", perplexity=perplexity, max_iter=_STEPS, random_state=seed).fit_transform(points)
