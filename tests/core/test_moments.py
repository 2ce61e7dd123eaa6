"""Moments of rows far from zero are those of float64, and rows near zero are left as they are."""

import numpy as np
import pytest

from vade_jax.core.fit_prior import MIN_VAR, prior_from_memberships
from vade_jax.core.moments import far_means

OFFSETS = [0.0, 10.0, 100.0, 1000.0, 1e4]


def clusters(offset, signs=(1, 1, 1)):
    """z_mean [N, J] and z_var of three clusters far from zero, and their soft memberships, float32."""
    rng = np.random.default_rng(0)
    labels = np.arange(3000) % 3
    centres = np.array([[0.0, 0, 0], [3, -3, 0], [0, 4, 4]]) + offset * np.array(signs)[:, None]
    z_mean = centres[labels] + rng.normal(size=(3000, 3)) * [0.5, 1.0, 2.0]
    memberships = 0.94 * np.eye(3)[labels] + 0.02
    return (array.astype(np.float32) for array in (z_mean, rng.uniform(0.01, 0.1, (3000, 3)), memberships))


def exact_prior(z_mean, z_var, memberships):
    """Means and variances of each cluster by their definition, in float64."""
    z_mean, z_var, memberships = (np.asarray(array, np.float64) for array in (z_mean, z_var, memberships))
    weights = memberships / memberships.sum(axis=0)
    means = weights.T @ z_mean
    squares = np.square(z_mean[:, None] - means[None]) + z_var[:, None]  # [N, K, J]
    return means, np.einsum("nk,nkj->kj", weights, squares) + MIN_VAR * z_mean.var(axis=0).mean()


@pytest.mark.parametrize("signs", [(1, 1, 1), (1, -1, 0)], ids=["together", "apart"])
@pytest.mark.parametrize("offset", OFFSETS)
def test_the_prior_of_clusters_far_from_zero_is_that_of_float64(offset, signs):
    z_mean, z_var, memberships = clusters(offset, signs)
    prior = prior_from_memberships(z_mean, z_var, memberships)
    means, variances = exact_prior(z_mean, z_var, memberships)
    np.testing.assert_allclose(prior.means, means, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(np.exp(prior.log_vars), variances, rtol=2e-6)


def test_a_cluster_without_rows_gets_the_moments_of_all_rows_far_from_zero():
    z_mean, z_var, memberships = clusters(1e4)
    prior = prior_from_memberships(z_mean, z_var, np.pad(memberships, [(0, 0), (0, 1)]))
    np.testing.assert_allclose(prior.means[3], z_mean.mean(axis=0, dtype=np.float64), rtol=1e-6)
    variances = z_mean.var(axis=0, dtype=np.float64) + z_var.mean(axis=0)
    np.testing.assert_allclose(np.exp(prior.log_vars[3]), variances + MIN_VAR * variances.mean(), rtol=1e-3)


def test_only_columns_far_from_zero_are_centred():
    rng = np.random.default_rng(0)
    rows = rng.normal([0, 3, 100, -1e4], size=(500, 4)).astype(np.float32)
    means = far_means(rows)
    assert means.dtype == np.float32
    np.testing.assert_array_equal(means[:2], 0)
    np.testing.assert_allclose(means[2:], [100, -1e4], rtol=1e-3)
    np.testing.assert_array_equal((rows - means)[:, :2], rows[:, :2])
    np.testing.assert_array_equal(far_means(np.uint8([[200], [201], [202]])), [np.float32(201)])
