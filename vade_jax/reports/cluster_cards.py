"""What the report says about each cluster, and its first sentence. No labels are read."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vade_jax.data.dataset import Dataset
from vade_jax.data.offsets import add_offset
from vade_jax.reports.cluster_rows import BETWEEN, Clusters
from vade_jax.reports.distinguishing_features import ClusterMeans, FeatureDifference
from vade_jax.reports.palette import Style, style_of
from vade_jax.reports.plain_text import counted, listed, percent, probability

_MIN_DIFFERENCE = 0.5  # of a mark, in standard deviations of all rows
_MAX_MARKS = 4
_NUM_VALUES = 3  # of each row
_NUM_ROWS = 3  # typical, and borderline
_MAX_SIZES = 8  # in the first sentence
_NUM_SEPARATING = 3


@dataclass(frozen=True)
class RowLine:
    """A row of a cluster, as text.

    Attributes:
      name: its id, or 'row' and its number, counted from 0.
      probability: of its cluster.
      other: the next most probable cluster with its probability; '' if there is none.
      values: of the card's features.
    """

    name: str
    probability: str
    other: str
    values: list[str]


@dataclass(frozen=True)
class Card:
    """What there is to know about a cluster, as text.

    Attributes:
      cluster: its number.
      style: its colour and marker.
      rows: how many it has.
      share: of all rows, in percent.
      confidence: the mean probability of its rows.
      marks: what sets it apart.
      features: the names of the features whose values its rows show.
      typical: the rows nearest to its centre.
      borderline: its least certain rows, if they lie between clusters.
      least_certain: its least certain row.
    """

    cluster: int
    style: Style
    rows: str
    share: str
    confidence: str
    marks: list[str]
    features: list[str]
    typical: list[RowLine]
    borderline: list[RowLine]
    least_certain: RowLine


def row_name(ids: np.ndarray | None, row: int) -> str:
    """The id of a row; 'row' and its number, counted from 0, if it has none."""
    name = "" if ids is None else str(ids[row])
    return name or f"row {row}"


def marks_of(differences: Sequence[FeatureDifference]) -> list[str]:
    """What sets a cluster apart, in words; [] if no feature differs by half a standard deviation."""
    return [feature.in_words() for feature in differences if abs(feature.difference) >= _MIN_DIFFERENCE][:_MAX_MARKS]


def marks_of_cluster(means: ClusterMeans | None, cluster: int) -> list[str]:
    """What sets a cluster apart, in words; [] without means, and for an empty cluster."""
    if means is None or not means.sizes[cluster]:
        return []
    return marks_of([means.compare(cluster, feature) for feature in means.distinguishing(cluster)])


def cluster_cards(
    clusters: Clusters, shown: np.ndarray, nearness: np.ndarray, rows: Dataset, means: ClusterMeans | None
) -> list[Card]:
    """A card for each cluster to show.

    Args:
      clusters: of the rows.
      shown: the numbers of the clusters to show, none of them empty.
      nearness: [N], higher for rows that are nearer to the centre of their cluster.
      rows: the N rows; their labels are not read.
      means: of the features; None for images.

    Returns:
      The cards, in the order of `shown`.
    """
    return [_card(int(cluster), clusters, nearness, rows, means) for cluster in shown]


def _card(cluster: int, clusters: Clusters, nearness: np.ndarray, rows: Dataset, means: ClusterMeans | None) -> Card:
    features = [] if means is None else means.distinguishing(cluster)
    with_values = features[:_NUM_VALUES]

    def line(row: int) -> RowLine:
        return RowLine(
            name=row_name(rows.ids, row),
            probability=probability(clusters.certainty[row]),
            other=_other(clusters, row),
            values=[] if means is None else means.values_of_row(add_offset(rows.x[row], rows.offset), with_values),
        )

    least = clusters.borderline_rows(cluster, _NUM_ROWS)
    return Card(
        cluster=cluster,
        style=style_of(cluster),
        rows=counted(int(clusters.sizes[cluster]), "row"),
        share=percent(clusters.sizes[cluster] / len(clusters.of_rows)),
        confidence=probability(clusters.confidence[cluster]),
        marks=marks_of_cluster(means, cluster),
        features=[] if means is None else [means.column_names[means.columns[feature]] for feature in with_values],
        typical=[line(row) for row in clusters.typical_rows(cluster, nearness, _NUM_ROWS)],
        borderline=[line(row) for row in least if clusters.certainty[row] < BETWEEN],
        least_certain=line(least[0]),
    )


def _other(clusters: Clusters, row: int) -> str:
    second = clusters.second[row]
    if second == clusters.of_rows[row]:
        return ""
    return f"cluster {second} ({probability(clusters.second_probability[row])})"


def headline(clusters: Clusters, means: ClusterMeans | None) -> str:
    """The first sentence of the report: how many clusters, their sizes, and what sets them apart."""
    sizes = np.sort(clusters.sizes[clusters.sizes > 0])[::-1]
    text = f"{counted(len(sizes), 'cluster')} of {counted(int(sizes.sum()), 'row')}"
    if len(sizes) > _MAX_SIZES:
        text += f"; sizes from {sizes[-1]:,} to {sizes[0]:,} rows"
    elif len(sizes) > 1:
        text += f"; sizes {listed([f'{size:,}' for size in sizes])}"
    separating = [] if means is None or len(sizes) < 2 else means.separating(_NUM_SEPARATING)
    names = [means.column_names[means.columns[feature]] for feature in separating] if means is not None else []
    return text + (f"; what sets them apart most: {listed(names)}." if names else ".")
