"""Finds columns whose values float32 cannot tell apart, and values that hide the others or may stand for gaps."""

import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from vade_jax.data.gaps import greatest, has_gaps
from vade_jax.data.offsets import column_limits, dense_rows, subtract_offset
from vade_jax.system.errors import InputError, first_line, show_name
from vade_jax.system.process_wide import filtered_warnings

_NUM_ROWS = 1000  # evenly spaced rows that are looked at
_LEAST_KEPT = 0.9  # of the distinct values; random values of many rows share float32 numbers now and then
_ROUNDING = 2.0**-44  # relative; closer values of float64 count as one value with rounding errors
_FLOAT32_EPSILON = 2.0**-24  # relative error of rounding to float32
_MAX_SHOWN = 5  # columns in a line
# What people write for a value that they do not have.
_GAP_CODES = np.array([float(digit * length) for digit in "789" for length in range(2, 8)])
_NEGATIVE_GAP_CODES = -np.concatenate([[1.0, 7.0, 8.0, 9.0], _GAP_CODES])
_LEAST_OTHERS = 5  # distinct values; fewer may be the codes of a category


def warn_of_merged_values(x: Any, offset: np.ndarray | None, where: str, names: Sequence[str]) -> None:
    """Warns of the columns that have over a tenth fewer distinct values after x - offset is rounded to float32.

    Args:
      x: rows [N, D] of the source, of NumPy or SciPy.
      offset: [D], or None.
      where: the file or name of the rows.
      names: the names of the columns, or ().
    """
    if np.can_cast(x.dtype, np.float32):
        return
    rows = dense_rows(x, _some_rows(x.shape[0]))
    tolerance = _ROUNDING * greatest(np.abs(rows.astype(np.float64)), axis=0)
    values = np.sort(subtract_offset(rows, np.zeros(1) if offset is None else offset), axis=0)
    distinct = 1 + (np.diff(values, axis=0) > tolerance).sum(axis=0)
    kept = 1 + (np.diff(values.astype(np.float32), axis=0) > 0).sum(axis=0)
    merged = np.flatnonzero(kept < _LEAST_KEPT * distinct).tolist()
    if merged:
        columns = [f"{_column(names, j)} ({kept[j]} of {distinct[j]} in {len(rows)} rows)" for j in merged]
        warnings.warn(
            f"{where}: float32 keeps few of the distinct values of the columns {_first_of(columns)}. Subtract a "
            "constant from each of them, or drop the rows that are far from the others.",
            stacklevel=3,
        )


def check_extreme_values(x: np.ndarray, names: Sequence[str], where: str) -> None:
    """Warns of extreme values beside which float32 cannot tell the other values of their column apart.

    The standard deviation of a column is at least its largest distance from the median, divided by sqrt(N). If the
    distance between the quartiles is below float32's precision at that size, the scaled column is constant but for its
    extreme values. A heavy tail alone does not do this.

    Args:
      x: [N, D], the rows to train on, as stored.
      names: the names of the columns, or ().
      where: the data set.

    Raises:
      InputError: every column that varies has such a value, so that all other rows are equal.
    """
    if x.dtype == np.uint8:
        return
    low, high = column_limits(x)
    some = x[_some_rows(len(x))].astype(np.float64)
    quantile = np.nanquantile if has_gaps(some) else np.quantile
    with filtered_warnings("ignore", RuntimeWarning):  # of columns of gaps
        first, median, third = quantile(some, (0.25, 0.5, 0.75), axis=0)
    size = np.maximum(high - median, median - low) / math.sqrt(len(x))
    hidden = np.flatnonzero((third > first) & (third - first < _FLOAT32_EPSILON * size)).tolist()
    if not hidden:
        return
    rows = [int(np.nanargmax(np.abs(x[:, j] - median[j]))) for j in hidden[:_MAX_SHOWN]]
    values = [f"{x[row, j]:g} in row {row}, column {_column(names, j)}" for row, j in zip(rows, hidden, strict=False)]
    extreme = _first_of([*values, *hidden[_MAX_SHOWN:]])
    remedy = "Correct or drop these rows, or transform the columns, for example by a logarithm."
    if len(hidden) == np.count_nonzero(high > low):
        raise InputError("config.data.path", f"{where} with the extreme values {extreme}", "rows that differ", remedy)
    warnings.warn(
        f"{where}: beside the extreme values {extreme}, float32 cannot tell the other values of their columns apart. "
        f"{remedy}",
        stacklevel=3,
    )


def warn_of_codes_for_gaps(x: np.ndarray, offset: np.ndarray | None, names: Sequence[str], where: str) -> None:
    """Warns of values such as 999 or -1 that may stand for gaps, since several rows have them and no row a similar one.

    A number of several 7s, 8s or 9s is far above the others of its column: by more than these spread. A negative code
    is in a column whose other values are above 0.

    Args:
      x: [N, D], the rows to train on, as stored.
      offset: [D], what was subtracted from them; None for 0.
      names: the names of the columns, or ().
      where: the data set.
    """
    if x.dtype == np.uint8:
        return
    shift = np.zeros(x.shape[1]) if offset is None else offset
    low, high = (limit + shift for limit in column_limits(x))
    found = []
    for column in np.flatnonzero(np.isin(high, _GAP_CODES) | np.isin(low, _NEGATIVE_GAP_CODES)).tolist():
        values = x[:, column].astype(np.float64) + shift[column]
        for code in {low[column], high[column]} & {*_GAP_CODES, *_NEGATIVE_GAP_CODES}:
            others = values[(values != code) & ~np.isnan(values)]
            count = int((values == code).sum())
            if count < 2 or len(np.unique(others)) < _LEAST_OTHERS:
                continue
            least, most = others.min(), others.max()
            if least > 0 if code < 0 else code - most > most - least:
                found.append(
                    f"{code:g} in {count:,} rows of the column {_column(names, column)}, whose other values are "
                    f"{least:g} to {most:g}"
                )
    if found:
        warnings.warn(
            f"{where}: these values may stand for gaps: {_first_of(found)}. If so, leave the fields empty, or write "
            "NaN.",
            stacklevel=3,
        )


def _some_rows(num_rows: int) -> np.ndarray:
    return np.linspace(0, num_rows - 1, min(num_rows, _NUM_ROWS)).astype(np.int64)


def _column(names: Sequence[str], column: int) -> str:
    return show_name(names[column]) if names else str(column)


def _first_of(texts: Sequence[object]) -> str:
    shown = ", ".join(map(str, texts[:_MAX_SHOWN]))
    return shown if len(texts) <= _MAX_SHOWN else f"{shown} and {len(texts) - _MAX_SHOWN:,} more"


@contextmanager
def checked_values(x: Any) -> Iterator[None]:
    """A context that reads rows X [N, D] of any type as scikit-learn does.

    Raises:
      InputError: about values that scikit-learn would read as others, or would not name: dates, masked values, and
        integers that float64 cannot hold.
    """
    _check_frame(x)
    for rows in x if isinstance(x, list | tuple) else [x]:
        check_mask(rows, "X")
        _check_no_dates(rows)
    try:
        yield
    except OverflowError as error:
        raise InputError(
            "X",
            f"a number that cannot be read ({first_line(error)})",
            "numbers that float64 can hold",
            "Correct it, or drop that row or column.",
        ) from error


def _check_no_dates(rows: Any) -> None:
    """Raises an InputError about a date in rows of any type: NumPy would make a number of it, also of a missing one."""
    is_object = isinstance(rows, list | tuple) or getattr(getattr(rows, "dtype", None), "kind", "") == "O"
    for value in np.asarray(rows, object).ravel() if is_object else ():
        if isinstance(value, np.datetime64 | np.timedelta64):
            raise InputError("X", f"the date {value}", "numbers", "Encode it as a number, or drop its column.")


def check_mask(x: Any, where: str) -> None:
    """Raises an InputError if x is an array of numpy.ma with masked values: what lies below the mask is no value."""
    if np.ma.is_masked(x):
        masked = np.argwhere(np.ma.getmaskarray(x)).tolist()
        raise InputError(
            "config.data.path",
            f"{where} with {len(masked)} masked values (the first at {tuple(masked[0])})",
            "a value everywhere",
            "Drop those rows or fill the gaps.",
        )


def is_frame(x: Any) -> bool:
    """Returns whether x is a pandas frame."""
    return hasattr(x, "iloc") and hasattr(x, "columns")


def _check_frame(frame: Any) -> None:
    """Raises an InputError if a column of a pandas frame holds dates."""
    for name, dtype in frame.dtypes.items() if is_frame(frame) else ():
        if dtype.kind in "mM":
            raise InputError(
                "X",
                f"the column {name!r} of dtype {dtype}, which holds {str(frame[name].iloc[0])[:40]!r}",
                "numbers or text in every column",
                "Encode it as numbers, or drop it.",
            )
