"""Scales stored rows to the model's input, by their range or their moments."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from vade_jax.system.large_arrays import row_slices
from vade_jax.system.registry import Registry

_TINY = float(np.finfo(np.float32).tiny)  # a smaller spread counts as constant: 1 / spread could overflow float32
_ROUNDING = 1e-6  # a value this close to [0, 1] counts as inside

# From the training rows [N, D] to (shift, scale), each [1, D] or [1, 1], float32: the model sees (x - shift) * scale.
Scale = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


def _scale_range(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    low, high = (0.0, float(full_scale(int(x.max())))) if x.dtype == np.uint8 else (float(x.min()), float(x.max()))
    return np.full((1, 1), low, np.float32), np.full(
        (1, 1), 1 / (high - low) if high - low > _TINY else 1.0, np.float32
    )


def full_scale(largest: int) -> int:
    """The value that stands for 1 in grey values of this maximum: the least 2^k or 2^k - 1 that reaches it, k >= 1.

    Grey values are stored in some number of bits, or as shares of a power of two, as scikit-learn's digits are (0 to
    16). The brightest training pixel says only how many bits it takes.
    """
    bits = max(1, int(largest).bit_length())
    return 2 ** (bits - 1) if largest == 2 ** (bits - 1) else 2**bits - 1


def _scale_standardize(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    mean, var = moments(x)
    std = np.sqrt(var)
    return mean.astype(np.float32), (1 / np.where(std > _TINY, std, 1.0)).astype(np.float32)


def _scale_rescale(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    mean, var = moments(x)
    std = np.sqrt(float(var.mean()))
    return mean.astype(np.float32), np.full((1, 1), 1 / std if std > _TINY else 1.0, np.float32)


def _scale_none(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
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


SCALINGS: Registry[Scale] = Registry(
    "scaling",
    "data.scaling",
    {"range": _scale_range, "standardize": _scale_standardize, "rescale": _scale_rescale, "none": _scale_none},
)


def register_scaling(name: str, function: Scale) -> None:
    """Adds a scaling that the setting `data.scaling` can name.

    Args:
      name: a new name.
      function: of the training rows x [N, D], uint8 or float32, that returns (shift, scale), each [1, D] or [1, 1].
        The model sees (x - shift) * scale, so both must be finite and scale must not be 0.

    Raises:
      ValueError: the name is taken, or cannot be used.

    Example:
      >>> def divide_by_maximum(x):
      ...     return np.zeros((1, 1), np.float32), np.full((1, 1), 1 / x.max(), np.float32)
      >>> register_scaling("divide_by_maximum", divide_by_maximum)  # then: --config.data.scaling=divide_by_maximum
    """
    SCALINGS.register(name, function)


class Scaling(struct.PyTreeNode):
    """The map from stored rows to the model's input, x = (stored - shift) * scale; saved with the model.

    Attributes:
      shift: [1, D] or [1, 1], float32.
      scale: [1, D] or [1, 1], float32.
    """

    shift: jax.Array
    scale: jax.Array

    def __call__(self, stored: jax.Array) -> jax.Array:
        """x [B, D], float32, from rows as stored [B, D], of any dtype."""
        return (stored.astype(jnp.float32) - self.shift) * self.scale

    def inverse(self, x: np.ndarray) -> np.ndarray:
        """Rows as stored [B, D], float32, from x [B, D]."""
        return x / np.asarray(self.scale) + np.asarray(self.shift)


def scaled_limits(x: np.ndarray, shift: np.ndarray, scale: np.ndarray) -> tuple[float, float]:
    """The smallest and the largest value of rows x [N, D], as stored, after scaling."""
    with np.errstate(over="ignore"):  # an infinite value is outside every range
        ends = (x.min(axis=0) - shift) * scale, (x.max(axis=0) - shift) * scale
    return float(np.minimum(*ends).min()), float(np.maximum(*ends).max())


def in_unit_interval(low: float, high: float) -> bool:
    """Whether values from low to high lie in [0, 1], up to rounding."""
    return low >= -_ROUNDING and high <= 1 + _ROUNDING


def count_outside_unit_interval(x: np.ndarray, scaling: Scaling) -> int:
    """How many rows of x [N, D], as stored, have a scaled value outside [0, 1]."""
    shift, scale = np.asarray(scaling.shift), np.asarray(scaling.scale)
    if in_unit_interval(*scaled_limits(x, shift, scale)):
        return 0
    count = 0
    for rows in row_slices(x):
        with np.errstate(over="ignore"):
            scaled = (x[rows] - shift) * scale
        count += int(((scaled < -_ROUNDING) | (scaled > 1 + _ROUNDING)).any(axis=1).sum())
    return count


def clip_to_unit_interval(x: jax.Array) -> jax.Array:
    """x [..., D] with values outside [0, 1] moved to its ends; values outside by rounding only keep their bits."""
    return jnp.where((x >= -_ROUNDING) & (x <= 1 + _ROUNDING), x, jnp.clip(x, 0.0, 1.0))
