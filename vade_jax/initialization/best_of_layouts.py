"""Gaussian mixtures on UMAP layouts of a neighbour graph; the candidate with the highest modularity is taken."""

import functools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from joblib import Parallel, cpu_count, delayed
from scipy.sparse import csr_matrix
from sklearn.mixture import GaussianMixture
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
from vade_jax.system.process_wide import PROCESS_WIDE

_RESOLUTIONS = [1.5**power for power in range(6)]
_ROWS_FOR_PROCESSES = 10_000  # with fewer rows, starting processes takes longer than making the layouts


class Search(NamedTuple):
    """Which candidates are tried on a neighbour graph.

    Attributes:
      num_neighbors: k, the neighbours of each row.
      layout_seeds: one for each layout.
      mixture_seeds: one for each start of a mixture on a layout.
      components: the largest number of mixture components for each cluster; every number from 1 is tried.
      part_rows: the mean size of the pieces that are reassigned (see `modularity.reassign_pieces`); 0: none are.
    """

    num_neighbors: int
    layout_seeds: list[int]
    mixture_seeds: list[int]
    components: int
    part_rows: int


class _BestOfLayout(NamedTuple):
    """The best candidate on a layout.

    Attributes:
      num_emptied: the number of its clusters left almost empty by reassignment.
      resolution: at which modularity was taken.
      memberships: [N, K].
      scores: the mean modularity of every candidate on the layout.
    """

    num_emptied: int
    resolution: float
    memberships: np.ndarray
    scores: list[float]

    def sort_key(self) -> tuple[int, float, float]:
        """The least is the best."""
        return self.num_emptied, self.resolution, -max(self.scores)


def best_on_layouts(
    embeddings: np.ndarray,
    num_clusters: int,
    search: Search,
    input_neighbors: tuple[np.ndarray, np.ndarray] | None = None,
    input_graphs: Sequence[csr_matrix] = (),
) -> tuple[np.ndarray, list[float]]:
    """Returns the clusters of the highest modularity, from several layouts and several starts on each.

    Args:
      embeddings: [N, J], N >= 4.
      num_clusters: K.
      search: the candidates.
      input_neighbors: as in `methods.ClusteringOptions`, with k = search.num_neighbors.
      input_graphs: [N, N] each. The mean modularity on them is compared, and a group of rows is reassigned if that
        raises the modularity on all of them. If empty, the embeddings' graph is used and no group is reassigned.

    Returns:
      Memberships [N, K], and the mean modularity of every candidate at the resolution taken for its layout.
    """
    distances, neighbors, graph = _find_neighbors(embeddings, search.num_neighbors, input_neighbors)
    # A layout with a seed runs on one core.
    num_jobs = min(len(search.layout_seeds), cpu_count()) if len(embeddings) >= _ROWS_FOR_PROCESSES else 1
    tasks = (
        delayed(_best_on_new_layout)(embeddings, distances, neighbors, seed, graph, input_graphs, num_clusters, search)
        for seed in search.layout_seeds
    )
    answers = Parallel(n_jobs=num_jobs, return_as="generator")(tasks)
    found = list(
        console.progress_bar(answers, total=len(search.layout_seeds), desc="clusters", unit="layout", leave=False)
    )
    return min(found, key=_BestOfLayout.sort_key).memberships, [score for best in found for score in best.scores]


def make_layout_clusterer(embeddings: np.ndarray, search: Search) -> Callable[[int], np.ndarray]:
    """Returns a function that does what `best_on_layouts` does for any K, on layouts that are made only once.

    Args:
      embeddings: [N, J], N >= 4.
      search: the candidates.

    Returns:
      K -> memberships [N, K].
    """
    distances, neighbors, graph = _find_neighbors(embeddings, search.num_neighbors)
    layouts = [umap_layout(embeddings, distances, neighbors, seed) for seed in search.layout_seeds]

    def cluster(num_clusters: int) -> np.ndarray:
        found = [_best_on_layout(layout, graph, (), num_clusters, search) for layout in layouts]
        return min(found, key=_BestOfLayout.sort_key).memberships

    return cluster


def _find_neighbors(
    embeddings: np.ndarray, count: int, input_neighbors: tuple[np.ndarray, np.ndarray] | None = None
) -> tuple[np.ndarray, np.ndarray, csr_matrix]:
    """Returns the distances and the indices of each row's nearest others, [N, count] each, and their graph."""
    distances, neighbors = nearest_neighbors_without_hubs(embeddings, count)
    if input_neighbors:
        distances, neighbors = merge_neighbor_lists((distances, neighbors), input_neighbors)
    return distances, neighbors, neighbor_graph(np.arange(len(embeddings)), neighbors, len(embeddings))


def _best_on_new_layout(
    embeddings: np.ndarray,
    distances: np.ndarray,
    neighbors: np.ndarray,
    layout_seed: int,
    graph: csr_matrix,
    input_graphs: Sequence[csr_matrix],
    num_clusters: int,
    search: Search,
) -> _BestOfLayout:
    layout = umap_layout(embeddings, distances, neighbors, layout_seed)
    return _best_on_layout(layout, graph, input_graphs, num_clusters, search)


def _best_on_layout(
    layout: np.ndarray, graph: csr_matrix, input_graphs: Sequence[csr_matrix], num_clusters: int, search: Search
) -> _BestOfLayout:
    """Returns the best candidate at the lowest resolution at which reassignment empties no cluster, or the fewest.

    At a resolution of 1, two of many clusters have a higher modularity if they are one (Fortunato and Barthelemy 2007,
    PNAS 104(1)). Group after group of one of them would then be reassigned to the other.
    """
    scoring_graphs = input_graphs or [graph]
    found = []
    # Products of ten columns are so short that threads would mostly wait for each other.
    with PROCESS_WIDE, threadpool_limits(1):
        pieces = None
        if search.part_rows and input_graphs:
            pieces = split_into_pieces(layout, search.part_rows, search.mixture_seeds[0])
        mixtures = [
            fit_mixture(layout, "full", min(components * num_clusters, len(layout)), seed)
            for components in range(1, search.components + 1)
            for seed in search.mixture_seeds
        ]
        for resolution in _RESOLUTIONS:
            merge = functools.partial(
                _merge_and_reassign,
                layout=layout,
                graph=graph,
                input_graphs=input_graphs,
                num_clusters=num_clusters,
                pieces=pieces,
                resolution=resolution,
            )
            scores: list[float] = []
            for mixture in mixtures:
                before, after = merge(mixture)
                score = mean_modularity(scoring_graphs, after.argmax(axis=1), resolution)
                if score > max(scores, default=-np.inf):
                    best_before, best_after = before.argmax(axis=1), after
                scores.append(score)
            num_emptied = count_emptied_clusters(
                scoring_graphs[0], best_before, best_after.argmax(axis=1), num_clusters
            )
            found.append(_BestOfLayout(num_emptied, resolution, best_after, scores))
            if not num_emptied:
                break
    return min(found, key=_BestOfLayout.sort_key)


def _merge_and_reassign(
    mixture: GaussianMixture,
    layout: np.ndarray,
    graph: csr_matrix,
    input_graphs: Sequence[csr_matrix],
    num_clusters: int,
    pieces: np.ndarray | None,
    resolution: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Merges the components of a mixture to K clusters, then reassigns pieces of them.

    Args:
      mixture: fitted to the layout, with P components. Their probabilities [N, P] are computed in each call, since
        those of all mixtures together may not fit in memory.
      layout: [N, d].
      graph: [N, N], on which components are merged.
      input_graphs: [N, N] each, on which pieces are reassigned.
      num_clusters: K.
      pieces: [N], the index of each row's piece; None if none are reassigned.
      resolution: of modularity.

    Returns:
      Memberships [N, K] before and after the reassignment.
    """
    components = mixture.predict_proba(layout)
    clusters = merge_to_num_clusters(graph, components.argmax(axis=1), components.shape[1], num_clusters, resolution)
    memberships = components @ np.eye(num_clusters)[clusters]
    if pieces is None:
        return memberships, memberships
    return memberships, reassign_pieces(memberships, pieces, input_graphs, resolution)
