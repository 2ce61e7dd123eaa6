"""The rows of each cluster: how many, how certain, which are typical and which lie between two clusters."""

from dataclasses import dataclass

import numpy as np

from vade_jax.system.large_arrays import row_slices

BETWEEN = 2 / 3  # a row whose cluster is less probable lies between clusters: all others are over half as probable


@dataclass(frozen=True)
class Clusters:
    """The clusters of N rows.

    Attributes:
      of_rows: [N], the cluster of each row.
      certainty: [N], the calibrated probability of the row's cluster.
      second: [N], the most probable one of the other clusters; the cluster itself if there is no other.
      second_probability: [N], its calibrated probability; 0 if there is no other.
      sizes: [K], number of rows.
      confidence: [K], mean certainty of the cluster's rows; NaN for an empty cluster.
    """

    of_rows: np.ndarray
    certainty: np.ndarray
    second: np.ndarray
    second_probability: np.ndarray
    sizes: np.ndarray
    confidence: np.ndarray

    def largest(self, count: int) -> np.ndarray:
        """The largest clusters, at most so many, in descending order of size, without empty ones."""
        descending = np.argsort(-self.sizes, kind="stable")[:count]
        return descending[self.sizes[descending] > 0]

    def between(self) -> np.ndarray:
        """Whether each row lies between clusters, [N]."""
        return self.certainty < BETWEEN

    def typical_rows(self, cluster: int, nearness: np.ndarray, count: int) -> np.ndarray:
        """The rows of a cluster that are nearest to its centre, at most so many; rows between clusters are last.

        Args:
          cluster: the cluster.
          nearness: [N], higher for rows that are nearer to the centre of their cluster.
          count: how many rows.
        """
        rows = np.flatnonzero(self.of_rows == cluster)
        return rows[np.lexsort((-nearness[rows], self.between()[rows]))][:count]

    def borderline_rows(self, cluster: int, count: int) -> np.ndarray:
        """The least certain rows of a cluster, at most so many, in ascending order."""
        rows = np.flatnonzero(self.of_rows == cluster)
        return rows[np.argsort(self.certainty[rows], kind="stable")][:count]


def clusters_of(clusters: np.ndarray, probabilities: np.ndarray) -> Clusters:
    """The clusters of rows with these clusters [N] and these calibrated probabilities [N, K]."""
    num_rows, num_clusters = probabilities.shape
    certainty, second_probability = np.empty(num_rows, np.float32), np.zeros(num_rows, np.float32)
    second = clusters.copy()
    for rows in row_slices(probabilities):
        part = np.array(probabilities[rows])
        certainty[rows] = part.max(axis=1)
        if num_clusters > 1:
            each = np.arange(len(part))
            part[each, clusters[rows]] = -1
            second[rows] = part.argmax(axis=1)
            second_probability[rows] = part[each, second[rows]]
    sizes = np.bincount(clusters, minlength=num_clusters)
    total = np.bincount(clusters, certainty, num_clusters)
    return Clusters(
        of_rows=clusters,
        certainty=certainty,
        second=second,
        second_probability=second_probability,
        sizes=sizes,
        confidence=np.where(sizes > 0, total / np.maximum(sizes, 1), np.nan),
    )
