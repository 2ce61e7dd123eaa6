"""The features in which clusters differ most from all rows."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_matrix

from vade_jax.data.scaling import moments
from vade_jax.system.large_arrays import row_slices

_TELLING = 5  # features of a cluster


class FeatureDifference(NamedTuple):
    """A feature of a cluster against all rows: means in the data's own units, and their difference in deviations."""

    name: str
    mean: float
    mean_of_all: float
    difference: float


def distinguishing_features(
    x: np.ndarray, clusters: np.ndarray, shown: np.ndarray, num_clusters: int, names: Sequence[str]
) -> dict[int, list[FeatureDifference]]:
    """The features in which clusters differ most from all rows.

    Args:
      x: [N, D], as stored.
      clusters: [N].
      shown: numbers of the clusters to describe, none of them empty.
      num_clusters: K.
      names: of the columns, or ().

    Returns:
      Cluster -> its few most telling features, the most telling one first; columns that are constant tell nothing.
    """
    mean, var = (moment[0] for moment in moments(x))
    deviation = np.sqrt(var)
    varying = np.flatnonzero(deviation > 0)
    sums = np.zeros((num_clusters, x.shape[1]))
    for rows in row_slices(x):
        part = clusters[rows]
        members = csr_matrix((np.ones(len(part)), (part, np.arange(len(part)))), (num_clusters, len(part)))
        sums += members @ x[rows].astype(np.float64)
    means = sums / np.maximum(np.bincount(clusters, minlength=num_clusters), 1)[:, None]
    telling = {}
    for cluster in shown:
        differences = (means[cluster] - mean)[varying] / deviation[varying]
        most = np.argsort(-np.abs(differences), kind="stable")[:_TELLING]
        telling[cluster] = [
            FeatureDifference(
                names[column] if names else f"column {column}", means[cluster, column], mean[column], difference
            )
            for column, difference in zip(varying[most], differences[most], strict=True)
        ]
    return telling
