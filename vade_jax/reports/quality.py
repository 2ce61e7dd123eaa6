"""What to know about a clustering before one relies on it, in sentences. No labels are read."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from sklearn.neighbors import NearestNeighbors

from vade_jax.reports.cluster_rows import Clusters
from vade_jax.reports.plain_text import counted, listed, percent

_MUCH_BETWEEN = 0.1  # share of the rows, of all clusters or of two
_MOST_ROWS = 0.5  # share in one cluster
_TINY = 0.1  # of the size that clusters of equal sizes have
_MAX_NAMED = 5
_NEIGHBORS = 10
_CERTAIN = 0.9


class Quality(NamedTuple):
    """Sentences about a clustering.

    Attributes:
      warnings: what may be wrong with it.
      facts: how certain it is.
    """

    warnings: list[str]
    facts: list[str]


def quality(
    clusters: Clusters, unmarked: Sequence[int] = (), scattered: Sequence[int] = (), num_collapses: int = 0
) -> Quality:
    """Judges a clustering by the sizes of its clusters and the probabilities of its rows.

    Args:
      clusters: of N rows.
      unmarked: clusters without a feature that sets them apart.
      scattered: clusters whose rows lie among those of other clusters; see `scattered_clusters`.
      num_collapses: how often training collapsed.

    Returns:
      The sentences, the most serious warnings first.
    """
    warnings = [*_sizes(clusters), *_overlaps(clusters)]
    share = float(clusters.between().mean())
    between = f"{percent(share)} percent of the rows lie between clusters: theirs has a probability below two thirds."
    if share >= _MUCH_BETWEEN:
        warnings.append(between)
    if scattered:
        warnings.append(f"{_name(scattered)} scattered: most of the nearest rows to theirs belong to other clusters.")
    if unmarked:
        warnings.append(f"{_name(unmarked)} like the mean of all rows: no feature differs much.")
    if num_collapses:
        times = "once" if num_collapses == 1 else f"{num_collapses} times"
        warnings.append(f"Training collapsed {times}, and went on after a cure; see Diagnostics below.")
    certain = percent(float((clusters.certainty >= _CERTAIN).mean()))
    facts = [
        f"{certain} percent of the rows have a probability of at least {_CERTAIN} for their cluster.",
        *([] if share >= _MUCH_BETWEEN else [between]),
        "Probabilities are calibrated without labels.",
    ]
    return Quality(warnings, facts)


def _name(clusters: Sequence[int]) -> str:
    """'Cluster 3 is' or 'Clusters 3 and 4 are'."""
    return f"Cluster {clusters[0]} is" if len(clusters) == 1 else f"Clusters {listed(clusters)} are"


def scattered_clusters(points: np.ndarray, clusters: np.ndarray) -> list[int]:
    """The clusters most of whose rows' nearest neighbours, up to ten, belong to other clusters.

    Args:
      points: [n, J], rows in the latent space. Clusters with fewer than three of them are left out.
      clusters: [n].
    """
    if len(points) < 2:
        return []
    reach = min(_NEIGHBORS, len(points) - 1)
    neighbors = NearestNeighbors(n_neighbors=reach).fit(points).kneighbors(return_distance=False)
    is_own = clusters[neighbors] == clusters[:, None]
    sizes = np.bincount(clusters)
    return [
        int(cluster)
        for cluster in np.flatnonzero(sizes >= 3)
        if is_own[clusters == cluster, : min(reach, sizes[cluster] - 1)].mean() < 0.5
    ]


def _sizes(clusters: Clusters) -> Iterator[str]:
    """Yields warnings of clusters that are empty, that hold most rows or hardly any."""
    sizes = clusters.sizes
    shares = sizes / max(sizes.sum(), 1)
    empty, tiny = np.flatnonzero(sizes == 0), np.flatnonzero((sizes > 0) & (shares < _TINY / len(sizes)))
    if len(empty):
        yield f"{counted(len(empty), 'cluster')} of {len(sizes)} {'is' if len(empty) == 1 else 'are'} empty."
    largest = int(shares.argmax())
    if len(sizes) > 2 and shares[largest] > _MOST_ROWS:
        yield f"Cluster {largest} holds more than half of the rows: {percent(shares[largest])} percent."
    for cluster in tiny[:_MAX_NAMED]:
        rows = counted(int(sizes[cluster]), "row")
        yield f"Cluster {cluster} holds only {percent(shares[cluster])} percent of the rows ({rows})."
    if len(tiny) > _MAX_NAMED:
        yield f"{counted(len(tiny) - _MAX_NAMED, 'more cluster')} hold as few."


class Overlap(NamedTuple):
    """Two clusters with rows between them.

    Attributes:
      clusters: the two, ascending.
      share: of the rows of both that lie between them.
    """

    clusters: tuple[int, int]
    share: float


def overlaps(clusters: Clusters) -> list[Overlap]:
    """Pairs of clusters of whose rows at least a tenth lie between the two, the most overlapping first."""
    between = clusters.between() & (clusters.second != clusters.of_rows)
    pairs = np.sort(np.stack([clusters.of_rows[between], clusters.second[between]], axis=1), axis=1)
    found = []
    for (first, second), count in zip(*np.unique(pairs, axis=0, return_counts=True), strict=True):
        share = count / (clusters.sizes[first] + clusters.sizes[second])
        if share >= _MUCH_BETWEEN:
            found.append(Overlap((int(first), int(second)), float(share)))
    return sorted(found, key=lambda overlap: -overlap.share)


def _overlaps(clusters: Clusters) -> Iterator[str]:
    found = overlaps(clusters)
    for (first, second), share in found[:_MAX_NAMED]:
        yield f"Clusters {listed((first, second))} overlap: {percent(share)} percent of their rows lie between them."
    if len(found) > _MAX_NAMED:
        yield f"{counted(len(found) - _MAX_NAMED, 'more pair')} of clusters overlap."
