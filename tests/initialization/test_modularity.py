"""Merging and reassigning groups of rows, against the definition of modularity."""

import time
import weakref

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_matrix
from sklearn.datasets import make_blobs

from vade_jax.initialization.gaussian_mixtures import fit_mixture
from vade_jax.initialization.methods import ClusteringOptions, manifold
from vade_jax.initialization.modularity import (
    count_emptied_clusters,
    improve_modularity,
    merge_to_num_clusters,
    modularity,
    reassign_pieces,
    split_into_pieces,
)
from vade_jax.initialization.neighbor_graphs import nearest_neighbors, neighbor_graph


def random_graph(rng, num_rows, share=0.3):
    upper = np.triu(rng.random((num_rows, num_rows)) < share, 1)
    return csr_matrix((upper | upper.T).astype(float))


resolutions = st.sampled_from([0.5, 1.0, 3.0])


@given(st.integers(0, 10**6), st.integers(1, 3), st.integers(2, 4), resolutions)
def test_no_single_move_still_raises_every_modularity(seed, num_graphs, num_clusters, resolution):
    rng = np.random.default_rng(seed)
    graphs = [random_graph(rng, 40) for _ in range(num_graphs)]
    groups = np.concatenate([np.arange(12), rng.integers(12, size=28)])
    clusters = rng.integers(num_clusters, size=12)
    found = improve_modularity(graphs, groups, clusters, num_clusters, resolution)
    reached = [modularity(graph, found[groups], resolution) for graph in graphs]
    for graph, after in zip(graphs, reached, strict=True):
        assert after >= modularity(graph, clusters[groups], resolution) - 1e-12
    for group in range(12):
        for target in range(num_clusters):
            moved = found.copy()
            moved[group] = target
            after = [modularity(graph, moved[groups], resolution) for graph in graphs]
            assert min(np.subtract(after, reached)) < 1e-6


@given(st.integers(0, 10**6), st.integers(2, 8), resolutions)
def test_merge_takes_the_pair_whose_union_has_the_highest_modularity(seed, num_components, resolution):
    rng = np.random.default_rng(seed)
    graph = random_graph(rng, 40)
    components = rng.integers(num_components, size=40)
    clusters = merge_to_num_clusters(graph, components, num_components, num_components - 1, resolution)
    unions = [
        modularity(graph, np.where(components == other, one, components), resolution)
        for one in range(num_components)
        for other in range(one + 1, num_components)
    ]
    assert modularity(graph, clusters[components], resolution) == pytest.approx(max(unions))
    for num_clusters in range(1, num_components + 1):
        clusters = merge_to_num_clusters(graph, components, num_components, num_clusters, resolution)
        assert set(clusters) == set(range(num_clusters))


def test_merge_joins_halves_of_blobs_and_gives_few_rows_no_cluster():
    blobs, labels = make_blobs([150, 150], centers=[[0, 0], [20, 0]], cluster_std=1.0, random_state=0)
    few = np.random.default_rng(0).normal([5, 0], 1e-3, (12, 2))
    rows, labels = np.concatenate([blobs, few]), np.concatenate([labels, np.zeros(12, int)])
    components = np.where(np.arange(312) < 300, 2 * labels + (rows[:, 1] > 0), 4)
    found = merge_to_num_clusters(graph_of(rows), components, 6, 2)[components]  # the sixth component has no rows
    np.testing.assert_array_equal(found == found[0], labels == labels[0])


def test_merge_keeps_small_unlinked_clusters_and_does_not_split_a_large_one():
    rows, labels = make_blobs([100, 100, 600], centers=[[0, 0], [0, 40], [40, 0]], cluster_std=1.0, random_state=0)
    graph = graph_of(rows)
    components = 2 * labels + (rows[:, 1] > np.array([0, 40, 0])[labels])
    found = merge_to_num_clusters(graph, components, 6, 3)[components]
    assert len(set(zip(found, labels, strict=True))) == 3
    halves = np.where(labels == 2, components, 0)
    assert modularity(graph, halves) > modularity(graph, labels)


def misplaced_rows(seed=0):
    """Two clusters of inputs; the embedding places some rows of one beside the other, and assigns them to it."""
    inputs, labels = make_blobs([150, 150], centers=[[0] * 4, [9] * 4], cluster_std=1.0, random_state=seed)
    rng = np.random.default_rng(seed)
    misplaced = np.flatnonzero(labels == 0)[:20]
    embeddings = np.array([[0.0, 0.0], [9.0, 0.0]])[labels] + rng.normal(size=(300, 2))
    embeddings[misplaced] = [9.0, 4.0] + 0.3 * rng.normal(size=(20, 2))
    memberships = np.where(labels[:, None] == [0, 1], 0.9, 0.1)
    memberships[misplaced] = [0.2, 0.8]
    return inputs, labels, embeddings, memberships, misplaced


def graph_of(rows):
    indices = np.arange(len(rows))
    return neighbor_graph(indices, nearest_neighbors(rows, rows, 10, indices)[1], len(rows))


def test_misplaced_rows_are_reassigned_to_the_cluster_of_their_inputs():
    inputs, labels, embeddings, memberships, misplaced = misplaced_rows()
    found = reassign_pieces(memberships, split_into_pieces(embeddings, 8, seed=0), [graph_of(inputs)])
    np.testing.assert_array_equal(found.argmax(axis=1), labels)
    np.testing.assert_array_equal(found[misplaced], np.tile([0.8, 0.2], (20, 1)))
    others = np.setdiff1d(np.arange(300), misplaced)
    np.testing.assert_array_equal(found[others], memberships[others])


def test_rows_are_not_reassigned_against_one_of_several_graphs():
    inputs, _, embeddings, memberships, _ = misplaced_rows()
    found = reassign_pieces(
        memberships, split_into_pieces(embeddings, 8, seed=0), [graph_of(inputs), graph_of(embeddings)]
    )
    np.testing.assert_array_equal(found, memberships)


@pytest.mark.parametrize("part_rows", [1, 7, 1000])
def test_reassigning_pieces_of_any_size_raises_the_modularity(part_rows):
    inputs, _, embeddings, memberships, _ = misplaced_rows()
    graph = graph_of(inputs)
    found = reassign_pieces(memberships, split_into_pieces(embeddings, part_rows, seed=0), [graph])
    np.testing.assert_allclose(found.sum(axis=1), 1)
    assert modularity(graph, found.argmax(axis=1)) >= modularity(graph, memberships.argmax(axis=1))
    np.testing.assert_array_equal(
        found, reassign_pieces(memberships, split_into_pieces(embeddings, part_rows, seed=0), [graph])
    )


def test_manifold_reassigns_misplaced_rows(monkeypatch):
    inputs, labels, embeddings, _, misplaced = misplaced_rows()
    monkeypatch.setattr(
        "vade_jax.initialization.best_of_layouts.umap_layout", lambda embeddings, distances, neighbors, seed: embeddings
    )
    options = ClusteringOptions(num_clusters=2, seed=0, num_restarts=2, input_graphs=[graph_of(inputs)], part_rows=8)
    for part_rows, expected in ((0, 1), (8, 0)):
        clusters = manifold(embeddings, options._replace(part_rows=part_rows)).memberships.argmax(axis=1)
        clusters = clusters if clusters[-1] == labels[-1] else 1 - clusters
        np.testing.assert_array_equal(clusters[misplaced], expected)
        np.testing.assert_array_equal(np.delete(clusters, misplaced), np.delete(labels, misplaced))


def ring_of_cliques(num_cliques, num_rows):
    """A ring of cliques with some edges from each to the next: rows in the plane, their cliques and the graph."""
    labels = np.repeat(np.arange(num_cliques), num_rows)
    angles = 2 * np.pi * labels / num_cliques
    rows = num_cliques * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    rows += 0.2 * np.random.default_rng(0).normal(size=rows.shape)
    edges = (labels[:, None] == labels) & ~np.eye(len(labels), dtype=bool)
    for clique in range(num_cliques):
        for row in range(num_rows // 2):
            one, other = clique * num_rows + row, (clique + 1) % num_cliques * num_rows + row
            edges[one, other] = edges[other, one] = True
    return rows, labels, csr_matrix(edges.astype(float))


def test_manifold_finds_k_clusters_even_if_fewer_have_a_higher_modularity(monkeypatch):
    rows, labels, graph = ring_of_cliques(24, 10)
    assert modularity(graph, labels // 2) > modularity(graph, labels)
    monkeypatch.setattr(
        "vade_jax.initialization.best_of_layouts.umap_layout", lambda embeddings, distances, neighbors, seed: embeddings
    )
    options = ClusteringOptions(
        num_clusters=24, seed=0, num_restarts=4, num_layouts=1, components=1, part_rows=3, input_graphs=[graph]
    )

    def count_clusters_and_pairs():
        clusters = manifold(rows, options).memberships.argmax(axis=1)
        return len(set(clusters)), len(set(zip(clusters, labels, strict=True)))

    assert count_clusters_and_pairs() == (24, 24)
    monkeypatch.setattr("vade_jax.initialization.best_candidate._RESOLUTIONS", [1.0])
    assert count_clusters_and_pairs()[0] < 24


def test_only_clusters_that_shrank_to_a_few_rows_count_as_emptied():
    labels = np.repeat([0, 1, 2, 3], [100, 100, 100, 4])
    graph = csr_matrix((labels[:, None] == labels) & ~np.eye(304, dtype=bool)).astype(float)
    for before, after, expected in ((labels, labels, 0), (labels, np.minimum(labels, 1), 2), (0 * labels, labels, 0)):
        assert count_emptied_clusters(graph, before, after, 4) == expected
    shrunk = np.where((labels == 2) & (np.arange(304) > 202), 1, labels)
    assert count_emptied_clusters(graph, labels, shrunk, 4) == 1
    assert count_emptied_clusters(graph, shrunk, shrunk, 4) == 0


def merge_by_all_pairs(graph, components, num_components, num_clusters, resolution=1.0):
    """`merge_to_num_clusters` by its definition: every pair is compared before each merge, K^4 operations."""
    indicator = np.eye(num_components)[components]
    links = indicator.T @ (graph @ indicator)
    links /= links.sum()
    clusters = np.arange(num_components)
    for count in range(num_components, num_clusters, -1):
        members = np.eye(count)[clusters]
        between = members.T @ links @ members
        volumes = between.sum(axis=1)
        chance = np.outer(volumes, volumes)
        large = volumes >= 0.1 / num_clusters
        unlinked = (between < 0.02 * chance) & np.logical_and.outer(large, large)
        gains = between - resolution * chance - (1 + resolution) * unlinked
        gains[np.tril_indices(count)] = -np.inf
        one, other = np.unravel_index(gains.argmax(), gains.shape)
        clusters[clusters == other] = one
        clusters[clusters > other] -= 1
    return clusters


@given(st.integers(0, 10**6), st.integers(2, 25), st.sampled_from([0.02, 0.1, 0.5]), resolutions)
def test_merge_is_the_same_as_by_comparing_all_pairs(seed, num_components, share, resolution):
    rng = np.random.default_rng(seed)
    edges = random_graph(rng, 80, share)
    weights = csr_matrix(edges.multiply(rng.random((80, 80))))
    graph = (weights + weights.T).tocsr()  # of random weights, so that no two gains are equal
    components = rng.integers(num_components, size=80)
    for num_clusters in {1, num_components // 2 or 1, num_components - 1}:
        found = merge_to_num_clusters(graph, components, num_components, num_clusters, resolution)
        expected = merge_by_all_pairs(graph, components, num_components, num_clusters, resolution)
        np.testing.assert_array_equal(found, expected)


def test_of_equal_gains_the_pair_with_the_first_component_is_merged():
    graph = csr_matrix(np.kron(np.eye(3), np.kron(np.ones((2, 2)) - np.eye(2), np.ones((4, 4)))))
    components = np.repeat(np.arange(6), 4)
    np.testing.assert_array_equal(merge_to_num_clusters(graph, components, 6, 5), [0, 0, 1, 2, 3, 4])
    np.testing.assert_array_equal(merge_to_num_clusters(graph, components, 6, 4), [0, 0, 1, 1, 2, 3])


def test_a_thousand_clusters_are_merged_within_seconds():
    rng = np.random.default_rng(0)
    rows = rng.permutation(np.repeat(np.arange(1000), 20))
    graph = csr_matrix((np.ones(200_000), (rng.integers(20_000, size=200_000), rng.integers(20_000, size=200_000))))
    order = np.argsort(rows, kind="stable")
    inside = csr_matrix((np.ones(20_000), (order, np.roll(order, 10))), (20_000, 20_000))
    graph.resize(20_000, 20_000)
    graph = graph + 20 * inside
    components = 2 * rows + rng.integers(2, size=20_000)
    started = time.perf_counter()
    clusters = merge_to_num_clusters((graph + graph.T).tocsr(), components, 2000, 1000)
    assert time.perf_counter() - started < 20  # by comparing all pairs before each merge: 40 minutes
    assert len(np.unique(clusters)) == 1000


def test_the_probabilities_of_few_mixtures_are_held_at_once(monkeypatch):
    """Ten mixtures of up to 2K components: all their probabilities together may not fit in memory."""
    rows, _ = make_blobs(300, centers=4, n_features=3, random_state=0)
    made, most = [], []

    def fit(*arguments):
        mixture = fit_mixture(*arguments)
        predict = mixture.predict_proba

        def predict_proba(layout):
            most.append(sum(array() is not None for array in made))
            answer = predict(layout)
            made.append(weakref.ref(answer))
            return answer

        mixture.predict_proba = predict_proba
        return mixture

    monkeypatch.setattr("vade_jax.initialization.best_of_layouts.umap_layout", lambda embeddings, *_: embeddings)
    monkeypatch.setattr("vade_jax.initialization.best_of_layouts.fit_mixture", fit)
    manifold(rows, ClusteringOptions(num_clusters=4, seed=0, num_restarts=5, num_layouts=1))
    assert len(made) == 10
    assert max(most) <= 1
