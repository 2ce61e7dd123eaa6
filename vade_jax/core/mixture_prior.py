"""The Gaussian-mixture prior p(z, c) = p(c) p(z|c), its densities and its responsibilities.

Every function is pure and accepts leading batch axes `...`. It sums only over the latent axis and returns nats per
example. float32 and bfloat16 inputs give float32 results; float64 stays float64.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from vade_jax.core.shapes import as_floats, check_same_shape, prepend_axes

_LOG_2PI = 1.8378770664093453
_FEW_CLUSTERS = 64  # up to this K an array [..., K, J] is small enough for the more exact direct computation


class GMMPrior(NamedTuple):
    """Parameters of the mixture prior. They are unconstrained: any gradient step keeps them valid.

    Attributes:
      logits: [K], real; pi = softmax(logits).
      means: [K, J], real; the centres mu_c.
      log_vars: [K, J], real; log sigma_c^2.
    """

    logits: jax.Array
    means: jax.Array
    log_vars: jax.Array


def log_prob_c(prior: GMMPrior) -> jax.Array:
    """log p(c) = log pi_c, the cluster weights (arXiv:1611.05148, Sec. 3.1).

    Args:
      prior: the mixture of K clusters.

    Returns:
      [K], nats; its exponentials sum to 1.

    Raises:
      ValueError: the prior's shapes do not fit together.
    """
    _check_prior(prior)
    (logits,) = as_floats(prior.logits)
    return jax.nn.log_softmax(logits)


def log_prob_z_given_c(z: jax.Array, prior: GMMPrior) -> jax.Array:
    """log p(z|c) = log N(z | mu_c, diag(sigma_c^2)) for every c (arXiv:1611.05148, Sec. 3.1).

    Args:
      z: [..., J], real.
      prior: the mixture of K clusters in J dimensions.

    Returns:
      [..., K], nats.

    Raises:
      ValueError: z and the prior differ in J.

    Example:
      >>> prior = GMMPrior(jnp.zeros(3), jnp.zeros((3, 2)), jnp.zeros((3, 2)))
      >>> log_prob_z_given_c(jnp.ones((5, 2)), prior).shape
      (5, 3)
    """
    _check_latent("z", z, prior)
    if _is_large(prior):
        return _log_prob_z_given_many(z, prior)
    z, means, log_vars = broadcast_against_clusters(z, prior)
    return log_prob_normal(z, means, log_vars)


def log_prob_z(z: jax.Array, prior: GMMPrior) -> jax.Array:
    """log p(z) = log sum_c p(c) p(z|c), the mixture's density.

    Args:
      z: [..., J], real.
      prior: the mixture of K clusters in J dimensions.

    Returns:
      [...], nats.

    Raises:
      ValueError: z and the prior differ in J.
    """
    log_pz_given_c = log_prob_z_given_c(z, prior)
    return jax.nn.logsumexp(log_pz_given_c + _log_prob_c_like(log_pz_given_c, prior), axis=-1)


def log_responsibilities(z: jax.Array, prior: GMMPrior) -> jax.Array:
    """log p(c|z) = log p(c) p(z|c) / p(z), the posterior of the cluster given z (arXiv:1611.05148, eq. 16).

    Args:
      z: [..., J], real.
      prior: the mixture of K clusters in J dimensions.

    Returns:
      [..., K], nats; the exponentials sum to 1 over the last axis.

    Raises:
      ValueError: z and the prior differ in J.
    """
    return _log_posterior(log_prob_z_given_c(z, prior), prior)


def expected_log_prob_z_given_c(z_mean: jax.Array, z_log_var: jax.Array, prior: GMMPrior) -> jax.Array:
    """E_q(z|x)[log p(z|c)] for q(z|x) = N(z_mean, diag(exp z_log_var)), in closed form.

    -1/2 sum_j [log 2pi + log sigma_cj^2 + sigma_zj^2 / sigma_cj^2 + (mu_zj - mu_cj)^2 / sigma_cj^2]
    (arXiv:1611.05148, Sec. 3.2).

    Args:
      z_mean: [..., J], real.
      z_log_var: [..., J], real.
      prior: the mixture of K clusters in J dimensions.

    Returns:
      [..., K], nats.

    Raises:
      ValueError: z_mean and z_log_var differ in shape, or differ from the prior in J.
    """
    check_same_shape("z_mean", z_mean, "z_log_var", z_log_var)
    _check_latent("z_mean", z_mean, prior)
    if _is_large(prior):
        z_log_var, log_vars = as_floats(z_log_var, prior.log_vars)
        variances = jnp.matmul(jnp.exp(z_log_var), jnp.exp(-log_vars).T, precision=lax.Precision.HIGHEST)
        return _log_prob_z_given_many(z_mean, prior) - 0.5 * variances
    z_mean, means, log_vars = broadcast_against_clusters(z_mean, prior)
    z_log_var, *_ = broadcast_against_clusters(z_log_var, prior)
    return log_prob_normal(z_mean, means, log_vars) - 0.5 * jnp.sum(jnp.exp(z_log_var - log_vars), axis=-1)


def optimal_log_responsibilities(z_mean: jax.Array, z_log_var: jax.Array, prior: GMMPrior) -> jax.Array:
    """log q(c|x) = log softmax_c E_q(z|x)[log p(c, z)], the mean-field optimum.

    It gives the tightest bound of all q(c|x) that do not depend on z: it minimises E_q(z|x)[KL(q(c|x) || p(c|z))]
    (arXiv:1611.05148, Sec. 3.2) exactly.

    Args:
      z_mean: [..., J], real.
      z_log_var: [..., J], real.
      prior: the mixture of K clusters in J dimensions.

    Returns:
      [..., K], nats; the exponentials sum to 1 over the last axis.

    Raises:
      ValueError: z_mean and z_log_var differ in shape, or differ from the prior in J.
    """
    return _log_posterior(expected_log_prob_z_given_c(z_mean, z_log_var, prior), prior)


def sample_prior(
    key: jax.Array,
    prior: GMMPrior,
    shape: tuple[int, ...],
    cluster: jax.Array | int | None = None,
    truncation: float = math.inf,
) -> tuple[jax.Array, jax.Array]:
    """Draws c ~ Cat(pi), then z | c ~ N(mu_c, diag(sigma_c^2)).

    Args:
      key: a JAX random key.
      prior: the mixture of K clusters in J dimensions.
      shape: the shape of the draws.
      cluster: None to draw c; else the cluster of every draw, an integer in 0..K-1 or an array that broadcasts to
        shape.
      truncation: the distribution of z is cut off at this many standard deviations from mu_c in every dimension.

    Returns:
      z [*shape, J] and c [*shape], int32.

    Raises:
      ValueError: the prior's shapes do not fit together, cluster is outside 0..K-1 (only checked if it is not
        traced), or truncation is not positive.
    """
    _check_prior(prior)
    if not truncation > 0:
        raise ValueError(f"truncation is {truncation}; it must be a number > 0, in standard deviations")
    logits, means, log_vars = as_floats(*prior)
    cluster_key, z_key = jax.random.split(key)
    if cluster is None:
        c = jax.random.categorical(cluster_key, logits, shape=shape).astype(jnp.int32)
    else:
        last = logits.shape[0] - 1
        if not isinstance(cluster, jax.core.Tracer) and not all(0 <= c <= last for c in np.ravel(cluster)):
            raise ValueError(f"cluster is {cluster}; the prior's clusters are 0 to {last}")
        c = jnp.broadcast_to(jnp.asarray(cluster, jnp.int32), shape)
    noise_shape = (*shape, means.shape[1])
    if truncation == math.inf:
        noise = jax.random.normal(z_key, noise_shape, means.dtype)
    else:
        noise = jax.random.truncated_normal(z_key, -truncation, truncation, noise_shape, means.dtype)
    return means[c] + jnp.exp(0.5 * log_vars[c]) * noise, c


def log_prob_normal(x: jax.Array, mean: jax.Array, log_var: jax.Array) -> jax.Array:
    """log N(x | mean, diag(exp log_var)), summed over the last axis.

    Args:
      x: [..., D], real.
      mean: [..., D], real.
      log_var: [..., D], real.

    Returns:
      [...], nats.
    """
    return -0.5 * jnp.sum(_LOG_2PI + log_var + jnp.square(x - mean) * jnp.exp(-log_var), axis=-1)


def _log_posterior(log_pz_given_c: jax.Array, prior: GMMPrior) -> jax.Array:
    """log softmax_c [log p(z|c) + log p(c)], [..., K]."""
    # Far from every cluster, log p(z|c) is so large that log p(c) would be rounded away. Shifts do not change softmax.
    # Where even log p(z|c) overflows to -inf, -inf - (-inf) would be NaN.
    log_pz_given_c = jnp.maximum(log_pz_given_c, jnp.finfo(log_pz_given_c.dtype).min)
    relative = log_pz_given_c - lax.stop_gradient(log_pz_given_c.max(axis=-1, keepdims=True))
    return jax.nn.log_softmax(relative + _log_prob_c_like(relative, prior), axis=-1)


def _log_prob_c_like(log_pz_given_c: jax.Array, prior: GMMPrior) -> jax.Array:
    """log p(c) in the type and rank of log p(z|c) [..., K]."""
    return prepend_axes(log_prob_c(prior).astype(log_pz_given_c.dtype), log_pz_given_c.ndim)


def _is_large(prior: GMMPrior) -> bool:
    return prior.means.shape[0] > _FEW_CLUSTERS


def _log_prob_z_given_many(z: jax.Array, prior: GMMPrior) -> jax.Array:
    """log p(z|c) [..., K] by a matrix product: expanding (z - mu)^2 avoids an array [..., K, J].

    The error in nats is about 1e-7 of the squared distance from the clusters' common centre in units of sigma_c.
    """
    z, means, log_vars = as_floats(z, prior.means, prior.log_vars)
    centre = lax.stop_gradient(means.mean(axis=0))  # squares are smallest around it; the density ignores shifts
    z, means = z - prepend_axes(centre, z.ndim), means - prepend_axes(centre, means.ndim)
    precisions = jnp.exp(-log_vars)
    weights = jnp.concatenate([-0.5 * precisions, means * precisions], axis=-1)
    products = jnp.matmul(jnp.concatenate([jnp.square(z), z], axis=-1), weights.T, precision=lax.Precision.HIGHEST)
    constants = jnp.sum(_LOG_2PI + log_vars + jnp.square(means) * precisions, axis=-1)
    return products - 0.5 * prepend_axes(constants, products.ndim)


def broadcast_against_clusters(z: jax.Array, prior: GMMPrior) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Returns z [..., J] as [..., 1, J], and the means and log_vars as [..., K, J], in one type and rank."""
    z, means, log_vars = as_floats(z, prior.means, prior.log_vars)
    z = jnp.expand_dims(z, -2)
    return z, prepend_axes(means, z.ndim), prepend_axes(log_vars, z.ndim)


def _check_prior(prior: GMMPrior) -> None:
    check_same_shape("prior.means", prior.means, "prior.log_vars", prior.log_vars)
    if jnp.ndim(prior.means) != 2 or jnp.shape(prior.logits) != jnp.shape(prior.means)[:1]:
        raise ValueError(
            f"prior.logits has shape {jnp.shape(prior.logits)} and prior.means {jnp.shape(prior.means)}: "
            "they must be [K] and [K, J]"
        )


def _check_latent(name: str, z: jax.Array, prior: GMMPrior) -> None:
    _check_prior(prior)
    if jnp.ndim(z) < 1 or jnp.shape(z)[-1] != jnp.shape(prior.means)[-1]:
        raise ValueError(
            f"{name} has shape {jnp.shape(z)} and prior.means {jnp.shape(prior.means)}: "
            "the last axes must be the same latent dimension J"
        )
