"""The benchmark of clusters of unequal size: its rows, its record and its table."""

import numpy as np
import pytest

from benchmarks.unequal import METHODS, MIXTURES, POSTERIOR, Mixture, make_rows, measure, prepare, table, with_entry
from vade_jax.reports.label_scores import clustering_accuracy


@pytest.mark.parametrize("name", MIXTURES)
def test_rows_have_the_sizes_and_columns_of_their_mixture(name):
    mixture = MIXTURES[name]
    rows, labels, most_probable = make_rows(mixture, 600, 0)
    assert rows.shape == (600, mixture.num_columns)
    sizes = np.bincount(labels)
    assert sizes.max() / sizes.min() == pytest.approx(mixture.ratio, rel=0.35)
    assert clustering_accuracy(labels, most_probable) > 0.9
    assert mixture.kind != "binary" or set(np.unique(rows)) == {0, 1}
    assert mixture.kind != "counts" or (rows == rows.round()).all()
    assert np.isfinite(prepare(rows, mixture)).all()


def test_rows_depend_on_the_seed_alone():
    first, again, other = (make_rows(Mixture(10, 5), 100, seed)[0] for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_methods_find_clusters_that_lie_far_apart():
    methods = [name for name in METHODS if name != "VaDE"]
    entry = measure("200 columns, 1:10, far", 1, 600, methods)
    for name in methods:
        assert entry["scores"][name]["ari"] > 0.8, name
    record = with_entry({}, "far", entry)
    header, line = table(record)
    assert len(header) == len(line)
    assert line[header.index("VaDE")] == "-"
    assert float(line[header.index(POSTERIOR)]) > 0.99
    later = {**entry, "scores": {"VaDE": entry["scores"]["KMeans"]}}
    merged = with_entry(record, "far", later)["far"]
    assert len(merged) == 1
    assert set(merged[0]["scores"]) == {POSTERIOR, *METHODS}
