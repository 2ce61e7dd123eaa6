"""Parts of clusters are joined, and move, where graphs say so by modularity's definition, and nowhere else."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_matrix
from sklearn.datasets import make_blobs

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
def test_no_move_of_one_part_is_left_that_raises_every_modularity(seed, num_graphs, num_clusters, resolution):
    rng = np.random.default_rng(seed)
    graphs = [random_graph(rng, 40) for _ in range(num_graphs)]
    parts = np.concatenate([np.arange(12), rng.integers(12, size=28)])
    clusters = rng.integers(num_clusters, size=12)
    found = improve_modularity(graphs, parts, clusters, num_clusters, resolution)
    held = [modularity(graph, found[parts], resolution) for graph in graphs]
    for graph, after in zip(graphs, held, strict=True):
        assert after >= modularity(graph, clusters[parts], resolution) - 1e-12
    for part in range(12):
        for target in range(num_clusters):
            other = found.copy()
            other[part] = target
            gains = [modularity(graph, other[parts], resolution) - now for graph, now in zip(graphs, held, strict=True)]
            assert min(gains) < 1e-6


@given(st.integers(0, 10**6), st.integers(2, 8), resolutions)
def test_the_two_parts_are_joined_whose_union_has_the_highest_modularity(seed, num_parts, resolution):
    rng = np.random.default_rng(seed)
    graph = random_graph(rng, 40)
    parts = rng.integers(num_parts, size=40)
    clusters = merge_to_num_clusters(graph, parts, num_parts, num_parts - 1, resolution)
    unions = [
        modularity(graph, np.where(parts == other, one, parts), resolution)
        for one in range(num_parts)
        for other in range(one + 1, num_parts)
    ]
    assert modularity(graph, clusters[parts], resolution) == pytest.approx(max(unions))
    for num_clusters in range(1, num_parts + 1):
        assert set(merge_to_num_clusters(graph, parts, num_parts, num_clusters, resolution)) == set(range(num_clusters))


def test_pieces_of_blobs_are_joined_and_a_speck_is_no_cluster():
    blobs, labels = make_blobs([150, 150], centers=[[0, 0], [20, 0]], cluster_std=1.0, random_state=0)
    speck = np.random.default_rng(0).normal([5, 0], 1e-3, (12, 2))
    rows, labels = np.concatenate([blobs, speck]), np.concatenate([labels, np.zeros(12, int)])
    parts = np.where(np.arange(312) < 300, 2 * labels + (rows[:, 1] > 0), 4)
    found = merge_to_num_clusters(graph_of(rows), parts, 6, 2)[parts]  # no row lies in the sixth
    np.testing.assert_array_equal(found == found[0], labels == labels[0])


def test_small_clusters_that_nothing_links_are_not_joined_to_spare_a_large_one_a_cut():
    rows, labels = make_blobs([100, 100, 600], centers=[[0, 0], [0, 40], [40, 0]], cluster_std=1.0, random_state=0)
    graph = graph_of(rows)
    parts = 2 * labels + (rows[:, 1] > np.array([0, 40, 0])[labels])
    found = merge_to_num_clusters(graph, parts, 6, 3)[parts]
    assert len(set(zip(found, labels, strict=True))) == 3
    halves = np.where(labels == 2, parts, 0)
    assert modularity(graph, halves) > modularity(graph, labels)


def torn(seed=0):
    """Two kinds by their inputs; in the embedding some rows of the one lie beside the other, and joined its cluster."""
    inputs, labels = make_blobs([150, 150], centers=[[0] * 4, [9] * 4], cluster_std=1.0, random_state=seed)
    rng = np.random.default_rng(seed)
    astray = np.flatnonzero(labels == 0)[:20]
    embeddings = np.array([[0.0, 0.0], [9.0, 0.0]])[labels] + rng.normal(size=(300, 2))
    embeddings[astray] = [9.0, 4.0] + 0.3 * rng.normal(size=(20, 2))
    memberships = np.where(labels[:, None] == [0, 1], 0.9, 0.1)
    memberships[astray] = [0.2, 0.8]
    return inputs, labels, embeddings, memberships, astray


def graph_of(rows):
    return neighbor_graph(
        np.arange(len(rows)), nearest_neighbors(rows, rows, 10, own=np.arange(len(rows)))[1], len(rows)
    )


def test_a_part_astray_is_put_where_its_inputs_lie():
    inputs, labels, embeddings, memberships, astray = torn()
    found = reassign_pieces(memberships, split_into_pieces(embeddings, 8, seed=0), [graph_of(inputs)])
    np.testing.assert_array_equal(found.argmax(axis=1), labels)
    np.testing.assert_array_equal(found[astray], np.tile([0.8, 0.2], (20, 1)))
    others = np.setdiff1d(np.arange(300), astray)
    np.testing.assert_array_equal(found[others], memberships[others])


def test_one_graph_of_several_keeps_a_part_where_it_is():
    inputs, _, embeddings, memberships, _ = torn()
    found = reassign_pieces(
        memberships, split_into_pieces(embeddings, 8, seed=0), [graph_of(inputs), graph_of(embeddings)]
    )
    np.testing.assert_array_equal(found, memberships)


@pytest.mark.parametrize("part_rows", [1, 7, 1000])
def test_parts_of_any_size(part_rows):
    inputs, _, embeddings, memberships, _ = torn()
    graph = graph_of(inputs)
    found = reassign_pieces(memberships, split_into_pieces(embeddings, part_rows, seed=0), [graph])
    np.testing.assert_allclose(found.sum(axis=1), 1)
    assert modularity(graph, found.argmax(axis=1)) >= modularity(graph, memberships.argmax(axis=1))
    np.testing.assert_array_equal(
        found, reassign_pieces(memberships, split_into_pieces(embeddings, part_rows, seed=0), [graph])
    )


def test_what_is_found_on_a_layout_is_moved_where_the_inputs_say(monkeypatch):
    inputs, labels, embeddings, _, astray = torn()
    monkeypatch.setattr(
        "vade_jax.initialization.umap_layouts.umap_layout", lambda embeddings, distances, neighbors, seed: embeddings
    )
    options = ClusteringOptions(2, 0, 2, input_graphs=[graph_of(inputs)], part_rows=8)
    for part_rows, expected in ((0, 1), (8, 0)):
        clusters = manifold(embeddings, options._replace(part_rows=part_rows)).memberships.argmax(axis=1)
        clusters = clusters if clusters[-1] == labels[-1] else 1 - clusters
        np.testing.assert_array_equal(clusters[astray], expected)
        np.testing.assert_array_equal(np.delete(clusters, astray), np.delete(labels, astray))


def ring(num_rings, num_rows):
    """Cliques of rows in a ring, some edges from each to the next: as rows in the plane, their labels and the graph."""
    labels = np.repeat(np.arange(num_rings), num_rows)
    angles = 2 * np.pi * labels / num_rings
    rows = num_rings * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    rows += 0.2 * np.random.default_rng(0).normal(size=rows.shape)
    edges = (labels[:, None] == labels) & ~np.eye(len(labels), dtype=bool)
    for clique in range(num_rings):
        for row in range(num_rows // 2):
            one, other = clique * num_rows + row, (clique + 1) % num_rings * num_rows + row
            edges[one, other] = edges[other, one] = True
    return rows, labels, csr_matrix(edges.astype(float))


def test_as_many_clusters_are_found_as_are_asked_for_where_fewer_have_higher_modularity(monkeypatch):
    rows, labels, graph = ring(24, 10)
    assert modularity(graph, labels // 2) > modularity(graph, labels)
    monkeypatch.setattr(
        "vade_jax.initialization.umap_layouts.umap_layout", lambda embeddings, distances, neighbors, seed: embeddings
    )
    options = ClusteringOptions(24, 0, 4, num_layouts=1, components=1, part_rows=3, input_graphs=[graph])

    def pairs():
        clusters = manifold(rows, options).memberships.argmax(axis=1)
        return len(set(clusters)), len(set(zip(clusters, labels, strict=True)))

    assert pairs() == (24, 24)
    monkeypatch.setattr("vade_jax.initialization.best_of_layouts._RESOLUTIONS", [1.0])
    assert pairs()[0] < 24


def test_a_cluster_is_lost_that_shrank_to_a_speck_and_not_one_that_was_a_speck():
    labels = np.repeat([0, 1, 2, 3], [100, 100, 100, 4])
    graph = csr_matrix((labels[:, None] == labels) & ~np.eye(304, dtype=bool)).astype(float)
    for before, after, expected in ((labels, labels, 0), (labels, np.minimum(labels, 1), 2), (0 * labels, labels, 0)):
        assert count_emptied_clusters(graph, before, after, 4) == expected
    left = np.where((labels == 2) & (np.arange(304) > 202), 1, labels)
    assert count_emptied_clusters(graph, labels, left, 4) == 1
    assert count_emptied_clusters(graph, left, left, 4) == 0
