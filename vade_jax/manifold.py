"""Clusters on the neighbour graph of embeddings: layouts of it, mixtures on these, and those that cut a graph best."""

import sys
import warnings
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from joblib import Parallel, cpu_count, delayed
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits

from vade_jax import progress
from vade_jax.graphs import mean_modularity, nearest_of_both, nearest_others, neighbor_graph
from vade_jax.mixtures import fit_mixture
from vade_jax.parts import cut_in_pieces, joined, moved_parts, num_lost

_LAYOUT_DIM = 10
_LAYOUT_EPOCHS = 50  # umap-learn's 200 to 500 find the same clusters, later
_PLANE_NEIGHBORS = 15
_PLANE_EPOCHS = 200
_PLANE_MIN_DIST = 0.9  # less draws clusters together to dots
_PLANE_LEAST = 10  # points that UMAP is asked to lay out there
_RESOLUTIONS = [1.5**power for power in range(6)]
_ROWS_FOR_PROCESSES = 10_000  # layouts of fewer rows are made sooner than processes for them are


class Search(NamedTuple):
    """What is tried on a neighbour graph.

    Attributes:
      num_neighbors: k, of each row.
      layout_seeds: a layout each.
      mixture_seeds: a start on each layout each.
      components: of a mixture, at most so many for each cluster that they are joined to; all numbers from 1 are tried.
      part_rows: what is found is cut into parts of about so many rows, which move (see `parts.moved_parts`); 0: not.
    """

    num_neighbors: int
    layout_seeds: list[int]
    mixture_seeds: list[int]
    components: int
    part_rows: int


def best_on_layouts(
    embeddings: np.ndarray,
    num_clusters: int,
    search: Search,
    input_neighbors: tuple[np.ndarray, np.ndarray] | None = None,
    input_graphs: Sequence[csr_matrix] = (),
) -> tuple[np.ndarray, list[float]]:
    """The clusters that cut neighbour graphs best, of several layouts and several starts on each.

    Args:
      embeddings: [N, J], N >= 4.
      num_clusters: K.
      search: what is tried.
      input_neighbors: as `initialization.Options` has them; as many as are asked for of the embeddings.
      input_graphs: [N, N] each: clusters are those of the highest mean modularity on them, and parts move where all of
        them say so. None: on the graph of the neighbours, and no part moves.

    Returns:
      Memberships [N, K], and the mean modularity of every candidate, at the resolution at which its layout has K
      clusters.
    """
    distances, neighbors, graph = _neighborhoods(embeddings, search.num_neighbors, input_neighbors)
    graphs = graph, *input_graphs
    # A layout with a seed runs on one core.
    num_jobs = min(len(search.layout_seeds), cpu_count()) if len(embeddings) >= _ROWS_FOR_PROCESSES else 1
    tasks = (
        delayed(_best_on_layout)(embeddings, distances, neighbors, graphs, num_clusters, seed, search)
        for seed in search.layout_seeds
    )
    answers = Parallel(n_jobs=num_jobs, return_as="generator")(tasks)
    found = list(progress.bar(answers, total=len(search.layout_seeds), desc="clusters", unit="layout", leave=False))
    return min(found, key=_Found.order).memberships, [score for of_layout in found for score in of_layout.scores]


def finder_on_layouts(embeddings: np.ndarray, search: Search) -> Callable[[int], np.ndarray]:
    """`best_on_layouts` for any number of clusters, on the same layouts.

    Args:
      embeddings: [N, J], N >= 4.
      search: what is tried.

    Returns:
      K -> memberships [N, K].
    """
    distances, neighbors, graph = _neighborhoods(embeddings, search.num_neighbors)
    layouts = [lay_out(embeddings, distances, neighbors, seed) for seed in search.layout_seeds]

    def find(num_clusters: int) -> np.ndarray:
        found = [_best_clusters(layout, (graph,), num_clusters, search) for layout in layouts]
        return min(found, key=_Found.order).memberships

    return find


def _neighborhoods(embeddings, count, input_neighbors=None):
    """The distances and the numbers of each row's nearest others, [N, count] each, and their graph."""
    distances, neighbors = nearest_others(embeddings, count)
    if input_neighbors:
        distances, neighbors = nearest_of_both((distances, neighbors), input_neighbors)
    return distances, neighbors, neighbor_graph(np.arange(len(embeddings)), neighbors, len(embeddings))


def _best_on_layout(embeddings, distances, neighbors, graphs, num_clusters, layout_seed, search):
    return _best_clusters(lay_out(embeddings, distances, neighbors, layout_seed), graphs, num_clusters, search)


class _Found(NamedTuple):
    """The best of a layout's candidates, the clusters that moves have used up, and each one's modularity."""

    lost: int
    resolution: float
    memberships: np.ndarray
    scores: list[float]

    def order(self):
        return self.lost, self.resolution, -max(self.scores)


def _best_clusters(layout, graphs, num_clusters, search):
    """The best at the lowest resolution at which moves use up no cluster; graphs: to join by, and of the inputs.

    At a resolution of 1 two of many clusters have a higher modularity as one (Fortunato and Barthelemy 2007,
    PNAS 104(1)), and part after part of the one would move to the other.
    """
    graph, *input_graphs = graphs
    judges = input_graphs or [graph]
    moves = search.part_rows and input_graphs
    found = []
    with threadpool_limits(1):  # threads wait for each other longer than products of ten columns take
        pieces = cut_in_pieces(layout, search.part_rows, search.mixture_seeds[0]) if moves else None
        mixtures = [
            fit_mixture(layout, "full", min(components * num_clusters, len(layout)), seed).predict_proba(layout)
            for components in range(1, search.components + 1)
            for seed in search.mixture_seeds
        ]
        for resolution in _RESOLUTIONS:
            arguments = graphs, num_clusters, pieces, resolution
            candidates = (_clusters_of(parts, *arguments)[1].argmax(axis=1) for parts in mixtures)
            scores = [mean_modularity(judges, clusters, resolution) for clusters in candidates]
            before, after = _clusters_of(mixtures[int(np.argmax(scores))], *arguments)
            lost = num_lost(judges[0], before.argmax(axis=1), after.argmax(axis=1), num_clusters)
            found.append(_Found(lost, resolution, after, scores))
            if not lost:
                break
    return min(found, key=_Found.order)


def _clusters_of(parts, graphs, num_clusters, pieces, resolution):
    """The components of a mixture [N, P] joined, before small parts moved and after them; pieces: None if none do."""
    graph, *input_graphs = graphs
    clusters = joined(graph, parts.argmax(axis=1), parts.shape[1], num_clusters, resolution)
    memberships = parts @ np.eye(num_clusters)[clusters]
    if pieces is None:
        return memberships, memberships
    return memberships, moved_parts(memberships, pieces, input_graphs, resolution)


def lay_out_in_plane(points: np.ndarray, seed: int) -> np.ndarray:
    """A layout [N, 2] of points [N, J] to be looked at: UMAP's, or their own first dimensions where it finds none."""
    if points.shape[1] <= 2 or len(points) < _PLANE_LEAST or not np.ptp(points, axis=0).any():
        return np.pad(points[:, :2], [(0, 0), (0, max(0, 2 - points.shape[1]))])
    count = min(_PLANE_NEIGHBORS, len(points) - 2)
    distances, neighbors = nearest_others(points, count)
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
