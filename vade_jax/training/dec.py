"""Deep embedded clustering (DEC, Xie et al. 2016, arXiv:1511.06335), a method that trains no decoder."""

import jax
import jax.numpy as jnp
import numpy as np

from vade_jax.core.mixture_prior import GMMPrior, broadcast_against_clusters


def log_soft_assignments(z: jax.Array, prior: GMMPrior) -> jax.Array:
    """log q(c|z), q(c|z) proportional to (1 + |z - mu_c|^2)^-1, Student's t with one degree of freedom (eq. 1).

    Distances are in units of the clusters' standard deviations. Without these units all q(c|z) would be nearly equal in
    an embedding much narrower than 1, and so would the targets.

    Args:
      z: [..., J], real.
      prior: K components. Their means are the centroids; their variances get no gradient.

    Returns:
      [..., K], nats; the exponentials sum to 1.

    Raises:
      ValueError: the last axes of z and of the means differ.
    """
    if z.shape[-1:] != prior.means.shape[-1:]:
        raise ValueError(f"z has shape {z.shape} and means {prior.means.shape}; expected equal last axes")
    z, means, log_vars = broadcast_against_clusters(z, prior)
    distances = jnp.sum((z - means) ** 2 * jnp.exp(-jax.lax.stop_gradient(log_vars)), axis=-1)
    return jax.nn.log_softmax(-jnp.log1p(distances), axis=-1)


def sharpen_targets(q_c: np.ndarray) -> np.ndarray:
    """The targets p(c|z_n), proportional to q(c|z_n)^2 / sum_m q(c|z_m) (eq. 3).

    Args:
      q_c: [N, K], the soft assignments of all rows; each row sums to 1.

    Returns:
      [N, K], of the same dtype; each row sums to 1.
    """
    weights = q_c**2 / q_c.sum(axis=0)
    return weights / weights.sum(axis=1, keepdims=True)


def mixture_of_centroids(prior: GMMPrior) -> GMMPrior:
    """The mixture that assigns z to the nearest mean: equal weights, and the mean variance in every dimension."""
    log_var = jnp.log(jnp.mean(jnp.exp(prior.log_vars)))
    return GMMPrior(jnp.zeros_like(prior.logits), prior.means, jnp.full_like(prior.log_vars, log_var))
