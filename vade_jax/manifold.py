"""Clusters on the neighbour graph of embeddings: layouts of it, mixtures on these, and the one that cuts it best."""

import sys
import warnings
from collections.abc import Callable

import numpy as np
from joblib import Parallel, cpu_count, delayed
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits

from vade_jax import progress
from vade_jax.graphs import modularity, nearest_neighbors, nearest_of_both, neighbor_graph, num_neighbors
from vade_jax.mixtures import mixtures_without_outliers

_LAYOUT_DIM = 10
_LAYOUT_EPOCHS = 50  # umap-learn's 200 to 500 find the same clusters, later
_PLANE_NEIGHBORS = 15
_PLANE_EPOCHS = 200
_PLANE_MIN_DIST = 0.9  # less draws clusters together to dots
_PLANE_LEAST = 10  # points that UMAP is asked to lay out there
_ROWS_FOR_PROCESSES = 10_000  # layouts of fewer rows are made sooner than processes for them are


def best_on_layouts(
    embeddings: np.ndarray,
    num_clusters: int,
    neighbor_share: float,
    layout_seeds: list[int],
    mixture_seeds: list[int],
    input_neighbors: tuple[np.ndarray, np.ndarray] | None = None,
) -> tuple[np.ndarray, list[float]]:
    """The mixture that cuts the embeddings' neighbour graph best, of several layouts and several starts on each.

    Args:
      embeddings: [N, J], N >= 4.
      num_clusters: K.
      neighbor_share: each row is joined to so many others, as a share of an average cluster's rows.
      layout_seeds: a layout each.
      mixture_seeds: a start on each layout each.
      input_neighbors: as `initialization.Options` has them; as many as are asked for of the embeddings.

    Returns:
      Memberships [N, K], and the modularity of every mixture.
    """
    count = num_neighbors(len(embeddings), num_clusters, neighbor_share)
    distances, neighbors, graph = _neighborhoods(embeddings, count, input_neighbors)
    # A layout with a seed runs on one core.
    num_jobs = min(len(layout_seeds), cpu_count()) if len(embeddings) >= _ROWS_FOR_PROCESSES else 1
    tasks = (
        delayed(_best_on_layout)(embeddings, distances, neighbors, graph, num_clusters, seed, mixture_seeds)
        for seed in layout_seeds
    )
    answers = Parallel(n_jobs=num_jobs, return_as="generator")(tasks)
    found = list(progress.bar(answers, total=len(layout_seeds), desc="clusters", unit="layout", leave=False))
    memberships, _ = max(found, key=lambda answer: max(answer[1]))
    return memberships, [score for _, of_layout in found for score in of_layout]


def finder_on_layouts(
    embeddings: np.ndarray, count: int, layout_seeds: list[int], mixture_seeds: list[int]
) -> Callable[[int], np.ndarray]:
    """`best_on_layouts` for any number of clusters, on the same layouts.

    Args:
      embeddings: [N, J], N >= 4.
      count: each row is joined to so many others.
      layout_seeds: a layout each.
      mixture_seeds: a start on each layout each.

    Returns:
      K -> memberships [N, K].
    """
    distances, neighbors, graph = _neighborhoods(embeddings, count)
    layouts = [lay_out(embeddings, distances, neighbors, seed) for seed in layout_seeds]

    def find(num_clusters: int) -> np.ndarray:
        found = [_best_mixture(layout, graph, num_clusters, mixture_seeds) for layout in layouts]
        return max(found, key=lambda answer: max(answer[1]))[0]

    return find


def _neighborhoods(embeddings, count, input_neighbors=None):
    """The distances and the numbers of each row's nearest others, [N, count] each, and their graph."""
    rows = np.arange(len(embeddings))
    distances, neighbors = nearest_neighbors(embeddings, embeddings, count, own=rows)
    if input_neighbors:
        distances, neighbors = nearest_of_both((distances, neighbors), input_neighbors)
    return distances, neighbors, neighbor_graph(rows, neighbors, len(embeddings))


def _best_on_layout(embeddings, distances, neighbors, graph: csr_matrix, num_clusters, layout_seed, mixture_seeds):
    return _best_mixture(lay_out(embeddings, distances, neighbors, layout_seed), graph, num_clusters, mixture_seeds)


def _best_mixture(layout, graph: csr_matrix, num_clusters, mixture_seeds):
    """The memberships of the mixture that cuts the graph best, of all starts, and the modularity of every one."""
    scores: list[float] = []
    memberships = np.empty((0, num_clusters))
    with threadpool_limits(1):  # threads wait for each other longer than products of ten columns take
        for seed in mixture_seeds:
            for mixture in mixtures_without_outliers(layout, num_clusters, seed):
                score = modularity(graph, mixture.predict(layout))
                if score > max(scores, default=-1.0):
                    memberships = mixture.predict_proba(layout)
                scores.append(score)
    return memberships, scores


def lay_out_in_plane(points: np.ndarray, seed: int) -> np.ndarray:
    """A layout [N, 2] of points [N, J] to be looked at: UMAP's, or their own first dimensions where it finds none."""
    if points.shape[1] <= 2 or len(points) < _PLANE_LEAST or not np.ptp(points, axis=0).any():
        return np.pad(points[:, :2], [(0, 0), (0, max(0, 2 - points.shape[1]))])
    count = min(_PLANE_NEIGHBORS, len(points) - 2)
    distances, neighbors = nearest_neighbors(points, points, count, own=np.arange(len(points)))
    return lay_out(
        points, distances, neighbors, seed, num_dims=2, num_epochs=_PLANE_EPOCHS, min_dist=_PLANE_MIN_DIST, init="pca"
    )


def lay_out(
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
