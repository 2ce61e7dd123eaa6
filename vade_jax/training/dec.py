"""Deep embedded clustering (DEC, Xie et al. 2016, arXiv:1511.06335), the rival that trains an encoder alone."""

import jax
import jax.numpy as jnp
import numpy as np

from vade_jax.core.mixture_prior import GMMPrior, broadcast_against_clusters


def log_soft_assignments(z: jax.Array, prior: GMMPrior) -> jax.Array:
    """log q(c|z), q(c|z) proportional to (1 + |z - mu_c|^2)^-1, Student's t with one degree of freedom (eq. 1).

    Lengths are in the clusters' standard deviations: in an embedding much narrower than 1 all q(c|z) would be alike,
    and the targets would say nothing.

    Args:
      z: [..., J], real.
      prior: K components; the means are the centroids, the variances are given, not trained.

    Returns:
      [..., K], nats; the exponentials sum to 1.

    Raises:
      ValueError: z and the means differ in J.
    """
    if z.shape[-1:] != prior.means.shape[-1:]:
        raise ValueError(f"z has shape {z.shape} and means {prior.means.shape}; their last axes must be the same")
    z, means, log_vars = broadcast_against_clusters(z, prior)
    distances = jnp.sum((z - means) ** 2 * jnp.exp(-jax.lax.stop_gradient(log_vars)), axis=-1)
    return jax.nn.log_softmax(-jnp.log1p(distances), axis=-1)


def sharpen_targets(q_c: np.ndarray) -> np.ndarray:
    """The targets p(c|z_n), proportional to q(c|z_n)^2 / sum_m q(c|z_m) (eq. 3).

    Args:
      q_c: [N, K], of all rows, each sums to 1.

    Returns:
      [N, K], of the same type; each row sums to 1.
    """
    weights = q_c**2 / q_c.sum(axis=0)
    return weights / weights.sum(axis=1, keepdims=True)


def mixture_of_centroids(prior: GMMPrior) -> GMMPrior:
    """The mixture whose likeliest cluster is that of the nearest mean: equal weights, the mean variance everywhere."""
    log_var = jnp.log(jnp.mean(jnp.exp(prior.log_vars)))
    return GMMPrior(jnp.zeros_like(prior.logits), prior.means, jnp.full_like(prior.log_vars, log_var))
