"""Scores of a clustering, on the host. The only code that reads labels, and nothing that trains imports it."""

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
