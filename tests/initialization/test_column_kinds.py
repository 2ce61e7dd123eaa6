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
    np.testing.assert_array_equal(rows.indicators, [[0, 0, 1, 0, 1], [0, 0, 0, 0, 0], [1, 0, 0, 1, 0]])
    np.testing.assert_array_equal(rows.category, [0, 0, 0, 1, 1])


def test_indicators_of_the_levels_of_a_category_are_one_category():
    towns = np.eye(3)[[0, 1, 2, 2, 0]]
    flags = np.array([[1, 0, 1, 1, 0], [0, 0, 1, 0, 1]]).T
    rows = split_columns(np.hstack([towns, flags]), ["binary"] * 5, [0] * 5)
    np.testing.assert_array_equal(rows.category, [0, 0, 0, 1, 1, 2, 2])
    np.testing.assert_array_equal(rows.indicators[:, :3], towns)
    np.testing.assert_array_equal(rows.indicators[:, 3:], np.stack([1 - flags, flags], axis=2).reshape(5, 4))
    without_first = split_columns(towns[:, 1:], ["binary"] * 2, [0] * 2)
    np.testing.assert_array_equal(without_first.indicators, towns)
    with_gap = split_columns(np.vstack([towns, [[GAP, 0, 0]]]), ["binary"] * 3, [0] * 3)
    np.testing.assert_array_equal(with_gap.category, [0, 0, 1, 1, 1])
    np.testing.assert_array_equal(with_gap.indicators[-1], [0, 0, 1, 0, 0])


def test_logarithms_are_taken_of_positive_columns():
    x = np.array([[1.0], [np.e], [np.e**2]])
    np.testing.assert_allclose(split_columns(x, ["positive"], [0]).numbers[:, 0], np.array([-1, 0, 1]) * 1.5**0.5)


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
