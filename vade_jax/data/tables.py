"""Tables -> rows: named columns of numbers, and perhaps a label and an id."""

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from vade_jax.data.column_names import abbreviate, check_names, column_indices
from vade_jax.data.dataset import Dataset, ReadOptions, make_dataset
from vade_jax.system.errors import InputError, unreadable_file_errors
from vade_jax.system.optional_imports import import_extra


def read(path: Path, options: ReadOptions) -> dict[str, Dataset]:
    """The rows of a table.

    Args:
      path: its ending is a key of TABLES.
      options: its label and its id column, and what the rows are for.

    Returns:
      The rows as 'train'.

    Raises:
      InputError: a file that cannot be used.
    """
    frame = _frame(path)
    labels, ids = labels_and_ids(frame, path, options)
    features = frame.drop(columns=[name for name in (options.label_column, options.id_column) if name in frame])
    if options.form and options.form.names:
        features = features.iloc[:, column_indices(list(features.columns), options.form.names, str(path))]
    for name, column in features.items():
        if column.dtype.kind not in "buif":
            example = next((value for value in column if isinstance(value, str)), column.iloc[0])
            raise InputError(
                "config.data.path",
                f"{path}, column {name!r} is not numeric, it holds {str(example)[:40]!r}",
                "every column but the label and the id must be numbers",
                "Encode it as numbers, drop it, or name it as --config.data.label_column or --config.data.id_column.",
            )
        if _NAMELESS.fullmatch(str(name)):
            raise InputError(
                "config.data.path",
                f"{path} has a column without a name, {name!r}",
                "every column must have one",
                "Name it if it is a feature, else drop it (pandas: to_csv(FILE, index=False)) or name it as "
                f"--config.data.id_column='{name}'.",
            )
    with np.errstate(over="ignore"):  # what becomes infinite is refused
        x = features.to_numpy(np.float32, na_value=np.nan)
    return {"train": make_dataset(x, labels, str(path), tuple(map(str, features.columns)), ids)}


_NAMELESS = re.compile(r"Unnamed: \d+")  # pandas's name for a column that has none


def labels_and_ids(frame: Any, path: Path, options: ReadOptions) -> tuple[np.ndarray | None, np.ndarray | None]:
    """The label column of a frame as numbers, in the order of its values, and its id column; None for none.

    Raises:
      InputError: one of them is not there, or lacks labels.
    """
    for field in ("label_column", "id_column"):
        name = getattr(options, field)
        if name and name not in frame and options.form is None:
            raise InputError(
                f"config.data.{field}",
                f"{name!r} came",
                f"{path} has the columns {abbreviate(frame.columns)}",
                "Name one of them, or leave it empty.",
            )
    labeled = options.form is None and options.label_column
    ids = frame[options.id_column].to_numpy() if options.id_column in frame else None
    return _labels(frame[options.label_column], path) if labeled else None, ids


def _labels(column, path):
    missing = np.flatnonzero(column.isna())
    if len(missing):
        raise InputError(
            "config.data.label_column",
            f"{path}, column {column.name!r}, lacks {len(missing)} labels, the first in row {missing[0]}",
            "every row must have one",
            "Fill them, drop those rows, or set --config.data.label_column=.",
        )
    values = column.to_numpy()
    return np.unique(values.astype(str) if values.dtype.kind == "O" else values, return_inverse=True)[1]


def _frame(path):
    """The table in a file, by pandas."""
    pandas = import_extra("pandas", path, "config.data.path")
    with unreadable_file_errors(
        path,
        "it must be a table, whose first line holds the columns' names",
        "Check the path, or save the table again.",
    ):
        frame = TABLES[path.suffix.lower()](pandas, path)
    if not len(frame):
        raise InputError(
            "config.data.path",
            f"{path} holds no rows",
            "there must be a line for each",
            "Check what it was saved from.",
        )
    check_names(list(frame.columns), str(path))
    return frame


def _text(separator):
    """A reader of lines whose values are parted by the separator."""

    def read_text(pandas, path):
        lines = {"sep": separator, "low_memory": False}
        # pandas renames columns of one name, so that the names are read as values first.
        names = pandas.read_csv(path, header=None, nrows=1, dtype=str, keep_default_na=False, **lines).iloc[0]
        check_names([name for name in names if name], str(path))
        if any(_is_number(name) for name in names):
            raise InputError(
                "config.data.path",
                f"{path} has the columns {abbreviate(list(names))}",
                "its first line must hold the columns' names, and no numbers",
                "Write a line of names above it.",
            )
        frame = pandas.read_csv(path, **lines)
        if not isinstance(frame.index, pandas.RangeIndex):  # pandas takes the first values for names of the rows
            raise InputError(
                "config.data.path",
                f"{path} has {len(names)} names and lines of more values",
                "there must be a name for each column",
                "Write the missing names into its first line.",
            )
        return frame

    return read_text


def _is_number(name):
    try:
        return math.isfinite(float(name))
    except ValueError:
        return False


# ending -> function of pandas and the path that returns a frame.
TABLES: dict[str, Callable[[Any, Path], Any]] = {
    ".csv": _text(","),
    ".tsv": _text("\t"),
    ".parquet": lambda pandas, path: pandas.read_parquet(path),
}
