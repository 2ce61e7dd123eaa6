"""Scales stored rows to the model's input, by their range or their moments."""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from vade_jax.data.gaps import greatest, least
from vade_jax.system.errors import InputError
from vade_jax.system.large_arrays import row_slices
from vade_jax.system.registry import Registry

_TINY = float(np.finfo(np.float32).tiny)  # a smaller spread counts as constant: 1 / spread could overflow float32
_ROUNDING = 1e-6  # a value this close to [0, 1] counts as inside

# From the training rows [N, D] to (shift, scale), each [1, D] or [1, 1], float32: the model sees (x - shift) * scale.
Scale = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


def _scale_range(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    low, high = (0.0, float(full_scale(int(x.max())))) if x.dtype == np.uint8 else (float(least(x)), float(greatest(x)))
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


def fitted_scaling(name: str, x: np.ndarray, columns: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """The shift and the scale of rows x [N, D], as stored, each [1, D] or [1, 1], float32.

    Args:
      name: a key of SCALINGS.
      x: the training rows.
      columns: the indices of the columns to scale; the others have the shift 0 and the scale 1. None for all.

    Raises:
      InputError: a scaling gives values that are not finite, as one of the user's own may for rows with gaps.
    """
    if columns is not None and not len(columns):
        return _scale_none(x)
    shift, scale = SCALINGS[name](x if columns is None else x[:, columns])
    if not (np.isfinite(shift).all() and np.isfinite(scale).all()):
        raise InputError(
            "config.data.scaling",
            f"{name!r}, whose shift or scale of these rows is not finite",
            "a scaling that leaves out gaps (NaN)",
            "Use numpy.nanmin, numpy.nanmean and the like in it, or set --config.data.scaling=standardize.",
        )
    if columns is None:
        return shift, scale
    all_shifts, all_scales = np.zeros((1, x.shape[1]), np.float32), np.ones((1, x.shape[1]), np.float32)
    all_shifts[:, columns], all_scales[:, columns] = shift, scale
    return all_shifts, all_scales


def inverse_geometric_means(x: np.ndarray, columns: Sequence[int]) -> np.ndarray:
    """1 over the geometric mean of these columns of x [N, D], and 1 for the others, [1, D], float32.

    Gaps are left out.

    Args:
      x: the training rows, as stored.
      columns: the indices of columns of numbers above 0.
    """
    scale = np.ones((1, x.shape[1]), np.float32)
    for number in columns:
        scale[0, number] = np.exp(-np.nanmean(np.log(x[:, number].astype(np.float64))))
    return scale


def moments(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mean and the variance of each column of x [N, D], each [1, D], float64 (Chan et al. 1979).

    Gaps are left out. The moments of a column of gaps only are 0.
    """
    count, mean, var = 0, np.zeros((1, x.shape[1])), np.zeros((1, x.shape[1]))
    for rows in row_slices(x):
        part = x[rows]
        share = len(part) / (count + len(part))
        count += len(part)
        step = part.mean(axis=0, dtype=np.float64, keepdims=True) - mean
        mean = mean + share * step
        var = (1 - share) * (var + share * step**2) + share * part.var(axis=0, dtype=np.float64, keepdims=True)
    return _moments_of_observed(x) if np.isnan(mean).any() else (mean, var)


def _moments_of_observed(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`moments` of rows with gaps."""
    count, mean, var = (np.zeros((1, x.shape[1])) for _ in range(3))
    for rows in row_slices(x):
        part, observed = x[rows].astype(np.float64), ~np.isnan(x[rows])
        present = observed.sum(axis=0, keepdims=True)
        count = count + present
        share = present / np.maximum(count, 1)
        part_mean = np.where(observed, part, 0).sum(axis=0, keepdims=True) / np.maximum(present, 1)
        part_var = np.square(np.where(observed, part - part_mean, 0)).sum(axis=0, keepdims=True) / np.maximum(
            present, 1
        )
        step = part_mean - mean
        mean = mean + share * step
        var = (1 - share) * (var + share * step**2) + share * part_var
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
        """Rows as stored [B, D], float32, from x [B, D]; also of the first columns alone, without covariates."""
        shift, scale = self.of_first(x.shape[-1])
        return x / scale + shift

    def of_first(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        """The shift and the scale of the first columns."""
        return np.asarray(self.shift)[:, :count], np.asarray(self.scale)[:, :count]


def scaled_limits(x: np.ndarray, shift: np.ndarray, scale: np.ndarray) -> tuple[float, float]:
    """The smallest and the largest value of rows x [N, D], as stored, after scaling; gaps are left out."""
    low, high = scaled_column_limits(x, shift, scale)
    return float(np.fmin.reduce(low)), float(np.fmax.reduce(high))


def scaled_column_limits(x: np.ndarray, shift: np.ndarray, scale: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The smallest and the largest value of each column of rows x [N, D], as stored, after scaling, each [D].

    Gaps are left out. A column of gaps only has NaN.
    """
    with np.errstate(over="ignore"):  # an infinite value is outside every range
        ends = (least(x, axis=0) - shift) * scale, (greatest(x, axis=0) - shift) * scale
    return np.minimum(*ends).reshape(-1), np.maximum(*ends).reshape(-1)


def in_unit_interval(low: float, high: float) -> bool:
    """Whether values from low to high lie in [0, 1], up to rounding."""
    return low >= -_ROUNDING and high <= 1 + _ROUNDING


def count_outside(x: np.ndarray, scaling: Scaling, low: np.ndarray, high: np.ndarray) -> int:
    """How many rows of x [N, D], as stored, have a scaled value outside [low, high], up to rounding.

    The limits are numbers or [D]. Infinite ones exclude nothing.
    """
    if np.isinf(low).all() and np.isinf(high).all():
        return 0
    shift, scale = scaling.of_first(x.shape[1])
    low, high = low - _ROUNDING, high + _ROUNDING
    smallest, largest = scaled_column_limits(x, shift, scale)
    if not ((smallest < low) | (largest > high)).any():
        return 0
    count = 0
    for rows in row_slices(x):
        with np.errstate(over="ignore"):
            scaled = (x[rows] - shift) * scale
        count += int(((scaled < low) | (scaled > high)).any(axis=1).sum())
    return count


def are_counts(x: np.ndarray) -> bool:
    """Whether all values of x [N, D] are integers >= 0; NaN counts as one."""
    return all(((x[rows] >= 0) & (x[rows] == np.floor(x[rows])) | np.isnan(x[rows])).all() for rows in row_slices(x))


def clip_to_unit_interval(x: jax.Array) -> jax.Array:
    """x [..., D] with values outside [0, 1] moved to its ends; values outside by rounding only keep their bits."""
    return jnp.where((x >= -_ROUNDING) & (x <= 1 + _ROUNDING), x, jnp.clip(x, 0.0, 1.0))
