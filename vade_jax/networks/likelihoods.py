"""Likelihoods p(x|z): families of distributions whose parameters are the decoder's heads."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, get_args

import jax
import jax.numpy as jnp
from flax import linen as nn

from vade_jax.core.likelihoods import (
    log_prob_x_bernoulli,
    log_prob_x_gaussian,
    log_prob_x_student_t,
    sample_x_bernoulli,
    sample_x_gaussian,
    sample_x_student_t,
)
from vade_jax.networks.count_likelihoods import NegativeBinomial, Poisson, ZeroInflatedNegativeBinomial
from vade_jax.networks.encoders_decoders import SharedLogVar
from vade_jax.networks.likelihood_base import Likelihood, Support
from vade_jax.system.errors import InputError
from vade_jax.system.registry import Registry

_FIRST_DF = 5.0  # degrees of freedom of the Student-t likelihood before training


@dataclass(frozen=True)
class Bernoulli(Likelihood):
    """p(x|z) = prod_d Ber(x_d | sigmoid(logits_d)), for x in [0, 1]. The head is logits."""

    num_heads = 1
    support = "unit_interval"

    def log_prob(self, x: jax.Array, *heads: jax.Array) -> jax.Array:
        """Returns log p(x|z) [...] in nats, for x [..., D]."""
        (logits,) = heads
        return log_prob_x_bernoulli(x, logits)

    def mean(self, *heads: jax.Array) -> jax.Array:
        """Returns E[x|z] [..., D]."""
        (logits,) = heads
        return jax.nn.sigmoid(logits)

    def sample(self, key: jax.Array, *heads: jax.Array) -> jax.Array:
        """Returns a draw x ~ p(x|z) [..., D], each value 0 or 1."""
        (logits,) = heads
        return sample_x_bernoulli(key, logits)


@dataclass(frozen=True)
class Gaussian(Likelihood):
    """p(x|z) = N(x | mean, diag(sigma^2)) with a learned log sigma^2 above min_log_var.

    Without that bound a feature that the decoder fits exactly has an unbounded density.
    The heads are the mean and a log-variance before the bound is applied.

    Attributes:
      min_log_var: the lower bound of log sigma^2.
    """

    min_log_var: float
    num_heads = 2

    def log_prob(self, x: jax.Array, *heads: jax.Array) -> jax.Array:
        """Returns log p(x|z) [...] in nats, for x [..., D]."""
        mean, raw_log_var = heads
        return log_prob_x_gaussian(x, mean, self._log_var(raw_log_var))

    def mean(self, *heads: jax.Array) -> jax.Array:
        """Returns E[x|z] [..., D]."""
        mean, _ = heads
        return mean

    def sample(self, key: jax.Array, *heads: jax.Array) -> jax.Array:
        """Returns a draw x ~ p(x|z) [..., D]."""
        mean, raw_log_var = heads
        return sample_x_gaussian(key, mean, self._log_var(raw_log_var))

    def _log_var(self, raw_log_var: jax.Array) -> jax.Array:
        """log sigma^2, above its lower bound."""
        return bounded_log_var(raw_log_var, self.min_log_var)


def bounded_log_var(raw_log_var: jax.Array, min_log_var: float) -> jax.Array:
    """Returns log sigma^2 above its lower bound, from any real numbers of the same shape."""
    return min_log_var + jax.nn.softplus(raw_log_var - min_log_var)


@dataclass(frozen=True)
class SharedGaussian(Gaussian):
    """p(x|z) = N(x | mean, sigma^2 I) with one learned sigma for all features, log sigma^2 above min_log_var.

    With it the autoencoder minimises the squared error for any sigma (Rybkin et al. 2021, arXiv:2006.13202).
    """

    num_heads = 1

    def wrap_decoder(self, decoder: nn.Module) -> nn.Module:
        """Returns a decoder with a second head: the log-variance, one learned number."""
        return SharedLogVar(decoder)


@dataclass(frozen=True)
class FixedGaussian(Gaussian):
    """p(x|z) = N(x | mean, sigma^2 I) with a fixed sigma: log sigma^2 is min_log_var. The head is the mean.

    -log p(x|z) is the squared error times 1 / (2 sigma^2), plus a constant.
    """

    num_heads = 1

    def log_prob(self, x: jax.Array, *heads: jax.Array) -> jax.Array:
        """Returns log p(x|z) [...] in nats, for x [..., D]."""
        (mean,) = heads
        return log_prob_x_gaussian(x, mean, self._fixed(mean))

    def mean(self, *heads: jax.Array) -> jax.Array:
        """Returns E[x|z] [..., D]."""
        (mean,) = heads
        return mean

    def sample(self, key: jax.Array, *heads: jax.Array) -> jax.Array:
        """Returns a draw x ~ p(x|z) [..., D]."""
        (mean,) = heads
        return sample_x_gaussian(key, mean, self._fixed(mean))

    def _fixed(self, mean: jax.Array) -> jax.Array:
        return jnp.full_like(mean, self.min_log_var)


@dataclass(frozen=True)
class StudentT(Likelihood):
    """p(x|z) = prod_d t(x_d | mean_d, scale_d, df_d), a Gaussian with heavier tails.

    Values far out weigh less. Each column has one learned scale and one learned number of degrees of freedom, above 1.
    The network sees arsinh(x), which is x near 0 and its logarithm far out. The head is the mean.

    Attributes:
      min_log_var: the lower bound of the logarithm of the squared scale.
    """

    min_log_var: float
    num_heads = 1
    first_numbers = (0.0, math.log(math.expm1(_FIRST_DF - 1)))  # raw log-scale and raw degrees of freedom

    def log_prob(self, x: jax.Array, *heads: jax.Array) -> jax.Array:
        """Returns log p(x|z) [...] in nats, for x [..., D]."""
        return log_prob_x_student_t(x, *self._parameters(*heads))

    def mean(self, *heads: jax.Array) -> jax.Array:
        """Returns E[x|z] [..., D]."""
        mean, _, _ = heads
        return mean

    def sample(self, key: jax.Array, *heads: jax.Array) -> jax.Array:
        """Returns a draw x ~ p(x|z) [..., D]."""
        return sample_x_student_t(key, *self._parameters(*heads))

    def features(self, x: jax.Array) -> jax.Array:
        """Returns arsinh(x) [..., D]."""
        return jnp.arcsinh(x)

    def _parameters(self, mean: jax.Array, raw_log_var: jax.Array, raw_df: jax.Array) -> tuple[jax.Array, ...]:
        """The mean, log-scale and degrees of freedom, each [..., D]."""
        return mean, 0.5 * bounded_log_var(raw_log_var, self.min_log_var), 1 + jax.nn.softplus(raw_df)


class LikelihoodFactory(Protocol):
    """A function or class that makes a likelihood."""

    def __call__(self, min_log_var: float, /) -> Likelihood:
        """Returns the likelihood.

        Args:
          min_log_var: the setting `model.min_log_var`, for likelihoods with a learned scale.
        """


def _without_scale(family: Callable[[], Likelihood]) -> LikelihoodFactory:
    """Returns the factory of a family without a learned scale."""
    return lambda min_log_var: family()


LIKELIHOODS: Registry[LikelihoodFactory] = Registry(
    "likelihood",
    "model.likelihood",
    {
        "bernoulli": _without_scale(Bernoulli),
        "gaussian": Gaussian,
        "gaussian_shared": SharedGaussian,
        "gaussian_fixed": FixedGaussian,
        "student_t": StudentT,
        "poisson": _without_scale(Poisson),
        "negative_binomial": _without_scale(NegativeBinomial),
        "zero_inflated_negative_binomial": _without_scale(ZeroInflatedNegativeBinomial),
    },
)


def register_likelihood(name: str, factory: LikelihoodFactory) -> None:
    """Adds a likelihood that the setting `model.likelihood` can name.

    Args:
      name: a new name.
      factory: function of `model.min_log_var` that returns a `Likelihood`. Its `log_prob` maps x [..., D] and
        num_heads arrays [..., D] to log p(x|z) [...] in nats; its `mean` maps these arrays to E[x|z] [..., D]; its
        `sample`, which only draws of x need, maps a random key and these arrays to x ~ p(x|z) [..., D].

    Raises:
      ValueError: the name is taken, or cannot be used.

    Example:
      >>> import jax.numpy as jnp
      >>> class Laplace(Likelihood):
      ...     num_heads = 1
      ...     def log_prob(self, x, *heads):
      ...         return -jnp.abs(x - heads[0]).sum(-1) - x.shape[-1] * jnp.log(2.0)
      ...     def mean(self, *heads):
      ...         return heads[0]
      ...     def sample(self, key, *heads):
      ...         return heads[0] + jax.random.laplace(key, heads[0].shape)
      >>> register_likelihood("laplace", lambda min_log_var: Laplace())  # then: --config.model.likelihood=laplace
    """
    LIKELIHOODS.register(name, factory)


def make_likelihood(name: str, min_log_var: float) -> Likelihood:
    """Returns the likelihood of this name in LIKELIHOODS.

    Raises:
      InputError: there is no such likelihood, or its factory returns something else.
    """
    likelihood = LIKELIHOODS[name](min_log_var)
    if not isinstance(likelihood, Likelihood) or likelihood.support not in get_args(Support):
        raise InputError(
            "config.model.likelihood",
            f"{name!r}, which makes {likelihood!r}",
            f"a factory of a vade_jax.Likelihood whose support is one of {', '.join(map(repr, get_args(Support)))}",
            "Change the factory.",
        )
    return likelihood
