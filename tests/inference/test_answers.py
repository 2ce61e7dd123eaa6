"""Interpolation; the other answers are tested on runs, in tests/commands."""

import jax
import jax.numpy as jnp
import numpy as np

from vade_jax.inference.answers import interpolate
from vade_jax.networks.model import init_params, make_model


def test_interpolation_is_evenly_spaced_and_includes_both_ends():
    model = make_model(
        network="mlp",
        likelihood="bernoulli",
        num_features=4,
        image_shape=None,
        latent_dim=3,
        hidden=(8,),
        min_log_var=-6.0,
    )
    params = init_params(jax.random.key(0), model, 4, 2, 3)
    start, end = jnp.array([[1.0, 0.0, -1.0], [3.0, 3.0, 3.0]]), jnp.array([[5.0, 2.0, -1.0], [0.0, 0.0, 0.0]])
    line = interpolate(model, params, start[0], end[0], 5)
    codes = jnp.array([[1.0, 0, -1], [2, 0.5, -1], [3, 1, -1], [4, 1.5, -1], [5, 2, -1]])
    np.testing.assert_allclose(line, model.mean_x(params, codes), rtol=1e-5)
    both = interpolate(model, params, start, end, 5)
    assert both.shape == (2, 5, 4)
    np.testing.assert_allclose(both[0], line, rtol=1e-5)
    np.testing.assert_allclose(both[1, 0], model.mean_x(params, start[1]), rtol=1e-5)
