"""Likelihoods of rows with gaps, entries that are NaN."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from flax import linen as nn

from vade_jax.core.shapes import prepend_axes
from vade_jax.networks.likelihood_base import Likelihood, Limits, Support


@dataclass(frozen=True)
class WithGaps(Likelihood):
    """A family that factorizes over columns, for rows with gaps: log p(x|z) is that of the observed entries.

    The encoder sees the family's features, 0 in gaps, and beside them whether each entry is observed.

    Attributes:
      family: without gaps.
      num_heads: of the family.
      support: of the family.
    """

    family: Likelihood
    num_heads: int
    support: Support
    takes_gaps = True

    @property
    def limits(self) -> Limits:
        """Those of the family."""
        return self.family.limits

    def log_prob(self, x: jax.Array, *heads: jax.Array) -> jax.Array:
        """Returns log p(x|z) [...] in nats of the observed entries of x [..., D]; 0 if there are none."""
        observed = ~jnp.isnan(x)
        terms = self.log_prob_by_column(jnp.where(observed, x, jnp.zeros_like(x)), *heads)
        return jnp.sum(jnp.where(prepend_axes(observed, terms.ndim), terms, 0.0), axis=-1)

    def log_prob_by_column(self, x: jax.Array, *heads: jax.Array) -> jax.Array:
        """Returns the family's terms of log p(x|z), [..., D] in nats, for x without gaps."""
        return self.family.log_prob_by_column(x, *heads)

    def mean(self, *heads: jax.Array) -> jax.Array:
        """Returns the family's E[x|z] [..., D]."""
        return self.family.mean(*heads)

    def sample(self, key: jax.Array, *heads: jax.Array) -> jax.Array:
        """Returns the family's draw x ~ p(x|z) [..., D], without gaps."""
        return self.family.sample(key, *heads)

    def features(self, x: jax.Array) -> jax.Array:
        """Returns the family's features [..., F]."""
        return self.family.features(x)

    @property
    def has_features(self) -> bool:
        """That of the family."""
        return self.family.has_features

    def encoder_input(self, x: jax.Array) -> jax.Array:
        """Returns the family's features and the mask of observed entries, [..., F + D]."""
        features = self.family.features(x)
        mask = jnp.where(jnp.isnan(x), 0.0, jnp.ones_like(x))
        return jnp.concatenate([jnp.where(jnp.isnan(features), 0.0, features), mask], axis=-1)

    def fill(self, x: jax.Array, weights: jax.Array, *heads: jax.Array) -> jax.Array:
        """Returns x [B, D] with its gaps filled as the family does; see `Likelihood.fill`."""
        return self.family.fill(x, weights, *heads)

    def num_outputs(self, num_features: int) -> int:
        """Returns that of the family."""
        return self.family.num_outputs(num_features)

    def wrap_decoder(self, decoder: nn.Module) -> nn.Module:
        """Returns that of the family."""
        return self.family.wrap_decoder(decoder)


def with_gaps(family: Likelihood) -> WithGaps:
    """Returns the family for rows with gaps; it must factorize."""
    return WithGaps(family, family.num_heads, family.support)
