"""Gaussian mixtures fitted to rows by expectation-maximization."""

import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

from vade_jax.core.fit_prior import MIN_VAR

_MAX_ITERATIONS = 200


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
    mean_var = float(rows.var(axis=0, dtype=np.float64).mean())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return GaussianMixture(
            num_clusters,
            covariance_type=covariance,
            reg_covar=MIN_VAR * mean_var if mean_var > 0 else MIN_VAR,
            max_iter=_MAX_ITERATIONS,
            random_state=seed,
        ).fit(rows)
