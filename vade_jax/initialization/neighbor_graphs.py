"""The neighbour graph of rows, and how well clusters cut it: a criterion of clusters that reads no label."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from scipy.sparse import csr_matrix
from sklearn.neighbors import NearestNeighbors

_LEAST_NEIGHBORS, _MOST_NEIGHBORS = 10, 60
_QUERIES = 1024  # at a time on the device
_TINY = 1e-30  # for a row whose neighbours all equal it
_HUB = 50  # times as many rows have it for a neighbour as an average row; stories in words came to 21 times
_MORE = 4  # candidates than neighbours there: the expanded square rounds the order of nearly equal distances


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


def nearest_neighbors(
    rows: np.ndarray, queries: np.ndarray, count: int, own: np.ndarray | None = None, on_device: bool | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """The nearest rows of each query, exactly.

    Args:
      rows: [N, D].
      queries: [M, D].
      count: k, less than N.
      own: [M], the numbers of the queries among the rows, which are no neighbours of themselves; None for queries that
        are no rows.
      on_device: by matrix products on JAX's first device; None: where that is no CPU, on which a tree is as fast.

    Returns:
      Distances in ascending order and the rows' numbers, each [M, k].
    """
    if on_device is None:
        on_device = jax.default_backend() != "cpu"
    asked = count + (own is not None)
    search = _search_on_device if on_device else _search
    distances, neighbors = search(np.asarray(rows), np.asarray(queries), asked)
    if own is None:
        return distances, neighbors
    others = neighbors != own[:, None]
    others[others.all(axis=1), -1] = False  # as many equal rows came first
    return distances[others].reshape(-1, count), neighbors[others].reshape(-1, count)


def nearest_neighbors_without_hubs(
    rows: np.ndarray, count: int, numbers: np.ndarray | None = None, queries: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """The nearest others of rows, exactly, hubs left out.

    A hub is near to most rows for its place and not for likeness, as an empty document is, which is nearer to every
    tf-idf row than most documents are (Radovanovic et al. 2010, JMLR 11). It has neighbours, and is nobody's.

    Args:
      rows: [N, D].
      count: k, less than N.
      numbers: [M], of the rows whose others are asked for; None for all.
      queries: [M, D], versions of those rows that the others are to be near to; None for the rows themselves.

    Returns:
      Distances in ascending order and the rows' numbers, each [M, k].
    """
    if queries is None:
        queries = rows if numbers is None else rows[numbers]
    if numbers is None:
        numbers = np.arange(len(rows))
    distances, neighbors = nearest_neighbors(rows, queries, count, own=numbers)
    named = np.bincount(neighbors.ravel(), minlength=len(rows))
    hubs = named > _HUB * max(1, named.mean())  # that few name one says nothing where few are asked
    if hubs.any():
        others, asks = np.flatnonzero(~hubs), hubs[numbers]
        for which, own in ((~asks, np.searchsorted(others, numbers[~asks])), (asks, None)):
            if which.any():
                distances[which], found = nearest_neighbors(rows[others], queries[which], count, own=own)
                neighbors[which] = others[found]
    return distances, neighbors


def _search(rows, queries, count):
    return NearestNeighbors(n_neighbors=count, n_jobs=-1).fit(rows).kneighbors(queries)


def _search_on_device(rows, queries, count):
    rows = jax.device_put(rows.astype(np.float32))
    candidates = min(count + _MORE, len(rows))
    found = []
    for start in range(0, len(queries), _QUERIES):
        block = queries[start : start + _QUERIES].astype(np.float32)
        padded = np.concatenate([block, np.zeros((_QUERIES - len(block), block.shape[1]), np.float32)])
        found.append([np.asarray(array)[: len(block)] for array in _nearest(rows, padded, candidates, count)])
    distances, neighbors = zip(*found, strict=True)
    return np.concatenate(distances), np.concatenate(neighbors)


@functools.partial(jax.jit, static_argnames=("candidates", "count"))
def _nearest(rows, queries, candidates, count):
    # |q - r|^2 less |q|^2, which is the same for every row.
    closeness = 2 * jnp.matmul(queries, rows.T, precision=jax.lax.Precision.HIGHEST) - jnp.sum(rows**2, axis=1)[None]
    neighbors = jax.lax.top_k(closeness, candidates)[1]
    distances = jax.lax.map(lambda pair: jnp.linalg.norm(rows[pair[1]] - pair[0][None], axis=1), (queries, neighbors))
    order = jnp.argsort(distances, axis=1)[:, :count]
    return jnp.take_along_axis(distances, order, 1), jnp.take_along_axis(neighbors, order, 1)


def merge_neighbor_lists(
    one: tuple[np.ndarray, np.ndarray], other: tuple[np.ndarray, np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """The nearest neighbours by either of two measures, each measured in its distance to a row's k-th neighbour.

    Args:
      one: distances in ascending order and the rows' numbers, each [N, k].
      other: the same rows' by the other measure.

    Returns:
      Distances in ascending order and the rows' numbers, each [N, k]; no number twice in a row.
    """
    measured = [distances / np.maximum(distances[:, -1:], _TINY) for distances, _ in (one, other)]
    distances, neighbors = np.concatenate(measured, axis=1), np.concatenate([one[1], other[1]], axis=1)
    order = np.lexsort((distances, neighbors))  # the same number lies side by side, the less distance first
    distances, neighbors = (np.take_along_axis(array, order, 1) for array in (distances, neighbors))
    distances[:, 1:][neighbors[:, 1:] == neighbors[:, :-1]] = np.inf
    order = np.argsort(distances, axis=1, kind="stable")[:, : one[1].shape[1]]
    return np.take_along_axis(distances, order, 1), np.take_along_axis(neighbors, order, 1)


def neighbor_graph(rows: np.ndarray, neighbors: np.ndarray, num_rows: int) -> csr_matrix:
    """The symmetric graph [N, N] of ones whose edges join some rows [M] and their neighbours [M, k], all by number."""
    count = neighbors.shape[1]
    edges = np.repeat(rows, count), neighbors.ravel()
    graph = csr_matrix((np.ones(neighbors.size), edges), (num_rows, num_rows))
    return graph.maximum(graph.T).tocsr()


def sampled_graph(
    inputs: np.ndarray, num_neighbors: int, num_rows: int, seed: int, queries: np.ndarray | None = None
) -> csr_matrix:
    """The graph of rows drawn at random and their nearest of all rows.

    Fewer edges of the graph of all rows, no coarser ones: clusters are compared at the same scale with any number.

    Args:
      inputs: [N, D], N >= 2.
      num_neighbors: k, less than N.
      num_rows: drawn, all where there are fewer.
      seed: of the draw.
      queries: [N, D], versions of the inputs, as `nearest_others` has them; None for the inputs themselves.

    Returns:
      [N, N], symmetric, of ones.
    """
    drawn = np.sort(np.random.default_rng(seed).permutation(len(inputs))[:num_rows])
    _, neighbors = nearest_neighbors_without_hubs(
        inputs, num_neighbors, drawn, None if queries is None else queries[drawn]
    )
    return neighbor_graph(drawn, neighbors, len(inputs))
