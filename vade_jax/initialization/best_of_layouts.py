"""Gaussian mixtures on UMAP layouts of a neighbour graph; the candidate with the highest modularity is taken."""

import functools
from collections.abc import Callable, Sequence
from itertools import zip_longest
from typing import NamedTuple

import numpy as np
from joblib import Parallel, cpu_count, delayed
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits

from vade_jax.initialization.best_candidate import BestCandidate, best_candidates, suited_to_sizes
from vade_jax.initialization.gaussian_mixtures import fit_mixture
from vade_jax.initialization.modularity import split_into_pieces
from vade_jax.initialization.neighbor_graphs import find_neighbors
from vade_jax.initialization.umap_layouts import umap_layout
from vade_jax.system import console
from vade_jax.system.process_wide import PROCESS_WIDE

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


def best_on_layouts(
    embeddings: np.ndarray,
    num_clusters: int,
    search: Search,
    input_neighbors: tuple[np.ndarray, np.ndarray] | None = None,
    input_graphs: Sequence[csr_matrix] = (),
    spaces: Sequence[np.ndarray] = (),
    resolution: float | None = 1.0,
) -> BestCandidate:
    """Returns the clusters of the highest modularity, from several layouts and several starts on each.

    Args:
      embeddings: [N, J], N >= 4.
      num_clusters: K.
      search: the candidates.
      input_neighbors: as in `methods.ClusteringOptions`, with k = search.num_neighbors.
      input_graphs: [N, N] each. The mean modularity on them is compared, and a group of rows is reassigned if that
        raises the modularity on all of them. If empty, the embeddings' graph is used and no group is reassigned.
      spaces: see `suited_to_sizes`; used to choose the resolution.
      resolution: of modularity, at most 1; None to choose it. See `best_candidates`.

    Returns:
      The best candidate, with the scores of every candidate at the resolution taken for its layout.
    """
    distances, neighbors, graph = find_neighbors(embeddings, search.num_neighbors, input_neighbors)
    on_layout = functools.partial(
        _best_on_layout,
        graph=graph,
        input_graphs=input_graphs,
        num_clusters=num_clusters,
        search=search,
        resolution=resolution,
    )
    # A layout with a seed runs on one core.
    num_jobs = min(len(search.layout_seeds), cpu_count()) if len(embeddings) >= _ROWS_FOR_PROCESSES else 1
    tasks = (
        delayed(_best_on_new_layout)(on_layout, embeddings, distances, neighbors, seed) for seed in search.layout_seeds
    )
    answers = Parallel(n_jobs=num_jobs, return_as="generator")(tasks)
    found = list(
        console.progress_bar(answers, total=len(search.layout_seeds), desc="clusters", unit="layout", leave=False)
    )
    # A layout on which reassignment emptied a cluster at 1 has no candidates at lower resolutions.
    at_each = [list(filter(None, of_layouts)) for of_layouts in zip_longest(*found)]
    best_at_each = [
        min(known, key=BestCandidate.sort_key)._replace(scores=[score for one in known for score in one.scores])
        for known in at_each
    ]
    return suited_to_sizes(best_at_each, spaces)


def make_layout_clusterer(embeddings: np.ndarray, search: Search) -> Callable[[int], np.ndarray]:
    """Returns a function that does what `best_on_layouts` does for any K, on layouts that are made only once.

    Args:
      embeddings: [N, J], N >= 4.
      search: the candidates.

    Returns:
      K -> memberships [N, K].
    """
    distances, neighbors, graph = find_neighbors(embeddings, search.num_neighbors)
    layouts = [umap_layout(embeddings, distances, neighbors, seed) for seed in search.layout_seeds]

    def cluster(num_clusters: int) -> np.ndarray:
        found = [_best_on_layout(layout, graph, (), num_clusters, search, 1.0)[0] for layout in layouts]
        return min(found, key=BestCandidate.sort_key).memberships

    return cluster


def _best_on_new_layout(
    on_layout: Callable[[np.ndarray], list[BestCandidate]],
    embeddings: np.ndarray,
    distances: np.ndarray,
    neighbors: np.ndarray,
    layout_seed: int,
) -> list[BestCandidate]:
    return on_layout(umap_layout(embeddings, distances, neighbors, layout_seed))


def _best_on_layout(
    layout: np.ndarray,
    graph: csr_matrix,
    input_graphs: Sequence[csr_matrix],
    num_clusters: int,
    search: Search,
    resolution: float | None,
) -> list[BestCandidate]:
    """Returns the best mixtures on the layout, as `best_candidates` does."""
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
        # The probabilities of all mixtures together may not fit in memory.
        candidates = [functools.partial(mixture.predict_proba, layout) for mixture in mixtures]
        return best_candidates(candidates, graph, input_graphs, num_clusters, pieces, resolution)
