"""The kinds of columns and their likelihoods."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp

from vade_jax.core.count_likelihoods import log_prob_x_poisson, sample_x_poisson
from vade_jax.core.likelihoods import (
    log_prob_x_categorical,
    log_prob_x_gaussian,
    sample_x_categorical,
    sample_x_gaussian,
)
from vade_jax.core.shapes import prepend_axes
from vade_jax.networks.likelihood_base import Likelihood, Limits
from vade_jax.networks.likelihoods import Bernoulli, StudentT, bounded_log_var

_LEAST_POSITIVE = 1e-9  # relative to the geometric mean of the training rows
_LARGEST_LOG = 80.0  # exp of it is finite in float32


@dataclass(frozen=True)
class ColumnGaussian(Likelihood):
    """p(x|z) = N(x | mean, sigma^2) with one learned sigma for each column, log sigma^2 above min_log_var."""

    min_log_var: float
    num_heads = 1
    first_numbers = (0.0,)  # raw log-variance

    def log_prob(self, x: jax.Array, *heads: jax.Array) -> jax.Array:
        """Returns log p(x|z) [...] in nats, for x [..., D]."""
        mean, raw_log_var = heads
        return log_prob_x_gaussian(x, mean, bounded_log_var(raw_log_var, self.min_log_var))

    def mean(self, *heads: jax.Array) -> jax.Array:
        """Returns E[x|z] [..., D]."""
        mean, _ = heads
        return mean

    def sample(self, key: jax.Array, *heads: jax.Array) -> jax.Array:
        """Returns a draw x ~ p(x|z) [..., D]."""
        mean, raw_log_var = heads
        return sample_x_gaussian(key, mean, bounded_log_var(raw_log_var, self.min_log_var))


@dataclass(frozen=True)
class ColumnLogNormal(Likelihood):
    """Numbers x > 0 with log x ~ N(mean, sigma^2), with one learned sigma for each column.

    The network sees log x. Smaller values than 1e-9 count as 1e-9.

    Attributes:
      min_log_var: the lower bound of log sigma^2.
    """

    min_log_var: float
    num_heads = 1
    first_numbers = (0.0,)  # raw log-variance
    limits = (_LEAST_POSITIVE, math.inf)

    def log_prob(self, x: jax.Array, *heads: jax.Array) -> jax.Array:
        """Returns log p(x|z) [...] in nats, for x [..., D]."""
        mean, raw_log_var = heads
        log_x = self.features(x)
        log_prob = log_prob_x_gaussian(log_x, mean, bounded_log_var(raw_log_var, self.min_log_var))
        return log_prob - jnp.sum(log_x, axis=-1)

    def mean(self, *heads: jax.Array) -> jax.Array:
        """Returns E[x|z] = exp(mean + sigma^2 / 2), [..., D]."""
        mean, raw_log_var = heads
        return jnp.exp(jnp.minimum(mean + 0.5 * jnp.exp(bounded_log_var(raw_log_var, self.min_log_var)), _LARGEST_LOG))

    def sample(self, key: jax.Array, *heads: jax.Array) -> jax.Array:
        """Returns a draw x ~ p(x|z) [..., D]."""
        mean, raw_log_var = heads
        log_x = sample_x_gaussian(key, mean, bounded_log_var(raw_log_var, self.min_log_var))
        return jnp.exp(jnp.minimum(log_x, _LARGEST_LOG))

    def features(self, x: jax.Array) -> jax.Array:
        """Returns log x [..., D]."""
        return jnp.log(jnp.maximum(x, _LEAST_POSITIVE))


@dataclass(frozen=True)
class ColumnPoisson(Likelihood):
    """Poisson counts of columns that are no shares of a total. The network sees log(1 + x)."""

    num_heads = 1
    support = "count"
    first_numbers = (0.0,)  # added to the log-rate

    def log_prob(self, x: jax.Array, *heads: jax.Array) -> jax.Array:
        """Returns log p(x|z) [...] in nats, for counts x [..., D]."""
        log_rate, learned = heads
        return log_prob_x_poisson(x, log_rate + learned)

    def mean(self, *heads: jax.Array) -> jax.Array:
        """Returns E[x|z] [..., D]."""
        log_rate, learned = heads
        return jnp.exp(log_rate + learned)

    def sample(self, key: jax.Array, *heads: jax.Array) -> jax.Array:
        """Returns a draw x ~ p(x|z) [..., D]."""
        log_rate, learned = heads
        return sample_x_poisson(key, log_rate + learned)

    def features(self, x: jax.Array) -> jax.Array:
        """Returns log(1 + x) [..., D]."""
        return jnp.log1p(x)


@dataclass(frozen=True)
class Categorical(Likelihood):
    """p(x|z) = prod_d softmax(logits_d)[x_d], for the numbers of levels 0 .. L-1. The L heads are the logits.

    E[x|z] of a level has no meaning: `mean` and `fill` give the most probable level. The network sees one column of 0
    and 1 for each level, all 0 in a gap.

    Attributes:
      num_heads: L.
    """

    num_heads: int

    @property
    def limits(self) -> Limits:
        """The first and the last level."""
        return 0.0, self.num_heads - 1.0

    def log_prob(self, x: jax.Array, *heads: jax.Array) -> jax.Array:
        """Returns log p(x|z) [...] in nats, for levels x [..., D]."""
        return log_prob_x_categorical(x, jnp.stack(heads, axis=-1))

    def mean(self, *heads: jax.Array) -> jax.Array:
        """Returns argmax_x p(x|z) [..., D]."""
        return jnp.argmax(jnp.stack(heads, axis=-1), axis=-1).astype(heads[0].dtype)

    def sample(self, key: jax.Array, *heads: jax.Array) -> jax.Array:
        """Returns a draw x ~ p(x|z) [..., D]."""
        return sample_x_categorical(key, jnp.stack(heads, axis=-1))

    def features(self, x: jax.Array) -> jax.Array:
        """Returns whether x is each of the levels, [..., D L]."""
        is_level = x[..., None] == prepend_axes(jnp.arange(self.num_heads, dtype=x.dtype), x.ndim + 1)
        return is_level.astype(x.dtype).reshape(*x.shape[:-1], -1)

    def fill(self, x: jax.Array, weights: jax.Array, *heads: jax.Array) -> jax.Array:
        """Returns x [B, D] with the most probable level over draws of z in its gaps; see `Likelihood.fill`."""
        probabilities = jax.nn.softmax(jnp.stack(heads, axis=-1), axis=-1)
        likeliest = jnp.argmax(jnp.sum(weights[..., None, None] * probabilities, axis=0), axis=-1)
        return jnp.where(jnp.isnan(x), likeliest.astype(x.dtype), x)


# Kind of a column -> the likelihood of such columns, from min_log_var and the number of levels.
KINDS: dict[str, Callable[[float, int], Likelihood]] = {
    "number": lambda min_log_var, num_levels: ColumnGaussian(min_log_var),
    "positive": lambda min_log_var, num_levels: ColumnLogNormal(min_log_var),
    "binary": lambda min_log_var, num_levels: Bernoulli(),
    "category": lambda min_log_var, num_levels: Categorical(num_levels),
    "count": lambda min_log_var, num_levels: ColumnPoisson(),
    "heavy_tailed": lambda min_log_var, num_levels: StudentT(min_log_var),
}
SCALED_KINDS = ("number", "heavy_tailed")  # of 'positive' the geometric mean is made 1; others are seen as stored
NUMBER_KINDS = ("positive", *SCALED_KINDS)
