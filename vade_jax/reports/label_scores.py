"""Scores of a clustering, on the host. The only code that scores by labels, and nothing that trains imports it."""

from typing import NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score
from sklearn.metrics.cluster import contingency_matrix


def clustering_accuracy(labels: np.ndarray, clusters: np.ndarray) -> float:
    """The share of rows whose cluster is matched to their label, under the best one-to-one matching (Hungarian).

    Args:
      labels: [N], integers or strings.
      clusters: [N], integers.

    Returns:
      In (0, 1].

    Raises:
      ValueError: the lengths differ or are 0.
    """
    if len(labels) != len(clusters) or len(labels) == 0:
        raise ValueError(f"labels has length {len(labels)} and clusters {len(clusters)}: they must be the same, not 0")
    counts = contingency_matrix(labels, clusters)
    return float(counts[linear_sum_assignment(counts, maximize=True)].sum() / len(labels))


class Confusion(NamedTuple):
    """Which labels the rows of each cluster have.

    Attributes:
      counts: [K, L], rows of each cluster and label.
      labels: [L], ascending.
      order: [K], the clusters by the label that the best matching gives them, after each those that it leaves out and
        that have the label most often; empty ones are last.
    """

    counts: np.ndarray
    labels: np.ndarray
    order: np.ndarray


def confusion(labels: np.ndarray, clusters: np.ndarray, num_clusters: int) -> Confusion:
    """The confusion of [N] labels, integers or strings, and [N] clusters in 0..K-1."""
    names, label_numbers = np.unique(labels, return_inverse=True)
    cells = clusters.astype(np.int64) * len(names) + label_numbers
    counts = np.bincount(cells, minlength=num_clusters * len(names)).reshape(num_clusters, len(names))
    matched, of_label = linear_sum_assignment(counts, maximize=True)
    best = np.where(counts.any(axis=1), counts.argmax(axis=1), len(names))
    best[matched] = of_label
    left_out = np.isin(np.arange(num_clusters), matched, invert=True)
    return Confusion(counts, names, np.lexsort((left_out, best)))


def scores(labels: np.ndarray, clusters: np.ndarray) -> dict[str, float]:
    """accuracy, nmi (normalized mutual information, arithmetic) and ari (adjusted Rand index) of [N] clusters."""
    return {
        "accuracy": clustering_accuracy(labels, clusters),
        "nmi": float(normalized_mutual_info_score(labels, clusters)),
        "ari": float(adjusted_rand_score(labels, clusters)),
    }


def occupancy(clusters: np.ndarray, num_clusters: int) -> list[int]:
    """The number of rows in each of the clusters 0..K-1."""
    return np.bincount(clusters, minlength=num_clusters).tolist()
