"""Gaussian mixtures fitted to rows by expectation-maximization, and without the rows that spoil them."""

import warnings
from collections.abc import Iterator

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

MIN_VAR = 1e-3  # added to every variance, relative to the rows' mean variance
_MAX_ITERATIONS = 200
_INLIERS = 0.95  # of the rows: no mixture is fitted to fewer
_SMALL = 0.5  # of an average cluster: what is larger is no piece of outliers


def fit_mixture(rows: np.ndarray, covariance: str, num_clusters: int, seed: int) -> GaussianMixture:
    """A mixture from one start.

    Args:
      rows: [N, d].
      covariance: 'full' or 'diag'.
      num_clusters: K.
      seed: of the start.

    Returns:
      The fitted mixture; one that was cut short has not converged, and competes with others by its score alone.
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


def mixtures_without_outliers(layout: np.ndarray, num_clusters: int, seed: int) -> Iterator[GaussianMixture]:
    """A mixture of all rows, then of those outside its smallest cluster, and so on while few are left out.

    A layout tears outliers off in small dense pieces. A mixture gains by giving them a cluster and joining two others.

    Args:
      layout: [N, d].
      num_clusters: K.
      seed: of the mixtures' starts.

    Yields:
      Fitted mixtures of full covariance; at most 5 % of the rows are left out.
    """
    rows = layout
    while True:
        mixture = fit_mixture(rows, "full", num_clusters, seed)
        yield mixture
        clusters = mixture.predict(rows)
        sizes = np.bincount(clusters, minlength=num_clusters)
        spare = len(rows) - max(num_clusters, _INLIERS * len(layout))
        if not 0 < sizes.min() <= min(spare, _SMALL * len(layout) / num_clusters):
            return
        rows = rows[clusters != sizes.argmin()]
