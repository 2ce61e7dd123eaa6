"""Which rows are typical of a cluster, and which lie between two."""

import numpy as np

from vade_jax.reports.cluster_rows import clusters_of
from vade_jax.system import large_arrays

PROBABILITIES = np.array(
    [[0.9, 0.1, 0], [0.5, 0.1, 0.4], [0.6, 0.3, 0.1], [1, 0, 0], [0.3, 0.7, 0], [0.2, 0.75, 0.05]], np.float32
)
CLUSTERS = PROBABILITIES.argmax(axis=1)


def test_clusters_have_sizes_certainty_and_the_next_most_probable_cluster(monkeypatch):
    for part in (2**25, 3):  # of three values, a row each
        monkeypatch.setattr(large_arrays, "_VALUES_PER_SLICE", part)
        found = clusters_of(CLUSTERS, PROBABILITIES)
        assert found.sizes.tolist() == [4, 2, 0]
        assert found.second.tolist() == [1, 2, 1, 1, 0, 0]
        np.testing.assert_allclose(found.second_probability, [0.1, 0.4, 0.3, 0, 0.3, 0.2])
        np.testing.assert_allclose(found.confidence, [0.75, 0.725, np.nan], rtol=1e-6)
        assert found.between().tolist() == [False, True, True, False, False, False]
    assert PROBABILITIES.min() == 0  # left as they were


def test_typical_rows_are_nearest_to_the_centre_and_borderline_rows_least_certain():
    found = clusters_of(CLUSTERS, PROBABILITIES)
    nearness = np.array([-3.0, -1, -9, -2, -5, -4])
    assert found.typical_rows(0, nearness, 3).tolist() == [3, 0, 1]  # rows between clusters are last
    assert found.borderline_rows(0, 2).tolist() == [1, 2]
    assert found.typical_rows(2, nearness, 3).tolist() == []


def test_the_largest_clusters_are_in_descending_order_without_empty_ones():
    found = clusters_of(np.array([2, 0, 2, 2, 1, 1]), np.eye(4)[[2, 0, 2, 2, 1, 1]])
    assert found.largest(9).tolist() == [2, 1, 0]
    assert found.largest(2).tolist() == [2, 1]


def test_a_single_cluster_has_no_other():
    found = clusters_of(np.zeros(3, int), np.ones((3, 1)))
    assert found.second.tolist() == [0, 0, 0]
    assert found.second_probability.tolist() == [0, 0, 0]
    assert not found.between().any()
