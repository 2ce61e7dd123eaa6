"""VaDE's evidence lower bound (ELBO) in both of its forms, its terms, and the estimators of q(c|x).

Every function is pure and accepts leading batch axes `...`. It sums only over the event axis and returns nats per
example, constants included. float32 and bfloat16 inputs give float32 results; float64 stays float64. Draws
z_l ~ q(z|x) lie on a leading axis L.
"""

import math
from typing import NamedTuple, Protocol

import jax
import jax.numpy as jnp

from vade_jax.core.importance_weighted import log_importance_weights, log_mean_exp
from vade_jax.core.mixture_prior import (
    GMMPrior,
    expected_log_prob_z_given_c,
    log_prob_c,
    log_responsibilities,
    optimal_log_responsibilities,
)
from vade_jax.core.shapes import as_floats, check_draws, check_log_px, check_same_draws, check_same_shape, prepend_axes


def entropy_z(z_log_var: jax.Array) -> jax.Array:
    """H[q(z|x)] = 1/2 sum_j [1 + log 2pi + log sigma_zj^2] (arXiv:1611.05148, Sec. 3.2).

    Args:
      z_log_var: [..., J], real.

    Returns:
      [...], nats.
    """
    (z_log_var,) = as_floats(z_log_var)
    return 0.5 * jnp.sum(1 + math.log(2 * math.pi) + z_log_var, axis=-1)


def entropy_c(log_q_c: jax.Array) -> jax.Array:
    """H[q(c|x)] = -sum_c q(c|x) log q(c|x), with 0 log 0 = 0.

    Args:
      log_q_c: [..., K], at most 0; -inf is allowed.

    Returns:
      [...], nats, in [0, log K].
    """
    (log_q_c,) = as_floats(log_q_c)
    return -_expectation_c(log_q_c, log_q_c)


def sample_z(key: jax.Array, z_mean: jax.Array, z_log_var: jax.Array, num_samples: int) -> jax.Array:
    """Reparameterized draws z_l = mu_z + sigma_z * eps_l, eps_l ~ N(0, I) (arXiv:1611.05148, Sec. 3.2).

    Args:
      key: a JAX random key.
      z_mean: [..., J], real.
      z_log_var: [..., J], real.
      num_samples: L, at least 1.

    Returns:
      [L, ..., J].

    Raises:
      ValueError: z_mean and z_log_var differ in shape, or num_samples is below 1.
    """
    check_same_shape("z_mean", z_mean, "z_log_var", z_log_var)
    if num_samples < 1:
        raise ValueError(f"num_samples is {num_samples}; it must be at least 1")
    z_mean, z_log_var = as_floats(z_mean, z_log_var)
    noise = jax.random.normal(key, (num_samples, *z_mean.shape), z_mean.dtype)
    return jnp.expand_dims(z_mean, 0) + jnp.exp(0.5 * jnp.expand_dims(z_log_var, 0)) * noise


class Estimator(Protocol):
    """Estimates log q(c|x) from draws z [L, ..., J] and the moments of q(z|x), [..., J] each."""

    def __call__(self, z: jax.Array, z_mean: jax.Array, z_log_var: jax.Array, prior: GMMPrior, /) -> jax.Array:
        """Returns log q(c|x), [..., K] in nats."""


ESTIMATORS: dict[str, Estimator] = {
    "sample": lambda z, z_mean, z_log_var, prior: log_mean_exp(log_responsibilities(z, prior)),
    "mean": lambda z, z_mean, z_log_var, prior: log_responsibilities(z_mean, prior),
    "optimal": lambda z, z_mean, z_log_var, prior: optimal_log_responsibilities(z_mean, z_log_var, prior),
}


def log_cluster_posterior(
    z: jax.Array, z_mean: jax.Array, z_log_var: jax.Array, prior: GMMPrior, estimator: str = "sample"
) -> jax.Array:
    """Returns log q(c|x) by one of three estimators.

    `sample` averages p(c|z_l) over the draws (arXiv:1611.05148, eq. 16). `mean` is p(c|z = mu_z). `optimal` is the
    closed-form minimiser of E_q(z|x)[KL(q(c|x) || p(c|z))].

    Args:
      z: [L, ..., J], draws from q(z|x); used only by `sample`.
      z_mean: [..., J], real.
      z_log_var: [..., J], real.
      prior: the mixture of K clusters in J dimensions.
      estimator: 'sample', 'mean' or 'optimal'.

    Returns:
      [..., K], nats; the exponentials sum to 1 over the last axis.

    Raises:
      ValueError: the estimator is unknown, or shapes do not match.
    """
    if estimator not in ESTIMATORS:
        raise ValueError(f"estimator is {estimator!r}; it must be one of {', '.join(map(repr, ESTIMATORS))}")
    check_same_shape("z_mean", z_mean, "z_log_var", z_log_var)
    check_draws(z, z_mean)
    return ESTIMATORS[estimator](z, z_mean, z_log_var, prior)


class ELBOTerms(NamedTuple):
    """The five expectations of the bound's first form (arXiv:1611.05148, Sec. 3.2), and q(c|x).

    Attributes:
      log_px_given_z: [...], E_q[log p(x|z)], nats.
      log_pz_given_c: [...], E_q[log p(z|c)], nats.
      log_pc: [...], E_q[log p(c)], nats.
      entropy_z: [...], -E_q[log q(z|x)], nats.
      entropy_c: [...], -E_q[log q(c|x)], nats.
      log_q_c: [..., K], log q(c|x), nats.
    """

    log_px_given_z: jax.Array
    log_pz_given_c: jax.Array
    log_pc: jax.Array
    entropy_z: jax.Array
    entropy_c: jax.Array
    log_q_c: jax.Array

    @property
    def kl(self) -> jax.Array:
        """[...], KL(q(z, c|x) || p(z, c)) in nats, at least 0."""
        return -(self.log_pz_given_c + self.log_pc + self.entropy_z + self.entropy_c)

    @property
    def elbo(self) -> jax.Array:
        """[...], the evidence lower bound in nats, at most log p(x) in expectation over the draws."""
        return self.log_px_given_z - self.kl


def elbo_terms(
    log_px_given_z: jax.Array,
    z: jax.Array,
    z_mean: jax.Array,
    z_log_var: jax.Array,
    prior: GMMPrior,
    estimator: str = "sample",
) -> ELBOTerms:
    """ELBO(x) = E_q[log p(x|z) + log p(z|c) + log p(c) - log q(z|x) - log q(c|x)] (arXiv:1611.05148, Sec. 3.2).

    log p(x|z) is the mean over the L draws. The other expectations over z are closed forms for every estimator.

    Args:
      log_px_given_z: [L, ...], nats, one for each draw.
      z: [L, ..., J], draws from q(z|x).
      z_mean: [..., J], real.
      z_log_var: [..., J], real.
      prior: the mixture of K clusters in J dimensions.
      estimator: of q(c|x): 'sample', 'mean' or 'optimal'.

    Returns:
      ELBOTerms of [...] each; `.elbo` is their sum.

    Raises:
      ValueError: the estimator is unknown, or two shapes do not match; the message names both.

    Example:
      >>> from vade_jax.core.likelihoods import log_prob_x_bernoulli
      >>> prior = GMMPrior(jnp.zeros(3), jnp.zeros((3, 2)), jnp.zeros((3, 2)))
      >>> z_mean, z_log_var = jnp.zeros((5, 2)), jnp.zeros((5, 2))
      >>> z = sample_z(jax.random.key(0), z_mean, z_log_var, num_samples=4)
      >>> log_px_given_z = log_prob_x_bernoulli(jnp.ones((4, 5, 2)), z)  # a decoder that returns z as logits
      >>> elbo_terms(log_px_given_z, z, z_mean, z_log_var, prior).elbo.shape
      (5,)
    """
    log_q_c = log_cluster_posterior(z, z_mean, z_log_var, prior, estimator)
    check_same_draws(log_px_given_z, z)
    return elbo_terms_given_q_c(log_px_given_z, z_mean, z_log_var, prior, log_q_c)


def elbo_terms_given_q_c(
    log_px_given_z: jax.Array, z_mean: jax.Array, z_log_var: jax.Array, prior: GMMPrior, log_q_c: jax.Array
) -> ELBOTerms:
    """Returns the terms of `elbo_terms` for a given q(c|x); the bound holds for any that does not depend on z.

    Args:
      log_px_given_z: [L, ...], nats, one for each draw.
      z_mean: [..., J], real.
      z_log_var: [..., J], real.
      prior: the mixture of K clusters in J dimensions.
      log_q_c: [..., K], nats; -inf is allowed.

    Returns:
      ELBOTerms of [...] each.

    Raises:
      ValueError: two shapes do not match; the message names both.
    """
    check_log_px(log_px_given_z, z_mean)
    log_pz_given_c = expected_log_prob_z_given_c(z_mean, z_log_var, prior)
    check_same_shape("log_q_c", log_q_c, "E[log p(z|c)]", log_pz_given_c)
    log_px_given_z, log_q_c = as_floats(log_px_given_z, log_q_c)
    log_pc = jnp.broadcast_to(prepend_axes(log_prob_c(prior), log_q_c.ndim), log_q_c.shape)
    return ELBOTerms(
        log_px_given_z=jnp.mean(log_px_given_z, axis=0),
        log_pz_given_c=_expectation_c(log_q_c, log_pz_given_c),
        log_pc=_expectation_c(log_q_c, log_pc),
        entropy_z=entropy_z(z_log_var),
        entropy_c=entropy_c(log_q_c),
        log_q_c=log_q_c,
    )


class SecondForm(NamedTuple):
    """The two parts of the bound's second form (arXiv:1611.05148, Sec. 3.2).

    Attributes:
      log_weight: [...], E_q(z|x)[log p(x|z) p(z) / q(z|x)], nats.
      kl_c: [...], E_q(z|x)[KL(q(c|x) || p(c|z))], nats, at least 0.
    """

    log_weight: jax.Array
    kl_c: jax.Array

    @property
    def elbo(self) -> jax.Array:
        """[...], the evidence lower bound in nats."""
        return self.log_weight - self.kl_c


def elbo_second_form(
    log_px_given_z: jax.Array,
    z: jax.Array,
    z_mean: jax.Array,
    z_log_var: jax.Array,
    prior: GMMPrior,
    estimator: str = "sample",
) -> SecondForm:
    """ELBO(x) = E_q(z|x)[log p(x|z) p(z) / q(z|x)] - E_q(z|x)[KL(q(c|x) || p(c|z))] (arXiv:1611.05148, Sec. 3.2).

    Both expectations are means over the L draws. With `mean` and `optimal` the bound equals `elbo_terms(...).elbo` in
    expectation, and the KL term says how far q(c|x) is from p(c|z). `sample` computes q(c|x) from the same draws: the
    two forms agree as L grows, and with L = 1 the KL term is 0.

    Args:
      log_px_given_z: [L, ...], nats, one for each draw.
      z: [L, ..., J], draws from q(z|x).
      z_mean: [..., J], real.
      z_log_var: [..., J], real.
      prior: the mixture of K clusters in J dimensions.
      estimator: of q(c|x): 'sample', 'mean' or 'optimal'.

    Returns:
      SecondForm of [...] each; `.elbo` is their difference.

    Raises:
      ValueError: the estimator is unknown, or two shapes do not match; the message names both.
    """
    log_q_c = log_cluster_posterior(z, z_mean, z_log_var, prior, estimator)
    return SecondForm(
        log_weight=jnp.mean(log_importance_weights(log_px_given_z, z, z_mean, z_log_var, prior), axis=0),
        kl_c=kl_cluster_posterior(log_q_c, z, prior),
    )


def kl_cluster_posterior(log_q_c: jax.Array, z: jax.Array, prior: GMMPrior) -> jax.Array:
    """E_q(z|x)[KL(q(c|x) || p(c|z))], the mean over draws; the bound loses this much (arXiv:1611.05148, Sec. 3.2).

    Args:
      log_q_c: [..., K], nats; -inf is allowed.
      z: [L, ..., J], draws from q(z|x).
      prior: the mixture of K clusters in J dimensions.

    Returns:
      [...], nats, at least 0.

    Raises:
      ValueError: two shapes do not match; the message names both.
    """
    log_q_c, log_pc_given_z = as_floats(log_q_c, log_responsibilities(z, prior))
    check_same_shape("log_q_c", log_q_c, "p(c|z_l)", log_pc_given_z[0])
    log_q_c = jnp.broadcast_to(jnp.expand_dims(log_q_c, 0), log_pc_given_z.shape)
    return jnp.mean(_expectation_c(log_q_c, log_q_c - log_pc_given_z), axis=0)


def _expectation_c(log_q_c: jax.Array, values: jax.Array) -> jax.Array:
    """sum_c q(c|x) values_c over the last axis; a cluster of q(c|x) = 0 adds 0, even if its value is infinite."""
    possible = log_q_c > -jnp.inf
    q_c = jnp.exp(log_q_c)  # exactly 0 where impossible, gradient included
    return jnp.sum(q_c * jnp.where(possible, values, 0.0), axis=-1)
