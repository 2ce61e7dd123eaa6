"""Scores of a clustering against labels. No other code scores labels, and no code that trains imports this file."""

from typing import NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score
from sklearn.metrics.cluster import contingency_matrix


def clustering_accuracy(labels: np.ndarray, clusters: np.ndarray) -> float:
    """The share of rows whose cluster is matched to their label by the best one-to-one matching (Hungarian).

    Args:
      labels: [N], integers or strings.
      clusters: [N], integers.

    Returns:
      The accuracy, in (0, 1].

    Raises:
      ValueError: the arrays are empty, or their lengths differ.
    """
    if len(labels) != len(clusters) or len(labels) == 0:
        raise ValueError(
            f"labels has length {len(labels)} and clusters {len(clusters)}; expected equal lengths above 0"
        )
    counts = contingency_matrix(labels, clusters)
    return float(counts[linear_sum_assignment(counts, maximize=True)].sum() / len(labels))


class Confusion(NamedTuple):
    """How many rows of each cluster have each label.

    Attributes:
      counts: [K, L], number of rows with each cluster and label.
      labels: [L], ascending.
      order: [K], the clusters sorted by the label that the best matching gives them. Unmatched clusters follow the
        matched one of their most frequent label. Empty unmatched clusters are last.
    """

    counts: np.ndarray
    labels: np.ndarray
    order: np.ndarray


def confusion(labels: np.ndarray, clusters: np.ndarray, num_clusters: int) -> Confusion:
    """The confusion matrix of labels [N], integers or strings, and clusters [N] in 0..K-1."""
    names, label_numbers = np.unique(labels, return_inverse=True)
    cells = clusters.astype(np.int64) * len(names) + label_numbers
    counts = np.bincount(cells, minlength=num_clusters * len(names)).reshape(num_clusters, len(names))
    matched_clusters, matched_labels = linear_sum_assignment(counts, maximize=True)
    label_of_cluster = np.where(counts.any(axis=1), counts.argmax(axis=1), len(names))
    label_of_cluster[matched_clusters] = matched_labels
    is_unmatched = np.isin(np.arange(num_clusters), matched_clusters, invert=True)
    return Confusion(counts=counts, labels=names, order=np.lexsort((is_unmatched, label_of_cluster)))


def scores(labels: np.ndarray, clusters: np.ndarray) -> dict[str, float]:
    """Scores of clusters [N] against labels [N].

    Returns:
      'accuracy', 'nmi' (normalized mutual information, arithmetic mean) and 'ari' (adjusted Rand index).
    """
    return {
        "accuracy": clustering_accuracy(labels, clusters),
        "nmi": float(normalized_mutual_info_score(labels, clusters)),
        "ari": float(adjusted_rand_score(labels, clusters)),
    }


def occupancy(clusters: np.ndarray, num_clusters: int) -> list[int]:
    """The number of rows in each of the clusters 0..K-1."""
    return np.bincount(clusters, minlength=num_clusters).tolist()
