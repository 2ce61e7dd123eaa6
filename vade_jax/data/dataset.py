"""Rows to cluster, checked: every source of data ends here."""

import hashlib
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from vade_jax.system.errors import InputError
from vade_jax.system.large_arrays import empty_array, row_slices

_FINGERPRINT_ROWS = 1000
_LARGEST = 1e37  # in size: one over the difference of larger ones is less than float32's normal numbers


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


class ExpectedColumns(NamedTuple):
    """What a trained model expects of rows.

    Attributes:
      names: of its columns; () where they had none.
      image_shape: (H, W, C), or None where it was not made for images.
    """

    names: tuple[str, ...] = ()
    image_shape: tuple[int, int, int] | None = None


class ReadOptions(NamedTuple):
    """What a reader is told about a file.

    Attributes:
      label_column: is scored, and never trained on; of images 'folder'; '' for none.
      id_column: is kept beside the answers; '' for none.
      image_size: a folder's images are resized to a square of so many pixels; 0: they stay as they are.
      form: of new rows, what their model expects; they need no label, and none is read. None for rows to train on.
    """

    label_column: str = ""
    id_column: str = ""
    image_size: int = 0
    form: ExpectedColumns | None = None


DEFAULT_READ_OPTIONS = ReadOptions()


def make_dataset(
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
      InputError: values that are no numbers or not finite, shapes that do not suit, labels that are missing.
    """

    def bad(came, due, remedy):
        return InputError("config.data.path", f"{where} {came}", due, remedy)

    check_numeric(array.dtype, where)
    if array.ndim < 2 or array.ndim > 4 or 0 in array.shape:
        raise bad(
            f"has shape {array.shape}",
            "it must be rows [N, D] or images [N, H, W] or [N, H, W, C], none of them 0",
            "Reshape it.",
        )
    image_shape = (*array.shape[1:], 1)[:3] if array.ndim > 2 else None
    rows = _as_stored(array.reshape(len(array), -1))
    count, first = _unusable(rows)
    if count:
        raise bad(
            f"has {count} values that are NaN, infinite or beyond {_LARGEST:g}, "
            f"the first in row {first[0]}, column {names[first[1]] if names else first[1]}",
            "every value must be a finite number",
            "Drop those rows or fill the gaps.",
        )
    if labels is not None and labels.shape != (len(rows),):
        raise bad(f"has {len(rows)} rows and labels of shape {labels.shape}", "there must be one a row", "Mend y.")
    if labels is not None and labels.dtype.kind in "fc" and np.isnan(labels).any():
        raise bad(f"lacks {np.isnan(labels).sum()} labels, which are NaN", "every row must have one", "Mend y.")
    return Dataset(rows, labels, image_shape, names, ids)


def fingerprint(x: np.ndarray) -> str:
    """A digest of rows [N, D], of some spread over all of them: other rows have another one, but for small changes."""
    some = x[np.linspace(0, len(x) - 1, min(len(x), _FINGERPRINT_ROWS)).astype(np.int64)]
    return hashlib.sha256(f"{x.shape} {x.dtype}".encode() + some.tobytes()).hexdigest()


def check_numeric(dtype: np.dtype, where: str) -> None:
    """Raises an InputError where values of this dtype are no numbers."""
    if dtype.kind not in "buif":
        raise InputError(
            "config.data.path",
            f"{where} has dtype {dtype}",
            "it must be numeric",
            "Encode text and dates as numbers first.",
        )


def _as_stored(rows):
    """Rows [N, D] as uint8 or float32, where they are of another dtype as a copy."""
    dtype = np.uint8 if rows.dtype.kind == "b" or rows.dtype == np.uint8 else np.float32
    if rows.dtype == dtype:
        return rows
    stored = empty_array(rows.shape, dtype)
    with np.errstate(over="ignore"):  # what becomes infinite is refused
        for part in row_slices(rows):
            stored[part] = rows[part]
    return stored


def _unusable(rows):
    """How many values of rows [N, D] are not finite or too large, and the row and the column of the first."""
    count, first = 0, None
    for part in row_slices(rows) if rows.dtype == np.float32 else ():
        places = np.argwhere(~(np.abs(rows[part]) <= _LARGEST))
        if len(places) and first is None:
            first = places[0] + (part.start, 0)
        count += len(places)
    return count, first


def sample_row_indices(num_rows: int, key: jax.Array, count: int) -> np.ndarray:
    """The numbers of so many of the rows drawn at random, ascending; all where there are fewer, and for 0."""
    if not 0 < count < num_rows:
        return np.arange(num_rows)
    rng = np.random.default_rng(np.asarray(jax.random.key_data(key)))  # JAX would shuffle all rows for a few
    return np.sort(rng.choice(num_rows, count, replace=False))


class Source(NamedTuple):
    """What a name or a path holds.

    Attributes:
      splits: name -> Dataset; at least one.
      decoded_from: the folder whose images were decoded for this, or None; see `keep_decoded`.
    """

    splits: dict[str, Dataset]
    decoded_from: Path | None = None
