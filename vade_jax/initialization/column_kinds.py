"""The rows of a table by kinds of columns, for mixtures that have a distribution for each kind."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

_LARGEST_MEAN = 20.0  # of integers that are counts; larger ones are close to Gaussian


class Columns(NamedTuple):
    """N rows, by kinds of columns; gaps are NaN.

    Attributes:
      numbers: [N, A], each with mean 0 and variance 1.
      counts: [N, B], integers >= 0.
      indicators: [N, L], 1 for the level that a category has, all 0 in a gap.
      category: [L], to which category each level belongs.
    """

    numbers: np.ndarray
    counts: np.ndarray
    indicators: np.ndarray
    category: np.ndarray

    def take(self, rows: np.ndarray) -> "Columns":
        """Some of the rows, by their indices or as a mask."""
        return self._replace(numbers=self.numbers[rows], counts=self.counts[rows], indicators=self.indicators[rows])

    def spaced(self, most: int) -> "Columns":
        """At most this many rows, evenly spaced."""
        return self.take(np.arange(0, len(self.numbers), -(-len(self.numbers) // most)))

    def features(self) -> np.ndarray:
        """[N, A + B + L], for distances: all columns with a variance of about 1, and their means in gaps."""
        counts = _standardized(np.log1p(self.counts))
        levels = self.indicators - self.indicators.mean(axis=0)
        return np.nan_to_num(np.hstack([self.numbers, counts, levels * 2**0.5]))


def split_columns(x: np.ndarray, kinds: Sequence[str], num_levels: Sequence[int]) -> Columns:
    """Splits rows by kinds of columns.

    Integers >= 0 with a mean of at most 20 are counts, though they may vary more than Poisson counts do. Of numbers
    with heavy tails that are positive the logarithm is taken, of others the inverse hyperbolic sine. Adjacent binary
    columns of which each row has at most one 1 are one category, written as a column for each level.

    Args:
      x: [N, D], as stored; gaps are NaN.
      kinds: 'number', 'positive', 'heavy_tailed', 'count', 'binary' or 'category', of each column.
      num_levels: of each column, 0 if it is no category.
    """
    x = np.asarray(x, np.float64)
    is_number = np.isin(kinds, ("number", "positive", "heavy_tailed"))
    is_count = (np.array(kinds) == "count") | (is_number & (np.array(kinds) != "positive") & _are_counts(x))
    numbers = [
        column if kind == "number" else _tamed(column)
        for column, kind, taken in zip(x.T, kinds, is_number & ~is_count, strict=True)
        if taken
    ]
    is_category = ~is_number & ~is_count & (np.array(num_levels) > 0)
    levels = [
        (column[:, None] == np.arange(count)).astype(np.float64)
        for column, count, taken in zip(x.T, num_levels, is_category, strict=True)
        if taken
    ]
    is_binary = ~is_number & ~is_count & ~is_category
    levels += [_levels_of_indicators(x[:, group]) for group in _exclusive_groups(x, is_binary)]
    return Columns(
        _standardized(np.stack(numbers, axis=1)) if numbers else np.zeros((len(x), 0)),
        x[:, is_count],
        np.hstack([np.zeros((len(x), 0)), *levels]),
        np.repeat(np.arange(len(levels)), [part.shape[1] for part in levels]),
    )


def _exclusive_groups(x: np.ndarray, is_binary: np.ndarray) -> list[list[int]]:
    """The binary columns of x [N, D], grouped: adjacent ones share a group while no row has two 1s in it.

    A column with gaps is a group of its own.
    """
    groups: list[list[int]] = []
    last, total = -2, np.zeros(len(x))
    for number in np.flatnonzero(is_binary).tolist():
        if number == last + 1 and (total + x[:, number] <= 1).all():
            groups[-1].append(number)
            total = total + x[:, number]
        else:
            groups.append([number])
            total = x[:, number]
        last = number
    return groups


def _levels_of_indicators(x: np.ndarray) -> np.ndarray:
    """The levels [N, L] of a category, from indicators x [N, B] of at most one for each row; gaps have no level."""
    other = 1 - x.sum(axis=1, keepdims=True)
    is_complete = x.shape[1] > 1 and not other.any()
    return np.nan_to_num(x if is_complete else np.hstack([other, x]))


def _are_counts(x: np.ndarray) -> np.ndarray:
    """Which columns of x [N, D] have integers >= 0 with a mean of at most 20, [D]."""
    gap = np.isnan(x)
    return (gap | ((x >= 0) & (x == np.floor(x)))).all(axis=0) & (_moments(x)[0] <= _LARGEST_MEAN)


def _tamed(column: np.ndarray) -> np.ndarray:
    """Numbers [N] with heavy tails, on a scale that is nearer to Gaussian."""
    known = column[~np.isnan(column)]
    if (known > 0).all():
        return np.log(column)
    first, median, third = np.quantile(known, (0.25, 0.5, 0.75))
    return np.arcsinh((column - median) / max(third - first, np.finfo(np.float32).tiny))


def _standardized(columns: np.ndarray) -> np.ndarray:
    """Columns [N, A] with mean 0 and variance 1; constant ones 0."""
    means, variances = _moments(columns)
    return (columns - means) / np.sqrt(np.where(variances > 0, variances, 1.0))


def _moments(columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The means and variances of columns [N, A] without their gaps, each [A]; 0 of a column of gaps."""
    seen = ~np.isnan(columns)
    sizes = np.maximum(seen.sum(axis=0), 1)
    means = np.nansum(columns, axis=0) / sizes
    return means, np.nansum(np.square(columns - means), axis=0) / sizes
