"""Priors that are fitted to clusters."""

import numpy as np
import pytest

from vade_jax.core.fit_prior import MIN_VAR, PRIORS, fit_prior, prior_from_memberships

RNG = np.random.default_rng(0)
Z_MEAN = RNG.normal(size=(50, 2))
Z_VAR = np.full((50, 2), 0.5)
MEMBERSHIPS = np.eye(3)[RNG.choice(3, 50, p=(0.6, 0.3, 0.1))]


def test_moments_are_those_of_the_memberships():
    prior, expected = (
        fit_prior("moments", Z_MEAN, Z_VAR, MEMBERSHIPS),
        prior_from_memberships(Z_MEAN, Z_VAR, MEMBERSHIPS),
    )
    for ours, theirs in zip(prior, expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_equal_weights_have_the_variances_of_the_latent_means():
    prior = fit_prior("equal_weights", Z_MEAN, Z_VAR, MEMBERSHIPS)
    assert np.ptp(prior.logits) == 0
    floor = MIN_VAR * np.square(Z_MEAN - Z_MEAN.mean(0)).mean()
    for number, of_cluster in enumerate(MEMBERSHIPS.T == 1):
        np.testing.assert_allclose(prior.means[number], Z_MEAN[of_cluster].mean(0), rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(np.exp(prior.log_vars[number]), Z_MEAN[of_cluster].var(0) + floor, rtol=1e-4)


def test_unit_variances_keep_the_means_alone():
    prior = fit_prior("unit_variances", Z_MEAN, Z_VAR, MEMBERSHIPS)
    np.testing.assert_array_equal(prior.log_vars, 0)
    np.testing.assert_array_equal(prior.means, fit_prior("moments", Z_MEAN, Z_VAR, MEMBERSHIPS).means)
    assert np.ptp(prior.logits) == 0


@pytest.mark.parametrize("kind", PRIORS)
def test_every_prior_is_float32(kind):
    assert {array.dtype for array in fit_prior(kind, Z_MEAN, Z_VAR, MEMBERSHIPS)} == {np.dtype("float32")}
