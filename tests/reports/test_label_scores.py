"""Scores of a clustering, compared with brute force and with exact cases."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vade_jax.reports.label_scores import (
    clustering_accuracy,
    clusters_of_labels,
    confusion,
    num_labelled,
    occupancy,
    recalls,
    scores,
)

PERFECT = {"accuracy": 1.0, "balanced_accuracy": 1.0, "nmi": 1.0, "ari": 1.0}


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=30))
def test_accuracy_is_the_best_over_all_matchings(pairs):
    labels, clusters = np.array(pairs).T
    best = max(np.mean(np.array(matching)[clusters] == labels) for matching in itertools.permutations(range(4)))
    np.testing.assert_allclose(clustering_accuracy(labels, clusters), best)


def test_scores_ignore_the_names_of_labels_and_clusters():
    labels = np.array([0, 3, 3, 1])
    assert scores(labels, np.array([7, 2, 2, 0])) == PERFECT


def test_one_cluster_scores_the_share_of_the_largest_class():
    result = scores(np.array([0, 0, 0, 1]), np.zeros(4, int))
    assert result == {"accuracy": 0.75, "balanced_accuracy": 0.5, "nmi": 0.0, "ari": 0.0}


def test_unlabelled_rows_are_left_out():
    labels, clusters = np.array([0, -1, 1, 1, -1]), np.array([1, 1, 0, 0, 0])
    assert num_labelled(labels) == 3
    assert num_labelled(None) == 0
    assert scores(labels, clusters) == PERFECT
    with pytest.raises(ValueError, match="labelled rows"):
        scores(np.full(5, -1), clusters)


def test_different_lengths_are_an_error():
    with pytest.raises(ValueError, match=r"length 3 .* 2"):
        clustering_accuracy(np.zeros(3), np.zeros(2))


def test_occupancy_counts_empty_clusters():
    assert occupancy(np.array([0, 2, 2]), 4) == [1, 0, 2, 0]


def test_balanced_accuracy_is_the_mean_recall_of_the_labels_by_the_matching_of_the_accuracy():
    labels, clusters = np.array([0] * 6 + [1] * 3 + [2]), np.array([1, 1, 1, 1, 0, 2, 0, 0, 1, 1])
    found = recalls(confusion(labels, clusters, 3, ["a", "b", "c"]))
    assert found == {"a": pytest.approx(4 / 6), "b": pytest.approx(2 / 3), "c": 0}  # cluster 2 has no row of c
    assert scores(labels, clusters)["balanced_accuracy"] == pytest.approx(np.mean([*found.values()]))


def test_confusion_sorts_clusters_by_their_labels():
    labels, clusters = np.array([0, 0, 1, 1, 1, 3, 1, -1]), np.array([4, 4, 1, 1, 4, 3, 0, 0])
    found = confusion(labels, clusters, 5, ["a", "b", "no row", "c"])
    assert found.labels.tolist() == ["a", "b", "c"]
    assert found.counts.tolist() == [[0, 1, 0], [0, 2, 0], [0, 0, 0], [0, 0, 1], [2, 1, 0]]
    assert found.order.tolist() == [4, 1, 0, 3, 2]


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=30))
def test_confusion_counts_every_row_and_its_order_is_the_best_matching(pairs):
    labels, clusters = np.array([*pairs, *((label, 0) for label in range(4))]).T
    found = confusion(labels, clusters, 4, "abcd")
    assert found.counts.sum() == len(labels)
    np.testing.assert_allclose(found.counts[found.order].trace() / len(labels), clustering_accuracy(labels, clusters))


def test_each_label_is_drawn_like_the_cluster_that_it_matches():
    labels, clusters = np.array([0, 0, 0, 1, 1, 2]), np.array([1, 1, 0, 0, 0, 1])
    assert clusters_of_labels(confusion(labels, clusters, 2, "abc")) == {"a": 1, "b": 0, "c": 2}
