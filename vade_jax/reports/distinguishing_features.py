"""The features in which clusters differ most from all rows."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_matrix

from vade_jax.data.offsets import add_offset
from vade_jax.data.scaling import moments
from vade_jax.system.large_arrays import row_slices

_NUM_FEATURES = 5  # of each cluster


class FeatureDifference(NamedTuple):
    """A feature of a cluster compared with all rows.

    Attributes:
      name: of the feature.
      mean: over the cluster's rows, in the units of the data.
      mean_of_all: over all rows.
      difference: of the two means, in standard deviations of all rows.
      digits: significant digits that show a hundredth of a standard deviation, at least 4.
    """

    name: str
    mean: float
    mean_of_all: float
    difference: float
    digits: int = 4

    def format(self, mean: float) -> str:
        """One of the two means as text."""
        return f"{mean:.{self.digits}g}"


def distinguishing_features(
    x: np.ndarray,
    clusters: np.ndarray,
    shown: np.ndarray,
    num_clusters: int,
    names: Sequence[str],
    offset: np.ndarray | None = None,
) -> dict[int, list[FeatureDifference]]:
    """The features in which clusters differ most from all rows.

    Args:
      x: [N, D], as stored; gaps are left out.
      clusters: [N].
      shown: the clusters to describe, none of them empty.
      num_clusters: K.
      names: of the columns, or ().
      offset: [D], what was subtracted from the columns of the data to get x, or None.

    Returns:
      Cluster -> its five features with the largest differences, in descending order. Constant columns are left out.
    """
    mean, var = (moment[0] for moment in moments(x))
    deviation = np.sqrt(var)
    varying = np.flatnonzero(deviation > 0)
    sums, counts = np.zeros((num_clusters, x.shape[1])), np.zeros((num_clusters, x.shape[1]))
    for rows in row_slices(x):
        part, observed = clusters[rows], ~np.isnan(x[rows])
        members = csr_matrix((np.ones(len(part)), (part, np.arange(len(part)))), (num_clusters, len(part)))
        sums += members @ np.where(observed, x[rows], 0).astype(np.float64)
        counts += members @ observed.astype(np.float64)
    means = np.where(
        counts > 0, sums / np.maximum(counts, 1), mean
    )  # a column that no row of a cluster has tells nothing
    source_mean, source_means = add_offset(mean, offset), add_offset(means, offset)
    features = {}
    for cluster in shown:
        differences = (means[cluster] - mean)[varying] / deviation[varying]
        largest = np.argsort(-np.abs(differences), kind="stable")[:_NUM_FEATURES]
        features[cluster] = [
            FeatureDifference(
                name=names[column] if names else f"column {column}",
                mean=source_means[cluster, column],
                mean_of_all=source_mean[column],
                difference=difference,
                digits=max(4, 2 + math.ceil(math.log10(1 + abs(source_mean[column]) / deviation[column]))),
            )
            for column, difference in zip(varying[largest], differences[largest], strict=True)
        ]
    return features
