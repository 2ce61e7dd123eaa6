"""Communities of a neighbour graph: how they are found, how many, and how their rows are shared among clusters."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.datasets import load_digits

from vade_jax.initialization.communities import (
    _at_least,
    _shares_of_neighbors,
    find_communities,
    make_community_clusterer,
)
from vade_jax.initialization.modularity import modularity
from vade_jax.initialization.neighbor_graphs import find_neighbors
from vade_jax.reports.label_scores import clustering_accuracy


@pytest.fixture(scope="module")
def digits():
    x, labels = load_digits(return_X_y=True)
    return x, labels, find_neighbors(x, 10)[2]


def ring_of_cliques(count, size):
    """Cliques whose first rows are joined in a ring."""
    graph = np.kron(np.eye(count), 1 - np.eye(size))
    firsts = size * np.arange(count)
    graph[firsts, np.roll(firsts, 1)] = graph[np.roll(firsts, 1), firsts] = 1
    return csr_matrix(graph)


def test_cliques_are_communities():
    communities = find_communities(ring_of_cliques(5, 6), 1.0, seed=0)
    np.testing.assert_array_equal(np.unique(communities), np.arange(5))
    for clique in communities.reshape(5, 6):
        assert len({*clique}) == 1


def test_communities_depend_on_the_seed_alone_and_grow_in_number_with_the_resolution(digits):
    graph = digits[2]
    first, again, fine = (find_communities(graph, resolution, 0) for resolution in (1.0, 1.0, 8.0))
    np.testing.assert_array_equal(first, again)
    assert first.max() < fine.max()
    assert modularity(graph, first) > 0.8 > modularity(graph, fine)


def test_communities_do_not_depend_on_those_found_before(digits):
    graph = digits[2]
    first = find_communities(graph, 1.0, 0)
    for resolution in (0.5, 2.0, 1.0, 1.0, 1.0):
        find_communities(graph, resolution, 1)
        np.testing.assert_array_equal(find_communities(graph, 1.0, 0), first)


@pytest.mark.parametrize("count", [3, 40, 1797, 2000])
def test_there_are_as_many_communities_as_are_asked_for(digits, count):
    found = _at_least(count, lambda resolution, seed: find_communities(digits[2], resolution, seed), 1.0, 0)
    assert len(np.unique(found)) == found.max() + 1 >= min(count, 1797)


def test_rows_follow_their_neighbours_and_no_cluster_is_emptied():
    graph = ring_of_cliques(2, 6)
    memberships = np.eye(3)[[0] * 5 + [1] + [1] * 6]  # a row of the first clique is in the second cluster
    shares = _shares_of_neighbors(graph, memberships)
    np.testing.assert_array_equal(shares.argmax(axis=1), [0] * 6 + [1] * 6)
    np.testing.assert_allclose(shares[1], [4 / 5, 1 / 5, 0])
    memberships[3] = [0, 0, 1]  # the third cluster has this row alone
    shares = _shares_of_neighbors(graph, memberships)
    np.testing.assert_array_equal(shares.argmax(axis=1), [0, 0, 0, 2, 0, 0] + [1] * 6)
    np.testing.assert_allclose(shares.sum(axis=1), 1)


def test_digits_without_a_network_are_nearly_as_good_as_with_one(digits):
    x, labels, graph = digits
    cluster = make_community_clusterer(x, 10, [0, 1], part_rows=70, input_graphs=[graph])
    best = cluster(10)
    assert len(best.scores) == 6
    assert clustering_accuracy(labels, best.memberships.argmax(axis=1)) > 0.93
    assert cluster(4).memberships.shape == (1797, 4)
