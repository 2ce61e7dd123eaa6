"""How much clusters say about the covariates of their rows, which they should not follow."""

import numpy as np
from scipy.stats import entropy
from sklearn.metrics import mutual_info_score

from vade_jax.data.dataset import Dataset
from vade_jax.data.levels import levels_of


def covariate_scores(rows: Dataset, clusters: np.ndarray) -> dict[str, dict[str, float]]:
    """Returns the mutual information of clusters [N] with each covariate that has levels, by its name.

    Rows whose level is not known are left out.

    Args:
      rows: N rows with or without covariates.
      clusters: [N].

    Returns:
      Name -> 'information', the mutual information, and 'entropy' of the levels, which it cannot exceed; nats.
    """
    given = rows.covariates
    if given is None:
        return {}
    scores = {}
    for name, levels, values in zip(given.names, levels_of(given), given.x.T, strict=True):
        known = ~np.isnan(values)
        if levels and known.any():
            numbers = values[known].astype(np.int64)
            scores[name] = {
                "information": float(mutual_info_score(numbers, clusters[known])),
                "entropy": float(entropy(np.bincount(numbers))),
            }
    return scores
