"""Draws and interpolation; the other answers are tested on runs, in tests/commands."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers.models import small_model

from vade_jax.core import mixture_prior
from vade_jax.core.mixture_prior import GMMPrior
from vade_jax.inference import answers
from vade_jax.inference.answers import decode, generate, interpolate
from vade_jax.networks.model import init_params


def made(likelihood):
    model = small_model(likelihood, 4, 3, 8)
    params = init_params(jax.random.key(0), model, 4, 2, 3)
    prior = GMMPrior(jnp.log(jnp.array([0.2, 0.8])), jnp.array([[-3.0, 0, 0], [3.0, 0, 0]]), jnp.zeros((2, 3)))
    return model, {**params, "prior": prior}


def test_interpolation_is_evenly_spaced_and_includes_both_ends():
    start, end = jnp.array([[1.0, 0.0, -1.0], [3.0, 3.0, 3.0]]), jnp.array([[5.0, 2.0, -1.0], [0.0, 0.0, 0.0]])
    line = interpolate(start[0], end[0], 5)
    np.testing.assert_allclose(line, [[1.0, 0, -1], [2, 0.5, -1], [3, 1, -1], [4, 1.5, -1], [5, 2, -1]], rtol=1e-6)
    both = interpolate(start, end, 5)
    assert both.shape == (2, 5, 3)
    np.testing.assert_allclose(both[0], line, rtol=1e-6)
    np.testing.assert_allclose(both[1, 0], start[1])


def test_draws_are_of_every_step_of_the_model():
    model, params = made("gaussian_shared")
    x, c = generate(model, params, jax.random.key(1), (8000,))
    means, same_c = generate(model, params, jax.random.key(1), (8000,), mean=True)
    np.testing.assert_array_equal(c, same_c)
    assert abs(np.mean(c) - 0.8) < 5 * 0.4 / 8000**0.5
    z, _ = mixture_prior.sample_prior(jax.random.key(1), params["prior"], (8000,))
    np.testing.assert_allclose(means, model.mean_x(params, z), rtol=1e-5, atol=1e-6)
    noise = np.asarray(x - means, np.float64)  # of variance softplus(0 + 6) - 6
    variance = np.log1p(np.exp(6.0)) - 6
    np.testing.assert_allclose(noise.var(axis=0), np.exp(variance), rtol=5 * (2 / 8000) ** 0.5)
    together = np.corrcoef(np.concatenate([noise, (z - params["prior"].means[c])], axis=1).T)
    assert np.abs(together - np.eye(7)).max() < 5 / 8000**0.5  # the noise of x does not depend on that of z


def test_draws_have_the_shape_and_the_clusters_that_are_asked_for():
    model, params = made("bernoulli")
    x, c = generate(model, params, jax.random.key(1), (2, 7), jnp.array([[1], [0]]))
    assert x.shape == (2, 7, 4)
    np.testing.assert_array_equal(c, [[1] * 7, [0] * 7])
    assert set(np.unique(x)) == {0.0, 1.0}


@pytest.mark.parametrize("seed", [None, 3])
def test_many_draws_are_decoded_in_parts(monkeypatch, seed):
    key = None if seed is None else jax.random.key(seed)
    model, params = made("gaussian_shared")
    z = jax.random.normal(jax.random.key(0), (2, 6, 3))
    whole = decode(model, params, z, key)
    monkeypatch.setattr(answers, "_MAX_DECODED", 5)
    parts = decode(model, params, z, key)
    assert parts.shape == whole.shape == (2, 6, 4)
    noise = (parts - decode(model, params, z)).reshape(12, 4)
    if key is None:
        np.testing.assert_allclose(parts, whole, rtol=1e-5)
    else:
        assert len(np.unique(noise.round(4))) == noise.size  # each part has its own noise
