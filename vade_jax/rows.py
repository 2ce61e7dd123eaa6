"""Rows to cluster, checked: every source of data ends here."""

from typing import NamedTuple

import jax
import numpy as np

from vade_jax.arrays import allocate, row_parts
from vade_jax.errors import InputError


class Dataset(NamedTuple):
    """Rows to cluster.

    Attributes:
      x: [N, D], uint8 or float32, as stored; in memory, or in a file that is read where it is asked.
      labels: [N], or None; read by the scores, and by the colours of one picture, alone.
      image_shape: (H, W, C) with H * W * C = D, or None where rows are no images.
      names: of the columns, D of them; () where they have none.
      ids: [N], what the rows are called, or None.
    """

    x: np.ndarray
    labels: np.ndarray | None
    image_shape: tuple[int, int, int] | None
    names: tuple[str, ...] = ()
    ids: np.ndarray | None = None


def checked(
    array: np.ndarray,
    labels: np.ndarray | None,
    where: str,
    names: tuple[str, ...] = (),
    ids: np.ndarray | None = None,
) -> Dataset:
    """The array as rows [N, D] of uint8 or float32.

    Args:
      array: rows [N, D] or images [N, H, W] or [N, H, W, C].
      labels: [N], or None.
      where: it came from, for the error.
      names: of the columns, or ().
      ids: [N], or None.

    Returns:
      The rows.

    Raises:
      InputError: values that are no numbers or not finite, shapes that do not suit.
    """

    def bad(came, due, remedy):
        return InputError("config.data.path", f"{where} {came}", due, remedy)

    if array.dtype.kind not in "buif":
        raise bad(f"has dtype {array.dtype}", "it must be numeric", "Encode text and dates as numbers first.")
    if array.ndim < 2 or array.ndim > 4 or 0 in array.shape:
        raise bad(
            f"has shape {array.shape}",
            "it must be rows [N, D] or images [N, H, W] or [N, H, W, C], none of them 0",
            "Reshape it.",
        )
    image_shape = (*array.shape[1:], 1)[:3] if array.ndim > 2 else None
    rows = _as_stored(array.reshape(len(array), -1))
    count, first = _not_finite(rows)
    if count:
        raise bad(
            f"has {count} values that are NaN, infinite or beyond float32, "
            f"the first in row {first[0]}, column {names[first[1]] if names else first[1]}",
            "every value must be finite",
            "Drop those rows or fill the gaps.",
        )
    if labels is not None and labels.shape != (len(rows),):
        raise bad(f"has {len(rows)} rows and labels of shape {labels.shape}", "there must be one a row", "Mend y.")
    return Dataset(rows, labels, image_shape, names, ids)


def _as_stored(rows):
    """Rows [N, D] as uint8 or float32, where they are of another dtype as a copy."""
    dtype = np.uint8 if rows.dtype.kind == "b" or rows.dtype == np.uint8 else np.float32
    if rows.dtype == dtype:
        return rows
    stored = allocate(rows.shape, dtype)
    with np.errstate(over="ignore"):  # what becomes infinite is refused
        for part in row_parts(rows):
            stored[part] = rows[part]
    return stored


def _not_finite(rows):
    """How many values of rows [N, D] are not finite, and the row and the column of the first."""
    count, first = 0, None
    for part in row_parts(rows) if rows.dtype == np.float32 else ():
        places = np.argwhere(~np.isfinite(rows[part]))
        if len(places) and first is None:
            first = places[0] + (part.start, 0)
        count += len(places)
    return count, first


def drawn(num_rows: int, key: jax.Array, count: int) -> np.ndarray:
    """The numbers of so many of the rows drawn at random, ascending; all where there are fewer, and for 0."""
    if not 0 < count < num_rows:
        return np.arange(num_rows)
    return np.sort(np.asarray(jax.random.choice(key, num_rows, (count,), replace=False)))
