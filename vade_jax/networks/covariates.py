"""What the networks see of a row besides x: covariates, such as the batch in which it was measured."""

from dataclasses import dataclass
from typing import TypeVar

import jax
import jax.numpy as jnp
import numpy as np

_Array = TypeVar("_Array", jax.Array, np.ndarray)


@dataclass(frozen=True)
class Covariates:
    """The covariates s of a row: q(z|x, s) and p(x|z, s) depend on them, and p(c) and p(z|c) do not.

    The rows [..., D + S] of a model have their S covariates behind their D columns x. A covariate with levels has the
    number of its level, and a number is scaled. NaN is a value that is not known.

    Attributes:
      num_levels: of each of the S covariates, 0 for a number; () for no covariates.
    """

    num_levels: tuple[int, ...] = ()

    @property
    def count(self) -> int:
        """S."""
        return len(self.num_levels)

    def split(self, rows: _Array) -> tuple[_Array, _Array]:
        """Returns x [..., D] and the covariates [..., S] of rows [..., D + S]."""
        if not self.num_levels:
            return rows, rows[..., :0]
        return rows[..., : -self.count], rows[..., -self.count :]

    def join(self, x: jax.Array, covariates: jax.Array) -> jax.Array:
        """Returns rows [..., D + S] of x [..., D] and covariates [..., S]."""
        return jnp.concatenate([x, covariates], axis=-1) if self.num_levels else x

    def encode(self, covariates: jax.Array) -> jax.Array:
        """Returns what the networks see of covariates [..., S], [..., F]: 0 and 1 for each level, and numbers.

        Of a level that is not known they see the mean of all levels, and 0 of such a number, the mean of training rows.
        """
        known = ~jnp.isnan(covariates)
        values = jnp.where(known, covariates, 0.0)
        parts = []
        for number, levels in enumerate(self.num_levels):
            value, is_known = values[..., number], known[..., number, None]
            if levels:
                indicators = jax.nn.one_hot(value.astype(jnp.int32), levels, dtype=covariates.dtype)
                parts.append(jnp.where(is_known, indicators, 1.0 / levels))
            else:
                parts.append(value[..., None])
        return jnp.concatenate(parts, axis=-1) if parts else covariates

    def beside(self, h: jax.Array, covariates: jax.Array | None) -> jax.Array:
        """Returns a network's input h [..., H] with the encoded covariates [..., S] behind it, [..., H + F].

        Leading axes that h has and the covariates lack, such as those of draws, are repeated. None is for covariates
        that are not known.
        """
        if not self.num_levels:
            return h
        covariates = jnp.full(self.count, jnp.nan, h.dtype) if covariates is None else covariates
        encoded = self.encode(covariates)
        return jnp.concatenate([h, jnp.broadcast_to(encoded, (*h.shape[:-1], encoded.shape[-1]))], axis=-1)


NO_COVARIATES = Covariates()
