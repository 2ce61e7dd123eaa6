"""Scores of a clustering against labels. No other code scores labels, and no code that trains imports this file.

Labels are integers; those of unlabelled rows are below 0. Unlabelled rows are left out.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score
from sklearn.metrics.cluster import contingency_matrix


def clustering_accuracy(labels: np.ndarray, clusters: np.ndarray) -> float:
    """The share of rows whose cluster is matched to their label by the best one-to-one matching (Hungarian).

    Args:
      labels: [N], integers, below 0 for an unlabelled row.
      clusters: [N], integers.

    Returns:
      The accuracy of the labelled rows, in (0, 1].

    Raises:
      ValueError: no row is labelled, or the lengths differ.
    """
    counts = contingency_matrix(*_labelled_rows(labels, clusters))
    return float(_matched(counts).sum() / counts.sum())


def _matched(counts: np.ndarray) -> np.ndarray:
    """How many rows of each label [L] are in the cluster that the best matching gives it; 0 if it gets none.

    Args:
      counts: [L, K], the rows with each label and cluster.
    """
    labels, clusters = linear_sum_assignment(counts, maximize=True)
    matched = np.zeros(len(counts), counts.dtype)
    matched[labels] = counts[labels, clusters]
    return matched


def recalls(confusion: "Confusion") -> dict[str, float]:
    """The share of the rows of each label that are in the cluster matched to it, by name; each in [0, 1]."""
    counts = confusion.counts.T
    shares = _matched(counts) / counts.sum(axis=1)
    return dict(zip(map(str, confusion.labels), shares.tolist(), strict=True))


def num_labelled(labels: np.ndarray | None) -> int:
    """The number of labelled rows among N with these labels [N], or without labels."""
    return 0 if labels is None else int(np.count_nonzero(labels >= 0))


def _labelled_rows(labels: np.ndarray, clusters: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The labels and the clusters of the labelled rows.

    Raises:
      ValueError: no row is labelled, or the lengths differ.
    """
    if len(labels) != len(clusters) or num_labelled(labels) == 0:
        raise ValueError(
            f"labels has length {len(labels)} and clusters {len(clusters)}; expected equal lengths, and labelled rows"
        )
    return labels[labels >= 0], clusters[labels >= 0]


class Confusion(NamedTuple):
    """How many labelled rows of each cluster have each label.

    Attributes:
      counts: [K, L], number of rows with each cluster and label.
      labels: [L], the names of the labels that occur, in the order of their numbers.
      order: [K], the clusters sorted by the label that the best matching gives them. Unmatched clusters follow the
        matched one of their most frequent label. Empty unmatched clusters are last.
    """

    counts: np.ndarray
    labels: np.ndarray
    order: np.ndarray


def confusion(labels: np.ndarray, clusters: np.ndarray, num_clusters: int, names: Sequence[str]) -> Confusion:
    """The confusion matrix of labels [N] with these names, and clusters [N] in 0..K-1.

    Raises:
      ValueError: no row is labelled, or the lengths differ.
    """
    labels, clusters = _labelled_rows(labels, clusters)
    present, label_numbers = np.unique(labels, return_inverse=True)
    cells = clusters.astype(np.int64) * len(present) + label_numbers
    counts = np.bincount(cells, minlength=num_clusters * len(present)).reshape(num_clusters, len(present))
    matched_clusters, matched_labels = linear_sum_assignment(counts, maximize=True)
    label_of_cluster = np.where(counts.any(axis=1), counts.argmax(axis=1), len(present))
    label_of_cluster[matched_clusters] = matched_labels
    is_unmatched = np.isin(np.arange(num_clusters), matched_clusters, invert=True)
    shown = np.array([names[label] for label in present])
    return Confusion(counts=counts, labels=shown, order=np.lexsort((is_unmatched, label_of_cluster)))


def clusters_of_labels(confusion: Confusion) -> dict[str, int]:
    """The name of each label that occurs -> the cluster that the best matching gives it, in whose colour it is drawn.

    Labels without a cluster get numbers that no cluster has.
    """
    num_clusters, num_labels = confusion.counts.shape
    clusters, labels = linear_sum_assignment(confusion.counts, maximize=True)
    matched = dict(zip(labels.tolist(), clusters.tolist(), strict=True))
    unmatched = [label for label in range(num_labels) if label not in matched]
    numbers = matched | {label: num_clusters + place for place, label in enumerate(unmatched)}
    return {str(name): numbers[label] for label, name in enumerate(confusion.labels)}


def scores(labels: np.ndarray, clusters: np.ndarray) -> dict[str, float]:
    """Scores of clusters [N] against labels [N], on the labelled rows.

    Returns:
      'accuracy', 'balanced_accuracy' (the mean of the labels' recalls at the same matching), 'nmi' (normalized mutual
      information, arithmetic mean) and 'ari' (adjusted Rand index).

    Raises:
      ValueError: no row is labelled, or the lengths differ.
    """
    labels, clusters = _labelled_rows(labels, clusters)
    counts = contingency_matrix(labels, clusters)
    matched = _matched(counts)
    return {
        "accuracy": float(matched.sum() / counts.sum()),
        "balanced_accuracy": float((matched / counts.sum(axis=1)).mean()),
        "nmi": float(normalized_mutual_info_score(labels, clusters)),
        "ari": float(adjusted_rand_score(labels, clusters)),
    }


def occupancy(clusters: np.ndarray, num_clusters: int) -> list[int]:
    """The number of rows in each of the clusters 0..K-1."""
    return np.bincount(clusters, minlength=num_clusters).tolist()
