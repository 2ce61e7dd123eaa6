"""Pandas frames with columns of several types: as numbers with levels, and back."""

from typing import Any

import numpy as np

from vade_jax.data.column_checks import is_frame
from vade_jax.data.dataset import Dataset, make_dataset
from vade_jax.data.levels import MAX_LEVELS, level_name
from vade_jax.data.problems import raise_problems
from vade_jax.data.written_numbers import Marks, is_written_number, read_number
from vade_jax.system.errors import InputError, show_name

_FEW_ROWS = 20  # in which text that is different in each row may still be a category


def has_text(x: Any) -> bool:
    """Returns whether x is a pandas frame with a column whose type may hold text: objects, text or categories."""
    return is_frame(x) and any(dtype.kind in "OUT" for dtype in x.dtypes)


def encoded_frame(frame: Any, for_training: bool) -> tuple[Any, tuple[tuple[str, ...], ...]]:
    """Returns a frame with columns of several types as float64, NaN in gaps, and the levels of each text column.

    Columns of numbers, truth values, and numbers as text or as categories are numbers, with separators of thousands and
    units too; see `written_numbers`. Other text has levels, sorted by their names; its numbers are those of the levels.
    None, pandas.NA and NaN are gaps.

    Args:
      frame: of pandas.
      for_training: whether text that is different in most rows is refused.

    Raises:
      InputError: a column holds text that is different in most rows, as names are, or no text; or numbers in text that
        cannot be read in one way.
    """
    columns, levels = {}, []
    written = _read_written_numbers(frame)
    for position, name in enumerate(frame.columns):
        column = written.get(position, frame.iloc[:, position])
        values, own = _encoded_column(name, column, for_training)
        columns[position] = values
        levels.append(own)
    encoded = type(frame)(columns, index=frame.index)
    encoded.columns = frame.columns
    return encoded, tuple(levels) if any(levels) else ()


def _read_written_numbers(frame: Any) -> dict[int, Any]:
    """The columns all of whose text says numbers, by their position: with decimal points, and without units.

    Raises:
      InputError: the decimal mark is not clear, or a column has two units.
    """
    written, marks = {}, Marks()
    for position, name in enumerate(frame.columns):
        if frame.dtypes.iloc[position].kind not in "OUT":
            continue
        column = frame.iloc[:, position].astype(object)
        texts = [value.strip() for value in column[~column.isna()] if isinstance(value, str)]
        if texts and all(map(is_written_number, texts)):
            written[position] = column
            marks.add(name, texts)
    mark, problems = marks.decide()
    raise_problems(problems, "a frame")
    return {
        position: column.map(lambda value: read_number(value.strip(), mark) if isinstance(value, str) else value)
        for position, column in written.items()
    }


def _encoded_column(name: Any, column: Any, for_training: bool) -> tuple[np.ndarray, tuple[str, ...]]:
    """A column [N] as float64, and the names of its levels; () if it holds numbers."""
    missing = np.asarray(column.isna(), bool)
    present = column[~missing]
    numbers = np.full(len(column), np.nan)
    try:
        numbers[~missing] = np.asarray(present, np.float64)
        return numbers, ()
    except (TypeError, ValueError):
        pass  # text
    texts = np.array([_text(name, value) for value in present], object)
    levels = tuple(sorted(set(texts)))
    if for_training and len(levels) > max(min(MAX_LEVELS, len(texts) // 2), _FEW_ROWS):
        raise InputError(
            "X",
            f"the column {name!r} with {len(levels)} different texts, such as {show_name(levels[0])}",
            "a category of fewer levels",
            "Drop the column if it names the rows, or join levels.",
        )
    number_of = {level: number for number, level in enumerate(levels)}
    numbers[~missing] = [number_of[text] for text in texts]
    return numbers, levels


def _text(name: Any, value: Any) -> str:
    """A value of a text column as the name of a level."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | float | np.number):
        if np.ndim(value) or isinstance(value, dict | set):
            raise InputError("X", f"{str(value)[:40]!r} in the column {name!r}", "numbers or text", "Drop the column.")
        return str(value)
    return level_name(float(value))


def rows_of(
    array: np.ndarray,
    names: tuple[str, ...],
    image_shape: tuple[int, int, int] | None,
    levels: tuple[tuple[str, ...], ...],
    offset: np.ndarray | None,
) -> Dataset:
    """Returns rows [N, D] as a data set.

    Args:
      array: numbers, NaN in gaps.
      names: of the columns, or ().
      image_shape: (H, W, C) if the rows are images, else None.
      levels: as in `Dataset.levels`.
      offset: as for `make_dataset`.

    Raises:
      InputError: the shape does not suit the columns, or the values cannot be used.
    """
    if image_shape is None:
        return make_dataset(array, None, "X", names, offset=offset, levels=levels)
    if np.prod(image_shape) != array.shape[1]:
        raise InputError(
            "image_shape",
            image_shape,
            f"a shape whose product is {array.shape[1]}, the number of columns",
            "Set it to (height, width, channels).",
        )
    return make_dataset(array.reshape(len(array), *image_shape), None, "X", names, offset=offset)


def joined_columns(columns: list[np.ndarray]) -> np.ndarray:
    """Returns columns [N] as rows [N, D]: numbers, or objects if some are texts."""
    if not columns:
        return np.zeros((0, 0))
    return (
        np.stack(columns, axis=1)
        if all(c.dtype != object for c in columns)
        else np.stack([c.astype(object) for c in columns], axis=1)
    )


def with_gaps_filled(x: Any, columns: list[np.ndarray]) -> Any:
    """Returns rows X [N, D] with the values of columns in their gaps.

    Args:
      x: a pandas frame, or what NumPy makes an array of numbers of.
      columns: D columns [N], of numbers, or of texts for categories. Only their values in gaps are used.

    Returns:
      A frame for a frame, else [N, D], float64; the levels of a category are numbers there.
    """
    if is_frame(x):
        return _filled_frame(x, columns)
    array = np.array(x, np.float64)
    return np.where(np.isnan(array), np.stack([np.asarray(c, np.float64) for c in columns], axis=1), array)


def _filled_frame(frame: Any, columns: list[np.ndarray]) -> Any:
    """A copy of a frame with its gaps filled.

    Truth values stay so, with the more probable one. Other numbers become float64 if they are not floats.
    """
    filled = frame.copy()
    for position, values in enumerate(columns):
        column = frame.iloc[:, position]
        missing = np.asarray(column.isna(), bool)
        if not missing.any():
            continue
        new = values
        if values.dtype == object:
            present = {_text(column.name, value): value for value in column[~missing].unique()}
            new = np.array([present.get(value, value) for value in values], object)
        if _is_categorical(column):
            known = column.cat.categories
            column = column.cat.add_categories([v for v in dict.fromkeys(new[missing]) if v not in known])
        elif _holds_truth_values(column[~missing]):
            new, column = np.asarray(values, np.float64) >= 0.5, column.astype(object)
        elif column.dtype.kind not in "OUT":
            new, column = np.asarray(new, np.float64), column.astype(np.float64)
        column = column.copy()
        column.iloc[missing] = new[missing]
        filled.isetitem(position, column)
    return filled


def _is_categorical(column: Any) -> bool:
    """Whether a pandas column has the dtype category."""
    return column.dtype.name == "category"


def _holds_truth_values(present: Any) -> bool:
    return present.dtype.kind == "b" or (len(present) > 0 and all(isinstance(value, bool) for value in present))
