"""Reads tables: named columns of numbers, and optional columns of labels and ids."""

import math
import re
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any, Protocol, SupportsFloat

import numpy as np

from vade_jax.data.column_names import abbreviate, check_names, column_indices
from vade_jax.data.dataset import Dataset, ReadOptions, make_dataset
from vade_jax.system.errors import InputError, unreadable_file_errors
from vade_jax.system.optional_imports import import_pandas


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
    frame = _read_frame(path, {options.label_column, options.id_column} - {""})
    labels, ids = labels_and_ids(frame, path, options)
    features = frame.drop(columns=[name for name in (options.label_column, options.id_column) if name in frame])
    if options.expected and options.expected.names:
        features = features.iloc[:, column_indices(list(features.columns), options.expected.names, str(path))]
    _check_columns(features, path)
    names = tuple(map(str, features.columns))
    return {"train": make_dataset(_numbers(features), labels, str(path), names, ids, options.offset)}


def _check_columns(features: Any, path: Path) -> None:
    """Raises an InputError if a column of the frame is not numeric, or has no name."""
    for name, column in features.items():
        if column.dtype.kind not in "buif":
            row, value = _first_that_is_no_number(column)
            raise InputError(
                "config.data.path",
                f"{path}, whose column {name!r} is not numeric (row {row} holds {str(value)[:40]!r})",
                "numbers in every column except the label and the id",
                "Correct this value, encode the column as numbers, drop it, or name it as --config.data.label_column "
                "or --config.data.id_column.",
            )
        if _NAMELESS.fullmatch(str(name)):
            raise InputError(
                "config.data.path",
                f"{path} with a column without a name ({name!r})",
                "a name for each column",
                "If it is a feature, name it; else drop it (pandas: to_csv(FILE, index=False)) or set "
                f"--config.data.id_column='{name}'.",
            )


_NAMELESS = re.compile(r"Unnamed: \d+")  # pandas's name for a column without one


def _first_that_is_no_number(column: Any) -> tuple[int, object]:
    """The row and the value of the first value of a column that is neither a number nor missing."""
    for row, (value, missing) in enumerate(zip(column, column.isna(), strict=True)):
        if not missing and not _is_number(value):
            return row, value
    return 0, column.iloc[0]


def _is_number(value: Any) -> bool:
    """Whether a value is a finite number, or text that says one."""
    try:
        return (
            isinstance(value, str | SupportsFloat) and not isinstance(value, np.ndarray) and math.isfinite(float(value))
        )
    except (ValueError, TypeError, OverflowError):
        return False


def _numbers(features: Any) -> np.ndarray:
    """A frame of numeric columns as an array [N, D] of the precision of its columns."""
    dtypes = set(features.dtypes)
    if len(dtypes) == 1 and dtypes <= {np.dtype(np.int64), np.dtype(np.uint64)}:
        return features.to_numpy()  # float64 would round large integers
    return features.to_numpy(np.float64, na_value=np.nan)


def labels_and_ids(frame: Any, path: Path, options: ReadOptions) -> tuple[np.ndarray | None, np.ndarray | None]:
    """The labels and the ids of a frame, each [N], or None if there are none.

    A missing label is None or NaN. A missing id is ''; the other ids of its column are then text.

    Raises:
      InputError: a column is missing.
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
    labelled = options.expected is None and options.label_column
    return (
        _values(frame[options.label_column]) if labelled else None,
        _ids(frame[options.id_column]) if options.id_column in frame else None,
    )


def _values(column: Any) -> np.ndarray:
    """The values of a column [N]; None for missing ones among objects."""
    missing = column.isna()
    return column.astype(object).where(~missing, None).to_numpy() if missing.any() else column.to_numpy()


def _ids(column: Any) -> np.ndarray:
    """The values of a column [N]; text if some are missing, which become ''."""
    values = _values(column)
    if not column.isna().any():
        return values
    return np.array(["" if value is None else str(value) for value in values], object)


def _read_frame(path: Path, text_columns: AbstractSet[str]) -> Any:
    """The table in a file, as a pandas frame; text_columns are not converted to numbers."""
    pandas = import_pandas(path, "config.data.path")
    with unreadable_file_errors(
        path,
        "a table whose first line holds the columns' names",
        "Check the path, or save the table again.",
    ):
        frame = TABLES[path.suffix.lower()](pandas, path, text_columns)
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

    def __call__(self, pandas: Any, path: Path, text_columns: AbstractSet[str]) -> Any:
        """The table as a frame of the pandas module. The values of the text columns are as they are in the file."""


_SEPARATORS = (",", ";", "\t", "|")


def _make_text_reader(separator: str) -> TableReader:
    """A reader of text files whose values are separated by this character."""

    def read_text(pandas: Any, path: Path, text_columns: AbstractSet[str]) -> Any:
        options: dict[str, Any] = {"sep": separator, "low_memory": False}
        # pandas renames columns that share a name, so the names are first read as values.
        names = pandas.read_csv(path, header=None, nrows=1, dtype=str, keep_default_na=False, **options).iloc[0]
        _check_first_line(list(names), separator, path)
        # a converter gets the text of a value; dtype=str would take 'NA' as missing
        frame = pandas.read_csv(path, converters=dict.fromkeys(text_columns, str), **options)
        if not isinstance(frame.index, pandas.RangeIndex):  # pandas took the first values as the rows' names
            raise InputError(
                "config.data.path",
                f"{path} with {len(names)} names and lines of more values",
                "a name for each column",
                "Add the missing names to its first line.",
            )
        return frame

    return read_text


def _check_first_line(names: list[str], separator: str, path: Path) -> None:
    """Raises an InputError if the first line of a text file does not name the columns."""
    other = next((other for other in _SEPARATORS if other != separator and other in names[0]), None)
    if len(names) == 1 and other:
        raise InputError(
            "config.data.path",
            f"{path}, which reads as one column, {names[0]!r}",
            f"values separated by {separator!r}",
            f"The separator looks like {other!r}: save the table with {separator!r} (pandas: "
            f"pandas.read_csv(FILE, sep={other!r}).to_csv(NEW_FILE, sep={separator!r}, index=False)).",
        )
    check_names([name for name in names if name], str(path))
    if any(map(_is_number, names)):
        raise InputError(
            "config.data.path",
            f"{path} with the columns {abbreviate(names)}",
            "a first line of names, which are not numbers",
            "Add a line with the columns' names.",
        )


def _read_parquet(pandas: Any, path: Path, text_columns: AbstractSet[str]) -> Any:
    with path.open("rb") as file:  # pyarrow cannot open a name that is no UTF-8
        frame = pandas.read_parquet(file)
    for name in text_columns & set(frame.columns):
        if frame[name].isna().any():  # integers beside a missing value became float64
            exact = pandas.read_parquet(path, columns=[name], dtype_backend="numpy_nullable")
            frame[name] = exact[name].to_numpy(object)
    return frame


# The reader of each file ending.
TABLES: dict[str, TableReader] = {
    ".csv": _make_text_reader(","),
    ".tsv": _make_text_reader("\t"),
    ".parquet": _read_parquet,
}
