"""Clusters of unequal size: at which resolution modularity is taken."""

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from vade_jax.initialization.best_candidate import BestCandidate, best_candidates, suited_to_sizes
from vade_jax.initialization.communities import find_communities
from vade_jax.initialization.gaussian_mixtures import agreement_with_mixture
from vade_jax.initialization.methods import METHODS, ClusteringOptions
from vade_jax.initialization.neighbor_graphs import find_neighbors


def blobs(sizes, seed=0):
    """Rows [N, 5] of round clusters that nearly touch, and their labels."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(sizes)), sizes)
    means = 6 * np.eye(max(5, len(sizes)))[: len(sizes)]
    return means[labels] + rng.normal(size=(len(labels), means.shape[1])), labels


@pytest.fixture(params=["communities", "manifold"])
def method(request):
    return METHODS[request.param]


def find(method, rows, num_clusters, **options):
    count = ClusteringOptions(num_clusters, 0, 3).num_neighbors(len(rows))
    graph = find_neighbors(rows, count)[2]
    fixed = {"num_layouts": 2, "part_rows": 0, "input_graphs": [graph]}
    return method(rows, ClusteringOptions(num_clusters, 0, 3, **fixed, **options))


def index(labels, found):
    return adjusted_rand_score(labels, found.memberships.argmax(axis=1))


def test_a_large_cluster_is_not_split_where_small_ones_are_apart(method):
    rows, labels = blobs([2000, 60, 60, 60, 60])
    even = find(method, rows, 5)  # without inputs, modularity alone decides
    assert even.resolution == 1
    assert index(labels, even) < 0.5
    uneven = find(method, rows, 5, inputs=rows)
    assert uneven.resolution < 1
    assert index(labels, uneven) > 0.95


def test_clusters_of_equal_size_are_found_as_without_inputs(method):
    rows, labels = blobs([300] * 5)
    found, without = find(method, rows, 5, inputs=rows), find(method, rows, 5)
    assert found.resolution == 1
    np.testing.assert_array_equal(found.memberships, without.memberships)
    assert index(labels, found) > 0.95


def test_later_clusters_are_found_at_the_resolution_of_the_first(method):
    rows, labels = blobs([2000, 60, 60, 60, 60])
    low, high = (find(method, rows, 5, inputs=rows, resolution=resolution) for resolution in (0.25, 1.0))
    assert low.resolution == 0.25
    assert high.resolution == 1
    assert index(labels, low) > 0.95 > index(labels, high)


def test_no_lower_resolution_is_tried_where_a_cluster_is_emptied_at_1(monkeypatch):
    tried = []

    def emptied_below_2(graph, before, after, num_clusters):
        return int(tried[-1] < 2)

    rows, _ = blobs([100] * 3)
    graph = find_neighbors(rows, 10)[2]
    groups = np.eye(12)[find_communities(graph, 8.0, 0) % 12]
    module = "vade_jax.initialization.best_candidate"
    real = best_candidates.__globals__["mean_modularity"]
    monkeypatch.setattr(
        f"{module}.mean_modularity", lambda graphs, clusters, r: tried.append(r) or real(graphs, clusters, r)
    )
    monkeypatch.setattr(f"{module}.count_emptied_clusters", emptied_below_2)
    best = suited_to_sizes(best_candidates([lambda: groups], graph, [graph], 3, None, None), [rows])
    assert best.resolution == 2.25
    assert tried == [1, 1.5, 2.25]


def test_the_space_decides_where_a_mixture_agrees_most():
    """Halves of the clusters are Gaussians in one space; in the other, where these lie apart, the clusters are."""
    rows, labels = blobs([300] * 4)
    joined = np.eye(2)[labels // 2]
    right, wrong = BestCandidate(0, 1.0, np.eye(4)[labels], [1.0]), BestCandidate(0, 0.5, joined @ np.eye(2, 4), [1.0])
    noise = np.random.default_rng(0).normal(size=(len(rows), 2)) + 3 * (labels // 2)[:, None]
    assert suited_to_sizes([right, wrong], [noise]) is wrong
    assert suited_to_sizes([right, wrong], [noise, rows]) is right


@pytest.mark.parametrize("sizes", [[300, 300], [500, 100]])
def test_a_mixture_agrees_with_true_clusters_more_than_with_halves(sizes):
    rows, labels = blobs(sizes)
    halves = (rows[:, 2] > 0).astype(int)
    assert agreement_with_mixture(rows, labels, 2) > 0.95
    assert agreement_with_mixture(rows, halves, 2) < 0.8
