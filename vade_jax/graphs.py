"""The neighbour graph of rows, and how well clusters cut it: a criterion of clusters that reads no label."""

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.neighbors import NearestNeighbors

_LEAST_NEIGHBORS, _MOST_NEIGHBORS = 10, 60


def num_neighbors(num_rows: int, num_clusters: int, share: float) -> int:
    """How many others each row is joined to: a share of an average cluster, from 10 to 60, and N - 2 at most.

    A curved cluster holds together only where neighbourhoods reach along it: few suffice in small clusters, and large
    ones fall to pieces with as few.

    Args:
      num_rows: N.
      num_clusters: K.
      share: in [0, 1].

    Returns:
      At least 1.
    """
    count = round(share * num_rows / num_clusters)
    return max(1, min(max(count, _LEAST_NEIGHBORS), _MOST_NEIGHBORS, num_rows - 2))  # UMAP lays out no complete graph


def neighbor_graph(rows: np.ndarray, neighbors: np.ndarray, num_rows: int) -> csr_matrix:
    """The symmetric graph [N, N] of ones whose edges join some rows [M] and their neighbours [M, k], all by number."""
    count = neighbors.shape[1]
    edges = np.repeat(rows, count), neighbors.ravel()
    graph = csr_matrix((np.ones(neighbors.size), edges), (num_rows, num_rows))
    return graph.maximum(graph.T).tocsr()


def sampled_graph(inputs: np.ndarray, num_neighbors: int, num_rows: int, seed: int) -> csr_matrix:
    """The graph of rows drawn at random and their nearest of all rows.

    Fewer edges of the graph of all rows, no coarser ones: clusters are compared at the same scale with any number.

    Args:
      inputs: [N, D], N >= 2.
      num_neighbors: k, less than N.
      num_rows: drawn, all where there are fewer.
      seed: of the draw.

    Returns:
      [N, N], symmetric, of ones.
    """
    drawn = np.sort(np.random.default_rng(seed).permutation(len(inputs))[:num_rows])
    nearest = NearestNeighbors(n_neighbors=num_neighbors + 1, n_jobs=-1).fit(inputs)
    graph = neighbor_graph(drawn, nearest.kneighbors(inputs[drawn], return_distance=False), len(inputs))
    graph.setdiag(0)  # each row is among its own nearest
    graph.eliminate_zeros()
    return graph


def modularity(graph: csr_matrix, clusters: np.ndarray) -> float:
    """The share of edges inside clusters, less what it would be by chance (Newman 2006, PNAS 103(23)).

    Args:
      graph: [N, N], symmetric, of weights >= 0.
      clusters: [N].

    Returns:
      In [-1/2, 1].
    """
    degrees = np.asarray(graph.sum(axis=1)).ravel()
    rows = np.repeat(np.arange(len(clusters)), np.diff(graph.indptr))
    inside = clusters[rows] == clusters[graph.indices]
    volumes = np.bincount(clusters, weights=degrees) / degrees.sum()
    return float(graph.data[inside].sum() / degrees.sum() - np.square(volumes).sum())
