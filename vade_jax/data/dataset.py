"""Data sets: the types that every reader returns, and the checks of their values."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import jax
import numpy as np
from scipy.sparse import csr_matrix, issparse

from vade_jax.data.column_checks import check_mask, warn_of_merged_values
from vade_jax.data.labels import encode_labels
from vade_jax.data.offsets import choose_offset, dense_rows, subtract_offset
from vade_jax.system.errors import InputError, show_name
from vade_jax.system.large_arrays import empty_array, row_slices

LARGEST = 1e37  # 1 / (difference of two larger values) could be below float32's normal numbers


class CellValues(NamedTuple):
    """What reading an .h5ad did to the values of its cells; by default nothing.

    Attributes:
      accepted: the values that all cells for the model must have, a key of `single_cells.ACCEPTED`.
      total: each cell was scaled to this sum, then x became log(1 + x); 0 if no value was changed.
      genes: the names of the genes that the sum is over; () if no value was changed.
    """

    accepted: str = "any numbers"
    total: int = 0
    genes: tuple[str, ...] = ()


class Preparation(NamedTuple):
    """What reading did to the values of the training rows, which is done to all rows for the model.

    Attributes:
      offset: [D], float64, what was subtracted from each column; None for nothing.
      cells: what was done to the cells of an .h5ad; None for other files, or if it is not known.
    """

    offset: np.ndarray | None = None
    cells: CellValues | None = None

    @classmethod
    def of_description(cls, description: Mapping[str, Any]) -> "Preparation":
        """What was done to the rows with this description; that of an older version says nothing about cells."""
        offset, cells = description.get("offset"), description.get("cells")
        return cls(
            None if offset is None else np.array(offset, np.float64),
            None if cells is None else CellValues(cells["accepted"], cells["total"], tuple(cells["genes"])),
        )

    def describe(self) -> dict[str, Any]:
        """What `of_description` reads, for a JSON file."""
        return {
            "offset": None if self.offset is None else self.offset.tolist(),
            "cells": (self.cells or CellValues())._asdict(),
        }


class Dataset(NamedTuple):
    """Rows to cluster.

    Attributes:
      x: [N, D], uint8 or float32, as stored; in memory, or memory-mapped from a file. A missing value is NaN.
      labels: [N], the index of each row's label among label_names, -1 for an unlabelled row; None without labels.
        Used only by the scores and the colours of one picture.
      image_shape: (H, W, C) with H * W * C = D, or None if the rows are not images.
      names: the D names of the columns; () if they have none.
      ids: [N], the names of the rows, or None.
      label_names: the names of the labels; () if there are no labels.
      offset: [D], float64, what was subtracted from the columns of the source to get x; None for nothing.
      cells: what was done to the cells of an .h5ad; None for other rows.
      levels: for each of the D columns the sorted names of its levels, () for a column of numbers; x has the numbers
        0 .. L-1 of levels. () if no column is a category.
      covariates: what else is known of the rows, as columns of a data set of its own, [N, S]; None for nothing.
      weights: [N], float32, how much each row counts in training; None if all count alike.
    """

    x: np.ndarray
    labels: np.ndarray | None
    image_shape: tuple[int, int, int] | None
    names: tuple[str, ...] = ()
    ids: np.ndarray | None = None
    label_names: tuple[str, ...] = ()
    offset: np.ndarray | None = None
    cells: CellValues | None = None
    levels: tuple[tuple[str, ...], ...] = ()
    covariates: "Dataset | None" = None
    weights: np.ndarray | None = None

    @property
    def inputs(self) -> np.ndarray:
        """[N, D + S], what a model takes: x, and the covariates behind it; x itself without covariates."""
        if self.covariates is None:
            return self.x
        parts = self.x, self.covariates.x
        joined = empty_array((len(self.x), sum(part.shape[1] for part in parts)), np.float32)
        return np.concatenate(parts, axis=1, out=joined)

    @property
    def preparation(self) -> Preparation:
        """What reading did to the values of these rows."""
        return Preparation(self.offset, self.cells)


class ExpectedColumns(NamedTuple):
    """The columns of a trained model.

    Attributes:
      names: the names of its columns; () if they have none.
      image_shape: (H, W, C), or None if it was not trained on images.
      levels: as in `Dataset.levels`.
    """

    names: tuple[str, ...] = ()
    image_shape: tuple[int, int, int] | None = None
    levels: tuple[tuple[str, ...], ...] = ()


class ReadOptions(NamedTuple):
    """How to read a file or a folder of images.

    Attributes:
      label_column: the column of labels, which are scored and never trained on; 'folder' for images; '' for none.
      id_column: the column of ids, which are written to the outputs; '' for none.
      image_size: images are resized to squares of this many pixels a side; 0 keeps their size.
      expected: the columns of the trained model that the rows are for; then labels are not read. None for rows to
        train on.
      normalize: what to do to the cells of an .h5ad: 'auto', 'counts' or 'none'; see `single_cells.read`.
      prepared: what reading did to the training rows, to do it again; None to decide it by the rows.
      dates: what is done to columns of dates in a table, 'drop' or 'number'; see `table_columns.read_columns`.
      layer: the layer of an .h5ad to read in place of X; '' for none.
      obsm: the entry of its obsm to read in place of X; '' for none.
      raw: whether to read its raw in place of X.
      skip_damaged: whether to leave out images that cannot be read.
      columns: the columns of the run that these rows are for, which are kept where the reader would choose; () if there
        is no run yet.
      covariates: the columns of covariates; see `covariates.read_covariates`.
      weights: the column of the rows' weights; '' for none.
    """

    label_column: str = ""
    id_column: str = ""
    image_size: int = 0
    expected: ExpectedColumns | None = None
    normalize: str = "auto"
    prepared: Preparation | None = None
    dates: str = "drop"
    layer: str = ""
    obsm: str = ""
    raw: bool = False
    skip_damaged: bool = False
    columns: tuple[str, ...] = ()
    covariates: tuple[str, ...] = ()
    weights: str = ""

    @property
    def offset(self) -> np.ndarray | None:
        """The offset to subtract, [D], or [1] for none; None to choose it by the rows."""
        if self.prepared is None:
            return None
        return np.zeros(1) if self.prepared.offset is None else self.prepared.offset


DEFAULT_READ_OPTIONS = ReadOptions()


def make_dataset(
    array: np.ndarray | csr_matrix,
    labels: np.ndarray | None,
    where: str,
    names: tuple[str, ...] = (),
    ids: np.ndarray | None = None,
    offset: np.ndarray | None = None,
    levels: tuple[tuple[str, ...], ...] = (),
) -> Dataset:
    """Checks an array and makes it a data set, x [N, D] of uint8 or float32. NaN is a gap.

    Columns that float32 cannot hold, because their values are large compared with their range, are stored without an
    offset; see `offsets.choose_offset`. Warns of columns that still lose many of their distinct values.

    Args:
      array: rows [N, D], also as a SciPy CSR matrix, or images [N, H, W] or [N, H, W, C].
      labels: [N], numbers or text, or None. NaN, None and blank text mean that a row is unlabelled.
      where: the file or name of the array, for the error.
      names: the names of the columns, or ().
      ids: [N], or None.
      offset: what to subtract from the columns, [D], or [1] for one number; None to choose it by the rows. For new
        rows of a model pass `ReadOptions.offset`.
      levels: the names of the categories of each column, as in `Dataset`.

    Returns:
      The data set.

    Raises:
      InputError: values that are masked, not numbers or infinite, or a wrong shape.
    """

    def error(got: str, expected: str, remedy: str) -> InputError:
        return InputError("config.data.path", f"{where} with {got}", expected, remedy)

    check_numeric(array.dtype, where)
    check_mask(array, where)
    if array.ndim < 2 or array.ndim > 4 or 0 in array.shape:
        raise error(
            f"shape {array.shape}",
            "rows [N, D] or images [N, H, W] or [N, H, W, C], with no size 0",
            "Reshape it.",
        )
    image_shape = (*array.shape[1:], 1)[:3] if array.ndim > 2 else None
    rows = array if issparse(array) else array.reshape(len(array), -1)
    num_rows, num_columns = rows.shape
    if offset is not None and len(offset) not in (1, num_columns):
        raise error(
            f"{num_columns} columns", f"the model's {len(offset)} columns", "Use rows with the columns of its training."
        )
    if labels is not None and labels.shape != (num_rows,):
        raise error(f"{num_rows} rows and labels of shape {labels.shape}", "a label for each row", "Correct y.")
    if offset is None and image_shape is None:
        offset = choose_offset([rows])
    offset = None if offset is None or not offset.any() else np.broadcast_to(offset, num_columns)
    x = _to_stored_dtype(rows, offset)
    count, first = _find_unusable(x)
    if first is not None:
        row, column = first
        raise error(
            f"{count} values that are infinite or beyond {LARGEST:g} "
            f"(the first in row {row}, column {show_name(names[column]) if names else column})",
            "only finite numbers, or NaN for a gap",
            "Drop those rows, or set these values to NaN.",
        )
    warn_of_merged_values(rows, offset, where, names)
    numbers, label_names = (None, ()) if labels is None else encode_labels(labels)
    return Dataset(x, numbers, image_shape, names, ids, label_names, offset, levels=levels)


def check_numeric(dtype: np.dtype, where: str) -> None:
    """Raises an InputError if values of this dtype are not real numbers."""
    if dtype.kind not in "buif":
        raise InputError(
            "config.data.path",
            f"{where} with dtype {dtype}",
            "a numeric dtype",
            "Encode text and dates as numbers first.",
        )


def _to_stored_dtype(x: np.ndarray | csr_matrix, offset: np.ndarray | None) -> np.ndarray:
    """x [N, D] as uint8 or float32, without its offset [D]; a copy unless x is as it is to be stored."""
    to_uint8 = offset is None and (x.dtype.kind == "b" or x.dtype == np.uint8)
    dtype = np.uint8 if to_uint8 else np.float32
    if x.dtype == dtype and offset is None and not issparse(x):
        return x
    stored = empty_array(x.shape, dtype)
    with np.errstate(over="ignore"):  # infinite values raise an InputError later
        for rows in row_slices(x):
            part = dense_rows(x, rows)
            stored[rows] = part if offset is None else subtract_offset(part, offset)
    return stored


def _find_unusable(x: np.ndarray) -> tuple[int, tuple[int, int] | None]:
    """The number of values in x [N, D] that are infinite or too large, and the row and column of the first."""
    count, first = 0, None
    for rows in row_slices(x) if x.dtype == np.float32 else ():
        found = np.argwhere(np.abs(x[rows]) > LARGEST)
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
    """

    splits: Mapping[str, Dataset]


class Loader(Protocol):
    """Loads one of `sources.SOURCES`; the arguments are those of `sources.load`."""

    def __call__(self, path: str, data_dir: str, cache_dir: Path | None, options: ReadOptions) -> Source:
        """The data set, with every split checked by `make_dataset`."""
