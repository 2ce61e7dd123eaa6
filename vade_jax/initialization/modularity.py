"""Parts of clusters, by neighbour graphs of the rows: joined to clusters, and moved to where they are joined better."""

from collections.abc import Sequence

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.cluster import MiniBatchKMeans

_ROUNDING = 1e-6  # of an edge
_UNLINKED = 0.02  # of the edges by chance
_SPECK = 0.1  # of an average cluster's edges


def merge_to_num_clusters(
    graph: csr_matrix, parts: np.ndarray, num_parts: int, num_clusters: int, resolution: float = 1.0
) -> np.ndarray:
    """Clusters of parts: again and again the two are joined whose union has the highest modularity.

    So Newman (2004, Phys. Rev. E 69, 066133). Modularity likes clusters of one size, and would join small ones that
    nothing links before it spares a large one a cut: such two are joined last. A speck of rows is joined before two
    clusters are, linked or not.

    Args:
      graph: [N, N], symmetric, of weights >= 0, with an edge.
      parts: [N], of each row, in 0 .. P - 1.
      num_parts: P.
      num_clusters: K, at most P.
      resolution: of modularity.

    Returns:
      [P], in 0 .. K - 1, each there at least once.
    """
    links = _links_between(graph, parts, num_parts).toarray()
    links /= links.sum()
    clusters = np.arange(num_parts)
    for count in range(num_parts, num_clusters, -1):
        members = np.eye(count)[clusters]
        between = members.T @ links @ members
        volumes = between.sum(axis=1)
        chance = np.outer(volumes, volumes)
        clear = _is_large_enough(volumes, num_clusters)
        apart = (between < _UNLINKED * chance) & np.logical_and.outer(clear, clear)
        gains = between - resolution * chance - (1 + resolution) * apart  # no two gains are as far from each other
        gains[np.tril_indices(count)] = -np.inf
        one, other = np.unravel_index(gains.argmax(), gains.shape)
        clusters[clusters == other] = one
        clusters[clusters > other] -= 1
    return clusters


def split_into_pieces(places: np.ndarray, piece_rows: int, seed: int) -> np.ndarray:
    """Pieces of rows that lie together, by k-means.

    Args:
      places: [N, d].
      piece_rows: of an average piece, at least 1.
      seed: of the start.

    Returns:
      [N], the number of each row's piece.
    """
    return MiniBatchKMeans(max(1, len(places) // piece_rows), n_init=1, random_state=seed).fit_predict(places)


def reassign_pieces(
    memberships: np.ndarray, pieces: np.ndarray, graphs: Sequence[csr_matrix], resolution: float = 1.0
) -> np.ndarray:
    """Memberships in which no small part of a cluster lies where every graph would rather have it in another.

    A layout may hold a few rows of one kind together and beside the wrong cluster, where a mixture leaves them. What of
    a piece is in one cluster is a part, and a part changes clusters while that raises the modularity on every graph.

    Args:
      memberships: [N, K].
      pieces: [N], integers >= 0.
      graphs: [N, N] each, symmetric, of weights >= 0.
      resolution: of modularity.

    Returns:
      [N, K]: the rows of a part that moved have exchanged the memberships of both clusters.
    """
    clusters = memberships.argmax(axis=1)
    _, first, parts = np.unique(memberships.shape[1] * pieces + clusters, return_index=True, return_inverse=True)
    moved = improve_modularity(graphs, parts, clusters[first], memberships.shape[1], resolution)[parts]
    rows = np.arange(len(memberships))
    exchanged = memberships.copy()
    exchanged[rows, clusters], exchanged[rows, moved] = memberships[rows, moved], memberships[rows, clusters]
    return exchanged


def count_emptied_clusters(graph: csr_matrix, before: np.ndarray, after: np.ndarray, num_clusters: int) -> int:
    """How many clusters moves have used up: a speck is left, or nothing, and less than half of what there was.

    Args:
      graph: [N, N], symmetric, of weights >= 0, with an edge.
      before: [N], the rows' clusters in 0 .. K - 1.
      after: [N].
      num_clusters: K.

    Returns:
      From 0 to K.
    """
    degrees = np.asarray(graph.sum(axis=1)).ravel()
    had, has = (np.bincount(of, degrees, num_clusters) / degrees.sum() for of in (before, after))
    return int((~_is_large_enough(has, num_clusters) & (has < had / 2)).sum())


def improve_modularity(
    graphs: Sequence[csr_matrix], parts: np.ndarray, clusters: np.ndarray, num_clusters: int, resolution: float = 1.0
) -> np.ndarray:
    """Clusters of parts from which no move of one part raises the modularity on every graph.

    Args:
      graphs: [N, N] each, symmetric, of weights >= 0.
      parts: [N], of each row, in 0 .. P - 1.
      clusters: [P], of each part, where it starts.
      num_clusters: K.
      resolution: of modularity.

    Returns:
      [P]; small parts move first, each to where the least of its gains is largest.
    """
    clusters = clusters.copy()
    between = (_links_between(graph, parts, len(clusters)) for graph in graphs)
    links = [_Links(weights, clusters, num_clusters, resolution) for weights in between]
    order = np.argsort(np.bincount(parts), kind="stable")
    moved = True
    while moved:  # each move raises every modularity, so that none comes back
        moved = False
        for part in order:
            least = np.min([of_graph.gains(part, clusters[part]) for of_graph in links], axis=0)
            target = least.argmax()
            if least[target] > _ROUNDING:
                for of_graph in links:
                    of_graph.move(part, clusters[part], target)
                clusters[part] = target
                moved = True
    return clusters


def _is_large_enough(volumes, num_clusters):
    return volumes >= _SPECK / num_clusters


def _links_between(graph, parts, num_parts):
    """[P, P], sparse: the weights between the rows of every two parts."""
    of_parts = csr_matrix((np.ones(len(parts)), (np.arange(len(parts)), parts)), (len(parts), num_parts))
    return (of_parts.T @ graph @ of_parts).tocsr()


class _Links:
    """How parts are joined to clusters in a graph, and what a part would gain in another."""

    def __init__(self, weights, clusters, num_clusters, resolution):
        self._resolution = resolution
        members = np.eye(num_clusters)[clusters]
        self._weights, self._loops = weights, weights.diagonal()
        self._degrees = np.asarray(weights.sum(axis=1)).ravel()
        self._links, self._volumes = weights @ members, self._degrees @ members
        self._total = self._degrees.sum()

    def gains(self, part, cluster):
        """[K]: by how much the modularity would rise, in half the sum of all weights."""
        links, volumes = self._links[part].copy(), self._volumes.copy()
        links[cluster] -= self._loops[part]
        volumes[cluster] -= self._degrees[part]
        joined = links - self._resolution * self._degrees[part] * volumes / self._total
        return joined - joined[cluster]

    def move(self, part, cluster, target):
        row = self._weights[[part]]
        for place, sign in ((cluster, -1.0), (target, 1.0)):
            self._links[row.indices, place] += sign * row.data
            self._volumes[place] += sign * self._degrees[part]


def modularity(graph: csr_matrix, clusters: np.ndarray, resolution: float = 1.0) -> float:
    """The share of edges inside clusters, less what it would be by chance (Newman 2006, PNAS 103(23)).

    Args:
      graph: [N, N], symmetric, of weights >= 0.
      clusters: [N].
      resolution: what chance is multiplied by; the higher, the more and smaller are the clusters of highest modularity
        (Reichardt and Bornholdt 2006, Phys. Rev. E 74, 016110).

    Returns:
      In [-1/2, 1] for a resolution of 1.
    """
    degrees = np.asarray(graph.sum(axis=1)).ravel()
    rows = np.repeat(np.arange(len(clusters)), np.diff(graph.indptr))
    inside = clusters[rows] == clusters[graph.indices]
    volumes = np.bincount(clusters, weights=degrees) / degrees.sum()
    return float(graph.data[inside].sum() / degrees.sum() - resolution * np.square(volumes).sum())


def mean_modularity(graphs: Sequence[csr_matrix], clusters: np.ndarray, resolution: float = 1.0) -> float:
    """The mean of the modularities of clusters [N] on several graphs of the same rows; see `modularity`."""
    return float(np.mean([modularity(graph, clusters, resolution) for graph in graphs]))
