"""Moments of rows that lie far from zero, where squares in float32 would lose the digits that tell the rows apart."""

import numpy as np

_FAR = 8.0  # standard deviations from 0; nearer, squares lose two of seven digits, and rows are left as they are


def far_means(rows: np.ndarray) -> np.ndarray:
    """Returns the mean of each column that lies far from zero, and 0 for the others.

    Rows minus these means have the same distances and covariances, and float32 computes them with ordinary rounding.

    Args:
      rows: [N, D].

    Returns:
      [D], of the rows' type, or float32 if they are smaller integers.
    """
    means = rows.mean(axis=0, dtype=np.float64)
    variances = np.einsum("nd,nd->d", rows, rows, dtype=np.float64) / len(rows) - np.square(means)
    is_far = np.square(means) > _FAR**2 * variances
    return np.where(is_far, means, 0).astype(np.result_type(rows, np.float32))
