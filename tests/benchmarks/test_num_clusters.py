"""The rows whose number of clusters is recommended, and the table of the recommendations."""

import numpy as np
import pytest

from benchmarks import num_clusters


@pytest.mark.parametrize("name", ["uniform", "four overlapping Gaussians", "customers", "customers as indicators"])
def test_made_rows_differ_between_seeds_and_are_the_same_for_one(name):
    (x, labels), (again, same), (other, _) = (num_clusters.DATA[name](seed) for seed in (1, 1, 2))
    assert len(x) == len(labels)
    assert (labels == same).all()
    assert np.asarray(x).tolist() == np.asarray(again).tolist() != np.asarray(other).tolist()


def test_one_gaussian_is_measured():
    rows = np.random.default_rng(0).normal(size=(60, 2))
    entry = num_clusters.measure(rows, np.zeros(60, int), 0)
    assert (entry["seed"], entry["clusters"]) == (0, 1)
    assert entry["recommended"] >= 1


def test_the_table_has_each_recommendation_and_medians():
    runs = [
        {"clusters": 2, "recommended": number, "ari": index, "seconds": 9.6}
        for number, index in ((2, 1.0), (3, 0.5), (2, 0.9))
    ]
    assert num_clusters.rows({"two moons": runs})[1] == ["two moons", "2", "3", "2, 3, 2", "0.900", "10"]
