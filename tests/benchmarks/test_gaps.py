"""The benchmark of gaps: what it removes, its errors, and its table."""

import numpy as np
import pytest

from benchmarks import gaps


def test_a_share_of_the_entries_is_removed_by_the_seed():
    x = np.random.default_rng(0).normal(size=(400, 5))
    removed = gaps.remove(x, 0.3, 7)
    np.testing.assert_array_equal(removed, gaps.remove(x, 0.3, 7))
    assert 0.27 < np.isnan(removed).mean() < 0.33
    np.testing.assert_array_equal(removed[~np.isnan(removed)], x[~np.isnan(removed)])
    assert gaps.error(np.where(np.isnan(removed), x.mean(axis=0), x), x, np.isnan(removed)) == pytest.approx(1, abs=0.1)
    assert gaps.error(x, x, np.isnan(removed)) == 0


def test_table_has_medians_over_seeds():
    record = gaps.with_entry({}, "0", {"seed": 100, "accuracy": {"VaDE": 0.9}})
    for seed, value in ((101, 0.8), (100, 0.1), (102, 0.6), (100, 0.7)):  # the last one replaces
        entry = {"accuracy": dict.fromkeys(gaps._ACCURACIES, value), "error": dict.fromkeys(gaps._ERRORS, value / 2)}
        record = gaps.with_entry(record, "0.2", {"seed": seed, **entry})
    table = gaps.rows(record)
    assert table[1] == ["0%", "1", "0.900", "", "", "", "", "", ""]
    assert table[2] == ["20%", "3", *["0.700"] * 3, *["0.350"] * 4]
