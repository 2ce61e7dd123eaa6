"""The benchmark of changes: both ways of a pair find the same, and a ratio is what it is called."""

import jax
import numpy as np
import pytest

from benchmarks import changes


@pytest.mark.parametrize("make", [changes._densities, changes._convolutions])
def test_both_ways_find_the_same(make):
    before, after = make()
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-3, atol=2e-5), before(), after())


def test_threads_change_no_mixture():
    before, after = changes._threads()
    for mixture, other in zip(before(), after(), strict=True):
        np.testing.assert_allclose(mixture.means_, other.means_, rtol=1e-6)


def test_a_pair_is_timed_in_turn():
    calls = []
    times = changes.measure((lambda: calls.append("before"), lambda: calls.append("after")), 2)
    assert calls == ["before", "after"] * 3  # the first calls compile
    assert [len(times[name]) for name in ("before", "after")] == [2, 2]


def test_ratios_are_paired_by_round():
    record = {"changes": {"x": {"before": [1.0, 4.0, 9.0], "after": [1.0, 2.0, 3.0]}}}
    assert changes.rows(record)[1] == ["x", "4000.0", "2000.0", "2.0"]
