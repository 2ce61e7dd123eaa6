"""The features in which clusters differ most from all rows."""

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_matrix

from vade_jax.data.scaling import moments
from vade_jax.reports.plain_text import fixed, number, percent
from vade_jax.system.large_arrays import row_slices

_NUM_FEATURES = 5  # of each cluster


class FeatureDifference(NamedTuple):
    """A feature of a cluster compared with all rows.

    Attributes:
      name: of the feature.
      mean: over the cluster's rows, in the units of the data.
      mean_of_all: over all rows.
      difference: of the two means, in standard deviations of all rows.
      digits: significant digits that show a tenth of a standard deviation, 3 to 15.
      is_share: whether the means are shares of rows: of a column of 0 and 1, or of one level of a category.
    """

    name: str
    mean: float
    mean_of_all: float
    difference: float
    digits: int = 3
    is_share: bool = False

    def in_words(self) -> str:
        """What marks the cluster: 'higher alcohol (13.7 against 13.0)', 'more often smoker (80 against 20 percent)'."""
        higher = self.difference > 0
        if self.is_share:
            shares = f"{percent(self.mean)} against {percent(self.mean_of_all)} percent"
            return f"{'more' if higher else 'less'} often {self.name} ({shares})"
        means = f"{number(self.mean, self.digits)} against {number(self.mean_of_all, self.digits)}"
        return f"{'higher' if higher else 'lower'} {self.name} ({means})"


@dataclass(frozen=True)
class ClusterMeans:
    """Means of the features over the rows of each cluster. A column is one feature, a category one for each level.

    Attributes:
      column_names: of the D columns.
      levels: of each column, the names of its levels; () for a column of numbers.
      columns: [F], the column of each feature.
      level: [F], the level of a feature that is one; -1 for a number.
      sizes: [K], number of rows.
      means: [K, F], in the units of the data; NaN for a cluster without a value.
      mean: [F], over all rows.
      deviation: [F], the standard deviation over all rows.
      is_share: [F], whether the means are shares of rows.
      is_whole: [F], whether all values are whole numbers.
    """

    column_names: Sequence[str]
    levels: Sequence[Sequence[str]]
    columns: np.ndarray
    level: np.ndarray
    sizes: np.ndarray
    means: np.ndarray
    mean: np.ndarray
    deviation: np.ndarray
    is_share: np.ndarray
    is_whole: np.ndarray

    def name(self, feature: int) -> str:
        """The name of a feature: that of its column, and of its level if it is one."""
        column, level = self.columns[feature], self.level[feature]
        name = self.column_names[column]
        return name if level < 0 else f"{name} = {self.levels[column][level]}"

    @functools.cached_property
    def differences(self) -> np.ndarray:
        """[K, F], of each cluster's mean from that of all rows, in standard deviations of all rows; 0 if unknown."""
        with np.errstate(invalid="ignore", divide="ignore"):
            differences = (self.means - self.mean) / self.deviation
        return np.where(np.isfinite(differences), differences, 0.0)

    def distinguishing(self, cluster: int) -> list[int]:
        """The five features with the largest differences of a cluster, in descending order, one for each column."""
        return self._largest(np.abs(self.differences[cluster]))[:_NUM_FEATURES]

    def compare(self, cluster: int, feature: int) -> FeatureDifference:
        """A varying feature of a cluster compared with all rows."""
        return FeatureDifference(
            name=self.name(feature),
            mean=self.means[cluster, feature],
            mean_of_all=self.mean[feature],
            difference=self.differences[cluster, feature],
            digits=self._digits(feature),
            is_share=bool(self.is_share[feature]),
        )

    def _digits(self, feature: int) -> int:
        """Significant digits that show a tenth of a standard deviation, 3 to 15."""
        tenths = math.ceil(math.log10(1 + abs(self.mean[feature]) / self.deviation[feature]))
        return min(max(3, 1 + tenths), 15)

    def values_of_row(self, row: np.ndarray, features: Sequence[int]) -> list[str]:
        """The values of a row [D], in the units of the data, in the columns of these varying features, as text."""
        return [self._value(row[self.columns[feature]], feature) for feature in features]

    def _value(self, value: float, feature: int) -> str:
        if np.isnan(value):
            return "missing"
        if self.level[feature] >= 0:
            return self.levels[self.columns[feature]][int(value)]
        return fixed(value, 0) if self.is_whole[feature] else number(value, self._digits(feature))

    def separating(self, count: int) -> list[int]:
        """The features whose variance the clusters explain best, in descending order, one for each column."""
        explained = self.sizes @ self.differences**2
        return self._largest(explained)[:count]

    def _largest(self, values: np.ndarray) -> list[int]:
        """The varying features by descending values [F], of each column the first one."""
        descending = np.argsort(-values, kind="stable")
        descending = descending[self.deviation[descending] > 0]
        _, first = np.unique(self.columns[descending], return_index=True)
        return descending[np.sort(first)].tolist()


def cluster_means(
    x: np.ndarray,
    clusters: np.ndarray,
    num_clusters: int,
    names: Sequence[str],
    offset: np.ndarray | None = None,
    levels: Sequence[Sequence[str]] = (),
) -> ClusterMeans:
    """The means of each cluster's features. Gaps, which are NaN, are left out.

    Args:
      x: [N, D], as stored; gaps are left out.
      clusters: [N].
      num_clusters: K.
      names: of the columns, or ().
      offset: [D], what was subtracted from the columns of the data to get x, or None.
      levels: the names of the levels of each column whose values are their numbers, () for a column of numbers; () if
        all are numbers.

    Returns:
      The means.
    """
    levels = levels or [()] * x.shape[1]
    columns = np.concatenate([np.full(max(1, len(of_column)), column) for column, of_column in enumerate(levels)])
    level = np.concatenate([np.arange(len(of_column)) if of_column else [-1] for of_column in levels])
    sums, counts = np.zeros((num_clusters, len(columns))), np.zeros((num_clusters, len(columns)))
    is_share, is_whole = np.ones((2, len(columns)), bool)
    for rows in row_slices(x):
        values = _features(x[rows], columns, level)
        part = clusters[rows]
        members = csr_matrix((np.ones(len(part)), (part, np.arange(len(part)))), (num_clusters, len(part)))
        is_gap = np.isnan(values)
        values[is_gap] = 0
        sums += members @ values
        counts += members @ (~is_gap).astype(np.float64) if is_gap.any() else members.sum(axis=1)
        is_share &= ((values == 0) | (values == 1)).all(axis=0)
        is_whole &= (values == np.floor(values)).all(axis=0)
    mean, var = (moment[0][columns] for moment in moments(x))
    share = sums.sum(axis=0) / np.maximum(counts.sum(axis=0), 1)
    mean, var = np.where(level >= 0, share, mean), np.where(level >= 0, share * (1 - share), var)
    means = np.divide(sums, counts, out=np.full_like(sums, np.nan), where=counts > 0)
    of_feature = np.zeros(len(columns)) if offset is None else np.where(level >= 0, 0.0, offset[columns])
    return ClusterMeans(
        column_names=names or [f"column {column}" for column in range(x.shape[1])],
        levels=levels,
        columns=columns,
        level=level,
        sizes=np.bincount(clusters, minlength=num_clusters),
        means=means + of_feature,
        mean=mean + of_feature,
        deviation=np.sqrt(var),
        is_share=is_share & (of_feature == 0),
        is_whole=is_whole & (of_feature == np.floor(of_feature)),
    )


def _features(x: np.ndarray, columns: np.ndarray, level: np.ndarray) -> np.ndarray:
    """The features [n, F] of rows x [n, D] as stored, float64: numbers, and whether a category has each level."""
    values = x.astype(np.float64)
    if (level < 0).all():
        return values
    values = values[:, columns]
    return np.where((level >= 0) & ~np.isnan(values), values == level, values)
