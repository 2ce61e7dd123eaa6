"""Warnings about a clustering, on made probabilities."""

import numpy as np

from vade_jax.reports.cluster_rows import clusters_of
from vade_jax.reports.quality import Overlap, overlaps, quality, scattered_clusters


def certain(sizes):
    clusters = np.repeat(np.arange(len(sizes)), sizes)
    return clusters_of(clusters, np.eye(len(sizes))[clusters])


def with_rows_between(first, second, count, sizes):
    """Certain clusters of these sizes, but rows of the first one that could as well be in the second."""
    clusters = np.repeat(np.arange(len(sizes)), sizes)
    probabilities = np.eye(len(sizes))[clusters]
    rows = np.flatnonzero(clusters == first)[:count]
    probabilities[rows] = 0
    probabilities[rows, first], probabilities[rows, second] = 0.6, 0.4
    return clusters_of(clusters, probabilities)


def test_good_clusters_have_no_warnings():
    found = quality(certain([50, 60, 40]))
    assert found.warnings == []
    assert found.facts[0] == "100 percent of the rows have a probability of at least 0.9 for their cluster."
    assert found.facts[1].startswith("0 percent of the rows lie between clusters")


def test_overlapping_clusters_are_named():
    clusters = with_rows_between(2, 0, 20, [60, 200, 40])
    assert overlaps(clusters) == [Overlap((0, 2), 0.2)]
    assert "Clusters 0 and 2 overlap: 20 percent of their rows lie between them." in quality(clusters).warnings
    assert overlaps(with_rows_between(2, 0, 9, [60, 200, 40])) == []


def test_many_rows_between_clusters_are_a_warning():
    between = "of the rows lie between clusters: theirs has a probability below two thirds."
    assert f"12 percent {between}" in quality(with_rows_between(0, 1, 12, [50, 50])).warnings
    few = quality(with_rows_between(0, 1, 5, [50, 50]))
    assert f"5.0 percent {between}" in few.facts
    assert few.warnings == []


def test_tiny_empty_and_dominant_clusters_are_named():
    warnings = quality(certain([4, 996, 0])).warnings
    assert warnings == [
        "1 cluster of 3 is empty.",
        "Cluster 1 holds more than half of the rows: 99.6 percent.",
        "Cluster 0 holds only 0.4 percent of the rows (4 rows).",
    ]
    assert quality(certain([60, 40])).warnings == []  # one of two clusters is always the larger one


def test_many_warnings_of_a_kind_are_counted():
    warnings = quality(certain([1000] * 20 + [1] * 8 + [0, 0])).warnings
    assert warnings[0] == "2 clusters of 30 are empty."
    assert sum("holds only" in warning for warning in warnings) == 5
    assert "3 more clusters hold as few." in warnings


def test_many_overlaps_are_counted():
    shared = np.eye(14)[np.repeat(np.arange(14), 10)] * 0.6
    shared += np.eye(14)[np.repeat(np.arange(14) ^ 1, 10)] * 0.4
    warnings = quality(clusters_of(shared.argmax(axis=1), shared)).warnings
    assert sum(warning.startswith("Clusters") for warning in warnings) == 5
    assert "2 more pairs of clusters overlap." in warnings


def test_unmarked_and_scattered_clusters_and_collapses_are_warnings():
    warnings = quality(certain([5, 5, 5]), unmarked=[1], scattered=[0, 2], num_collapses=1).warnings
    assert warnings == [
        "Clusters 0 and 2 are scattered: most of the nearest rows to theirs belong to other clusters.",
        "Cluster 1 is like the mean of all rows: no feature differs much.",
        "Training collapsed once, and went on after a cure; see Diagnostics below.",
    ]


def test_scattered_clusters_have_other_clusters_as_neighbours():
    rng = np.random.default_rng(0)
    points = np.concatenate([rng.normal(size=(60, 3)), rng.normal(size=(60, 3)) + 20])
    clusters = np.repeat([0, 1], 60)
    assert scattered_clusters(points, clusters) == []
    clusters[[0, 20, 70, 90, 110]] = 2
    assert scattered_clusters(points, clusters) == [2]
    few = np.repeat([0, 1], [58, 2])
    assert scattered_clusters(points[:60], few) == []  # two rows are too few to say
    assert scattered_clusters(points[:1], clusters[:1]) == []
