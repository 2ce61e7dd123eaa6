"""Reparameterized draws of z."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers.references import (
    J,
    as_float64,
    make_problem,
)

from vade_jax.core.elbo import sample_z


def test_sample_z_names_both_shapes():
    with pytest.raises(ValueError, match=r"\(5, 2\).*\(2,\)"):
        sample_z(jax.random.key(0), jnp.zeros((5, 2)), jnp.zeros(2), 3)


def test_sample_z_rejects_zero_draws():
    with pytest.raises(ValueError, match="num_samples is 0"):
        sample_z(jax.random.key(0), jnp.zeros(2), jnp.zeros(2), 0)


@pytest.mark.parametrize("leading", [(), (2, 3)])
def test_sample_z_is_reparameterized_with_the_given_moments(leading):
    z_mean, z_log_var = make_problem(leading)[2:4]
    draw = jax.jit(functools.partial(sample_z, jax.random.key(0), num_samples=10_000))
    z, by_mean = jax.jvp(lambda mean: draw(mean, z_log_var), (z_mean,), (jnp.ones_like(z_mean),))
    _, by_log_var = jax.jvp(lambda log_var: draw(z_mean, log_var), (z_log_var,), (jnp.ones_like(z_mean),))
    assert (z.shape, z.dtype) == ((10_000, *leading, J), jnp.float32)
    scale = np.exp(as_float64(z_log_var) / 2)
    noise = (as_float64(z) - as_float64(z_mean)) / scale
    assert np.abs(noise.mean(0)).max() < 5 / 100
    assert np.abs(noise.var(0) - 1).max() < 5 * 2**0.5 / 100
    assert np.abs((noise[1:] * noise[:-1]).mean(0)).max() < 5 / 100  # the noise of the draws is independent
    np.testing.assert_allclose(by_mean, jnp.ones_like(z))
    np.testing.assert_allclose(by_log_var, noise * scale / 2, rtol=1e-4, atol=1e-5)
