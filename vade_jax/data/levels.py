"""Levels of category columns: made of numbers, joined, and matched with those of a trained model."""

import warnings
from collections.abc import Sequence

import numpy as np

from vade_jax.data.column_names import abbreviate
from vade_jax.data.dataset import Dataset
from vade_jax.data.offsets import add_offset
from vade_jax.system.errors import InputError, show_name
from vade_jax.system.large_arrays import empty_array

MAX_LEVELS = 1000  # of a category; the decoder has a parameter for each


def column_name(rows: Dataset, column: int) -> str:
    """Returns the name of a column; its number if it has none."""
    return rows.names[column] if rows.names else str(column)


def levels_of(rows: Dataset) -> tuple[tuple[str, ...], ...]:
    """Returns the levels of each of the D columns, () for numbers, also if no column is a category."""
    return rows.levels or ((),) * rows.x.shape[1]


def with_categories(rows: Dataset, columns: Sequence[int], where: str) -> Dataset:
    """Returns rows whose columns of numbers are categories, with the different numbers as levels.

    Args:
      rows: to train on.
      columns: the indices of these columns; those that are categories already stay as they are.
      where: the file or name of the rows, for the error.

    Raises:
      InputError: a column has more than 1,000 different numbers.
    """
    if not columns:
        return rows
    levels = list(levels_of(rows))
    for column in columns:
        values = _source_values(rows, column)
        different = np.unique(values[~np.isnan(values)])
        if len(different) > MAX_LEVELS:
            raise InputError(
                "config.data.columns",
                f"{column_name(rows, column)}=category, a column of {where} with {len(different)} different numbers",
                f"a category of at most {MAX_LEVELS} levels",
                "Leave the column out of this setting, or take it out of the file.",
            )
        levels[column] = levels[column] or tuple(map(level_name, different))
    return match_levels(rows, tuple(levels), where)


def level_name(value: float) -> str:
    """Returns the name of a number as a level: '3' for 3.0."""
    return str(int(value)) if float(value).is_integer() else repr(float(value))


def match_levels(
    rows: Dataset,
    levels: tuple[tuple[str, ...], ...],
    where: str,
    takes_gaps: bool = True,
    field: str = "config.data.path",
    become: str = "they become gaps",
) -> Dataset:
    """Returns rows whose categories have the numbers of these levels.

    A level that is not one of them becomes a gap, and a warning names it with its number of rows.

    Args:
      rows: x [N, D], with levels of their own.
      levels: for each of the D columns, () for numbers; () altogether if there are no categories.
      where: the file or name of the rows, for messages.
      takes_gaps: whether rows can have gaps.
      field: of the error.
      become: what becomes of rows with unknown levels, for the warning.

    Raises:
      InputError: a column has text where the model has numbers, or there are unknown levels and rows cannot have gaps.
    """
    if levels == rows.levels:
        return rows
    levels = levels or ((),) * rows.x.shape[1]
    x, offset = np.array(rows.x, np.float32), None if rows.offset is None else np.array(rows.offset)
    for column, (own, expected) in enumerate(zip(levels_of(rows), levels, strict=True)):
        name = show_name(column_name(rows, column))
        if own == expected:
            continue
        if not expected:
            raise InputError(
                field,
                f"{where} with text in the column {name}, such as {show_name(min(own, key=_is_number))}",
                "numbers in it, as in the training rows",
                "Correct the column.",
            )
        names = own or tuple(map(level_name, _different_numbers(rows, column)))
        codes = _own_codes(rows, column, own)
        unknown = [level for level in names if level not in expected]
        if unknown:
            count = int(np.isin(codes, [names.index(level) for level in unknown]).sum())
            _report_unknown(unknown, name, where, takes_gaps, field, f"{become} (rows: {count:,})")
        numbers = np.array([expected.index(level) if level in expected else np.nan for level in names] + [np.nan])
        x[:, column] = numbers[np.where(np.isnan(codes), len(names), codes).astype(np.int64)]
        if offset is not None:
            offset[column] = 0.0
    return rows._replace(x=x, levels=levels if any(levels) else (), offset=offset)


def _report_unknown(unknown: Sequence[str], name: str, where: str, takes_gaps: bool, field: str, become: str) -> None:
    """Warns of unknown levels of a column; raises an InputError if rows cannot have gaps."""
    got = f"{where} with {abbreviate(unknown)} in the column {name}, which no training row has"
    if not takes_gaps:
        remedy = "Correct or leave out these rows, or train on rows with gaps: then they become gaps."
        raise InputError(field, got, "the levels of the training rows", remedy)
    warnings.warn(f"{got}: {become}.", UserWarning, stacklevel=4)


def _is_number(text: str) -> bool:
    try:
        float(text)
        return True
    except ValueError:
        return False


def _source_values(rows: Dataset, column: int) -> np.ndarray:
    """A column [N] in the units of its source, float64."""
    offset = 0.0 if rows.offset is None else float(rows.offset[column])
    return np.asarray(rows.x[:, column], np.float64) + offset


def _different_numbers(rows: Dataset, column: int) -> np.ndarray:
    values = _source_values(rows, column)
    return np.unique(values[~np.isnan(values)])


def _own_codes(rows: Dataset, column: int, own: Sequence[str]) -> np.ndarray:
    """The numbers of a column's levels [N], NaN in gaps; of its different numbers if it is no category."""
    values = _source_values(rows, column)
    if own:
        return values
    return np.where(np.isnan(values), np.nan, np.searchsorted(_different_numbers(rows, column), values))


def joined_levels(parts: Sequence[Dataset]) -> tuple[tuple[str, ...], ...]:
    """Returns the levels of several data sets with the same columns, for each column sorted."""
    if not any(part.levels for part in parts):
        return ()
    columns = zip(*map(levels_of, parts), strict=True)
    return tuple(tuple(sorted(set().union(*levels))) for levels in columns)


def indicator_columns(rows: Dataset) -> Dataset:
    """Returns rows with a column of 0 and 1 for each level in place of each category, called 'column = level'."""
    if not rows.levels:
        return rows
    widths = [max(1, len(levels)) for levels in rows.levels]
    starts = np.cumsum([0, *widths])
    x = empty_array((len(rows.x), int(starts[-1])), np.float32)
    offset, names = np.zeros(int(starts[-1])), []
    for column, (levels, start) in enumerate(zip(rows.levels, starts[:-1], strict=True)):
        values, name = rows.x[:, column], column_name(rows, column)
        name = name if rows.names else f"column {name}"
        if levels:
            indicators = (values[:, None] == np.arange(len(levels))).astype(np.float32)
            x[:, start : start + len(levels)] = np.where(np.isnan(values)[:, None], np.nan, indicators)
            names += [f"{name} = {level}" for level in levels]
        else:
            x[:, start] = values
            offset[start] = 0.0 if rows.offset is None else rows.offset[column]
            names.append(name)
    return rows._replace(x=x, names=tuple(names), offset=offset if offset.any() else None, levels=())


def named_columns(x: np.ndarray, levels: Sequence[Sequence[str]], offset: object = None) -> list[np.ndarray]:
    """Returns the D columns of rows x [N, D], as stored, in the units of their source, with levels as text.

    Gaps are NaN in columns of numbers, and None in categories.
    """
    source = add_offset(x, offset)
    columns: list[np.ndarray] = []
    for column, own in enumerate(levels or [()] * x.shape[1]):
        if not own:
            columns.append(source[:, column])
            continue
        names = np.array([*own, None], object)
        known = np.isfinite(x[:, column])
        numbers = np.clip(np.where(known, x[:, column], 0).round().astype(np.int64), 0, len(own) - 1)
        columns.append(names[np.where(known, numbers, len(own))])
    return columns
