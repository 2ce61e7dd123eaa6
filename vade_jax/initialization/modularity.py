"""Modularity of clusters on neighbour graphs, and merging and reassigning groups of rows to raise it."""

from collections.abc import Sequence

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.cluster import MiniBatchKMeans

_LEAST_GAIN = 1e-6  # in edges; less is rounding
_UNLINKED = 0.02  # two clusters are unlinked if fewer than this share of the edges expected by chance join them
_LEAST_SIZE = 0.1  # of an average cluster's edges; a cluster with fewer is not large enough to count


def merge_to_num_clusters(
    graph: csr_matrix, components: np.ndarray, num_components: int, num_clusters: int, resolution: float = 1.0
) -> np.ndarray:
    """Merges mixture components until K clusters are left, each time the pair whose union has the highest modularity.

    This is the method of Newman (2004, Phys. Rev. E 69, 066133) with one exception. Modularity prefers clusters of
    equal size: it would merge small unlinked clusters and leave a large one split. Such pairs are merged last. A
    cluster with less than a tenth of an average cluster's edges is merged before them, linked or not.

    It takes about P^2 operations, since a merge changes the gains of one cluster only. Of pairs with equal gains, the
    one with the first component is merged.

    Args:
      graph: [N, N], symmetric, of weights >= 0, with an edge.
      components: [N], the component of each row, in 0 .. P - 1.
      num_components: P.
      num_clusters: K, at most P.
      resolution: of modularity.

    Returns:
      [P], the cluster of each component, in 0 .. K - 1; no cluster is without a component.
    """
    pairs = _PairGains(_links_between(graph, components, num_components).toarray(), num_clusters, resolution)
    clusters = np.arange(num_components)
    for _ in range(num_components - num_clusters):
        one, other = pairs.best()
        pairs.merge(one, other)
        clusters[clusters == other] = one
    return np.unique(clusters, return_inverse=True)[1]


class _PairGains:
    """The rise of the modularity if two clusters are merged, for all pairs, kept up to date as clusters are merged.

    A cluster has the number of its first component. Numbers of clusters that were merged into others stay unused.
    """

    def __init__(self, weights: np.ndarray, num_clusters: int, resolution: float) -> None:
        """Starts with each of P components as a cluster.

        Args:
          weights: [P, P], symmetric, the sums of the weights of the edges between components; the array is changed.
          num_clusters: K.
          resolution: of modularity.
        """
        self._weights, self._total = weights, weights.sum()
        self._num_clusters, self._resolution = num_clusters, resolution
        self._volumes = weights.sum(axis=1)
        self._is_used = np.ones(len(weights), bool)
        self._gains = np.triu([self._gains_of(cluster) for cluster in range(len(weights))], 1)  # first number smaller
        self._gains[np.tril_indices(len(weights))] = -np.inf
        self._partners = self._gains.argmax(axis=1)
        self._best = self._gains.max(axis=1)

    def best(self) -> tuple[int, int]:
        """Returns the pair with the largest gain, the smaller number first."""
        one = int(self._best.argmax())
        return one, int(self._partners[one])

    def merge(self, one: int, other: int) -> None:
        """Merges the cluster with the larger number, other, into one."""
        self._weights[one] += self._weights[other]
        self._weights[:, one] += self._weights[:, other]
        self._volumes[one] += self._volumes[other]
        self._is_used[other] = False
        self._gains[other], self._gains[:, other] = -np.inf, -np.inf
        gains = np.where(self._is_used, self._gains_of(one), -np.inf)
        self._gains[one, one + 1 :], self._gains[:one, one] = gains[one + 1 :], gains[:one]
        best, partners = self._best[:one], self._partners[:one]  # of the clusters that one is a candidate for
        better = (gains[:one] > best) | ((gains[:one] == best) & (one < partners))
        stale = np.isin(self._partners, (one, other))
        stale[[one, other]] = True
        best[better], partners[better], stale[:one][better] = gains[:one][better], one, False
        self._partners[stale] = self._gains[stale].argmax(axis=1)
        self._best[stale] = self._gains[stale].max(axis=1)

    def _gains_of(self, cluster: int) -> np.ndarray:
        """[P]: the gains of a cluster with every other one, as shares of all edges."""
        between = self._weights[cluster] / self._total
        # The product of sums of edges is exact, so equal pairs tie.
        chance = self._volumes[cluster] * self._volumes / self._total**2
        large = _is_large_enough(self._volumes / self._total, self._num_clusters)
        unlinked = (between < _UNLINKED * chance) & large & large[cluster]
        # Unlinked pairs come last: no two gains differ by so much.
        return between - self._resolution * chance - (1 + self._resolution) * unlinked


def split_into_pieces(points: np.ndarray, piece_rows: int, seed: int) -> np.ndarray:
    """Splits the rows into pieces of nearby rows by k-means.

    Args:
      points: [N, d], coordinates of the rows.
      piece_rows: the mean number of rows in a piece, at least 1.
      seed: of the start.

    Returns:
      [N], the index of each row's piece.
    """
    return MiniBatchKMeans(max(1, len(points) // piece_rows), n_init=1, random_state=seed).fit_predict(points)


def reassign_pieces(
    memberships: np.ndarray, pieces: np.ndarray, graphs: Sequence[csr_matrix], resolution: float = 1.0
) -> np.ndarray:
    """Moves groups of rows to another cluster while that raises the modularity on every graph.

    A group is the rows of one piece that are in one cluster. A layout may place a few similar rows together, but beside
    the wrong cluster; a mixture then assigns them to it.

    Args:
      memberships: [N, K].
      pieces: [N], integers >= 0.
      graphs: [N, N] each, symmetric, of weights >= 0.
      resolution: of modularity.

    Returns:
      [N, K]: in the rows of a moved group, the memberships in its old and its new cluster are swapped.
    """
    num_clusters = memberships.shape[1]
    before = memberships.argmax(axis=1)
    _, first, groups = np.unique(num_clusters * pieces + before, return_index=True, return_inverse=True)
    after = improve_modularity(graphs, groups, before[first], num_clusters, resolution)[groups]
    rows = np.arange(len(memberships))
    swapped = memberships.copy()
    swapped[rows, before], swapped[rows, after] = memberships[rows, after], memberships[rows, before]
    return swapped


def count_emptied_clusters(graph: csr_matrix, before: np.ndarray, after: np.ndarray, num_clusters: int) -> int:
    """Returns the number of clusters left almost empty by reassignment.

    Such a cluster has less than a tenth of an average cluster's edges, and less than half of those it had before.

    Args:
      graph: [N, N], symmetric, of weights >= 0, with an edge.
      before: [N], the rows' clusters in 0 .. K - 1.
      after: [N], the same after the reassignment.
      num_clusters: K.

    Returns:
      From 0 to K.
    """
    degrees = np.asarray(graph.sum(axis=1)).ravel()
    volumes_before, volumes_after = (
        np.bincount(clusters, degrees, num_clusters) / degrees.sum() for clusters in (before, after)
    )
    return int((~_is_large_enough(volumes_after, num_clusters) & (volumes_after < volumes_before / 2)).sum())


def improve_modularity(
    graphs: Sequence[csr_matrix], groups: np.ndarray, clusters: np.ndarray, num_clusters: int, resolution: float = 1.0
) -> np.ndarray:
    """Moves groups of rows between clusters until no move of one group raises the modularity on every graph.

    Small groups move first. A group moves to the cluster where the least of its gains on the graphs is largest.

    Args:
      graphs: [N, N] each, symmetric, of weights >= 0.
      groups: [N], the group of each row, in 0 .. P - 1.
      clusters: [P], the cluster that each group starts in.
      num_clusters: K.
      resolution: of modularity.

    Returns:
      [P], the cluster that each group ends in.
    """
    clusters = clusters.copy()
    links = [
        _ClusterLinks(_links_between(graph, groups, len(clusters)), clusters, num_clusters, resolution)
        for graph in graphs
    ]
    order = np.argsort(np.bincount(groups), kind="stable")
    moved = True
    while moved:  # this ends: each move raises every modularity
        moved = False
        for group in order:
            least = np.min([graph_links.gains(group, clusters[group]) for graph_links in links], axis=0)
            target = least.argmax()
            if least[target] > _LEAST_GAIN:
                for graph_links in links:
                    graph_links.move(group, clusters[group], target)
                clusters[group] = target
                moved = True
    return clusters


def _is_large_enough(volumes: np.ndarray, num_clusters: int) -> np.ndarray:
    """Whether clusters with these shares of all edges [K] count as clusters."""
    return volumes >= _LEAST_SIZE / num_clusters


def _links_between(graph: csr_matrix, groups: np.ndarray, num_groups: int) -> csr_matrix:
    """[P, P], sparse: the sum of the weights of the edges between every two groups."""
    indicator = csr_matrix((np.ones(len(groups)), (np.arange(len(groups)), groups)), (len(groups), num_groups))
    return (indicator.T @ graph @ indicator).tocsr()


class _ClusterLinks:
    """The links from groups to clusters in one graph, kept up to date as groups move."""

    def __init__(self, weights: csr_matrix, clusters: np.ndarray, num_clusters: int, resolution: float) -> None:
        self._resolution = resolution
        members = np.eye(num_clusters)[clusters]
        self._weights, self._loops = weights, weights.diagonal()
        self._degrees = np.asarray(weights.sum(axis=1)).ravel()
        self._links, self._volumes = weights @ members, self._degrees @ members
        self._total = self._degrees.sum()

    def gains(self, group: int, cluster: int) -> np.ndarray:
        """[K]: the rise of the modularity if the group moves from its cluster, in half the sum of all weights."""
        links, volumes = self._links[group].copy(), self._volumes.copy()
        links[cluster] -= self._loops[group]
        volumes[cluster] -= self._degrees[group]
        excess = links - self._resolution * self._degrees[group] * volumes / self._total
        return excess - excess[cluster]

    def move(self, group: int, cluster: int, target: int) -> None:
        """Records that the group moved from the cluster to the target."""
        row = self._weights[[group]]
        for changed, sign in ((cluster, -1.0), (target, 1.0)):
            self._links[row.indices, changed] += sign * row.data
            self._volumes[changed] += sign * self._degrees[group]


def modularity(graph: csr_matrix, clusters: np.ndarray, resolution: float = 1.0) -> float:
    """Returns the share of edges inside clusters, minus the share expected by chance (Newman 2006, PNAS 103(23)).

    Args:
      graph: [N, N], symmetric, of weights >= 0.
      clusters: [N], the cluster of each row.
      resolution: a factor on the chance part; a higher one favours more and smaller clusters (Reichardt and Bornholdt
        2006, Phys. Rev. E 74, 016110).

    Returns:
      In [-1/2, 1] for a resolution of 1.
    """
    degrees = np.asarray(graph.sum(axis=1)).ravel()
    rows = np.repeat(np.arange(len(clusters)), np.diff(graph.indptr))
    inside = clusters[rows] == clusters[graph.indices]
    volumes = np.bincount(clusters, weights=degrees) / degrees.sum()
    return float(graph.data[inside].sum() / degrees.sum() - resolution * np.square(volumes).sum())


def mean_modularity(graphs: Sequence[csr_matrix], clusters: np.ndarray, resolution: float = 1.0) -> float:
    """Returns the mean modularity of clusters [N] on several graphs of the same rows; see `modularity`."""
    return float(np.mean([modularity(graph, clusters, resolution) for graph in graphs]))
