"""Covariates of a model: what the networks see of them, and the bound with them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers.models import small_model
from scipy import special, stats

from vade_jax.core.elbo import elbo_terms
from vade_jax.inference.far_rows import BoundedModel
from vade_jax.networks.covariates import NO_COVARIATES, Covariates
from vade_jax.networks.model import init_params
from vade_jax.training.augmentation import random_gaps
from vade_jax.training.objectives import batch_elbo_terms, sample_z_each

NAN = np.nan
FEATURES, LATENT, CLUSTERS = 4, 2, 3
ROWS = np.float32([[0.5, 1.0, -1.0, 2.0, 0, 0.3], [0.1, -0.4, 0.7, 0.0, 2, -1.0], [1.5, 0.2, 0.9, -2.0, NAN, NAN]])
ENCODED = np.array([[1, 0, 0, 0.3], [0, 0, 1, -1.0], [1 / 3, 1 / 3, 1 / 3, 0]])  # three levels, and a number


def made(covariates=(3, 0), gaps=False):
    model = small_model("gaussian_shared", FEATURES, LATENT, 5, gaps=gaps, covariates=covariates)
    params = init_params(jax.random.key(0), model, FEATURES, CLUSTERS, LATENT)
    rng = np.random.default_rng(0)
    return model, jax.tree.map(lambda leaf: leaf + 0.3 * jnp.asarray(rng.normal(size=leaf.shape), jnp.float32), params)


def test_unknown_levels_are_the_mean_of_all_levels_and_unknown_numbers_are_0():
    covariates = Covariates((3, 0))
    x, given = covariates.split(jnp.asarray(ROWS))
    np.testing.assert_array_equal(x, ROWS[:, :FEATURES])
    np.testing.assert_allclose(covariates.encode(given), ENCODED, rtol=1e-6)
    np.testing.assert_array_equal(covariates.join(x, given), ROWS)
    draws = covariates.beside(jnp.ones((7, 3, LATENT)), given)
    np.testing.assert_allclose(draws[4], np.hstack([np.ones((3, LATENT)), ENCODED]), rtol=1e-6)
    np.testing.assert_allclose(covariates.beside(jnp.ones((1, LATENT)), None)[0, LATENT:], ENCODED[2], rtol=1e-6)


def test_without_covariates_nothing_is_added_to_the_inputs():
    x = jnp.ones((3, 2))
    assert NO_COVARIATES.split(x)[0] is x
    assert NO_COVARIATES.join(x, x[:, :0]) is x
    assert NO_COVARIATES.beside(x, None) is x
    assert made(covariates=())[0].encoder_input(x) is x


def dense(params, name, h):
    layer = params["params"][name]
    return h @ np.asarray(layer["kernel"], np.float64) + np.asarray(layer["bias"], np.float64)


def reference_elbo(params, rows, z):
    """The bound in NumPy, for the draws z [L, B, J] and the q(c|x) of its closed form."""
    x = np.asarray(rows[:, :FEATURES], np.float64)
    encoder, decoder = params["encoder"], params["decoder"]
    h = np.maximum(dense(encoder, "Dense_0", np.hstack([x, ENCODED])), 0)
    mean, log_var = dense(encoder, "z_mean", h), dense(encoder, "z_log_var", h)
    given = np.broadcast_to(ENCODED, (*z.shape[:-1], ENCODED.shape[1]))
    inner = {"params": decoder["params"]["decoder"]}
    h = np.maximum(dense(inner, "Dense_0", np.concatenate([z, given], -1)), 0)
    raw = 10 * float(decoder["params"]["log_var"])
    x_log_var = -6 + np.log1p(np.exp(raw + 6))
    log_px = stats.norm.logpdf(x, dense(inner, "Dense_1", h), np.exp(x_log_var / 2)).sum(-1).mean(0)
    logits, means, log_vars = (np.asarray(part, np.float64) for part in params["prior"])
    log_pi = special.log_softmax(logits)
    gap = np.square(mean[:, None] - means) + np.exp(log_var)[:, None]
    log_pz = -0.5 * (np.log(2 * np.pi) + log_vars + gap / np.exp(log_vars)).sum(-1)
    log_q = special.log_softmax(log_pz + log_pi, axis=-1)
    entropy = 0.5 * (1 + np.log(2 * np.pi) + log_var).sum(-1)
    return log_px + (np.exp(log_q) * (log_pz + log_pi - log_q)).sum(-1) + entropy


def test_the_bound_is_that_of_numpy_in_double_precision():
    model, params = made()
    rows, keys = jnp.asarray(ROWS), jax.random.split(jax.random.key(1), len(ROWS))
    z_mean, z_log_var = model.encode(params, rows)
    z = np.asarray(sample_z_each(keys, z_mean, z_log_var, 4), np.float64)
    terms = batch_elbo_terms(model, params, {"x": rows}, keys, "optimal", 4)
    np.testing.assert_allclose(terms.elbo, reference_elbo(params, ROWS, z), rtol=1e-5)


def test_with_gaps_the_observed_entries_and_the_covariates_remain():
    model, params = made(gaps=True)
    missing = ROWS.copy()
    missing[0, :2] = NAN
    z = jax.random.normal(jax.random.key(1), (2, 3, LATENT))
    seen = np.asarray(model.encoder_input(jnp.asarray(missing)))
    np.testing.assert_allclose(seen[:, 2 * FEATURES :], ENCODED, rtol=1e-6)
    filled = model.fill(params, jnp.asarray(missing), z, jnp.full((2, 3), 0.5))
    means = np.asarray(model.mean_x(params, z, jnp.asarray(missing[:, FEATURES:]))).mean(0)
    np.testing.assert_allclose(filled[0, :2], means[0, :2], rtol=1e-5)
    np.testing.assert_array_equal(filled[1:], ROWS[1:])


@pytest.mark.parametrize("estimator", ["sample", "mean", "optimal"])
def test_for_given_z_the_gradient_of_the_prior_does_not_depend_on_covariates(estimator):
    model, params = made()
    z_mean, z_log_var = jnp.ones((3, LATENT)), jnp.zeros((3, LATENT))
    z = jax.random.normal(jax.random.key(1), (2, 3, LATENT))

    def loss(prior, rows):
        log_px = model.log_px_given_z(params, rows, z)
        return -elbo_terms(log_px, z, z_mean, z_log_var, prior, estimator).elbo.sum()

    other = jnp.asarray(ROWS).at[:, FEATURES:].set(1.0)
    (first, one), (second, two) = (
        jax.value_and_grad(loss)(params["prior"], jnp.asarray(rows)) for rows in (ROWS, other)
    )
    assert first != second
    jax.tree.map(np.testing.assert_array_equal, one, two)
    prior_shapes = [leaf.shape for leaf in params["prior"]]
    assert prior_shapes == [leaf.shape for leaf in made(covariates=())[1]["prior"]]


def test_rows_far_from_the_training_rows_keep_their_covariates_and_finite_answers():
    model, params = made()
    bounded = BoundedModel(model.encoder, model.decoder, model.likelihood, model.covariates)
    far = ROWS.copy()
    far[0, 0], far[1, 5] = 1e30, 1e30
    np.testing.assert_array_equal(bounded.is_far(jnp.asarray(far)), [True, True, False])
    assert np.isfinite(bounded.encode(params, jnp.asarray(far))[0]).all()
    np.testing.assert_array_equal(
        bounded.encode(params, jnp.asarray(ROWS))[0], model.encode(params, jnp.asarray(ROWS))[0]
    )


def test_further_gaps_are_never_covariates():
    row = jnp.arange(1002.0)
    hidden = np.isnan(random_gaps(jax.random.key(0), row, 0.5, num_covariates=2))
    assert not hidden[-2:].any()
    np.testing.assert_array_equal(hidden[:-2], np.isnan(random_gaps(jax.random.key(0), row, 0.5))[:-2])
