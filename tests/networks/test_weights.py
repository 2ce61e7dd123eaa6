"""First weights of the networks by name."""

import jax
import jax.numpy as jnp
import numpy as np

from vade_jax.networks.weights import WEIGHTS, redraw_weights

NETWORK = {"params": {"Dense_0": {"kernel": jnp.ones((300, 100)), "bias": jnp.full(100, 3.0)}, "log_var": jnp.ones(())}}


def test_glorot_weights_are_uniform_within_their_bound():
    redrawn = redraw_weights("glorot_uniform", jax.random.key(0), NETWORK)["params"]
    kernel = np.asarray(redrawn["Dense_0"]["kernel"])
    bound = np.sqrt(6 / 400)
    assert np.abs(kernel).max() <= bound
    np.testing.assert_allclose(kernel.std(), bound / np.sqrt(3), rtol=0.02)
    np.testing.assert_array_equal(redrawn["Dense_0"]["bias"], NETWORK["params"]["Dense_0"]["bias"])
    np.testing.assert_array_equal(redrawn["log_var"], 1.0)


def test_the_networks_own_weights_stay():
    assert set(WEIGHTS) == {"lecun_normal", "glorot_uniform"}
    assert redraw_weights("lecun_normal", jax.random.key(0), NETWORK) is NETWORK
