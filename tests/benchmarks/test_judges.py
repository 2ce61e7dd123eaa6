"""The benchmark of label-free criteria: candidates and criteria whose order is known."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from benchmarks.judge_criteria import CRITERIA, Rows, consensus, mean_ranks
from benchmarks.judges import judge, merge_by_linkage, table
from vade_jax.initialization.neighbor_graphs import find_neighbors


def blobs():
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], [200, 60, 40])
    return 8 * np.eye(3)[labels] + rng.normal(size=(300, 3)), labels


@pytest.mark.parametrize(
    "name", sorted(CRITERIA.keys() - {"stability over halves"})
)  # mixtures find these from any start
def test_every_criterion_prefers_true_clusters_to_random_ones(name):
    points, labels = blobs()
    rows = Rows(find_neighbors(points, 10)[2], points, 3)
    random = np.random.default_rng(1).permutation(labels)
    assert CRITERIA[name](rows, labels) > CRITERIA[name](rows, random)


def test_linkage_merges_the_pair_with_the_most_edges_for_its_size():
    links = np.array([[80, 10, 9], [10, 80, 0], [9, 0, 2]])  # groups of 100, 90 and 11 edges
    graph, groups = csr_matrix(links.astype(float)), np.arange(3)
    np.testing.assert_array_equal(merge_by_linkage(graph, groups, 2), [0, 1, 0])


def test_consensus_is_higher_for_clusters_that_others_resemble():
    _, labels = blobs()
    random = np.random.default_rng(1).permutation(labels)
    similar, same, other = consensus([labels, labels, random])
    assert similar == same > 0.4 > other
    assert mean_ranks([1, 2, 3], [1, 3, 2]) == [1, 2.5, 2.5]


def test_table_has_a_column_for_each_set_and_a_row_for_each_criterion():
    found = judge(*blobs(), most_rows=250)
    assert found["rows"] == 250
    assert found["best"] > 0.95
    header, *lines = table({"blobs": found})
    assert header[-1] == "blobs"
    assert len(lines) == len(CRITERIA) + 5
    assert {len(line) for line in lines} == {len(header)}
    assert table({}) != []
