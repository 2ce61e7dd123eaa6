"""Outlier thresholds: the share of new rows below them is the share that was asked for."""

import numpy as np
import pytest
from scipy.stats import norm, t

from vade_jax.inference.outliers import are_outliers, outlier_threshold


@pytest.mark.parametrize("share", [0.01, 0.05, 0.1])
@pytest.mark.parametrize("num_rows", [50, 140, 1000])
def test_found_share_is_the_asked_one_on_average(share, num_rows):
    rng = np.random.default_rng(0)
    found = [np.exp(outlier_threshold(-rng.exponential(size=num_rows), share)) for _ in range(400)]  # P(-e < t)
    assert np.mean(found) == pytest.approx(share, rel=0.25)


@pytest.mark.parametrize("share", [0.01, 0.05])
def test_found_share_is_right_for_tails_of_any_weight(share):
    rng = np.random.default_rng(0)
    for draw, below in ((lambda size: rng.standard_t(4, size), t(4).cdf), (rng.standard_normal, norm.cdf)):
        found = [below(outlier_threshold(draw(size=140), share)) for _ in range(1000)]
        assert np.mean(found) == pytest.approx(share, rel=0.2)


def test_many_rows_give_the_quantile():
    rows = np.random.default_rng(0).normal(size=5000)
    assert outlier_threshold(rows, 0.01) == pytest.approx(np.quantile(rows, 0.01), abs=0.05)
    assert outlier_threshold(rows, 0.5) == np.median(rows)


def test_few_rows_give_a_threshold_below_all_of_them():
    rows = np.random.default_rng(0).normal(size=60)
    assert outlier_threshold(rows, 0.001) < rows.min()


def test_the_ends_of_the_range():
    rows = np.arange(30.0)
    assert outlier_threshold(rows, 0.0) == -np.inf
    assert outlier_threshold(rows, 1.0) == 29
    assert np.isfinite(outlier_threshold(rows[:2], 0.01))


def test_a_log_likelihood_that_is_not_finite_is_an_outlier_at_every_threshold():
    rows = np.array([-np.inf, np.nan, np.inf, -5.0, 3.0])
    np.testing.assert_array_equal(are_outliers(rows, -4.0), [True, True, True, True, False])
    np.testing.assert_array_equal(are_outliers(rows, -np.inf), [True, True, True, False, False])


@pytest.mark.parametrize("share", [0.001, 0.01, 0.3])
@pytest.mark.parametrize("lowest", [np.nan, -np.inf])
def test_rows_that_are_not_finite_give_a_threshold_that_is_a_number(share, lowest):
    for count in (1, 3, 30):
        rows = np.concatenate([np.full(count, lowest), np.random.default_rng(0).normal(size=100)])
        threshold = outlier_threshold(rows, share)
        assert not np.isnan(threshold)
        assert threshold == outlier_threshold(np.where(np.isnan(rows), -np.inf, rows), share)
