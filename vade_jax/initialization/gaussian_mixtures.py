"""Gaussian mixtures fitted to rows by expectation-maximization."""

from collections.abc import Sequence

import numpy as np
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import adjusted_rand_score
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import KFold

from vade_jax.core.fit_prior import MIN_VAR
from vade_jax.core.moments import far_means
from vade_jax.system.process_wide import filtered_warnings

_MAX_ITERATIONS = 200
_ROWS_TO_REFINE = 20_000
_COMPONENTS = 10  # principal components; with many more a mixture's probabilities are all close to 0 or 1
_ROWS_PER_CLUSTER = 400  # with half as many, 2 K Gaussians are not known well enough to win
_FOLDS, _STARTS = 3, 3
_STANDARD_ERRORS = 2.0
_STANDARD_ERRORS_OVER_ONE = 4.0  # circles in circles have 1, and overlapping groups of 1,000 customers 12
ROWS_PER_DIM = 3  # of an average cluster, at least; the covariances of fewer rows are not known


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


def fit_likeliest(rows: np.ndarray, covariance: str, num_clusters: int, seed: int) -> GaussianMixture:
    """The `likeliest` `fit_mixture` of three starts, with the seeds from `seed` on."""
    return likeliest([fit_mixture(rows, covariance, num_clusters, seed + start) for start in range(_STARTS)], rows)


def likeliest(mixtures: Sequence[GaussianMixture], rows: np.ndarray) -> GaussianMixture:
    """The mixture under which the rows are likeliest, of those whose components have enough rows.

    The likelihood is not bounded if a component has no more rows than columns (or one row, without covariances): they
    lie in a plane. Such a mixture is taken only if all are such.

    Args:
      mixtures: each fitted to these rows.
      rows: [N, d].
    """

    def sort_key(mixture: GaussianMixture) -> tuple[bool, float]:
        too_few = mixture.n_features_in_ if mixture.covariance_type == "full" else 1
        return bool((mixture.weights_ * len(rows)).min() > too_few), mixture.score(rows)

    return max(mixtures, key=sort_key)


def leading_components(rows: np.ndarray, seed: int) -> np.ndarray:
    """Returns at most ten principal components [N, d] of rows [N, D], float64.

    Args:
      rows: [N, D].
      seed: of the search for them.
    """
    centred = rows - far_means(rows)  # scikit-learn computes covariances by squares
    return PCA(min(_COMPONENTS, *centred.shape), random_state=seed).fit_transform(centred).astype(np.float64)


def sufficient_gaussians(inputs: np.ndarray, num_clusters: int, seed: int) -> tuple[np.ndarray, str | None]:
    """Returns the rows as K Gaussians describe them best, and the covariance of these; None if K do not suffice.

    Args:
      inputs: [N, D].
      num_clusters: K.
      seed: of the components and of the mixtures.

    Returns:
      The inputs, or their leading principal components [N, d] if D > 10; and the `sufficient_covariance`. Components
      that leave out columns do not hold more clusters than components, and are not used for more.
    """
    components = leading_components(inputs, seed)
    has_all_columns = components.shape[1] == inputs.shape[1]
    points = inputs if has_all_columns else components
    if not has_all_columns and components.shape[1] < num_clusters:
        return points, None
    return points, sufficient_covariance(points, num_clusters, seed, has_all_columns)


def sufficient_covariance(rows: np.ndarray, num_clusters: int, seed: int, has_all_columns: bool) -> str | None:
    """Returns the covariance of K Gaussians that describe rows better than 2 K do: then each cluster is one Gaussian.

    Rows that were held out are likelier under a mixture of K than under one of 2 K, by more than chance. Of clusters
    that are curved or fall into groups, 2 K Gaussians describe more. If no column was left out, K suffice within a
    standard error too, as long as rows are far likelier under K than under one. Columns that are independent in each
    cluster are then tried too.

    Args:
      rows: [N, d]; of more than 400 K rows evenly spaced ones are used.
      num_clusters: K.
      seed: of the folds and of the mixtures.
      has_all_columns: whether d is the number of columns that the rows have, rather than of components.

    Returns:
      'full', or 'diag' if held-out rows are likelier with it; None if K Gaussians do not suffice, or if there are fewer
      than 3 d rows for each cluster.
    """
    if len(rows) < ROWS_PER_DIM * rows.shape[1] * num_clusters:
        return None
    rows = rows[:: max(1, len(rows) // (_ROWS_PER_CLUSTER * num_clusters))]
    few, many = (_held_out_log_likelihoods(rows, "full", count, seed) for count in (num_clusters, 2 * num_clusters))
    gain = _in_standard_errors(few - many)
    if not has_all_columns:
        return "full" if gain > _STANDARD_ERRORS else None
    if gain < -1:
        return None
    if gain <= _STANDARD_ERRORS:
        one = _held_out_log_likelihoods(rows, "full", 1, seed)
        if _in_standard_errors(few - one) <= _STANDARD_ERRORS_OVER_ONE:
            return None
    diagonal = _held_out_log_likelihoods(rows, "diag", num_clusters, seed)
    return "diag" if diagonal.mean() > few.mean() else "full"


def held_out_log_likelihoods(rows: np.ndarray, num_clusters: int, seed: int) -> np.ndarray:
    """log p [N], nats, of each row under K Gaussians fitted to other rows, with the covariances that suit them better.

    Args:
      rows: [N, d].
      num_clusters: K.
      seed: of the folds and of the mixtures.
    """
    tried = [_held_out_log_likelihoods(rows, covariance, num_clusters, seed) for covariance in ("full", "diag")]
    return max(tried, key=np.mean)


def _in_standard_errors(values: np.ndarray) -> float:
    """The mean of values [N] over its standard error."""
    return float(values.mean() / max(values.std() / len(values) ** 0.5, np.finfo(float).tiny))


def _held_out_log_likelihoods(rows: np.ndarray, covariance: str, num_clusters: int, seed: int) -> np.ndarray:
    """log p [N], nats, of each row under a mixture fitted to the rows of other folds, the likeliest of its starts."""
    held_out = np.empty(len(rows))
    for kept, out in KFold(_FOLDS, shuffle=True, random_state=seed).split(rows):
        held_out[out] = fit_likeliest(rows[kept], covariance, num_clusters, seed).score_samples(rows[out])
    return held_out


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


def agreement_with_mixture(rows: np.ndarray, clusters: np.ndarray, num_clusters: int) -> float:
    """Returns how well clusters agree with those of the Gaussian mixture that is fitted starting from them.

    A mixture, whose clusters may have any sizes, stays with clusters that are apart. Of clusters that cut a dense group
    of rows in two, or join two groups, it moves many rows.

    Args:
      rows: [N, d].
      clusters: [N], in 0 .. K - 1.
      num_clusters: K.

    Returns:
      The adjusted Rand index, at most 1.
    """
    mixture = refine_mixture(rows, np.eye(num_clusters)[clusters])
    return float(adjusted_rand_score(clusters, mixture.predict(rows)))


def _least_var(rows: np.ndarray) -> float:
    """What is added to every variance, so that no component shrinks to a point."""
    mean_var = float(rows.var(axis=0, dtype=np.float64).mean())
    return MIN_VAR * mean_var if mean_var > 0 else MIN_VAR
