"""Nearest neighbours and their graphs, and modularity against its definition."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.neighbors import NearestNeighbors, kneighbors_graph

from vade_jax.initialization import neighbor_graphs
from vade_jax.initialization.modularity import mean_modularity, modularity
from vade_jax.initialization.neighbor_graphs import (
    find_hubs,
    merge_neighbor_lists,
    nearest_neighbors,
    nearest_neighbors_without_hubs,
    neighbor_graph,
    num_neighbors,
    sampled_graph,
)


def test_mean_modularity_averages_over_graphs():
    one = csr_matrix(np.kron(np.eye(2), np.ones((3, 3))))
    other = csr_matrix(np.ones((6, 6)))
    clusters = np.array([0, 0, 0, 1, 1, 1])
    assert mean_modularity([one], clusters, 2.0) == modularity(one, clusters, 2.0)
    assert mean_modularity([one, other], clusters) == pytest.approx(0.25)


def test_modularity_matches_newmans_definition():
    two_triangles = np.kron(np.eye(2), 1 - np.eye(3))
    graph = csr_matrix(two_triangles)
    np.testing.assert_allclose(modularity(graph, np.array([0, 0, 0, 1, 1, 1])), 0.5)
    np.testing.assert_allclose(modularity(graph, np.zeros(6, int)), 0, atol=1e-12)
    rng = np.random.default_rng(0)
    adjacency = np.triu(rng.random((30, 30)) < 0.2, 1)
    adjacency = (adjacency | adjacency.T).astype(float)
    clusters, degrees = rng.integers(0, 4, 30), adjacency.sum(axis=1)
    same = clusters[:, None] == clusters
    for resolution in (1.0, 2.5):
        chance = resolution * np.outer(degrees, degrees) / degrees.sum()
        expected = ((adjacency - chance) * same).sum() / degrees.sum()
        np.testing.assert_allclose(modularity(csr_matrix(adjacency), clusters, resolution), expected)


def test_graph_joins_rows_if_one_is_a_neighbour_of_the_other():
    graph = neighbor_graph(np.arange(4), np.array([[1], [2], [1], [0]]), 4)
    expected = np.zeros((4, 4))
    for row, other in ((0, 1), (1, 2), (3, 0)):
        expected[row, other] = expected[other, row] = 1
    np.testing.assert_array_equal(graph.toarray(), expected)


@pytest.mark.parametrize(
    ("num_rows", "num_clusters", "expected"), [(2000, 10, 10), (5, 2, 3), (8000, 10, 40), (10**6, 10, 60)]
)
def test_number_of_neighbours_is_a_share_of_an_average_cluster(num_rows, num_clusters, expected):
    assert num_neighbors(num_rows, num_clusters, 0.05) == expected


def test_merged_neighbour_lists_name_each_neighbour_once():
    rng = np.random.default_rng(0)
    rows, inputs = rng.normal(size=(50, 2)), rng.normal(size=(50, 6))
    one, other = (nearest_neighbors(points, points, 5, np.arange(50)) for points in (rows, inputs))
    distances, neighbors = merge_neighbor_lists(one, other)
    assert (np.diff(distances) >= 0).all()
    for row in range(50):
        least = {}
        for row_distances, row_neighbors in ((d[row], n[row]) for d, n in (one, other)):
            for distance, neighbor in zip(row_distances / row_distances[-1], row_neighbors, strict=True):
                least[neighbor] = min(distance, least.get(neighbor, np.inf))
        expected = sorted(least.values())[:5]
        np.testing.assert_allclose(distances[row], expected)
        np.testing.assert_allclose([least[neighbor] for neighbor in neighbors[row]], expected)
    for array, expected in zip(merge_neighbor_lists(one, one), (one[0] / one[0][:, -1:], one[1]), strict=True):
        np.testing.assert_allclose(array, expected)
    equal = np.zeros((50, 5)), one[1]
    assert np.isfinite(merge_neighbor_lists(equal, equal)[0]).all()


def test_sampled_graph_has_all_edges_of_the_drawn_rows():
    rows = np.random.default_rng(0).normal(size=(80, 3))
    directed = kneighbors_graph(rows, 5).toarray()
    full = sampled_graph(rows, 5, 80, seed=0).toarray()
    np.testing.assert_array_equal(full, np.maximum(directed, directed.T))
    part = sampled_graph(rows, 5, 20, seed=0).toarray()
    drawn = (directed <= part).all(axis=1)
    assert drawn.sum() >= 20
    np.testing.assert_array_equal(part, np.maximum(part, part.T))
    assert (part <= full).all()
    assert 20 * 5 / 2 <= np.triu(part).sum() <= 20 * 5
    assert (part != sampled_graph(rows, 5, 20, seed=1).toarray()).any()


def test_equal_rows_and_very_few_rows_have_a_graph_without_loops():
    for rows in (np.ones((30, 2)), np.eye(2)):
        graph = sampled_graph(rows, num_neighbors(len(rows), 2, 0.05), 100, seed=0)
        assert graph.diagonal().sum() == 0
        assert graph.nnz > 0


@pytest.mark.parametrize("on_device", [False, True])
@pytest.mark.parametrize("num_features", [3, 40])
def test_nearest_neighbors_match_brute_force(monkeypatch, on_device, num_features):
    monkeypatch.setattr(neighbor_graphs, "_QUERIES", 64)
    rng = np.random.default_rng(0)
    rows = (100 + rng.normal(size=(300, num_features))).astype(np.float32)  # far from zero, where large squares cancel
    queries = (100 + rng.normal(size=(100, num_features))).astype(np.float32)
    distances, neighbors = nearest_neighbors(rows, queries, 7, on_device=on_device)
    every = np.linalg.norm(queries[:, None].astype(np.float64) - rows, axis=-1)
    np.testing.assert_array_equal(neighbors, every.argsort(axis=1)[:, :7])
    np.testing.assert_allclose(distances, np.sort(every, axis=1)[:, :7], rtol=1e-5)


@pytest.mark.parametrize("on_device", [False, True])
def test_a_row_is_never_its_own_neighbour_even_among_equal_rows(on_device):
    rows = np.repeat(np.arange(4, dtype=np.float32), 5)[:, None]
    indices = np.array([0, 7, 12])
    distances, neighbors = nearest_neighbors(rows, rows[indices], 3, indices, on_device)
    assert not (neighbors == indices[:, None]).any()
    np.testing.assert_array_equal(rows[neighbors][..., 0], np.repeat(rows[indices], 3, axis=1))
    np.testing.assert_array_equal(distances, np.zeros((3, 3)))


@pytest.mark.parametrize(("num_dims", "is_exact"), [(6, False), (300, True)])
def test_neighbours_among_many_wide_rows_are_searched_in_components_unless_many_would_be_missed(
    monkeypatch, num_dims, is_exact
):
    monkeypatch.setattr(neighbor_graphs, "_MANY_ROWS", 500)
    rng = np.random.default_rng(0)
    factors = rng.normal(size=(num_dims, 300))
    rows, queries = (
        (100 + rng.normal(size=(count, num_dims)) @ factors + 0.1 * rng.normal(size=(count, 300))).astype(np.float32)
        for count in (1500, 40)
    )
    searched = []
    search = neighbor_graphs._search
    monkeypatch.setattr(
        neighbor_graphs, "_search", lambda rows, *args: searched.append(rows.shape[1]) or search(rows, *args)
    )
    distances, neighbors = nearest_neighbors(rows, queries, 9, on_device=False)
    every = np.linalg.norm(queries[:, None].astype(np.float64) - rows, axis=-1)
    np.testing.assert_allclose(distances, np.sort(every, axis=1)[:, :9], rtol=1e-5)
    np.testing.assert_allclose(np.take_along_axis(every, neighbors, axis=1), distances, rtol=1e-5)
    assert searched[-1] == (300 if is_exact else 64)
    others, itself = nearest_neighbors(rows, rows, 9, np.arange(1500), on_device=False)[1], np.arange(1500)[:, None]
    assert not (others == itself).any()


def test_hubs_are_never_returned_as_neighbours():
    rng = np.random.default_rng(0)
    topics = np.repeat(np.arange(10), 100)
    words = np.zeros((1000, 500))
    for row, topic in enumerate(topics):  # each document has five of its topic's fifty words
        words[row, 50 * topic + rng.choice(50, 5, replace=False)] = 1
    words /= np.linalg.norm(words, axis=1, keepdims=True)
    rows = np.concatenate([words, np.zeros((3, 500))])  # three empty documents, which are hubs
    _, found = nearest_neighbors(rows, rows, 5, np.arange(1003))
    np.testing.assert_array_equal(np.flatnonzero(find_hubs(found, 1003)), [1000, 1001, 1002])
    assert np.isin(found[:1000], [1000, 1001, 1002]).mean() > 0.5
    distances, neighbors = nearest_neighbors_without_hubs(rows, 5)
    expected = nearest_neighbors(words, words, 5, np.arange(1000))
    np.testing.assert_array_equal(neighbors[:1000], expected[1])
    np.testing.assert_array_equal(distances[:1000], expected[0])
    np.testing.assert_allclose(distances[1000:], 1)  # hubs have neighbours
    assert (neighbors[1000:] < 1000).all()
    for indices in (np.arange(0, 1000, 3), np.arange(500, 1003)):  # without the empty documents and with them
        np.testing.assert_array_equal(
            nearest_neighbors_without_hubs(rows, 5, indices)[1][indices < 1000], expected[1][indices[indices < 1000]]
        )
    assert sampled_graph(rows, 5, 300, seed=0)[:, 1000:].sum(axis=0).max() <= 5


def test_neighbours_of_few_queries_are_no_hubs():
    rows = np.random.default_rng(0).normal(size=(2000, 3))
    _, neighbors = nearest_neighbors_without_hubs(rows, 5, np.array([0, 1]))
    np.testing.assert_array_equal(neighbors, nearest_neighbors(rows, rows[:2], 5, np.arange(2))[1])


def test_queries_may_be_changed_versions_of_rows():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(200, 4))
    indices = np.array([3, 50, 120])
    versions = rows[indices] + 0.1 * rng.normal(size=(3, 4))
    distances, neighbors = nearest_neighbors_without_hubs(rows, 6, indices, versions)
    every = np.linalg.norm(versions[:, None] - rows, axis=-1)
    every[np.arange(3), indices] = np.inf
    np.testing.assert_array_equal(neighbors, every.argsort(axis=1)[:, :6])
    np.testing.assert_allclose(distances, np.sort(every, axis=1)[:, :6])


@pytest.mark.parametrize("on_device", [False, True])
@pytest.mark.parametrize("offset", [0.0, 10.0, 100.0, 1000.0, 1e4])
def test_neighbours_far_from_zero_are_those_of_float64(offset, on_device):
    rows = (np.random.default_rng(0).normal(size=(2000, 8)) + offset).astype(np.float32)
    distances, found = neighbor_graphs.nearest_neighbors(rows, rows, 15, np.arange(2000), on_device=on_device)
    exact = np.linalg.norm(rows.astype(np.float64)[found] - rows.astype(np.float64)[:, None], axis=-1)
    np.testing.assert_allclose(distances, exact, rtol=1e-5)
    expected, _ = NearestNeighbors(n_neighbors=16, algorithm="kd_tree").fit(rows.astype(np.float64)).kneighbors()
    np.testing.assert_allclose(distances, expected[:, :15], rtol=1e-5)
