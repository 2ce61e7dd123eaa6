"""Rows far from the training data: every answer is finite, the probabilities sum to 1, and log p(x) is never NaN."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers.runs import assert_same_bits

from vade_jax.core.mixture_prior import GMMPrior
from vade_jax.data.scaling import Scaling
from vade_jax.inference.answers import likelihood_under_priors, log_likelihood, make_embed, mean_elbo, posterior
from vade_jax.inference.far_rows import BoundedModel
from vade_jax.inference.outliers import are_outliers
from vade_jax.networks.likelihood_base import Likelihood
from vade_jax.networks.likelihoods import register_likelihood
from vade_jax.networks.model import init_params, make_model
from vade_jax.training.train_state import TrainState

FEATURES, CLUSTERS, LATENT = 6, 4, 3
KEY = jax.random.key(0)


def made(likelihood, clusters=CLUSTERS):
    """A model and a state with weights like those of a trained network, and the scaling x -> 2 (x - 0.5)."""
    model = make_model(
        network="mlp",
        likelihood=likelihood,
        num_features=FEATURES,
        image_shape=None,
        latent_dim=LATENT,
        hidden=(16, 16),
        min_log_var=-6.0,
    )
    params = jax.tree.map(lambda leaf: 2 * leaf, init_params(KEY, model, FEATURES, clusters, LATENT))
    means = 3 * jax.random.normal(KEY, (clusters, LATENT))
    prior = GMMPrior(jnp.arange(clusters, dtype=jnp.float32) / clusters, means, jnp.full((clusters, LATENT), -1.0))
    scaling = Scaling(jnp.full((1, 1), 0.5), jnp.full((1, 1), 2.0))
    return model, TrainState.create({**params, "prior": prior}, KEY, scaling)


def ordinary_rows(count=200):
    """Rows [count, D] that the scaling maps to [0, 1]."""
    return np.random.default_rng(0).uniform(0.5, 1.0, (count, FEATURES)).astype(np.float32)


def far_rows(count=1000):
    """Rows [count, D] of several kinds: multiplied by 1e3 to 1e30, one far column, and far noise."""
    rng = np.random.default_rng(1)
    rows = np.float64(ordinary_rows(count))
    factors = rng.choice([-1.0, 1.0], count) * 10 ** rng.uniform(3, 30, count)
    rows[::3] *= factors[::3, None]
    rows[1::3, rng.integers(FEATURES)] = factors[1::3]
    rows[2::3] = rng.normal(size=rows[2::3].shape) * factors[2::3, None]
    return rows.astype(np.float32)


def answers(model, state, x, estimator="optimal"):
    found = posterior(model, state, x, KEY, estimator=estimator, batch_size=128)
    log_px = log_likelihood(model, state, x, KEY, num_samples=5, batch_size=128)
    return found, *make_embed(model, 128)(state, x), log_px


@pytest.mark.parametrize("clusters", [CLUSTERS, 100])
@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian", "gaussian_shared"])
def test_far_rows_get_finite_answers_and_are_outliers(likelihood, clusters):
    model, state = made(likelihood, clusters)
    x = far_rows()
    found, z_mean, z_log_var, log_px = answers(model, state, x)
    for array in (found.responsibilities, z_mean, z_log_var):
        assert np.isfinite(array).all()
    np.testing.assert_allclose(found.responsibilities.sum(axis=1), 1, atol=1e-5)
    assert not np.isnan(log_px).any()
    *_, of_ordinary = answers(model, state, ordinary_rows())
    assert np.isfinite(of_ordinary).all()
    assert are_outliers(log_px, of_ordinary.min()).all()
    assert not are_outliers(of_ordinary, of_ordinary.min()).any()


@pytest.mark.parametrize("estimator", ["sample", "mean"])
def test_far_rows_get_finite_probabilities_by_each_estimator(estimator):
    model, state = made("gaussian")
    found, *_ = answers(model, state, far_rows(300), estimator)
    assert np.isfinite(found.responsibilities).all()
    np.testing.assert_allclose(found.responsibilities.sum(axis=1), 1, atol=1e-5)


def test_far_and_denormal_rows_never_give_nan_in_a_mean_or_under_a_prior():
    model, state = made("gaussian")
    x = np.concatenate([far_rows(30), np.full((2, FEATURES), 1e-40, np.float32)])
    assert not any(map(np.isnan, mean_elbo(model, state, x, KEY, estimator="optimal", batch_size=32).values()))
    bound = likelihood_under_priors(model, state, x, KEY, num_samples=3, batch_size=32)(state.params["prior"])
    assert not np.isnan(bound).any()
    assert np.isfinite(bound[-2:]).all()


@pytest.mark.parametrize("likelihood", ["student_t", "poisson", "negative_binomial", "zero_inflated_negative_binomial"])
def test_far_rows_never_give_nan_with_heavy_tails_or_counts(likelihood):
    model, state = made(likelihood)
    found, z_mean, z_log_var, log_px = answers(model, state, np.concatenate([far_rows(300), np.zeros((1, FEATURES))]))
    for array in (found.responsibilities, z_mean, z_log_var):
        assert np.isfinite(array).all()
    assert not np.isnan(log_px).any()


def test_the_bounds_change_no_bit_of_ordinary_rows():
    model, state = made("gaussian")
    x = state.scaling(jnp.asarray(ordinary_rows()))
    bounded = BoundedModel(model.encoder, model.decoder, model.likelihood)
    assert_same_bits(bounded.encode(state.params, x), model.encode(state.params, x))
    z = model.encode(state.params, x)[0][None]
    assert_same_bits(bounded.log_px_given_z(state.params, x, z), model.log_px_given_z(state.params, x, z))
    assert not bounded.is_far(x).any()


def test_a_value_outside_the_unit_interval_is_clipped_and_one_far_outside_has_density_0():
    model, state = made("bernoulli")
    inside = np.float32([0.5, 0.6, 0.7, 0.8, 0.9, 1.0])
    near, far = inside.copy(), inside.copy()
    near[0], far[0] = -7.4, -7.6  # scaled to -15.8 and -16.2
    *_, log_px = answers(model, state, np.stack([inside, near, far]))
    same_row_again, *_ = log_likelihood(model, state, np.stack([inside] * 3), KEY, num_samples=5, batch_size=128)
    assert log_px[0] == same_row_again
    assert np.isfinite(log_px[1])
    assert log_px[2] == -np.inf


class Overflowing(Likelihood):
    """A likelihood whose log p(x|z) is inf - inf."""

    num_heads = 1

    def log_prob(self, x, *heads):
        infinite = jnp.exp(1000 + jnp.abs(heads[0]).sum(-1))
        return infinite - infinite

    def mean(self, *heads):
        return heads[0]


@pytest.mark.usefixtures("own_registries")
def test_a_likelihood_that_is_not_a_number_counts_as_0():
    register_likelihood("overflowing", lambda min_log_var: Overflowing())
    model, state = made("overflowing")
    *_, log_px = answers(model, state, ordinary_rows(3))
    np.testing.assert_array_equal(log_px, np.full(3, -np.inf))
