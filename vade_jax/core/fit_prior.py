"""Fits the mixture prior to rows with given cluster memberships."""

import jax.numpy as jnp
import numpy as np

from vade_jax.core.mixture_prior import GMMPrior

MOMENTS, EQUAL_WEIGHTS, UNIT_VARIANCES = PRIORS = ("moments", "equal_weights", "unit_variances")
MIN_VAR = 1e-3  # added to every variance, relative to the rows' mean variance


def fit_prior(kind: str, z_mean: np.ndarray, z_var: np.ndarray, memberships: np.ndarray) -> GMMPrior:
    """Returns the mixture prior of clusters in the embedding.

    Args:
      kind: 'moments': `prior_from_memberships`. 'equal_weights': the same for the latent means without their variances,
        as of a mixture that is fitted to them, with equal weights. 'unit_variances': the means of the clusters, equal
        weights and variances of 1. The last two are what the authors' code starts from.
      z_mean: [N, J].
      z_var: [N, J], variances of q(z|x).
      memberships: [N, K], q(c|x).

    Returns:
      The prior, float32.
    """
    if kind == MOMENTS:
        return prior_from_memberships(z_mean, z_var, memberships)
    prior = prior_from_memberships(z_mean, np.zeros_like(z_var), memberships)
    log_vars = prior.log_vars if kind == EQUAL_WEIGHTS else jnp.zeros_like(prior.log_vars)
    return prior._replace(logits=jnp.zeros_like(prior.logits), log_vars=log_vars)


def prior_from_memberships(z_mean: np.ndarray, z_var: np.ndarray, memberships: np.ndarray) -> GMMPrior:
    """Returns the mixture prior that fits the rows best: an M-step for weights, means and variances.

    It maximises sum_n E_q(z|x_n)[sum_c q(c|x_n) log p(c, z)] over diagonal mixtures.

    Args:
      z_mean: [N, J].
      z_var: [N, J], variances of q(z|x).
      memberships: [N, K], q(c|x).

    Returns:
      The prior, float32. An empty cluster gets the moments of all rows and the weight of half a row.
    """
    sizes = memberships.sum(axis=0, dtype=np.float64)
    empty = sizes < 0.5
    centre = z_mean.mean(axis=0, dtype=np.float64)
    centred = z_mean - centre  # squares are smallest around it

    def mean_in_clusters(values: np.ndarray) -> np.ndarray:
        """[K, J], for values [N, J]; that of all rows for an empty cluster."""
        sums = memberships.T @ values
        return np.where(empty[:, None], values.mean(axis=0), sums / np.where(empty, 1, sizes)[:, None])

    shifts = mean_in_clusters(centred)
    variances = mean_in_clusters(np.square(centred) + z_var) - np.square(shifts)
    mean_var = float(np.square(centred).mean())
    variances = np.maximum(variances, 0) + (MIN_VAR * mean_var if mean_var > 0 else MIN_VAR)
    sizes = np.maximum(sizes, 0.5)
    log_weights = np.log(sizes / sizes.sum())
    arrays = log_weights, centre + shifts, np.log(variances)
    return GMMPrior(*(jnp.asarray(array, jnp.float32) for array in arrays))
