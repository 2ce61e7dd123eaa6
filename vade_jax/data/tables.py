"""Reads tables: named columns of numbers, and optional columns of labels and ids."""

import math
import re
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from vade_jax.data.column_names import abbreviate, check_names, column_indices
from vade_jax.data.dataset import Dataset, ReadOptions, make_dataset
from vade_jax.system.errors import InputError, unreadable_file_errors
from vade_jax.system.optional_imports import import_extra


def read(path: Path, options: ReadOptions) -> dict[str, Dataset]:
    """Reads the rows of a table.

    Args:
      path: a file whose ending is a key of TABLES.
      options: how to read it.

    Returns:
      The rows as 'train'.

    Raises:
      InputError: the file cannot be used.
    """
    frame = _read_frame(path)
    labels, ids = labels_and_ids(frame, path, options)
    features = frame.drop(columns=[name for name in (options.label_column, options.id_column) if name in frame])
    if options.expected and options.expected.names:
        features = features.iloc[:, column_indices(list(features.columns), options.expected.names, str(path))]
    for name, column in features.items():
        if column.dtype.kind not in "buif":
            example = next((value for value in column if isinstance(value, str)), column.iloc[0])
            raise InputError(
                "config.data.path",
                f"{path}, whose column {name!r} is not numeric (it holds {str(example)[:40]!r})",
                "numbers in every column except the label and the id",
                "Encode it as numbers, drop it, or name it as --config.data.label_column or --config.data.id_column.",
            )
        if _NAMELESS.fullmatch(str(name)):
            raise InputError(
                "config.data.path",
                f"{path} with a column without a name ({name!r})",
                "a name for each column",
                "If it is a feature, name it; else drop it (pandas: to_csv(FILE, index=False)) or set "
                f"--config.data.id_column='{name}'.",
            )
    with np.errstate(over="ignore"):  # infinite values raise an InputError later
        x = features.to_numpy(np.float32, na_value=np.nan)
    return {"train": make_dataset(x, labels, str(path), tuple(map(str, features.columns)), ids)}


_NAMELESS = re.compile(r"Unnamed: \d+")  # pandas's name for a column without one


def labels_and_ids(frame: Any, path: Path, options: ReadOptions) -> tuple[np.ndarray | None, np.ndarray | None]:
    """The labels and the ids of a frame, each [N], or None if there are none.

    Labels become the numbers 0, 1, ... in the sorted order of their values.

    Raises:
      InputError: a column is missing, or has missing labels.
    """
    for field in ("label_column", "id_column"):
        name = getattr(options, field)
        if name and name not in frame and options.expected is None:
            raise InputError(
                f"config.data.{field}",
                repr(name),
                f"a column of {path}, which has {abbreviate(frame.columns) or 'none'}",
                "Name one of its columns, or leave it empty.",
            )
    labeled = options.expected is None and options.label_column
    ids = frame[options.id_column].to_numpy() if options.id_column in frame else None
    return _labels(frame[options.label_column], path) if labeled else None, ids


def _labels(column: Any, path: Path) -> np.ndarray:
    """A column of a frame as numbers 0, 1, ... [N]."""
    missing = np.flatnonzero(column.isna())
    if len(missing):
        raise InputError(
            "config.data.label_column",
            f"{path}, whose column {column.name!r} lacks {len(missing)} labels (the first in row {missing[0]})",
            "a label for each row",
            "Fill them, drop those rows, or set --config.data.label_column=.",
        )
    values = column.to_numpy()
    return np.unique(values.astype(str) if values.dtype.kind == "O" else values, return_inverse=True)[1]


def _read_frame(path: Path) -> Any:
    """The table in a file, as a pandas frame."""
    pandas = import_extra("pandas", path, "config.data.path")
    with unreadable_file_errors(
        path,
        "a table whose first line holds the columns' names",
        "Check the path, or save the table again.",
    ):
        frame = TABLES[path.suffix.lower()](pandas, path)
    if not len(frame):
        raise InputError(
            "config.data.path",
            f"{path}, which holds no rows",
            "at least one row",
            "Check the data that it was saved from.",
        )
    check_names(list(frame.columns), str(path))
    return frame


class TableReader(Protocol):
    """Reads the tables of one file ending."""

    def __call__(self, pandas: Any, path: Path) -> Any:
        """The table as a frame of the pandas module."""


def _make_text_reader(separator: str) -> TableReader:
    """A reader of text files whose values are separated by this character."""

    def read_text(pandas: Any, path: Path) -> Any:
        options: dict[str, Any] = {"sep": separator, "low_memory": False}
        # pandas renames columns that share a name, so the names are first read as values.
        names = pandas.read_csv(path, header=None, nrows=1, dtype=str, keep_default_na=False, **options).iloc[0]
        check_names([name for name in names if name], str(path))
        if any(_is_number(name) for name in names):
            raise InputError(
                "config.data.path",
                f"{path} with the columns {abbreviate(list(names))}",
                "a first line of names, which are not numbers",
                "Add a line with the columns' names.",
            )
        frame = pandas.read_csv(path, **options)
        if not isinstance(frame.index, pandas.RangeIndex):  # pandas took the first values as the rows' names
            raise InputError(
                "config.data.path",
                f"{path} with {len(names)} names and lines of more values",
                "a name for each column",
                "Add the missing names to its first line.",
            )
        return frame

    return read_text


def _is_number(name: str) -> bool:
    try:
        return math.isfinite(float(name))
    except ValueError:
        return False


# The reader of each file ending.
TABLES: dict[str, TableReader] = {
    ".csv": _make_text_reader(","),
    ".tsv": _make_text_reader("\t"),
    ".parquet": lambda pandas, path: pandas.read_parquet(path),
}
