"""UMAP layouts of a nearest-neighbour graph."""

import sys
import warnings

import numpy as np

from vade_jax.initialization.neighbor_graphs import nearest_neighbors_without_hubs

_LAYOUT_DIM = 10
_LAYOUT_EPOCHS = 50  # umap-learn's 200 to 500 find the same clusters, later
_PLANE_NEIGHBORS = 15
_PLANE_EPOCHS = 200
_PLANE_MIN_DIST = 0.9  # less draws clusters together to dots
_PLANE_LEAST = 10  # points that UMAP is asked to lay out there


def umap_layout_2d(points: np.ndarray, seed: int) -> np.ndarray:
    """A layout [N, 2] of points [N, J] to be looked at: UMAP's, or their own first dimensions where it finds none."""
    if points.shape[1] <= 2 or len(points) < _PLANE_LEAST or not np.ptp(points, axis=0).any():
        return np.pad(points[:, :2], [(0, 0), (0, max(0, 2 - points.shape[1]))])
    count = min(_PLANE_NEIGHBORS, len(points) - 2)
    distances, neighbors = nearest_neighbors_without_hubs(points, count)
    return umap_layout(
        points, distances, neighbors, seed, num_dims=2, num_epochs=_PLANE_EPOCHS, min_dist=_PLANE_MIN_DIST, init="pca"
    )


def umap_layout(
    embeddings: np.ndarray,
    distances: np.ndarray,
    neighbors: np.ndarray,
    seed: int,
    *,
    num_dims: int = _LAYOUT_DIM,
    num_epochs: int = _LAYOUT_EPOCHS,
    min_dist: float = 0.0,
    init: str = "spectral",
) -> np.ndarray:
    """UMAP's layout of the graph of nearest neighbours.

    Args:
      embeddings: [N, J].
      distances: [N, k], of each row to its nearest others, in ascending order.
      neighbors: [N, k], their numbers.
      seed: of the layout.
      num_dims: of the layout.
      num_epochs: that it is improved for.
      min_dist: that it keeps between neighbours, in its own units; 0 draws them together.
      init: what it starts from, 'spectral' or 'pca'.

    Returns:
      [N, num_dims], or fewer columns for a handful of rows.
    """
    # umap-learn counts a row as its own first neighbour; its own search is not exact and takes longer to compile.
    itself = np.arange(len(embeddings))[:, None]
    neighbors = np.concatenate([itself, neighbors], axis=1)
    distances = np.concatenate([np.zeros_like(itself), distances], axis=1).astype(np.float32)
    umap = _umap()(
        n_neighbors=neighbors.shape[1],
        n_components=min(num_dims, max(2, len(embeddings) - 2)),
        min_dist=min_dist,
        n_epochs=num_epochs,
        init=init,
        precomputed_knn=(neighbors, distances),
        random_state=seed,
        n_jobs=1,
    )
    with warnings.catch_warnings():  # it says that it cannot lay out further rows, and that it searches small data anew
        warnings.filterwarnings("ignore", message="precomputed_knn")
        return umap.fit_transform(np.asarray(embeddings, np.float32))


def _umap():
    """umap-learn's UMAP, imported by those who need it: it compiles for seconds."""
    # It imports TensorFlow where there is one, for a network that nothing here uses.
    tensorflow = sys.modules.setdefault("tensorflow", None)  # type: ignore[arg-type]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ImportWarning)
            from umap import UMAP
    finally:
        if tensorflow is None:
            del sys.modules["tensorflow"]
    return UMAP
