"""Numbers of clusters are compared on clusters of unequal size, too."""

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from vade_jax.initialization.methods import ClusteringOptions, make_clusterer
from vade_jax.initialization.neighbor_graphs import find_neighbors
from vade_jax.initialization.number_of_clusters import EmbeddedRows, HeldOut, measure, recommend

SIZES = [1200, 600, 300, 150, 75, 38, 20]
OPTIONS = ClusteringOptions(num_clusters=9, seed=0, num_restarts=1)


@pytest.fixture(scope="module")
def halving():
    """Rows [2383, 7] of clusters whose sizes halve, in random order, and their labels."""
    rng = np.random.default_rng(0)
    labels = rng.permutation(np.repeat(np.arange(7), SIZES))
    return (5 * np.eye(7)[labels] + rng.normal(size=(len(labels), 7))).astype(np.float32), labels


def test_clusters_whose_sizes_halve_are_found(halving):
    rows, labels = halving
    clusters = make_clusterer("communities", rows, OPTIONS)(7).argmax(axis=1)
    assert adjusted_rand_score(labels, clusters) > 0.95


def test_as_many_clusters_are_recommended_as_there_are_sizes_but_for_the_smallest(halving):
    """The smallest has a hundredth of the rows: modularity rises by less than its standard error if it is one more."""
    rows, _ = halving
    graph = find_neighbors(rows, OPTIONS.num_neighbors(len(rows)))[2]
    embedded = EmbeddedRows(z_mean=rows, z_var=np.full(rows.shape, 0.1, np.float32), graph=graph)
    scores = measure(embedded, HeldOut(lambda prior: np.zeros(1), None), [6, 7, 9], 2, "communities", OPTIONS)
    assert recommend(scores, None).num_clusters in (6, 7)
    assert scores[7].stability.min() > 0.9
