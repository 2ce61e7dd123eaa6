"""Soft memberships: how certain the cluster of each row is, from views of inputs and embedding. Reads no labels.

Hard clusters have no gradual border, and a model that is trained towards them is certain of every row.
"""

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.cluster import KMeans

from vade_jax.core.temperature import fit_temperature, temper
from vade_jax.initialization.gaussian_mixtures import leading_components, refine_mixture
from vade_jax.initialization.neighbor_graphs import neighbor_graph
from vade_jax.system.process_wide import PROCESS_WIDE

_NEIGHBOR_SHARE = 0.2  # of the rows of an average cluster: a larger neighbourhood would blur small clusters
_LEAST_NEIGHBORS = 10
_GROUPS = 6  # for each cluster
_LEAST_GROUP = 10  # rows of an average group
_GROUPINGS = 5
_UNCERTAINTY = 0.5  # of the mixture's uncertainty; with 1 instead, MNIST's final accuracy is 0.003 lower
_LEAD = 0.2  # by how much the found cluster stays ahead of the others; with less, training would undo some


def num_soft_neighbors(num_rows: int, num_clusters: int, most: int) -> int:
    """Returns over how many neighbours memberships are averaged, at least 1.

    Args:
      num_rows: N, at least 2.
      num_clusters: K.
      most: the setting `init.soft_neighbors`.
    """
    count = max(round(_NEIGHBOR_SHARE * num_rows / num_clusters), _LEAST_NEIGHBORS)
    return max(1, min(count, most, num_rows - 2))


def soften(memberships: np.ndarray, rows: np.ndarray, neighbors: np.ndarray, seed: int) -> np.ndarray:
    """Returns memberships that are less certain where views of the rows disagree with the clusters.

    The order of the rows by certainty is that of the mean of five memberships: the row's own; the mean of its
    neighbours'; the probabilities of a Gaussian mixture that starts from these clusters, of the row and the mean of its
    neighbours'; and those of the groups next to the row's group. Neighbours show where clusters of any shape meet. The
    mixture shows how far overlapping Gaussians mix. The groups show a part of a cluster that is linked to another one.

    The mean probability of a row's cluster in the mixture, which is an independent clustering, is close to the accuracy
    of the clusters on data sets with labels. The memberships are half as uncertain on average: trained towards less
    certain ones, a network gives more rows at the borders to other clusters. Probabilities are calibrated later.

    Args:
      memberships: [N, K], each row sums to 1.
      rows: [N, d], inputs of few columns, or their embedding by a network that was not trained towards any clusters. A
        mixture fits the embedding of images better than it fits images.
      neighbors: [N, k], the indices of each row's nearest others by its inputs.
      seed: of the principal components and of the groups.

    Returns:
      [N, K], float32; each row sums to 1. The cluster of a row stays the one with its largest membership.
    """
    num_rows, num_clusters = memberships.shape
    if num_clusters == 1:
        return memberships.astype(np.float32)
    points = leading_components(rows, seed)
    mixture = refine_mixture(points, memberships).predict_proba(points)
    clusters = memberships.argmax(axis=1)
    graph = neighbor_graph(np.arange(num_rows), neighbors, num_rows)
    views = [
        memberships,
        memberships[neighbors].mean(axis=1),
        mixture,
        mixture[neighbors].mean(axis=1),
        np.mean([_of_next_groups(points, graph, memberships, seed + number) for number in range(_GROUPINGS)], axis=0),
    ]
    soft = _keep_clusters(np.mean(views, axis=0), clusters)
    certainty = float(mixture[np.arange(num_rows), clusters].mean())
    return temper(soft, fit_temperature(soft, 1 - _UNCERTAINTY * (1 - certainty))).astype(np.float32)


def confidence(clusters: np.ndarray, num_clusters: int, rows: np.ndarray, seed: int) -> float:
    """Returns how certain clusters are on average, by the Gaussian mixture of `soften` that starts from them.

    Args:
      clusters: [N], in 0 .. K - 1.
      num_clusters: K.
      rows: [N, d], as in `soften`.
      seed: of the principal components.

    Returns:
      The mean probability of a row's cluster in the mixture.
    """
    points = leading_components(rows, seed)
    mixture = refine_mixture(points, np.eye(num_clusters)[clusters]).predict_proba(points)
    return float(mixture[np.arange(len(clusters)), clusters].mean())


def _of_next_groups(points: np.ndarray, graph: csr_matrix, memberships: np.ndarray, seed: int) -> np.ndarray:
    """Returns, for each row, the memberships of the groups that the edges out of its own group lead to.

    Args:
      points: [N, d], which k-means splits into small groups.
      graph: [N, N], joins rows to their neighbours.
      memberships: [N, K].
      seed: of k-means.

    Returns:
      [N, K], each row sums to 1.
    """
    num_rows, num_clusters = memberships.shape
    num_groups = max(2, min(_GROUPS * num_clusters, num_rows // _LEAST_GROUP))
    with PROCESS_WIDE:  # scikit-learn limits BLAS's threads
        groups = KMeans(num_groups, n_init=1, random_state=seed).fit_predict(points)
    indicator = csr_matrix((np.ones(num_rows), (np.arange(num_rows), groups)), (num_rows, num_groups))
    links = (indicator.T @ graph @ indicator).toarray()
    np.fill_diagonal(links, 0)
    of_groups = indicator.T @ memberships / np.maximum(np.bincount(groups, minlength=num_groups), 1)[:, None]
    totals = links.sum(axis=1, keepdims=True)
    around = np.where(totals > 0, links @ of_groups / np.maximum(totals, 1), of_groups)
    return around[groups]


def _keep_clusters(memberships: np.ndarray, clusters: np.ndarray) -> np.ndarray:
    """Returns memberships [N, K], mixed with the hard clusters [N] as little as makes each of these the largest."""
    own = np.arange(len(clusters)), clusters
    others = memberships.copy()
    others[own] = -np.inf
    missing = np.maximum(others.max(axis=1) + _LEAD - memberships[own], 0)
    share = (missing / (1 + missing))[:, None]  # own (1 - share) + share = (other + lead) (1 - share)
    return (1 - share) * memberships + share * np.eye(memberships.shape[1])[clusters]
