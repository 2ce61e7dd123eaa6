"""Small parts of clusters, moved to where neighbour graphs of the rows join them better."""

from collections.abc import Sequence

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.cluster import MiniBatchKMeans

_ROUNDING = 1e-6  # of an edge


def moved_parts(
    memberships: np.ndarray, embeddings: np.ndarray, graphs: Sequence[csr_matrix], part_rows: int, seed: int
) -> np.ndarray:
    """Memberships in which no small part of a cluster lies where every graph would rather have it in another.

    An embedding may hold a few rows of one kind together and beside the wrong cluster, where a mixture leaves them. The
    embeddings are cut into pieces by k-means, the pieces by the clusters into parts, and a part changes clusters while
    that raises the modularity on every graph.

    Args:
      memberships: [N, K].
      embeddings: [N, J], in which they were found.
      graphs: [N, N] each, symmetric, of weights >= 0.
      part_rows: rows of an average piece, at least 1.
      seed: of the pieces.

    Returns:
      [N, K]: the rows of a part that moved have exchanged the memberships of both clusters.
    """
    pieces = MiniBatchKMeans(max(1, len(embeddings) // part_rows), n_init=1, random_state=seed).fit_predict(embeddings)
    clusters = memberships.argmax(axis=1)
    _, first, parts = np.unique(memberships.shape[1] * pieces + clusters, return_index=True, return_inverse=True)
    moved = better_joined(graphs, parts, clusters[first], memberships.shape[1])[parts]
    rows = np.arange(len(memberships))
    exchanged = memberships.copy()
    exchanged[rows, clusters], exchanged[rows, moved] = memberships[rows, moved], memberships[rows, clusters]
    return exchanged


def better_joined(
    graphs: Sequence[csr_matrix], parts: np.ndarray, clusters: np.ndarray, num_clusters: int
) -> np.ndarray:
    """Clusters of parts from which no move of one part raises the modularity on every graph.

    Args:
      graphs: [N, N] each, symmetric, of weights >= 0.
      parts: [N], of each row, in 0 .. P - 1.
      clusters: [P], of each part, where it starts.
      num_clusters: K.

    Returns:
      [P]; small parts move first, each to where the least of its gains is largest.
    """
    clusters = clusters.copy()
    of_parts = csr_matrix((np.ones(len(parts)), (np.arange(len(parts)), parts)), (len(parts), len(clusters)))
    links = [_Links((of_parts.T @ graph @ of_parts).tocsr(), clusters, num_clusters) for graph in graphs]
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


class _Links:
    """How parts are joined to clusters in a graph, and what a part would gain in another."""

    def __init__(self, weights, clusters, num_clusters):
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
        joined = links - self._degrees[part] * volumes / self._total
        return joined - joined[cluster]

    def move(self, part, cluster, target):
        row = self._weights[[part]]
        for place, sign in ((cluster, -1.0), (target, 1.0)):
            self._links[row.indices, place] += sign * row.data
            self._volumes[place] += sign * self._degrees[part]
