"""Gaussian mixtures fitted to rows by expectation-maximization."""

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

from vade_jax.core.fit_prior import MIN_VAR
from vade_jax.system.process_wide import filtered_warnings

_MAX_ITERATIONS = 200
_ROWS_TO_REFINE = 20_000


def fit_mixture(rows: np.ndarray, covariance: str, num_clusters: int, seed: int) -> GaussianMixture:
    """Fits a mixture from one random start.

    Args:
      rows: [N, d].
      covariance: 'full' or 'diag'.
      num_clusters: K.
      seed: of the start.

    Returns:
      The fitted mixture. It may not have converged: after 200 iterations it is returned without a warning.
    """
    with filtered_warnings("ignore", ConvergenceWarning):
        return GaussianMixture(
            num_clusters,
            covariance_type=covariance,
            reg_covar=_least_var(rows),
            max_iter=_MAX_ITERATIONS,
            random_state=seed,
        ).fit(rows)


def refine_mixture(rows: np.ndarray, memberships: np.ndarray) -> GaussianMixture:
    """Fits a mixture with full covariances that starts from given memberships.

    Args:
      rows: [N, d]; of more than 20,000 rows evenly spaced ones are used.
      memberships: [N, K], each row sums to 1; a cluster without rows gets the moments of all rows.

    Returns:
      The fitted mixture. It may not have converged: after 200 iterations it is returned without a warning.
    """
    every = max(1, len(rows) // _ROWS_TO_REFINE)
    rows, memberships = rows[::every], memberships[::every]
    least_var = _least_var(rows)
    sizes = memberships.sum(axis=0)
    weights = np.where(sizes < 0.5, 1.0, memberships)  # [N, K]
    weights = weights / weights.sum(axis=0)
    means = weights.T @ rows
    covariances = np.array(
        [(weight[:, None] * (rows - mean)).T @ (rows - mean) for weight, mean in zip(weights.T, means, strict=True)]
    )
    precisions = np.linalg.inv(covariances + least_var * np.eye(rows.shape[1]))
    sizes = np.maximum(sizes, 0.5)
    with filtered_warnings("ignore", ConvergenceWarning):
        return GaussianMixture(
            memberships.shape[1],
            reg_covar=least_var,
            max_iter=_MAX_ITERATIONS,
            weights_init=sizes / sizes.sum(),
            means_init=means,
            precisions_init=(precisions + precisions.transpose(0, 2, 1)) / 2,
            random_state=0,
        ).fit(rows)


def _least_var(rows: np.ndarray) -> float:
    """What is added to every variance, so that no component shrinks to a point."""
    mean_var = float(rows.var(axis=0, dtype=np.float64).mean())
    return MIN_VAR * mean_var if mean_var > 0 else MIN_VAR
