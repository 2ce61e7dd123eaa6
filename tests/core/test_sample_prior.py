"""Draws of c ~ Cat(pi) and z ~ N(mu_c, sigma_c^2)."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers.prior_references import make_inputs

from vade_jax.core import mixture_prior
from vade_jax.core.mixture_prior import GMMPrior

compiled_sample_prior = jax.jit(mixture_prior.sample_prior, static_argnums=2)


@pytest.mark.parametrize("shape", [(), (2, 3)])
def test_sample_prior_has_the_given_shape(shape):
    z, c = compiled_sample_prior(jax.random.key(0), make_inputs().prior, shape)
    assert (z.shape, z.dtype) == ((*shape, 3), jnp.float32)
    assert (c.shape, c.dtype) == (shape, jnp.int32)


def test_sample_prior_draws_the_same_under_vmap():
    prior = make_inputs().prior
    keys = jax.random.split(jax.random.key(0), 2)
    z, c = jax.jit(jax.vmap(lambda key: mixture_prior.sample_prior(key, prior, (5,))))(keys)
    for n in range(2):
        one_z, one_c = compiled_sample_prior(keys[n], prior, (5,))
        np.testing.assert_allclose(z[n], one_z, rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(c[n], one_c)


def test_sample_prior_has_the_frequencies_and_moments_of_the_mixture():
    # With K = J, noise shared by c and z would change the moments.
    prior = make_inputs(clusters=3).prior._replace(logits=jnp.log(jnp.array([0.2, 0.5, 0.3])))
    count = 30_000
    z, c = compiled_sample_prior(jax.random.key(1), prior, (count,))
    np.testing.assert_allclose(np.bincount(c) / count, [0.2, 0.5, 0.3], atol=5 * 0.5 / count**0.5)
    for cluster in range(3):
        draws = np.asarray(z[c == cluster], np.float64)
        scale = np.exp(np.asarray(prior.log_vars[cluster]) / 2)
        error = 5 * scale / len(draws) ** 0.5
        assert (np.abs(draws.mean(0) - prior.means[cluster]) < error).all()
        assert (np.abs(draws.std(0) - scale) < error).all()


def test_sample_prior_draws_from_the_given_cluster():
    prior = GMMPrior(jnp.zeros(3), jnp.array([[-100.0], [0.0], [100.0]]), jnp.zeros((3, 1)))
    key = jax.random.key(0)
    for cluster in (2, jnp.array([0, 1, 2]), np.array([[1], [2]])):
        z, c = mixture_prior.sample_prior(key, prior, (2, 3), cluster)
        np.testing.assert_array_equal(c, np.broadcast_to(cluster, (2, 3)))
        np.testing.assert_array_equal(jnp.round(z[..., 0] / 100), c - 1)


def test_sample_prior_differentiates_through_the_moments():
    prior = make_inputs().prior
    gradient = jax.jit(jax.grad(lambda p: mixture_prior.sample_prior(jax.random.key(0), p, (7,), 1)[0].sum()))(prior)
    np.testing.assert_allclose(gradient.means[1], 7.0)
    z, _ = mixture_prior.sample_prior(jax.random.key(0), prior, (7,), 1)
    np.testing.assert_allclose(gradient.log_vars[1], (z - prior.means[1:2]).sum(0) / 2, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("cluster", [-1, 3, np.int64(3)])
def test_sample_prior_rejects_a_cluster_out_of_range(cluster):
    prior = GMMPrior(jnp.zeros(3), jnp.zeros((3, 2)), jnp.zeros((3, 2)))
    with pytest.raises(ValueError, match=rf"cluster is {cluster}; .* 0 to 2"):
        mixture_prior.sample_prior(jax.random.key(0), prior, (), cluster)
