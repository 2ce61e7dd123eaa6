"""The first sentence of the report, and the cards of the clusters."""

import numpy as np
import pytest

from vade_jax.data.dataset import Dataset
from vade_jax.reports.cluster_cards import cluster_cards, headline, marks_of, row_name
from vade_jax.reports.cluster_rows import clusters_of
from vade_jax.reports.distinguishing_features import FeatureDifference, cluster_means

X = np.array([[13.7, 1], [13.9, 1], [13.5, 0], [12.0, 0], [12.1, 0]], np.float32)
PROBABILITIES = np.array([[0.998, 0.002], [0.9, 0.1], [0.6, 0.4], [0.2, 0.8], [0, 1]])
CLUSTERS = clusters_of(PROBABILITIES.argmax(axis=1), PROBABILITIES)
ROWS = Dataset(X, None, None, ("alcohol", "red"), np.array(["a", "", "c", "d", "e"]))
MEANS = cluster_means(X, CLUSTERS.of_rows, 2, ROWS.names)
NEARNESS = np.array([-1.0, -2, -3, -4, -5])


def clusters_with(sizes):
    clusters = np.repeat(np.arange(len(sizes)), sizes)
    return clusters_of(clusters, np.eye(len(sizes))[clusters])


def test_headline_says_how_many_clusters_their_sizes_and_what_sets_them_apart():
    assert (
        headline(CLUSTERS, MEANS) == "2 clusters of 5 rows; sizes 3 and 2; what sets them apart most: alcohol and red."
    )
    assert headline(CLUSTERS, None) == "2 clusters of 5 rows; sizes 3 and 2."


@pytest.mark.parametrize(
    ("sizes", "sentence"),
    [
        ([1200, 3000, 0], "2 clusters of 4,200 rows; sizes 3,000 and 1,200."),
        (range(1, 11), "10 clusters of 55 rows; sizes from 1 to 10 rows."),
        ([7], "1 cluster of 7 rows."),
    ],
)
def test_headline_of_many_or_few_clusters(sizes, sentence):
    assert headline(clusters_with([*sizes]), None) == sentence


def test_cards_say_what_there_is_to_know_about_each_cluster():
    large, small = cluster_cards(CLUSTERS, CLUSTERS.largest(9), NEARNESS, ROWS, MEANS)
    assert (large.cluster, large.rows, large.share, large.confidence) == (0, "3 rows", "60", "0.83")
    assert large.marks == ["higher alcohol (13.7 against 13.0)", "more often red (67 against 40 percent)"]
    assert large.features == ["alcohol", "red"]
    assert [row.name for row in large.typical] == ["a", "row 1", "c"]
    assert large.typical[0].values == ["13.7", "1"]
    assert [row.name for row in large.borderline] == ["c"]
    assert (large.borderline[0].probability, large.borderline[0].other) == ("0.60", "cluster 1 (0.40)")
    assert small.borderline == []
    assert (small.least_certain.name, small.least_certain.probability) == ("d", "0.80")
    assert small.style != large.style


def test_cards_of_images_have_no_features():
    card = cluster_cards(CLUSTERS, np.array([1]), NEARNESS, ROWS, None)[0]
    assert (card.marks, card.features, card.typical[0].values) == ([], [], [])


def test_cards_do_not_depend_on_labels():
    labelled = ROWS._replace(labels=np.array([0, 1, 0, 1, 1]), label_names=("x", "y"))
    arguments = CLUSTERS, CLUSTERS.largest(9), NEARNESS
    assert cluster_cards(*arguments, labelled, MEANS) == cluster_cards(*arguments, ROWS, MEANS)


def test_marks_are_large_differences():
    features = [FeatureDifference(f"f{number}", 1, 0, difference) for number, difference in enumerate([9, -2, 1, 0.6])]
    assert [mark.split()[1] for mark in marks_of([*features, FeatureDifference("f4", 1, 0, 0.5)])] == [
        "f0",
        "f1",
        "f2",
        "f3",
    ]
    assert marks_of([FeatureDifference("f", 1, 0, -0.4)]) == []


def test_rows_without_an_id_are_numbered_from_0():
    assert [row_name(ids, 1) for ids in (None, np.array(["a", ""]), np.array([7, 8]))] == ["row 1", "row 1", "8"]
