"""The mixture that starts the prior: what it recovers, which restart it keeps, that it keeps weights and variances."""

import numpy as np
import pytest
from sklearn.datasets import make_blobs

from vade_jax.initialization import COVARIANCES, fit_gmm
from vade_jax.metrics import clustering_accuracy
from vade_jax.priors import log_prob_z

CENTRES = np.array([[-8.0, 0.0], [0.0, 6.0], [8.0, 0.0]])
STDS = [0.5, 1.0, 2.0]


@pytest.fixture(scope="module")
def blobs():
    return make_blobs([100, 200, 300], centers=CENTRES, cluster_std=STDS, random_state=0)


@pytest.mark.parametrize("covariance", COVARIANCES)
def test_recovers_weights_means_and_variances(blobs, covariance):
    embeddings, labels = blobs
    prior, clusters, scores = fit_gmm(embeddings, 3, seed=0, num_restarts=3, covariance=covariance)
    assert clustering_accuracy(labels, clusters) > 0.99
    order = np.argsort(np.asarray(prior.means)[:, 0])
    np.testing.assert_allclose(np.exp(prior.logits)[order], [1 / 6, 2 / 6, 3 / 6], atol=0.01)
    np.testing.assert_allclose(np.asarray(prior.means)[order], CENTRES, atol=0.3)
    expected = np.square(STDS)[:, None].repeat(2, 1)
    np.testing.assert_allclose(np.exp(prior.log_vars)[order], expected, rtol=0.25)
    if covariance == "diag":  # then the prior is the fitted mixture itself
        np.testing.assert_allclose(np.mean(log_prob_z(embeddings, prior)), max(scores), rtol=1e-4)


def test_keeps_the_likeliest_restart_and_repeats_it(blobs):
    embeddings = np.random.default_rng(0).normal(size=(200, 3))  # no clusters: restarts end in different optima
    first = fit_gmm(embeddings, 5, seed=0, num_restarts=6, covariance="diag")
    again = fit_gmm(embeddings, 5, seed=0, num_restarts=6, covariance="diag")
    other = fit_gmm(embeddings, 5, seed=1, num_restarts=6, covariance="diag")
    assert len(set(first.scores)) > 1
    np.testing.assert_allclose(np.mean(log_prob_z(embeddings, first.prior)), max(first.scores), rtol=1e-4)
    np.testing.assert_array_equal(first.prior.means, again.prior.means)
    assert first.scores == again.scores != other.scores


@pytest.mark.parametrize("covariance", COVARIANCES)
def test_constant_embeddings_give_a_finite_prior(covariance):
    prior, _, _ = fit_gmm(np.ones((20, 2)), 1, seed=0, num_restarts=1, covariance=covariance)
    assert all(np.isfinite(array).all() for array in prior)
