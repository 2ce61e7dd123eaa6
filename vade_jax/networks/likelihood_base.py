"""The base class of likelihoods p(x|z)."""

import abc
import math
from typing import Literal

import jax
import jax.numpy as jnp
from flax import linen as nn

from vade_jax.networks.encoders_decoders import LearnedNumbers

Support = Literal["real", "unit_interval", "count"]
Limits = tuple[float | tuple[float, ...], float | tuple[float, ...]]

_LIMITS: dict[Support, Limits] = {
    "real": (-math.inf, math.inf),
    "unit_interval": (0.0, 1.0),
    "count": (0.0, math.inf),
}


class Likelihood(abc.ABC):
    """A family of distributions p(x|z). The decoder's heads, each [..., D], are its parameters.

    Attributes:
      num_heads: the number of heads that the network's decoder returns.
      support: the values of x that it allows: 'real' for any, 'unit_interval' for x in [0, 1], 'count' for integers
        x >= 0.
      first_numbers: the first values of numbers that are learned for each column, the same for all z. Each is one more
        head, after those of the decoder.
      factorizes: whether log p(x|z) is a sum over columns, each term a function of the column's x and heads. Then rows
        can have gaps.
      takes_gaps: whether x can be NaN where a row has a gap.
    """

    num_heads: int
    support: Support = "real"
    first_numbers: tuple[float, ...] = ()
    factorizes: bool = True
    takes_gaps: bool = False

    @abc.abstractmethod
    def log_prob(self, x: jax.Array, *heads: jax.Array) -> jax.Array:
        """Returns log p(x|z) [...] in nats, for x [..., D]."""

    @abc.abstractmethod
    def mean(self, *heads: jax.Array) -> jax.Array:
        """Returns E[x|z] [..., D]."""

    def sample(self, key: jax.Array, *heads: jax.Array) -> jax.Array:
        """Returns a draw x ~ p(x|z) [..., D].

        A subclass without this method can train and return E[x|z], but it cannot draw x.

        Raises:
          NotImplementedError: the subclass does not define it.
        """
        raise NotImplementedError(
            f"{type(self).__name__} cannot draw x: define its method sample(key, *heads), or ask for the mean, E[x|z]"
        )

    def features(self, x: jax.Array) -> jax.Array:
        """Returns what the encoder and every search for neighbours see of x [..., D], [..., F]; x itself by default."""
        return x

    @property
    def has_features(self) -> bool:
        """Whether `features` is anything but x itself."""
        return type(self).features is not Likelihood.features

    def encoder_input(self, x: jax.Array) -> jax.Array:
        """Returns what the encoder sees of x [..., D], which can have gaps if `takes_gaps`: the features."""
        return self.features(x)

    @property
    def limits(self) -> Limits:
        """The smallest and the largest x, each a number or D numbers."""
        return _LIMITS[self.support]

    def log_prob_by_column(self, x: jax.Array, *heads: jax.Array) -> jax.Array:
        """Returns the terms of log p(x|z), [..., D] in nats, for x [..., D]; only if it factorizes."""

        def one_column(x: jax.Array, *heads: jax.Array) -> jax.Array:
            return self.log_prob(x[..., None], *(head[..., None] for head in heads))

        return jax.vmap(one_column, -1, -1)(x, *heads)

    def fill(self, x: jax.Array, weights: jax.Array, *heads: jax.Array) -> jax.Array:
        """Returns x [B, D] with E[x|z] in its gaps, as the mean over draws of z.

        Args:
          x: NaN where a row has a gap.
          weights: [L, B], of the draws; they sum to 1 over L.
          *heads: for the draws, each [L, B, D].
        """
        return jnp.where(jnp.isnan(x), jnp.sum(weights[..., None] * self.mean(*heads), axis=0), x)

    def num_outputs(self, num_features: int) -> int:
        """Returns how many columns each head of the decoder has for D = num_features columns of x."""
        return num_features

    def wrap_decoder(self, decoder: nn.Module) -> nn.Module:
        """Returns a decoder that returns all the heads that `log_prob` and `mean` take.

        Args:
          decoder: the network's decoder, which returns `num_heads` heads.
        """
        return LearnedNumbers(decoder, self.first_numbers) if self.first_numbers else decoder
