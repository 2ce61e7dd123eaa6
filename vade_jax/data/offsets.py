"""Offsets of columns: large values are centred in the source's own precision, before they become float32.

A unix time or a map coordinate is large compared with its range. float32 would round its distinct values together.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.sparse import issparse

from vade_jax.data.gaps import greatest, least
from vade_jax.system.large_arrays import empty_array, row_slices

_MAX_RATIO = 1000.0  # of the largest value to the range; up to it, rounding changes less than 1/16,000 of the range


def dense_rows(x: Any, rows: slice | np.ndarray) -> np.ndarray:
    """The rows of a matrix [N, D], of NumPy or SciPy, as a NumPy array."""
    part = x[rows]
    return part.toarray() if issparse(part) else part


def choose_offset(parts: Sequence[Any]) -> np.ndarray | None:
    """Chooses what to subtract from each column, so that float32 can hold it.

    A column gets its smallest value as its offset if float32 would change its values, and they are over 1000 times as
    large as its range. The range of a constant column counts as 1.

    Args:
      parts: the splits of a data set, rows [N_i, D] each. The first one in which a column needs an offset gives it.

    Returns:
      [D], float64, 0 for a column without an offset; None if no column needs one.
    """
    offset = np.zeros(parts[0].shape[1])
    for x in parts:
        needed, low = _large_columns(x)
        offset = np.where((offset == 0) & needed, low, offset)
    return offset if offset.any() else None


def _large_columns(x: Any) -> tuple[np.ndarray, np.ndarray]:
    """Whether each column of rows x [N, D] needs an offset, [D], and its smallest value, [D] float64."""
    if np.can_cast(x.dtype, np.float32):
        return np.zeros(x.shape[1], bool), np.zeros(x.shape[1])
    low, high = column_limits(x)
    with np.errstate(invalid="ignore"):  # values that are not finite raise an InputError later
        spread = np.where(high == low, 1.0, high - low)
        large = np.maximum(np.abs(low), np.abs(high)) > _MAX_RATIO * spread
    if large.any():
        large[large] = ~_fits_float32(x, np.flatnonzero(large))
    return large, low


def column_limits(x: Any) -> tuple[np.ndarray, np.ndarray]:
    """The smallest and the largest value of each column of rows x [N, D], each [D] float64, without gaps.

    Both are NaN where all are gaps.
    """
    parts = (dense_rows(x, rows) for rows in row_slices(x))
    low, high = zip(*((least(part, axis=0), greatest(part, axis=0)) for part in parts), strict=True)
    return least(np.array(low, np.float64), axis=0), greatest(np.array(high, np.float64), axis=0)


def _fits_float32(x: Any, columns: np.ndarray) -> np.ndarray:
    """Whether float32 holds every value of these columns [C] of rows x [N, D] exactly, [C]."""
    exact = np.ones(len(columns), bool)
    with np.errstate(over="ignore", invalid="ignore"):
        for rows in row_slices(x):
            part = dense_rows(x, rows)[:, columns]
            exact &= ((part.astype(np.float32).astype(part.dtype) == part) | (part != part)).all(axis=0)  # or a gap
    return exact


def subtract_offset(x: np.ndarray, offset: np.ndarray) -> np.ndarray:
    """x - offset, [N, D] float64, from rows x [N, D] and offset [D] or [1]; exact for integers of 64 bits too."""
    if x.dtype.kind not in "iu" or x.dtype.itemsize < 8:
        return x - offset
    info = np.iinfo(x.dtype)
    # float(info.max) is rounded up, so an offset must be smaller to be one of these integers
    if not ((offset == np.floor(offset)) & (offset >= info.min) & (offset < float(info.max))).all():
        return x - offset
    whole = offset.astype(x.dtype)
    distance = np.where(x >= whole, x - whole, whole - x).view(np.uint64)  # wraps around to the right distance
    return np.where(x >= whole, 1.0, -1.0) * distance


def add_offset(x: np.ndarray, offset: Any) -> np.ndarray:
    """Rows in the units of their source, [..., D] float64, from rows x [..., D] as stored; x itself without an offset.

    Args:
      x: rows as stored.
      offset: [D], a sequence of numbers, or None.
    """
    return x if offset is None else x + np.asarray(offset, np.float64)


def change_offset(x: np.ndarray, old: np.ndarray | None, new: np.ndarray | None) -> np.ndarray:
    """Rows x [N, D] as stored with an old offset [D], as they are stored with a new one; None is an offset of 0."""
    step = (0.0 if old is None else old) - (np.zeros(x.shape[1]) if new is None else new)
    if not step.any():
        return x
    stored = empty_array(x.shape, np.float32)
    for rows in row_slices(x):
        stored[rows] = x[rows] + step
    return stored


def source_limits(x: np.ndarray, offset: np.ndarray | None) -> tuple[Any, Any]:
    """The smallest and the largest value of rows x [N, D] as stored, in the units of their source."""
    if offset is None:
        return least(x), greatest(x)
    low, high = column_limits(x)
    return least(low + offset), greatest(high + offset)
