"""Communities of a neighbour graph, merged to K clusters; the candidate with the highest modularity is taken."""

import functools
from collections.abc import Callable, Sequence

import numpy as np
from scipy.sparse import csr_matrix
from sknetwork.clustering import Leiden

from vade_jax.initialization.best_candidate import BestCandidate, best_candidates, suited_to_sizes
from vade_jax.initialization.neighbor_graphs import find_neighbors
from vade_jax.system.process_wide import fresh_c_rand

_RESOLUTIONS = (1.0, 2.0, 4.0)


def make_community_clusterer(
    embeddings: np.ndarray,
    num_neighbors: int,
    seeds: Sequence[int],
    part_rows: int,
    input_neighbors: tuple[np.ndarray, np.ndarray] | None = None,
    input_graphs: Sequence[csr_matrix] = (),
    spaces: Sequence[np.ndarray] = (),
    resolution: float | None = 1.0,
) -> Callable[[int], BestCandidate]:
    """Returns a function that finds K clusters, for any K, from communities that are found only once.

    The candidates are communities at several resolutions and from several seeds. The memberships of the best one are
    the shares of each row's neighbours in its clusters, so that few rows are left alone among those of another cluster.

    Args:
      embeddings: [N, J], N >= 4.
      num_neighbors: k, the neighbours of each row.
      seeds: one for each candidate at each resolution.
      part_rows: the mean size of the communities that are reassigned (see `modularity.reassign_pieces`); 0: none are.
      input_neighbors: as in `neighbor_graphs.find_neighbors`.
      input_graphs: [N, N] each. Communities are those of the sum of these and the embeddings' graph: on either alone,
        one candidate in ten joins two true clusters. The mean modularity on the input graphs is compared, and a small
        community is reassigned if that raises the modularity on all of them. If empty, none is reassigned.
      spaces: see `suited_to_sizes`; used to choose the resolution.
      resolution: of modularity, at most 1; None to choose it. See `best_candidates`.

    Returns:
      K -> the best candidate, with memberships [N, K].
    """
    _, _, embedding_graph = find_neighbors(embeddings, num_neighbors, input_neighbors)
    graph = sum(input_graphs, start=embedding_graph)
    find = functools.cache(functools.partial(find_communities, graph))

    def cluster(num_clusters: int) -> BestCandidate:
        candidates = [
            functools.partial(_indicator, _at_least(num_clusters, find, resolution, seed))
            for resolution in _RESOLUTIONS
            for seed in seeds
        ]
        num_pieces = len(embeddings) // part_rows if part_rows else 0
        pieces = _at_least(num_pieces, find, 1.0, seeds[0]) if input_graphs and num_pieces else None
        found = best_candidates(candidates, graph, input_graphs, num_clusters, pieces, resolution)
        best = suited_to_sizes(found, spaces)
        return best._replace(memberships=_shares_of_neighbors(graph, best.memberships))

    return cluster


def find_communities(graph: csr_matrix, resolution: float, seed: int) -> np.ndarray:
    """Returns the community of each row of a graph [N, N], by the method of Leiden (Traag et al. 2019, Sci. Rep. 9).

    A community is a group of rows with more edges inside it than expected by chance.

    Args:
      graph: [N, N], symmetric, of weights >= 0, with an edge.
      resolution: of modularity; a higher one gives more and smaller communities.
      seed: of the order in which rows are looked at.

    Returns:
      [N], in 0 .. P - 1; no community is without a row.
    """
    leiden = Leiden(resolution, random_state=seed, shuffle_nodes=True, return_probs=False, return_aggregate=False)
    with fresh_c_rand():  # scikit-network draws from it too, whatever the random_state
        return leiden.fit_predict(graph)


def _at_least(count: int, find: Callable[[float, int], np.ndarray], resolution: float, seed: int) -> np.ndarray:
    """Returns at least count communities: the resolution is doubled until there are so many.

    With no more rows than that, each row is a community.
    """
    communities = find(resolution, seed)
    while communities.max() + 1 < count < len(communities):
        resolution *= 2
        communities = find(resolution, seed)
    return communities if count < len(communities) else np.arange(len(communities))


def _indicator(communities: np.ndarray) -> np.ndarray:
    """[N, P]: 1 where a row is in a community."""
    return np.eye(communities.max() + 1)[communities]


def _shares_of_neighbors(graph: csr_matrix, memberships: np.ndarray) -> np.ndarray:
    """Returns the mean memberships [N, K] of each row's neighbours. A cluster that this would empty keeps its rows."""
    shares = graph @ memberships / np.asarray(graph.sum(axis=1)).reshape(-1, 1)
    clusters = memberships.argmax(axis=1)
    emptied = np.setdiff1d(clusters, shares.argmax(axis=1))
    return np.where(np.isin(clusters, emptied)[:, None], memberships, shares)
