"""The benchmark of code changes: both functions of a pair agree, and speedups are computed correctly."""

import jax
import numpy as np
import pytest

from benchmarks import changes


@pytest.mark.parametrize("make", [changes._densities, pytest.param(changes._convolutions, marks=pytest.mark.slow)])
def test_both_functions_of_a_pair_give_the_same_result(make):
    before, after = make()
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-3, atol=2e-5), before(), after())


def test_number_of_threads_does_not_change_mixtures():
    before, after = changes._threads()
    for mixture, other in zip(before(), after(), strict=True):
        np.testing.assert_allclose(mixture.means_, other.means_, rtol=1e-6)


def test_functions_of_a_pair_are_timed_alternately():
    calls = []
    times = changes.measure((lambda: calls.append("before"), lambda: calls.append("after")), 2)
    assert calls == ["before", "after"] * 3  # the first call of each compiles
    assert [len(times[name]) for name in ("before", "after")] == [2, 2]


def test_ratios_are_paired_by_round():
    record = {"changes": {"x": {"before": [1.0, 4.0, 9.0], "after": [1.0, 2.0, 3.0]}}}
    assert changes.rows(record)[1] == ["x", "4000.0", "2000.0", "2.0"]
