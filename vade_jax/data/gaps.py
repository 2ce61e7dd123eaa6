"""Gaps in rows: entries that are not known, stored as NaN."""

from collections.abc import Sequence

import numpy as np

from vade_jax.system.errors import InputError, show_name
from vade_jax.system.large_arrays import row_slices


def has_gaps(x: np.ndarray) -> bool:
    """Returns whether rows x [N, D], as stored, have gaps."""
    return x.dtype.kind == "f" and any(np.isnan(x[rows]).any() for rows in row_slices(x))


def least(x: np.ndarray, axis: int | None = None) -> np.ndarray:
    """Returns the smallest value of x along an axis, without gaps; NaN where all are gaps."""
    low = x.min(axis=axis)
    return np.fmin.reduce(x, axis=axis) if np.isnan(low).any() else low


def greatest(x: np.ndarray, axis: int | None = None) -> np.ndarray:
    """Returns the largest value of x along an axis, without gaps; NaN where all are gaps."""
    high = x.max(axis=axis)
    return np.fmax.reduce(x, axis=axis) if np.isnan(high).any() else high


def check_no_gaps(x: np.ndarray, names: Sequence[str], where: str, field: str = "config.data.path") -> None:
    """Raises an InputError that names the first gap of rows x [N, D], if they have any.

    Args:
      x: rows for a model that was trained on rows without gaps.
      names: of the columns, or ().
      where: the file or name of the rows.
      field: of the error.
    """
    if not has_gaps(x):
        return
    count = sum(int(np.isnan(x[rows]).sum()) for rows in row_slices(x))
    row = next(row for row in range(len(x)) if np.isnan(x[row]).any())
    column = int(np.isnan(x[row]).argmax())
    raise InputError(
        field,
        f"{where} with {count} gaps (the first in row {row}, column {show_name(names[column]) if names else column})",
        "rows without gaps, as the model was trained on",
        "Fill the gaps, leave these rows out, or train a model on rows with gaps.",
    )
