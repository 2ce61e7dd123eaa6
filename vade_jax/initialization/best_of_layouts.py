"""Clusters on the neighbour graph of embeddings: layouts of it, mixtures on these, and those that cut a graph best."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from joblib import Parallel, cpu_count, delayed
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits

from vade_jax.initialization.gaussian_mixtures import fit_mixture
from vade_jax.initialization.modularity import (
    count_emptied_clusters,
    mean_modularity,
    merge_to_num_clusters,
    reassign_pieces,
    split_into_pieces,
)
from vade_jax.initialization.neighbor_graphs import merge_neighbor_lists, nearest_neighbors_without_hubs, neighbor_graph
from vade_jax.initialization.umap_layouts import umap_layout
from vade_jax.system import console

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
    found = list(
        console.progress_bar(answers, total=len(search.layout_seeds), desc="clusters", unit="layout", leave=False)
    )
    return min(found, key=_Found.sort_key).memberships, [score for of_layout in found for score in of_layout.scores]


def make_layout_clusterer(embeddings: np.ndarray, search: Search) -> Callable[[int], np.ndarray]:
    """`best_on_layouts` for any number of clusters, on the same layouts.

    Args:
      embeddings: [N, J], N >= 4.
      search: what is tried.

    Returns:
      K -> memberships [N, K].
    """
    distances, neighbors, graph = _neighborhoods(embeddings, search.num_neighbors)
    layouts = [umap_layout(embeddings, distances, neighbors, seed) for seed in search.layout_seeds]

    def find(num_clusters: int) -> np.ndarray:
        found = [_best_clusters(layout, (graph,), num_clusters, search) for layout in layouts]
        return min(found, key=_Found.sort_key).memberships

    return find


def _neighborhoods(embeddings, count, input_neighbors=None):
    """The distances and the numbers of each row's nearest others, [N, count] each, and their graph."""
    distances, neighbors = nearest_neighbors_without_hubs(embeddings, count)
    if input_neighbors:
        distances, neighbors = merge_neighbor_lists((distances, neighbors), input_neighbors)
    return distances, neighbors, neighbor_graph(np.arange(len(embeddings)), neighbors, len(embeddings))


def _best_on_layout(embeddings, distances, neighbors, graphs, num_clusters, layout_seed, search):
    return _best_clusters(umap_layout(embeddings, distances, neighbors, layout_seed), graphs, num_clusters, search)


class _Found(NamedTuple):
    """The best of a layout's candidates, the clusters that moves have used up, and each one's modularity."""

    lost: int
    resolution: float
    memberships: np.ndarray
    scores: list[float]

    def sort_key(self):
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
        pieces = split_into_pieces(layout, search.part_rows, search.mixture_seeds[0]) if moves else None
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
            lost = count_emptied_clusters(judges[0], before.argmax(axis=1), after.argmax(axis=1), num_clusters)
            found.append(_Found(lost, resolution, after, scores))
            if not lost:
                break
    return min(found, key=_Found.sort_key)


def _clusters_of(parts, graphs, num_clusters, pieces, resolution):
    """The components of a mixture [N, P] joined, before small parts moved and after them; pieces: None if none do."""
    graph, *input_graphs = graphs
    clusters = merge_to_num_clusters(graph, parts.argmax(axis=1), parts.shape[1], num_clusters, resolution)
    memberships = parts @ np.eye(num_clusters)[clusters]
    if pieces is None:
        return memberships, memberships
    return memberships, reassign_pieces(memberships, pieces, input_graphs, resolution)
