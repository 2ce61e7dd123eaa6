"""Nearest neighbours of rows, and the graphs that join rows to them."""

import functools
import warnings

import jax
import jax.numpy as jnp
import numpy as np
from scipy.sparse import csr_matrix
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors

from vade_jax.core.moments import far_means
from vade_jax.system.process_wide import PROCESS_WIDE

_LEAST_NEIGHBORS, _MOST_NEIGHBORS = 10, 60
_QUERIES = 1024  # at a time on the device
_TINY = 1e-30  # avoids 0 / 0 for a row that equals all its neighbours
_HUB_FACTOR = 50  # a hub is a neighbour of over 50 times as many rows as an average row; word counts reached 21 times
_EXTRA_CANDIDATES = 4  # rounding of the expanded square may swap nearly equal distances, so these are compared again
_MANY_ROWS, _MANY_COLUMNS = 20_000, 128  # an exact search takes over a minute on a CPU from about here on
_COMPONENTS, _CANDIDATES = 64, 3  # principal components, and candidates for each neighbour; MNIST: 0.998 are found
_LEAST_RECALL, _CHECKED_QUERIES = 0.99, 200
_COMPARED_QUERIES = 128  # at a time


def num_neighbors(num_rows: int, num_clusters: int, share: float) -> int:
    """Returns how many others each row is joined to: a share of an average cluster, from 10 to 60, at most N - 2.

    A curved cluster stays connected only if neighbourhoods reach along it. A few neighbours are enough in a small
    cluster; a large cluster falls apart with so few.

    Args:
      num_rows: N.
      num_clusters: K.
      share: in [0, 1].

    Returns:
      At least 1.
    """
    count = round(share * num_rows / num_clusters)
    # N - 2, since UMAP cannot lay out a complete graph.
    return max(1, min(max(count, _LEAST_NEIGHBORS), _MOST_NEIGHBORS, num_rows - 2))


def nearest_neighbors(
    rows: np.ndarray,
    queries: np.ndarray,
    count: int,
    query_indices: np.ndarray | None = None,
    on_device: bool | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the nearest rows of each query.

    The search is exact, except among over 20,000 rows of over 128 columns on a CPU: there, candidates are searched for
    in 64 principal components. It is exact there too if more than 1 of 100 neighbours of a few queries would be missed.

    Args:
      rows: [N, D].
      queries: [M, D].
      count: k, less than N.
      query_indices: [M], the indices of the queries among the rows; no row is its own neighbour then. None if the
        queries are not among the rows.
      on_device: whether to search by matrix products on JAX's first device; None: unless that is a CPU, where
        scikit-learn's trees are as fast.

    Returns:
      Distances in ascending order and the rows' indices, each [M, k].
    """
    if on_device is None:
        on_device = jax.default_backend() != "cpu"
    is_large = len(rows) > _MANY_ROWS and rows.shape[1] > _MANY_COLUMNS
    search = _search_on_device if on_device else _search_in_components if is_large else _search
    distances, neighbors = search(np.asarray(rows), np.asarray(queries), count + (query_indices is not None))
    if query_indices is None:
        return distances, neighbors
    others = neighbors != query_indices[:, None]
    others[others.all(axis=1), -1] = False  # equal rows were found in place of the row itself: drop the last one
    return distances[others].reshape(-1, count), neighbors[others].reshape(-1, count)


def nearest_neighbors_without_hubs(
    rows: np.ndarray, count: int, indices: np.ndarray | None = None, queries: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the nearest other rows of each row; hubs are never returned as neighbours.

    A hub is near most rows although it is not like them (Radovanovic et al. 2010, JMLR 11). An example is an empty
    document: it is nearer to every tf-idf row than most documents are. A hub still gets neighbours.

    Args:
      rows: [N, D].
      count: k, less than N.
      indices: [M], the rows whose neighbours are searched for; None for all.
      queries: [M, D], versions of those rows that are compared with the others; None for the rows themselves.

    Returns:
      Distances in ascending order and the rows' indices, each [M, k].
    """
    if queries is None:
        queries = rows if indices is None else rows[indices]
    if indices is None:
        indices = np.arange(len(rows))
    distances, neighbors = nearest_neighbors(rows, queries, count, indices)
    hubs = find_hubs(neighbors, len(rows))
    if not hubs.any():
        return distances, neighbors
    kept, is_hub = np.flatnonzero(~hubs), hubs[indices]
    # Only the queries that are no hubs are among the kept rows, and need their own indices there.
    for which, kept_indices in ((~is_hub, np.searchsorted(kept, indices[~is_hub])), (is_hub, None)):
        if which.any():
            distances[which], found = nearest_neighbors(rows[kept], queries[which], count, kept_indices)
            neighbors[which] = kept[found]
    return distances, neighbors


def find_hubs(neighbors: np.ndarray, num_rows: int) -> np.ndarray:
    """Finds the rows that are a neighbour of more than 50 times as many rows as the average row.

    Args:
      neighbors: [M, k], the indices of the neighbours of M rows.
      num_rows: N.

    Returns:
      [N], bool.
    """
    counts = np.bincount(neighbors.ravel(), minlength=num_rows)
    return counts > _HUB_FACTOR * max(1, counts.mean())  # at least 1: the neighbours of a few queries are no hubs


def _search(rows: np.ndarray, queries: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    with PROCESS_WIDE, warnings.catch_warnings():  # each of scikit-learn's threads replaces the filters of all
        return NearestNeighbors(n_neighbors=count, n_jobs=-1).fit(rows).kneighbors(queries)


def _search_in_components(rows: np.ndarray, queries: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Searches for candidates in the principal components, and compares these by all columns."""
    pca = PCA(_COMPONENTS, svd_solver="randomized", random_state=0).fit(rows)
    projected, num_candidates = pca.transform(rows), min(_CANDIDATES * count, len(rows))

    def search(queries: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        _, candidates = _search(projected, pca.transform(queries), num_candidates)
        return _nearest_candidates(rows, queries, candidates, count)

    checked = queries[np.linspace(0, len(queries) - 1, min(_CHECKED_QUERIES, len(queries)), dtype=int)]
    # Distances are compared, since equal rows may be found in any order.
    recall = np.mean(search(checked)[0] <= _search(rows, checked, count)[0][:, -1:] * (1 + 1e-5))
    return search(queries) if recall >= _LEAST_RECALL else _search(rows, queries, count)


def _nearest_candidates(
    rows: np.ndarray, queries: np.ndarray, candidates: np.ndarray, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """Distances and indices, [M, k] each, of the nearest of each query's own candidates [M, C]."""
    distances = np.concatenate(
        [
            np.linalg.norm(rows[candidates[part]] - queries[part, None], axis=-1)
            for part in np.split(np.arange(len(queries)), range(_COMPARED_QUERIES, len(queries), _COMPARED_QUERIES))
        ]
    )
    order = np.argsort(distances, axis=1, kind="stable")[:, :count]
    return np.take_along_axis(distances, order, 1), np.take_along_axis(candidates, order, 1)


def _search_on_device(rows: np.ndarray, queries: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    centre = far_means(rows)  # the search compares squares
    resident_rows = jax.device_put((rows - centre).astype(np.float32))
    candidates = min(count + _EXTRA_CANDIDATES, len(rows))
    found = []
    for start in range(0, len(queries), _QUERIES):
        block = (queries[start : start + _QUERIES] - centre).astype(np.float32)
        padded = np.concatenate([block, np.zeros((_QUERIES - len(block), block.shape[1]), np.float32)])
        found.append([np.asarray(array)[: len(block)] for array in _nearest(resident_rows, padded, candidates, count)])
    distances, neighbors = zip(*found, strict=True)
    return np.concatenate(distances), np.concatenate(neighbors)


@functools.partial(jax.jit, static_argnames=("candidates", "count"))
def _nearest(rows: jax.Array, queries: jax.Array, candidates: int, count: int) -> tuple[jax.Array, jax.Array]:
    """Distances and indices of the nearest rows of each query, chosen from candidates by the expanded square."""
    # |q|^2 - |q - r|^2: |q|^2 is the same for every row.
    closeness = 2 * jnp.matmul(queries, rows.T, precision=jax.lax.Precision.HIGHEST) - jnp.sum(rows**2, axis=1)[None]
    neighbors = jax.lax.top_k(closeness, candidates)[1]
    distances = jax.lax.map(lambda pair: jnp.linalg.norm(rows[pair[1]] - pair[0][None], axis=1), (queries, neighbors))
    order = jnp.argsort(distances, axis=1)[:, :count]
    return jnp.take_along_axis(distances, order, 1), jnp.take_along_axis(neighbors, order, 1)


def merge_neighbor_lists(
    one: tuple[np.ndarray, np.ndarray], other: tuple[np.ndarray, np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Merges two neighbour lists, by two measures of distance, into the k nearest by either.

    The distances of each list are divided by the distance to the row's k-th neighbour there.

    Args:
      one: distances in ascending order and the rows' indices, each [N, k].
      other: the same by the other measure.

    Returns:
      Distances in ascending order and the rows' indices, each [N, k]; no index twice in a row.
    """
    scaled = [distances / np.maximum(distances[:, -1:], _TINY) for distances, _ in (one, other)]
    distances, neighbors = np.concatenate(scaled, axis=1), np.concatenate([one[1], other[1]], axis=1)
    order = np.lexsort((distances, neighbors))  # puts equal indices side by side, the smaller distance first
    distances, neighbors = (np.take_along_axis(array, order, 1) for array in (distances, neighbors))
    distances[:, 1:][neighbors[:, 1:] == neighbors[:, :-1]] = np.inf
    order = np.argsort(distances, axis=1, kind="stable")[:, : one[1].shape[1]]
    return np.take_along_axis(distances, order, 1), np.take_along_axis(neighbors, order, 1)


def find_neighbors(
    embeddings: np.ndarray, count: int, input_neighbors: tuple[np.ndarray, np.ndarray] | None = None
) -> tuple[np.ndarray, np.ndarray, csr_matrix]:
    """Returns each row's nearest others, and the graph that joins it to them.

    Args:
      embeddings: [N, J].
      count: k, less than N.
      input_neighbors: distances and indices by another measure, [N, k] each, that are merged with those of the
        embeddings; None: they are not.

    Returns:
      Distances and indices, [N, k] each, and the graph [N, N].
    """
    distances, neighbors = nearest_neighbors_without_hubs(embeddings, count)
    if input_neighbors:
        distances, neighbors = merge_neighbor_lists((distances, neighbors), input_neighbors)
    return distances, neighbors, neighbor_graph(np.arange(len(embeddings)), neighbors, len(embeddings))


def neighbor_graph(rows: np.ndarray, neighbors: np.ndarray, num_rows: int) -> csr_matrix:
    """Returns the symmetric graph [N, N] that joins rows [M] to their neighbours [M, k], both given as indices.

    Every edge has the weight 1.
    """
    count = neighbors.shape[1]
    edges = np.repeat(rows, count), neighbors.ravel()
    graph = csr_matrix((np.ones(neighbors.size), edges), (num_rows, num_rows))
    return graph.maximum(graph.T).tocsr()


def sampled_graph(
    inputs: np.ndarray, num_neighbors: int, num_rows: int, seed: int, queries: np.ndarray | None = None
) -> csr_matrix:
    """Returns the graph that joins randomly drawn rows to their nearest neighbours among all rows.

    It has fewer edges than the graph of all rows, but not longer ones. Clusters are compared at the same scale
    whatever the number of drawn rows.

    Args:
      inputs: [N, D], N >= 2.
      num_neighbors: k, less than N.
      num_rows: how many rows are drawn; all if there are fewer.
      seed: of the draw.
      queries: [N, D], versions of the inputs, as in `nearest_neighbors_without_hubs`; None for the inputs themselves.

    Returns:
      [N, N], symmetric, of ones.
    """
    drawn = np.sort(np.random.default_rng(seed).permutation(len(inputs))[:num_rows])
    _, neighbors = nearest_neighbors_without_hubs(
        inputs, num_neighbors, drawn, None if queries is None else queries[drawn]
    )
    return neighbor_graph(drawn, neighbors, len(inputs))
