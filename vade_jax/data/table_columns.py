"""The columns of a table as numbers: what kind each of them is, what is left out, and what is wrong."""

import re
import warnings
from collections import Counter
from collections.abc import Callable, Hashable, Mapping
from typing import Any, NamedTuple

import numpy as np

from vade_jax.data.dataset import LARGEST
from vade_jax.data.levels import level_name
from vade_jax.data.problems import Problem
from vade_jax.data.written_dates import date_problem, is_date, to_days
from vade_jax.data.written_numbers import ALL_GAPS, is_written_number
from vade_jax.system.errors import show_name

MAX_LEVELS = 100  # text of more different values is an identifier, not a category
_MIN_ROWS_A_LEVEL = 2  # on average; else it is an identifier too
DATES = ("drop", "number")  # what can be done to columns of dates

_NAMELESS = re.compile(r"Unnamed: \d+")  # pandas's name for a column without one
_TRUTH = {"true": 1.0, "false": 0.0}


class Column(NamedTuple):
    """A column of a table, read.

    Attributes:
      values: a pandas column of numbers, NaN for a gap; the codes of categories; None if the column is left out.
      levels: the names of its categories; () for numbers.
      left_out: why it is left out; '' if it is not.
      unknown: the categories that the model does not know, which became gaps.
      problem: what is wrong; None if the column can be used.
    """

    values: Any = None
    levels: tuple[str, ...] = ()
    left_out: str = ""
    unknown: tuple[str, ...] = ()
    problem: Problem | None = None


def read_columns(
    frame: Any, where: str, dates: str, expected: Mapping[Any, tuple[str, ...]] | None = None
) -> tuple[Any, tuple[tuple[str, ...], ...], list[Problem]]:
    """Reads the columns of a table as numbers. Warns of the columns that are left out, with the reasons.

    Text is a category if it has at most MAX_LEVELS different values, each in two rows on average. Columns of other
    text, columns of dates unless they become numbers, and columns without a value are left out, and columns of one
    value if the table has a gap or is not all numbers.

    Args:
      frame: a pandas frame of N rows, whose numbers have decimal points.
      where: the file or name of the table, for the warning.
      dates: 'drop' leaves out columns of dates; 'number' makes them days since 1970-01-01.
      expected: for a trained model the name of each of its columns -> the names of the categories, () for numbers. Then
        no column is left out. None for rows to train on.

    Returns:
      A frame of the columns that are kept, the levels of each of these columns as in `Dataset`, and the problems.
    """
    if _is_plain(frame) and not any((expected or {}).values()):
        return frame, (), []  # numbers alone are read as they are
    known = expected or {}
    columns = {name: _read_column(name, values, dates, known.get(name)) for name, values in frame.items()}
    problems = [column.problem for column in columns.values() if column.problem]
    if problems:
        return frame, (), problems
    left_out = {name: column.left_out for name, column in columns.items() if column.left_out}
    if expected is None:
        constant = [name for name, column in columns.items() if column.values is not None and _is_constant(column)]
        left_out |= dict.fromkeys(constant, "one value")
    listed = ", ".join(f"{show_name(name)} ({reason})" for name, reason in left_out.items())
    kept = {name: column for name, column in columns.items() if name not in left_out}
    if not kept:
        got = f"no column that can be used: {listed}"
        return frame, (), [Problem(got, "columns of numbers or categories", "Check the table.")]
    if left_out:
        warnings.warn(f"{where}: {len(left_out):,} columns are left out: {listed}", stacklevel=4)
    if unknown := {name: column.unknown for name, column in columns.items() if column.unknown}:
        listed = ", ".join(
            f"{', '.join(values[:5])} in the column {show_name(name)}" for name, values in unknown.items()
        )
        warnings.warn(f"{where}: categories that training did not have are gaps: {listed}", stacklevel=4)
    levels = tuple(column.levels for column in kept.values())
    read = type(frame)({name: column.values for name, column in kept.items()}, index=frame.index)
    return read, levels if any(levels) else (), []


def _is_plain(frame: Any) -> bool:
    """Whether every column has a name, and holds finite numbers without a gap."""
    if any(dtype.kind not in "buif" for dtype in frame.dtypes) or any(map(_is_nameless, frame)):
        return False
    if frame.isna().any(axis=None):
        return False
    floats = frame.select_dtypes("floating")
    return bool((np.abs(floats.to_numpy(np.float64)) <= LARGEST).all())


def _is_nameless(name: Any) -> bool:
    return _NAMELESS.fullmatch(str(name)) is not None


def _is_constant(column: Column) -> bool:
    return column.values.nunique(dropna=True) == 1


def _read_column(name: Any, column: Any, dates: str, levels: tuple[str, ...] | None) -> Column:
    """Reads one column of a table; levels are those of the model's column, None to train on it: see `read_columns`."""
    if _is_nameless(name):
        if column.isna().all():
            return Column(left_out="no values")
        remedy = (
            f"If it is a feature, name it; else drop it (pandas: to_csv(FILE, index=False)) or set "
            f"--config.data.id_column='{name}'."
        )
        return Column(problem=Problem(f"a column without a name ({name!r})", "a name for each column", remedy))
    if column.dtype.kind in "buif" and not levels and not column.isna().all():
        return _read_numbers(name, column)
    column, observed = without_gaps(column)
    if levels:
        return encode_levels(observed, column.index, levels)
    if not len(observed):
        return Column(left_out="no values") if levels is None else Column(column.astype(float))
    if column.dtype.kind in "mM" or _mostly(observed, is_date):
        return _read_dates(name, column, observed, dates if levels is None else "number")
    texts = observed.map(lambda value: str(value).lower())
    if texts.isin(_TRUTH.keys()).all():
        return Column(texts.map(_TRUTH).reindex(column.index))
    is_text = observed.map(lambda value: isinstance(value, str)).all()
    if levels is None and is_text and not _mostly(observed, is_written_number):
        return _read_categories(observed, column.index)
    return _read_objects(name, column, observed)


def without_gaps(column: Any) -> tuple[Any, Any]:
    """A column, whose text has no blanks around it and no words for gaps, and its values that are no gaps."""
    if column.dtype.kind not in "buifmM":
        column = column.astype(object).map(lambda value: value.strip() if isinstance(value, str) else value)
        column = column.where(~column.map(lambda value: isinstance(value, str) and value in ALL_GAPS), None)
    return column, column[~column.isna()]


def _mostly(observed: Any, holds: Callable[[Any], bool]) -> bool:
    """Whether at least half of the values are of a kind."""
    counts = Counter(value for value in observed if isinstance(value, Hashable))
    return 2 * sum(count for value, count in counts.items() if holds(value)) >= len(observed)


def _read_numbers(name: Any, column: Any) -> Column:
    """Reads a column of a numeric dtype, which may not hold infinite values."""
    if column.dtype.kind == "f":
        large = np.flatnonzero(np.abs(column.to_numpy(np.float64, na_value=np.nan)) > LARGEST)
        if len(large):
            got = (
                f"{len(large):,} values that are infinite or beyond {LARGEST:g} (the first in row {large[0]}, column "
                f"{show_name(name)})"
            )
            return Column(problem=Problem(got, "finite numbers", "Correct these values, or drop those rows."))
    return Column(column)


def _read_objects(name: Any, column: Any, observed: Any) -> Column:
    """Reads a column of objects that are numbers, or text that says numbers."""
    wrong = observed[~observed.map(is_written_number).astype(bool)]
    if len(wrong):
        row = int(np.flatnonzero(column.index == wrong.index[0])[0])
        more = f", {len(wrong):,} such values in all" if len(wrong) > 1 else ""
        got = f"the column {name!r}, which is not numeric (row {row} holds {str(wrong.iloc[0])[:40]!r}{more})"
        remedy = (
            "Correct this value, encode the column as numbers, drop it, or name it as --config.data.label_column or "
            "--config.data.id_column."
        )
        return Column(problem=Problem(got, "numbers in every column except the label and the id", remedy))
    try:
        numbers = observed.astype(float)
    except (ValueError, TypeError):  # of two decimal marks, which another problem says
        return Column()
    return _read_numbers(name, numbers.reindex(column.index))


def _read_dates(name: Any, column: Any, observed: Any, dates: str) -> Column:
    if dates == "drop":
        return Column(left_out="dates; --config.data.dates=number makes them days since 1970")
    if problem := date_problem(name, observed):
        return Column(problem=problem)
    return Column(to_days(observed).reindex(column.index))


def _read_categories(observed: Any, index: Any) -> Column:
    levels = tuple(sorted(set(observed)))
    if len(levels) > MAX_LEVELS or len(observed) < _MIN_ROWS_A_LEVEL * len(levels):
        return Column(left_out=f"text of {len(levels):,} different values in {len(observed):,} rows")
    return encode_levels(observed, index, levels)


def encode_levels(observed: Any, index: Any, levels: tuple[str, ...]) -> Column:
    """Reads categories as their codes; a value that is none of these levels becomes a gap."""
    codes = {name: float(code) for code, name in enumerate(levels)}
    texts = observed.map(text_of)
    values = texts.map(codes).astype(float).reindex(index)
    return Column(values, levels, unknown=tuple(sorted(set(texts) - set(levels))))


def text_of(value: Any) -> str:
    """The text of a category; integers may have become floats beside gaps."""
    return level_name(value) if isinstance(value, float) else str(value)
