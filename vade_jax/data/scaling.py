"""From rows as stored to what the model sees, by their own range or moments."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from vade_jax.system.large_arrays import row_slices

_TINY = float(np.finfo(np.float32).tiny)  # what differs by less is constant: one over it is beyond float32

Scale = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


def _scale_range(x):
    low, high = float(x.min()), float(x.max())
    return np.full((1, 1), low, np.float32), np.full(
        (1, 1), 1 / (high - low) if high - low > _TINY else 1.0, np.float32
    )


def _scale_standardize(x):
    mean, var = moments(x)
    std = np.sqrt(var)
    return mean.astype(np.float32), (1 / np.where(std > _TINY, std, 1.0)).astype(np.float32)


def _scale_rescale(x):
    mean, var = moments(x)
    std = np.sqrt(float(var.mean()))
    return mean.astype(np.float32), np.full((1, 1), 1 / std if std > _TINY else 1.0, np.float32)


def _scale_none(x):
    return np.zeros((1, 1), np.float32), np.ones((1, 1), np.float32)


def moments(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mean and the variance of each column of x [N, D], each [1, D], float64 (Chan et al. 1979)."""
    count, mean, var = 0, np.zeros((1, x.shape[1])), np.zeros((1, x.shape[1]))
    for rows in row_slices(x):
        part = x[rows]
        share = len(part) / (count + len(part))
        count += len(part)
        step = part.mean(axis=0, dtype=np.float64, keepdims=True) - mean
        mean = mean + share * step
        var = (1 - share) * (var + share * step**2) + share * part.var(axis=0, dtype=np.float64, keepdims=True)
    return mean, var


# name -> function of the training rows [N, D] that returns (shift, scale), each [1, D] or [1, 1], float32:
# the model sees (x - shift) * scale.
SCALINGS: dict[str, Scale] = {
    "range": _scale_range,
    "standardize": _scale_standardize,
    "rescale": _scale_rescale,
    "none": _scale_none,
}


class Scaling(struct.PyTreeNode):
    """The map from data as stored to the model's input, x = (stored - shift) * scale; it travels with the model.

    Attributes:
      shift: [1, D] or [1, 1], float32.
      scale: [1, D] or [1, 1], float32.
    """

    shift: jax.Array
    scale: jax.Array

    def __call__(self, stored: jax.Array) -> jax.Array:
        """x [B, D], float32, from rows as stored [B, D], of any dtype."""
        return (stored.astype(jnp.float32) - self.shift) * self.scale

    def inverse(self, x: jax.Array) -> jax.Array:
        """Rows as stored [B, D], float32, from x [B, D]."""
        return x / self.scale + self.shift
