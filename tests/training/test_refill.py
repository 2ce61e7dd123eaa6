"""An empty cluster is refilled if, and only if, that raises the bound."""

import jax.numpy as jnp
import numpy as np
import pytest

from vade_jax.core.fit_prior import prior_from_memberships
from vade_jax.core.mixture_prior import expected_log_prob_z_given_c, log_prob_c, optimal_log_responsibilities
from vade_jax.reports.label_scores import clustering_accuracy
from vade_jax.training.refill import refill_empty_clusters

RNG = np.random.default_rng(0)
LABELS = np.repeat([0, 1, 2, 3], [150, 150, 150, 30])
Z_MEAN = (np.array([[0, 0], [9, 0], [0, 9], [30, 30]])[LABELS] + RNG.normal(size=(480, 2))).astype(np.float32)
Z_VAR = np.full_like(Z_MEAN, 0.01)


def bound(prior, z_mean=Z_MEAN, z_var=Z_VAR):
    log_pz = expected_log_prob_z_given_c(z_mean, np.log(z_var), prior) + log_prob_c(prior)[None]
    return np.logaddexp.reduce(np.asarray(log_pz, np.float64), axis=1).mean()


@pytest.mark.parametrize(
    ("clusters", "empty"),
    [
        ([0, 1, 1, 2], [3]),  # one cluster has two true clusters: it is split
        ([0, 1, 2, 2], [3]),  # a cluster has a few distant rows, which are explained worst
        ([0, 0, 1, 1], [2, 3]),
        ([0, 0, 0, 0], [1, 2, 3]),
    ],
)
def test_refill_recovers_the_true_clusters(clusters, empty):
    start = prior_from_memberships(Z_MEAN, Z_VAR, np.eye(4)[np.array(clusters)[LABELS]])
    prior, gain = refill_empty_clusters(start, Z_MEAN, Z_VAR, np.array(empty), seed=0)
    np.testing.assert_allclose(gain, bound(prior) - bound(start), rtol=1e-3)
    assert gain > 0.1
    found = np.asarray(optimal_log_responsibilities(Z_MEAN, np.log(Z_VAR), prior)).argmax(axis=1)
    assert clustering_accuracy(LABELS, found) > 0.98


def test_refill_separates_identical_clusters():
    start = prior_from_memberships(Z_MEAN, Z_VAR, np.full((480, 4), 0.25))
    prior, gain = refill_empty_clusters(start, Z_MEAN, Z_VAR, np.array([1, 2, 3]), seed=0)
    assert gain > 0.1
    found = np.asarray(optimal_log_responsibilities(Z_MEAN, np.log(Z_VAR), prior)).argmax(axis=1)
    assert clustering_accuracy(LABELS, found) > 0.98


def test_refill_copes_with_rows_that_only_an_empty_cluster_explains():
    start = prior_from_memberships(Z_MEAN, Z_VAR, np.eye(4)[np.array([0, 0, 1, 2])[LABELS]])
    lone = start._replace(means=start.means.at[3].set(jnp.asarray(Z_MEAN[0])), log_vars=start.log_vars.at[3].set(-20.0))
    prior, gain = refill_empty_clusters(lone, Z_MEAN, Z_VAR, np.array([3]), seed=0)
    assert gain > 0.1
    assert all(jnp.isfinite(array).all() for array in prior)


def test_refill_does_not_split_a_single_true_cluster():
    z_mean = RNG.normal(size=(2000, 2)).astype(np.float32)
    z_var = np.full_like(z_mean, 0.01)
    start = prior_from_memberships(z_mean, z_var, np.eye(2)[np.zeros(2000, int)])
    prior, gain = refill_empty_clusters(start, z_mean, z_var, np.array([1]), seed=0)
    assert prior is start
    assert gain == 0


def test_refill_of_equal_rows_stays_finite():
    start = prior_from_memberships(np.ones((20, 2)), np.ones((20, 2)), np.eye(3)[np.zeros(20, int)])
    prior, _ = refill_empty_clusters(
        start, np.ones((20, 2), np.float32), np.ones((20, 2), np.float32), np.array([1, 2]), seed=0
    )
    assert all(jnp.isfinite(array).all() for array in prior)
