"""The importance-weighted bound of log p(x) (Burda et al. 2016, arXiv:1509.00519), with the mixture as prior."""

import math

import jax
import jax.numpy as jnp

from vade_jax.core.mixture_prior import GMMPrior, log_prob_normal, log_prob_z
from vade_jax.core.shapes import as_floats, check_draws, check_log_px, check_same_draws, check_same_shape


def importance_weighted_bound(
    log_px_given_z: jax.Array, z: jax.Array, z_mean: jax.Array, z_log_var: jax.Array, prior: GMMPrior
) -> jax.Array:
    """log 1/L sum_l p(x|z_l) p(z_l) / q(z_l|x), a lower bound of log p(x) that approaches it as L grows.

    Burda et al. 2016 (arXiv:1509.00519, eq. 8) with the mixture p(z) = sum_c p(c) p(z|c) as prior.

    Args:
      log_px_given_z: [L, ...], nats, one for each draw.
      z: [L, ..., J], draws from q(z|x).
      z_mean: [..., J], real.
      z_log_var: [..., J], real.
      prior: the mixture of K clusters in J dimensions.

    Returns:
      [...], nats.

    Raises:
      ValueError: two shapes do not match; the message names both.
    """
    return log_mean_exp(log_importance_weights(log_px_given_z, z, z_mean, z_log_var, prior))


def log_importance_weights(
    log_px_given_z: jax.Array, z: jax.Array, z_mean: jax.Array, z_log_var: jax.Array, prior: GMMPrior
) -> jax.Array:
    """log p(x|z_l) p(z_l) / q(z_l|x), [L, ...] in nats; the arguments are those of `importance_weighted_bound`."""
    check_same_shape("z_mean", z_mean, "z_log_var", z_log_var)
    check_draws(z, z_mean)
    check_log_px(log_px_given_z, z_mean)
    check_same_draws(log_px_given_z, z)
    log_px_given_z, z, z_mean, z_log_var = as_floats(log_px_given_z, z, z_mean, z_log_var)
    log_qz_given_x = log_prob_normal(z, jnp.expand_dims(z_mean, 0), jnp.expand_dims(z_log_var, 0))
    return log_px_given_z + log_prob_z(z, prior) - log_qz_given_x


def log_mean_exp(values: jax.Array) -> jax.Array:
    """log 1/L sum_l exp values_l over the first axis of values [L, ...]."""
    return jax.nn.logsumexp(values, axis=0) - math.log(values.shape[0])
