"""What kind each column is: as the setting `data.columns` says, or as it looks."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from vade_jax.data.column_names import abbreviate
from vade_jax.data.dataset import Dataset
from vade_jax.data.gaps import has_gaps, least
from vade_jax.data.levels import column_name, levels_of
from vade_jax.data.scaling import moments
from vade_jax.networks.by_columns import BY_COLUMNS, Column
from vade_jax.networks.column_families import KINDS
from vade_jax.settings.field_names import flatten
from vade_jax.system.errors import InputError
from vade_jax.system.large_arrays import row_slices

_SAMPLED_ROWS = 20_000
_TAIL = 0.001  # the quantiles of extreme values are this far from 0 and 1
_HEAVY = 10.0  # quartile ranges from the median to an extreme quantile; a Gaussian has 2.3, an exponential 5.6
_DISPERSION = 2.0  # of the variance to the mean, at most, for counts; of Poisson counts it is 1, and more in clusters
_SKEWED = 1.25  # least skewness of columns whose logarithm has less than half of it; that of an exponential is 2
_LEAST_SHARE = 0.01  # of the rarer one of 0 and 1, at least, for binary columns to decide the likelihood
_LARGEST_MEAN = 20.0  # of counts; larger ones are close to Gaussian, and may be measures in whole units


# What makes the likelihood one by columns.
CATEGORIES, FLAGS, COUNTS = MIXED = (
    "some columns are categories",
    "some columns hold only 0 and 1",
    "some columns are counts",
)
GAPS, POSITIVE = "the rows have gaps", "some columns hold numbers above 0 with a long tail"


def columns_of(settings: Mapping[str, Any], rows: Dataset) -> tuple[Column, ...]:
    """Returns the kind of each column of the rows to cluster; () if the likelihood is the same for all.

    Args:
      settings: nested sections, none of them 'auto'.
      rows: the rows to cluster.

    Raises:
      InputError: `data.columns` does not suit the rows or the likelihood, or another likelihood has categories.
    """
    flat = flatten(settings)
    likelihood, asked = flat["model.likelihood"], flat["data.columns"]
    if likelihood == BY_COLUMNS:
        return _choose_columns(rows, asked)
    if asked or any(rows.levels):
        categories = [column_name(rows, number) for number, levels in enumerate(rows.levels) if levels]
        got = f"the categories {abbreviate(categories)}" if categories else f"config.data.columns={tuple(asked)}"
        raise InputError(
            "config.model.likelihood",
            f"{likelihood!r} with {got}",
            f"{BY_COLUMNS!r} or 'auto', for columns of several kinds",
            "Set --config.model.likelihood=auto.",
        )
    return ()


def several_kinds(rows: Dataset) -> str:
    """Returns in words what makes the likelihood one by columns; '' for images, and for columns of one kind."""
    if rows.levels:
        return CATEGORIES
    if rows.image_shape or rows.x.dtype == np.uint8:
        return ""
    binary, counts = _allowed_by_all(rows)
    mean, var = (moment[0] for moment in moments(rows.x))
    if not binary.all() and (binary & (np.minimum(mean, 1 - mean) >= _LEAST_SHARE)).any():
        return FLAGS
    if not counts.all() and (_look_like_counts(mean, var) & counts & ~binary).any():
        return COUNTS
    if has_gaps(rows.x):
        return GAPS
    return POSITIVE if _are_positive(rows.x, _above_zero(rows)).any() else ""


def asked_kinds(asked: Sequence[str], rows: Dataset) -> dict[int, str]:
    """Returns the kinds by column that the setting `data.columns` gives.

    Raises:
      InputError: there is no such column.
    """
    numbers = {column_name(rows, column): column for column in range(rows.x.shape[1])}
    kinds = {}
    for entry in asked:
        name, _, kind = entry.rpartition("=")
        if name not in numbers:
            raise InputError(
                "config.data.columns",
                repr(entry),
                f"a column of the rows: {abbreviate(list(numbers))}",
                "Correct its name. A column without a name has its number, from 0 on.",
            )
        kinds[numbers[name]] = kind
    return kinds


def _choose_columns(rows: Dataset, asked: Sequence[str]) -> tuple[Column, ...]:
    """Returns the kind of each column of the rows to train on.

    Text is a category, 0 and 1 are binary, integers >= 0 with a mean of at most 20 and a variance of at most twice that
    are counts, numbers above 0 whose logarithm is less skewed are positive, a column with a few extreme values is
    heavy_tailed, and all others are numbers.

    Args:
      rows: with the levels of their categories.
      asked: of the setting `data.columns`, which overrules this.

    Raises:
      InputError: a column that is asked for is missing, or has values that its kind does not allow.
    """
    given = asked_kinds(asked, rows)
    binary, counts = _allowed_by_all(rows)
    mean, var = (moment[0] for moment in moments(rows.x))
    looks = np.full(rows.x.shape[1], "number", object)
    looks[_has_heavy_tails(rows.x)] = "heavy_tailed"
    above_zero = _above_zero(rows)
    looks[_are_positive(rows.x, above_zero)] = "positive"
    looks[counts & _look_like_counts(mean, var)] = "count"
    looks[binary] = "binary"
    allowed = {"binary": binary, "count": counts, "positive": above_zero}
    columns = []
    for number, levels in enumerate(levels_of(rows)):
        kind = given.get(number, "category" if levels else looks[number])
        _check_kind(rows, number, kind, kind not in allowed or allowed[kind][number])
        columns.append(Column(kind, len(levels)))
    return tuple(columns)


def _look_like_counts(mean: np.ndarray, var: np.ndarray) -> np.ndarray:
    """Whether integers >= 0 with these means and variances [D] are counts, [D]."""
    return (mean <= _LARGEST_MEAN) & (var <= _DISPERSION * mean)


def _check_kind(rows: Dataset, number: int, kind: str, is_allowed: bool) -> None:
    """Raises an InputError if a column has values that its kind does not allow."""
    is_category = bool(levels_of(rows)[number])
    if is_allowed and is_category == (kind == "category"):
        return
    values = "text" if is_category else f"numbers such as {rows.x[:, number].max():g}"
    expected = {
        "binary": "0 and 1",
        "count": "integers >= 0",
        "positive": "numbers > 0",
        "category": "text, or numbers with few values",
    }
    raise InputError(
        "config.data.columns",
        f"{column_name(rows, number)}={kind}, a column of {values}",
        f"a column of {expected.get(kind, 'numbers')}",
        f"Choose another kind, one of {', '.join(KINDS)}.",
    )


def _allowed_by_all(rows: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Whether all values of a column are 0 or 1, and whether all are integers >= 0, each [D]."""
    binary, counts = (np.ones(rows.x.shape[1], bool) for _ in range(2))
    for part in (rows.x[found] for found in row_slices(rows.x)):
        gap = np.isnan(part)
        binary &= (gap | (part == 0) | (part == 1)).all(axis=0)
        counts &= (gap | ((part >= 0) & (part == np.floor(part)))).all(axis=0)
    return binary & _without_offset(rows), counts & _without_offset(rows)


def _above_zero(rows: Dataset) -> np.ndarray:
    """Whether all values of a column are above 0, [D]."""
    return (least(rows.x, axis=0) > 0) & _without_offset(rows)


def _without_offset(rows: Dataset) -> np.ndarray:
    """Whether a column is stored as it is in the source, [D] or [1]."""
    return np.ones(1, bool) if rows.offset is None else rows.offset == 0


def _has_heavy_tails(x: np.ndarray) -> np.ndarray:
    """Whether few values of a column lie far from all others, [D]."""
    sample = x[:: max(1, len(x) // _SAMPLED_ROWS)].astype(np.float64)
    known = ~np.isnan(sample).all(axis=0)
    levels = (_TAIL, 0.25, 0.5, 0.75, 1 - _TAIL)
    low, first, median, third, high = np.nanquantile(np.where(known, sample, 0.0), levels, axis=0)
    return (third > first) & (np.maximum(high - median, median - low) > _HEAVY * (third - first))


def _are_positive(x: np.ndarray, above_zero: np.ndarray) -> np.ndarray:
    """Which columns of x [N, D] that are above 0 have a long tail that their logarithm lacks, [D]; no counts."""
    sample = x[:: max(1, len(x) // _SAMPLED_ROWS)].astype(np.float64)
    found = np.zeros(len(above_zero), bool)
    for number in np.flatnonzero(above_zero):
        column = sample[~np.isnan(sample[:, number]), number]
        if (column == np.floor(column)).all() and column.mean() <= _LARGEST_MEAN:
            continue
        skewness, of_log = _skewness(column), _skewness(np.log(column))
        found[number] = skewness > _SKEWED and abs(of_log) < skewness / 2
    return found


def _skewness(values: np.ndarray) -> float:
    """The third standardized moment of values [N]; 0 of equal ones."""
    centred = values - values.mean()
    return float((centred**3).mean() / max(values.std(), np.finfo(float).tiny) ** 3)


def describe_columns(columns: Sequence[Column], gaps: bool, rows: Dataset) -> dict[str, Any]:
    """Returns what data.json says about the columns of the training rows, for `read_columns`."""
    return {"columns": [list(column) for column in columns], "gaps": gaps, "levels": [list(of) for of in rows.levels]}


def read_columns(description: Mapping[str, Any]) -> tuple[tuple[Column, ...], bool]:
    """Returns the kinds of columns and whether rows can have gaps; the rows of older versions have neither."""
    return tuple(Column(*column) for column in description.get("columns") or ()), bool(description.get("gaps", False))


def read_levels(description: Mapping[str, Any]) -> tuple[tuple[str, ...], ...]:
    """Returns the levels of categories, as in `Dataset.levels`."""
    return tuple(tuple(levels) for levels in description.get("levels") or ())


def columns_in_words(columns: Sequence[Column], rows: Dataset) -> str:
    """Returns the names of the columns by their kinds."""
    named: dict[str, list[str]] = {}
    for number, (kind, num_levels) in enumerate(columns):
        levels = f" ({num_levels} levels)" if num_levels else ""
        named.setdefault(kind, []).append(column_name(rows, number) + levels)
    return "; ".join(f"{kind}: {abbreviate(names)}" for kind, names in named.items())
