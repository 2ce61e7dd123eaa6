"""Data sets: the types that every reader returns, and the checks of their values."""

import hashlib
from pathlib import Path
from typing import NamedTuple, Protocol

import jax
import numpy as np

from vade_jax.system.errors import InputError
from vade_jax.system.large_arrays import empty_array, row_slices

_FINGERPRINT_ROWS = 1000
_LARGEST = 1e37  # 1 / (difference of two larger values) could be below float32's normal numbers


class Dataset(NamedTuple):
    """Rows to cluster.

    Attributes:
      x: [N, D], uint8 or float32, as stored; in memory, or memory-mapped from a file.
      labels: [N], or None; used only by the scores and the colours of one picture.
      image_shape: (H, W, C) with H * W * C = D, or None if the rows are not images.
      names: the D names of the columns; () if they have none.
      ids: [N], the names of the rows, or None.
    """

    x: np.ndarray
    labels: np.ndarray | None
    image_shape: tuple[int, int, int] | None
    names: tuple[str, ...] = ()
    ids: np.ndarray | None = None


class ExpectedColumns(NamedTuple):
    """The columns of a trained model.

    Attributes:
      names: the names of its columns; () if they have none.
      image_shape: (H, W, C), or None if it was not trained on images.
    """

    names: tuple[str, ...] = ()
    image_shape: tuple[int, int, int] | None = None


class ReadOptions(NamedTuple):
    """How to read a file or a folder of images.

    Attributes:
      label_column: the column of labels, which are scored and never trained on; 'folder' for images; '' for none.
      id_column: the column of ids, which are written to the outputs; '' for none.
      image_size: images are resized to squares of this many pixels a side; 0 keeps their size.
      expected: the columns of the trained model that the rows are for; then labels are not read. None for rows to
        train on.
    """

    label_column: str = ""
    id_column: str = ""
    image_size: int = 0
    expected: ExpectedColumns | None = None


DEFAULT_READ_OPTIONS = ReadOptions()


def make_dataset(
    array: np.ndarray,
    labels: np.ndarray | None,
    where: str,
    names: tuple[str, ...] = (),
    ids: np.ndarray | None = None,
) -> Dataset:
    """Checks an array and makes it a data set, x [N, D] of uint8 or float32.

    Args:
      array: rows [N, D] or images [N, H, W] or [N, H, W, C].
      labels: [N], or None.
      where: the file or name of the array, for the error.
      names: the names of the columns, or ().
      ids: [N], or None.

    Returns:
      The data set.

    Raises:
      InputError: values that are not numbers or not finite, a wrong shape, missing labels.
    """

    def error(got: str, expected: str, remedy: str) -> InputError:
        return InputError("config.data.path", f"{where} with {got}", expected, remedy)

    check_numeric(array.dtype, where)
    if array.ndim < 2 or array.ndim > 4 or 0 in array.shape:
        raise error(
            f"shape {array.shape}",
            "rows [N, D] or images [N, H, W] or [N, H, W, C], with no size 0",
            "Reshape it.",
        )
    image_shape = (*array.shape[1:], 1)[:3] if array.ndim > 2 else None
    x = _to_stored_dtype(array.reshape(len(array), -1))
    count, first = _find_unusable(x)
    if first is not None:
        row, column = first
        raise error(
            f"{count} values that are NaN, infinite or beyond {_LARGEST:g} "
            f"(the first in row {row}, column {names[column] if names else column})",
            "only finite numbers",
            "Drop those rows or fill the gaps.",
        )
    if labels is not None and labels.shape != (len(x),):
        raise error(f"{len(x)} rows and labels of shape {labels.shape}", "a label for each row", "Correct y.")
    if labels is not None and labels.dtype.kind in "fc" and np.isnan(labels).any():
        raise error(f"{np.isnan(labels).sum()} labels that are NaN", "a label for each row", "Correct y.")
    return Dataset(x, labels, image_shape, names, ids)


def fingerprint(x: np.ndarray) -> str:
    """A hash of the shape, the dtype and about a thousand evenly spaced rows of x [N, D]. It can miss small changes."""
    some = x[np.linspace(0, len(x) - 1, min(len(x), _FINGERPRINT_ROWS)).astype(np.int64)]
    return hashlib.sha256(f"{x.shape} {x.dtype}".encode() + some.tobytes()).hexdigest()


def check_numeric(dtype: np.dtype, where: str) -> None:
    """Raises an InputError if values of this dtype are not real numbers."""
    if dtype.kind not in "buif":
        raise InputError(
            "config.data.path",
            f"{where} with dtype {dtype}",
            "a numeric dtype",
            "Encode text and dates as numbers first.",
        )


def _to_stored_dtype(x: np.ndarray) -> np.ndarray:
    """x [N, D] as uint8 or float32; a copy if x has another dtype."""
    dtype = np.uint8 if x.dtype.kind == "b" or x.dtype == np.uint8 else np.float32
    if x.dtype == dtype:
        return x
    stored = empty_array(x.shape, dtype)
    with np.errstate(over="ignore"):  # infinite values raise an InputError later
        for rows in row_slices(x):
            stored[rows] = x[rows]
    return stored


def _find_unusable(x: np.ndarray) -> tuple[int, tuple[int, int] | None]:
    """The number of values in x [N, D] that are not finite or too large, and the row and column of the first."""
    count, first = 0, None
    for rows in row_slices(x) if x.dtype == np.float32 else ():
        found = np.argwhere(~(np.abs(x[rows]) <= _LARGEST))
        if len(found) and first is None:
            first = rows.start + int(found[0, 0]), int(found[0, 1])
        count += len(found)
    return count, first


def sample_row_indices(num_rows: int, key: jax.Array, count: int) -> np.ndarray:
    """The sorted indices of count random rows; of all rows if there are fewer, or if count is 0."""
    if not 0 < count < num_rows:
        return np.arange(num_rows)
    rng = np.random.default_rng(np.asarray(jax.random.key_data(key)))  # JAX would shuffle all rows
    return np.sort(rng.choice(num_rows, count, replace=False))


class Source(NamedTuple):
    """A data set in splits.

    Attributes:
      splits: name -> Dataset; at least one.
      decoded_from: the folder whose images were just decoded, or None; see `tfds_images.cache_decoded_images`.
    """

    splits: dict[str, Dataset]
    decoded_from: Path | None = None


class Loader(Protocol):
    """Loads one of `sources.SOURCES`; the arguments are those of `sources.load`."""

    def __call__(self, path: str, data_dir: str, cache_dir: Path | None, options: ReadOptions) -> Source:
        """The data set, with every split checked by `make_dataset`."""
