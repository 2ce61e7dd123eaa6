"""Answers on rows far from the training data: finite where float32 would overflow, and never NaN.

What is bounded lies far outside of what a trained model computes for rows like its training rows, whose answers keep
every bit. Training does not use this file.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np

from vade_jax.core.shapes import prepend_axes
from vade_jax.data.scaling import clip_to_unit_interval
from vade_jax.networks.model import Model, Params

LARGEST = 1e12  # of |x|, |z_mean| and sigma_z, and of 1 / sigma_z; float32 can still square it and sum the squares
_LARGEST_LOG_VAR = 2 * math.log(LARGEST)
_FAR = 16.0  # training ranges; 8-bit images asked of a model of 4-bit ones are nearer, and are clipped


class BoundedModel(Model):
    """A model that takes any x [..., D], infinite values included: x is clipped to what the likelihood allows.

    z_mean and z_log_var are bounded, and a log p(x|z) that is not a number, from inf - inf or 0 * inf, is -inf.
    """

    def encode(self, params: Params, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        """(z_mean, z_log_var), each [..., J] and finite, of q(z|x) for x [..., D]."""
        z_mean, z_log_var = super().encode(params, self.clip(x))
        return jnp.clip(z_mean, -LARGEST, LARGEST), jnp.clip(z_log_var, -_LARGEST_LOG_VAR, _LARGEST_LOG_VAR)

    def log_px_given_z(self, params: Params, x: jax.Array, z: jax.Array) -> jax.Array:
        """log p(x|z), [L, ...] in nats and never NaN, for the clipped x [..., D] and draws z [L, ..., J]."""
        log_px_given_z = super().log_px_given_z(params, self.clip(x), z)
        return jnp.where(jnp.isnan(log_px_given_z), -jnp.inf, log_px_given_z)

    def clip(self, x: jax.Array) -> jax.Array:
        """x [..., D + S] with values outside of what the model takes moved to its ends."""
        x, covariates = self.covariates.split(x)
        return self.covariates.join(self._clip_features(x), jnp.clip(covariates, -LARGEST, LARGEST))

    def _clip_features(self, x: jax.Array) -> jax.Array:
        if self.likelihood.support == "unit_interval":
            return clip_to_unit_interval(x)
        low, high = (np.clip(np.array(limit, np.float32), -LARGEST, LARGEST) for limit in self.likelihood.limits)
        return jnp.clip(x, *(prepend_axes(jnp.asarray(limit), x.ndim) for limit in (low, high)))

    def is_far(self, x: jax.Array) -> jax.Array:
        """Whether x [..., D] has a value that clipping moves by more than 16, [...]: the density of such a row is 0.

        With the support 'unit_interval' that is 16 times the range of the training rows. A row that is outside by less
        counts as its clipped row.
        """
        return jnp.any(jnp.abs(x - self.clip(x)) > _FAR, axis=-1)
