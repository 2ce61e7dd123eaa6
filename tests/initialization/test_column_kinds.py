"""Rows by kinds of columns."""

import numpy as np
import pytest

from vade_jax.initialization.column_kinds import split_columns

GAP = np.nan


def test_columns_are_split_by_their_kinds():
    x = np.array([[0.5, 1, 2, 1, 3], [GAP, GAP, GAP, GAP, 1], [1.5, 0, 0, 0, GAP]])
    rows = split_columns(x, ["number", "binary", "category", "count", "count"], [0, 0, 3, 0, 0])
    np.testing.assert_allclose(rows.numbers, [[-1], [GAP], [1]])
    np.testing.assert_array_equal(rows.counts, x[:, 3:])
    np.testing.assert_array_equal(rows.indicators, [[0, 1, 0, 0, 1], [0, 0, 0, 0, 0], [1, 0, 1, 0, 0]])
    np.testing.assert_array_equal(rows.category, [0, 0, 1, 1, 1])


def test_integers_that_vary_more_than_poisson_counts_do_are_counts_and_large_ones_are_numbers():
    x = np.stack([[0, 0, 0, 50], [30, 31, 40, 0], [0.5, 1, 2, 3]], axis=1).astype(float)
    rows = split_columns(x, ["number"] * 3, [0] * 3)
    np.testing.assert_array_equal(rows.counts, x[:, :1])
    assert rows.numbers.shape == (4, 2)


@pytest.mark.parametrize("sign", [1.0, -1.0], ids=["positive", "negative"])
def test_heavy_tails_are_tamed(sign):
    x = sign * np.exp(2 * np.random.default_rng(0).normal(size=(1000, 1)))
    tamed, plain = (split_columns(x, [kind], [0]).numbers for kind in ("heavy_tailed", "number"))
    assert np.abs(tamed).max() < 6 < np.abs(plain).max()
    np.testing.assert_array_equal(np.argsort(tamed[:, 0]), np.argsort(plain[:, 0]))


@pytest.mark.parametrize("value", [GAP, 7.5])
@pytest.mark.parametrize("kind", ["number", "count", "category"])
def test_columns_without_values_or_with_one_value_are_accepted(value, kind):
    features = split_columns(np.full((4, 1), value), [kind], [2]).features()
    assert np.isfinite(features).all()
    np.testing.assert_array_equal(features, np.broadcast_to(features[0], features.shape))
