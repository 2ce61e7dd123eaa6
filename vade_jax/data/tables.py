"""Reads tables: columns of numbers and categories, and optional columns of labels and ids."""

from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any

import numpy as np

from vade_jax.data.column_names import abbreviate, check_names, column_indices
from vade_jax.data.covariates import read_covariates
from vade_jax.data.dataset import Dataset, ReadOptions, make_dataset
from vade_jax.data.problems import Problem, raise_problems
from vade_jax.data.row_weights import read_weights
from vade_jax.data.table_columns import read_columns
from vade_jax.data.text_layouts import COMPRESSIONS, SEPARATORS
from vade_jax.data.text_tables import TextTable
from vade_jax.data.written_numbers import COMMA, Marks, is_written_number, read_number
from vade_jax.system.errors import InputError, unreadable_file_errors
from vade_jax.system.optional_imports import import_pandas

PARQUET = ".parquet"
# The endings of tables.
ENDINGS = (
    *SEPARATORS,
    PARQUET,
    *(f"{ending}{compression}" for ending in SEPARATORS for compression in COMPRESSIONS),
    ".zip",
)


def read(path: Path, options: ReadOptions) -> dict[str, Dataset]:
    """Reads the rows of a table.

    How a text file is written is found, and printed if it is unusual: see `text_layouts` and `written_numbers`. What
    each column becomes is decided by `table_columns.read_columns`; gaps become NaN.

    Args:
      path: a file with one of ENDINGS.
      options: how to read it.

    Returns:
      The rows as 'train'.

    Raises:
      InputError: the file cannot be used; it names every problem.
    """
    expected = options.expected
    named = {options.label_column, options.id_column} - {""}
    categories = (
        {name for name, levels in zip(expected.names, expected.levels, strict=False) if levels} if expected else ()
    )
    frame, problems = _read_frame(path, named | {*categories})
    labels, ids = labels_and_ids(frame, path, options)
    covariates = read_covariates(frame, options.covariates, str(path))
    weights = None if expected else read_weights(frame, options.weights, str(path))
    others = {options.label_column, options.id_column, options.weights, *(covariates.names if covariates else ())}
    features = frame.drop(columns=[name for name in frame if name in others])
    levels_of = None
    if expected and expected.names:
        features = features.iloc[:, column_indices(list(features.columns), expected.names, str(path))]
        features.columns = list(expected.names)
        levels_of = dict(zip(expected.names, expected.levels or ((),) * len(expected.names), strict=True))
    features, levels, found = read_columns(features, str(path), options.dates, levels_of)
    raise_problems([*problems, *found], str(path))
    names = tuple(map(str, features.columns))
    dataset = make_dataset(_numbers(features), labels, str(path), names, ids, options.offset, levels)
    return {"train": dataset._replace(covariates=covariates, weights=weights)}


def _numbers(features: Any) -> np.ndarray:
    """A frame of numeric columns as an array [N, D] of the precision of its columns."""
    dtypes = set(features.dtypes)
    if len(dtypes) == 1 and dtypes <= {np.dtype(np.int64), np.dtype(np.uint64)}:
        return features.to_numpy()  # float64 would round large integers
    return features.to_numpy(np.float64, na_value=np.nan)


def labels_and_ids(frame: Any, path: object, options: ReadOptions) -> tuple[np.ndarray | None, np.ndarray | None]:
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


def _read_frame(path: Path, text_columns: AbstractSet[str]) -> tuple[Any, list[Problem]]:
    """The table in a file as a pandas frame, its numbers with decimal points, and the problems of its lines.

    Args:
      path: the file.
      text_columns: the columns whose values are as they are in the file.
    """
    pandas = import_pandas(path, "config.data.path")
    with unreadable_file_errors(
        path,
        "a table whose first line holds the columns' names",
        "Check the path, or save the table again.",
    ):
        text = None if path.suffix.lower() == PARQUET else TextTable(pandas, path, text_columns)
        frame = _read_parquet(pandas, path, text_columns) if text is None else text.frame()
        problems = [] if text is None else text.problems
        if len(frame):
            problems += _read_marks(frame, text, text_columns)
    if not len(frame):
        raise InputError(
            "config.data.path",
            f"{path}, which holds no rows",
            "at least one row",
            "Check the data that it was saved from.",
        )
    check_names(list(frame.columns), str(path))
    return frame, problems


def _read_marks(frame: Any, text: TextTable | None, text_columns: AbstractSet[str]) -> list[Problem]:
    """Gives the numbers that are text in a frame decimal points, in place; see `Marks`. Prints how they were written.

    Args:
      frame: of the table.
      text: the table, if it is a text file: what pandas took for numbers with decimal points is then read again.
      text_columns: the columns that stay as they are.

    Returns:
      The problems of the numbers.
    """
    numbers = [
        j
        for j, name in enumerate(frame.columns)
        if frame[name].dtype.kind == "O" and name not in text_columns and _says_numbers(frame[name])
    ]
    floats = [j for j in range(frame.shape[1]) if numbers and text and frame.dtypes.iloc[j].kind == "f"]
    columns = sorted([*numbers, *floats])
    written = frame.iloc[:, columns] if text is None else text.written(columns) if columns else frame.iloc[:, :0]
    marks = Marks()
    stripped = [written.iloc[:, j].map(_stripped, na_action="ignore") for j in range(len(columns))]
    for j, column in zip(columns, stripped, strict=True):
        marks.add(frame.columns[j], column)
    mark, problems = marks.decide()
    for j, column in zip(columns, stripped, strict=True):
        if j in numbers or mark == COMMA:
            frame[frame.columns[j]] = column.map(lambda value: read_number(value, mark), na_action="ignore")
    if text is not None:
        text.print_layout(marks.describe(mark))
    return problems


def _stripped(value: Any) -> Any:
    return value.strip() if isinstance(value, str) else value


def _says_numbers(column: Any) -> bool:
    """Whether at least half of the values of a column that are no gaps are text that says numbers."""
    values = [value.strip() for value in column if isinstance(value, str)]
    return bool(values) and 2 * sum(map(is_written_number, values)) >= len(values)


def _read_parquet(pandas: Any, path: Path, text_columns: AbstractSet[str]) -> Any:
    with path.open("rb") as file:  # pyarrow cannot open a name that is no UTF-8
        frame = pandas.read_parquet(file)
    for name in text_columns & set(frame.columns):
        if frame[name].isna().any():  # integers beside a missing value became float64
            exact = pandas.read_parquet(path, columns=[name], dtype_backend="numpy_nullable")
            frame[name] = exact[name].to_numpy(object)
    return frame
