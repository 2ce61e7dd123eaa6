"""Gaps in rows: where they are allowed, and what leaves them out."""

import warnings

import numpy as np
import pytest

from vade_jax.data.column_checks import check_extreme_values
from vade_jax.data.dataset import make_dataset
from vade_jax.data.equal_rows import first_equal_rows
from vade_jax.data.gaps import check_no_gaps, has_gaps
from vade_jax.data.offsets import column_limits, source_limits
from vade_jax.data.scaling import SCALINGS, fitted_scaling, moments, register_scaling, scaled_limits
from vade_jax.system import large_arrays
from vade_jax.system.errors import InputError

X = np.random.default_rng(0).normal(3, 2, (50, 4)).astype(np.float32)
GAPS = np.where(np.random.default_rng(1).random(X.shape) < 0.3, np.float32(np.nan), X)


@pytest.mark.parametrize("size", [4, 37, 2**20])
def test_moments_and_limits_are_those_of_the_observed_entries(monkeypatch, size):
    monkeypatch.setattr(large_arrays, "_VALUES_PER_SLICE", size)
    mean, var = moments(GAPS)
    np.testing.assert_allclose(mean[0], np.nanmean(GAPS, axis=0), rtol=1e-6)
    np.testing.assert_allclose(var[0], np.nanvar(GAPS, axis=0), rtol=1e-6)
    np.testing.assert_array_equal(column_limits(GAPS), [np.nanmin(GAPS, axis=0), np.nanmax(GAPS, axis=0)])
    assert source_limits(GAPS, None) == (np.nanmin(GAPS), np.nanmax(GAPS))
    for name in SCALINGS:
        shift, scale = fitted_scaling(name, GAPS)
        scaled = (GAPS - shift) * scale
        np.testing.assert_array_equal(np.isnan(scaled), np.isnan(GAPS))
        low, high = scaled_limits(GAPS, shift, scale)
        np.testing.assert_allclose([low, high], [np.nanmin(scaled), np.nanmax(scaled)], rtol=1e-6)
    with warnings.catch_warnings(action="error"):
        check_extreme_values(GAPS, (), "X")


def test_only_some_columns_are_scaled():
    shift, scale = fitted_scaling("standardize", GAPS, np.array([1, 3]))
    np.testing.assert_array_equal(shift[0, [0, 2]], 0)
    np.testing.assert_array_equal(scale[0, [0, 2]], 1)
    np.testing.assert_allclose(shift[0, [1, 3]], np.nanmean(GAPS[:, [1, 3]], axis=0), rtol=1e-6)


@pytest.mark.usefixtures("own_registries")
def test_an_own_scaling_that_cannot_take_gaps_is_named():
    register_scaling("by_maximum", lambda x: (np.zeros((1, 1), np.float32), 1 / x.max(axis=0, keepdims=True)))
    with pytest.raises(InputError, match=r"^config.data.scaling: got 'by_maximum', whose shift or scale .* not finite"):
        fitted_scaling("by_maximum", GAPS)
    assert np.isfinite(fitted_scaling("by_maximum", X)[1]).all()


def test_an_array_keeps_its_gaps():
    rows = make_dataset(GAPS.astype(np.float64), None, "X")
    np.testing.assert_array_equal(rows.x, GAPS)
    assert has_gaps(rows.x)
    assert not has_gaps(X)
    check_no_gaps(X, (), "X")
    x = X.copy()
    x[3, 1] = x[7, 0] = np.nan
    with pytest.raises(InputError, match=r"got X with 2 gaps \(the first in row 3, column b\), expected rows without"):
        check_no_gaps(x, tuple("abcd"), "X")


def test_a_large_column_with_gaps_has_an_offset():
    x = 1.7e9 + np.arange(20.0)[:, None]
    x[3] = np.nan
    rows = make_dataset(x, None, "X")
    assert rows.offset.tolist() == [1.7e9]
    np.testing.assert_array_equal(rows.x, x - 1.7e9)


def test_rows_with_the_same_gaps_are_equal():
    other_nan = np.array([0x7FC00001], np.uint32).view(np.float32)[0]
    x = np.array([[1, np.nan], [1, other_nan], [np.nan, 1], [1, 2], [np.nan, 1]], np.float32)
    assert first_equal_rows(x).tolist() == [0, 0, 2, 3, 2]
