"""Removes the effect of covariates from rows, so that the neighbours of a row are not those of its own batch."""

import numpy as np

from vade_jax.system.large_arrays import row_slices


def without_effects(rows: np.ndarray, covariates: np.ndarray) -> np.ndarray:
    """Returns rows less what their covariates explain in a linear regression of each column; their mean stays.

    With the levels of one covariate, this moves the rows of each level to the same mean. Clusters that have more rows
    in some levels than in others are moved too, by a share of their distance.

    Args:
      rows: [M, C].
      covariates: [M, F], as the networks see them, 0 and 1 for levels; F = 0 leaves the rows as they are.

    Returns:
      [M, C], in the dtype of the rows.
    """
    if not covariates.shape[1]:
        return rows
    centre = rows.mean(axis=0, dtype=np.float64)
    given = covariates - covariates.mean(axis=0, dtype=np.float64)
    explained = sum(given[part].T @ (rows[part] - centre) for part in row_slices(rows))
    coefficients = np.linalg.pinv(given.T @ given, hermitian=True) @ explained
    freed = np.empty_like(rows)
    for part in row_slices(rows):
        freed[part] = rows[part] - given[part] @ coefficients
    return freed
