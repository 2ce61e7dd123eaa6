"""The features that set clusters apart, on small tables, and how they are told."""

import numpy as np
import pytest

from vade_jax.reports.distinguishing_features import FeatureDifference, cluster_means
from vade_jax.system import large_arrays


def features_of(means, cluster):
    return [means.compare(cluster, feature) for feature in means.distinguishing(cluster)]


def test_distinguishing_features_differ_most_for_any_slice_size(monkeypatch):
    x = np.array([[0, 5, 1], [0, 5, 3], [8, 5, 2], [8, 5, 2]], np.float32)
    clusters = np.array([2, 2, 0, 0])
    for part in (2**25, 3):  # of three values, a row each
        monkeypatch.setattr(large_arrays, "_VALUES_PER_SLICE", part)
        means = cluster_means(x, clusters, 3, ())
        assert features_of(means, 0) == [
            FeatureDifference("column 0", 8, 4, 1),
            FeatureDifference("column 2", 2, 2, 0),
        ]
        assert features_of(means, 2) == [
            FeatureDifference("column 0", 0, 4, -1),
            FeatureDifference("column 2", 2, 2, 0),
        ]
    assert features_of(cluster_means(x, clusters, 3, ("a", "b", "c")), 0)[0].name == "a"


def test_means_of_features_are_in_the_units_of_the_source():
    x, clusters = np.array([[0, 0], [2, 1], [4, 0], [6, 1]], np.float32), np.array([0, 0, 1, 1])
    means = cluster_means(x, clusters, 2, ("time", "b"), np.array([1.7e9, 0]))
    feature = features_of(means, 1)[0]
    assert (feature.mean, feature.mean_of_all) == (1.7e9 + 5, 1.7e9 + 3)
    assert feature.in_words() == "higher time (1,700,000,005 against 1,700,000,003)"
    assert means.values_of_row(x[1] + [1.7e9, 0], [0]) == ["1,700,000,002"]


def test_separating_features_explain_the_most_variance():
    rng = np.random.default_rng(0)
    clusters = np.repeat([0, 1, 2], 50)
    x = rng.normal(size=(150, 4)) + np.outer(clusters, [0, 3, 1, 0]) * 1.0
    x[:, 3] = 7
    assert cluster_means(x.astype(np.float32), clusters, 3, ()).separating(5) == [1, 2, 0]


def test_features_are_told_in_plain_words():
    assert FeatureDifference("alcohol", 13.744, 13.0, 0.9).in_words() == "higher alcohol (13.7 against 13.0)"
    assert FeatureDifference("income", 74310, 99999, -0.9).in_words() == "lower income (74,300 against 100,000)"


def test_columns_of_zeros_and_ones_are_told_as_shares():
    x = np.array([[0, 0.0], [1, 2], [1, 4], [1, 6], [0, 8]], np.float32)
    means = cluster_means(x, np.array([0, 1, 1, 1, 0]), 2, ("smoker", "age"))
    told = {feature.name: feature.in_words() for feature in features_of(means, 1)}
    assert told["smoker"] == "more often smoker (100 against 60 percent)"
    assert told["age"] == "lower age (4.00 against 4.00)"
    assert means.values_of_row(x[2], [0, 1]) == ["1", "4"]


def test_categories_are_told_by_their_most_unusual_level():
    x = np.array([[0, 1.5], [0, 2], [1, 2], [2, 1], [2, np.nan], [np.nan, 1]], np.float32)
    levels = (("blue", "green", "red"), ())
    clusters = np.array([0, 0, 0, 1, 1, 1])
    gaps_filled = np.nan_to_num(x, nan=1)
    means = cluster_means(gaps_filled, clusters, 2, ("colour", "size"), None, levels)
    features = {feature.name: feature.in_words() for feature in features_of(means, 0)}
    assert features["colour = blue"] == "more often colour = blue (67 against 33 percent)"
    assert len(features) == 2  # one for each column
    assert means.values_of_row(x[0], means.distinguishing(0)) in (["blue", "1.50"], ["1.50", "blue"])
    assert "missing" in means.values_of_row(x[5], means.distinguishing(0))


@pytest.mark.filterwarnings("ignore:invalid value")
def test_gaps_are_left_out_of_the_means():
    x = np.array([[1, 0], [np.nan, 1], [3, 0], [np.nan, 2]], np.float32)
    means = cluster_means(x, np.array([0, 0, 1, 2]), 3, ())
    assert means.means[:2, 0].tolist() == [1, 3]
    assert np.isnan(means.means[2, 0])
    assert means.differences[2, 0] == 0
