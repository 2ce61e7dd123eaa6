"""Shapes of the networks, the likelihoods of their heads, and the reset of the log-variance head."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vade_jax.core.likelihoods import log_prob_x_gaussian
from vade_jax.networks.encoders_decoders import ConvDecoder, ConvEncoder, with_constant_log_var
from vade_jax.networks.likelihoods import LIKELIHOODS, Gaussian
from vade_jax.networks.model import init_params, make_model

LATENT_DIM = 3


def model_for(network="mlp", likelihood="bernoulli", image_shape=(8, 8, 1), hidden=(7, 5)):
    num_features = int(np.prod(image_shape))
    model = make_model(
        network=network,
        likelihood=likelihood,
        num_features=num_features,
        image_shape=image_shape,
        latent_dim=LATENT_DIM,
        hidden=hidden,
        min_log_var=-6.0,
    )
    shapes = jax.eval_shape(lambda key: init_params(key, model, num_features, 4, LATENT_DIM), jax.random.key(0))
    rng = np.random.default_rng(0)  # whose draws are not compiled
    draws = jax.tree.map(lambda leaf: jnp.asarray(0.1 * rng.standard_normal(leaf.shape), leaf.dtype), shapes)
    return model, draws


@pytest.mark.parametrize(
    ("likelihood", "image_shape"),
    [
        *((name, (7, 9, 3)) for name in LIKELIHOODS),
        *(("gaussian", shape) for shape in [(8, 8, 1), (28, 28, 1), (1, 5, 1)]),
    ],
)
@pytest.mark.parametrize("network", ["mlp", "conv"])
def test_networks_accept_any_leading_axes(network, likelihood, image_shape):
    model, params = model_for(network, likelihood, image_shape)
    num_features = int(np.prod(image_shape))
    x = jax.random.uniform(jax.random.key(1), (2, num_features))
    z = jax.random.normal(jax.random.key(2), (6, 2, LATENT_DIM))

    @jax.jit
    def results(params, x, z):
        return model.encode(params, x), model.log_px_given_z(params, x, z), model.mean_x(params, z)

    (z_mean, z_log_var), log_px_given_z, mean_x = results(params, x, z)
    assert z_mean.shape == z_log_var.shape == (2, LATENT_DIM)
    assert log_px_given_z.shape == (6, 2)
    assert mean_x.shape == (6, 2, num_features)
    np.testing.assert_allclose(mean_x[1], jax.jit(model.mean_x)(params, z[1]), rtol=1e-5, atol=1e-6)


def test_mlp_has_the_layers_of_the_paper():
    _, params = model_for(image_shape=(28, 28, 1), hidden=(500, 500, 2000))
    encoder = params["encoder"]["params"]
    widths = [encoder[f"Dense_{layer}"]["kernel"].shape for layer in range(3)]
    assert widths == [(784, 500), (500, 500), (500, 2000)]
    decoder = params["decoder"]["params"]
    widths = [decoder[f"Dense_{layer}"]["kernel"].shape for layer in range(4)]
    assert widths == [(LATENT_DIM, 2000), (2000, 500), (500, 500), (500, 784)]


def intermediates(network, rows):
    """Returns the output of a network for rows, and its parameters and the outputs of its layers."""

    @jax.jit
    def init_and_apply(key, rows):
        return network.apply(network.init(key, rows), rows, capture_intermediates=True, mutable=True)

    return init_and_apply(jax.random.key(1), rows)


@pytest.mark.parametrize("sides", [(8, 8), (7, 9), (1, 5)])
def test_conv_layers_match_xlas_convolutions(sides):
    """Compares the first layer with XLA's convolution and the last two with its transposed one; biases start at 0."""
    layout = ("NHWC", "HWIO", "NHWC")
    encoder = ConvEncoder(LATENT_DIM, (*sides, 2))
    x = jax.random.normal(jax.random.key(0), (3, *sides, 2))
    rows = x.reshape(3, -1)
    state = intermediates(encoder, rows)[1]
    layer = state["params"]["Dense_0"]
    expected = jax.lax.conv_general_dilated(
        x, layer["kernel"].reshape(3, 3, 2, -1), (2, 2), "SAME", dimension_numbers=layout
    )
    captured = state["intermediates"]["Dense_0"]["__call__"][0]
    np.testing.assert_allclose(captured, expected, atol=1e-5)

    decoder = ConvDecoder((*sides, 2))
    z = jax.random.normal(jax.random.key(2), (3, LATENT_DIM))
    (images,), state = intermediates(decoder, z)
    layers = state["params"]
    h = jax.nn.relu(state["intermediates"]["Dense_1"]["__call__"][0])
    h = h.reshape(3, *(-(-side // 4) for side in sides), 64)
    for name in ("Dense_2", "Dense_3"):
        kernel = layers[name]["kernel"]
        kernel = kernel.reshape(-1, 2, 2, kernel.shape[1] // 4).transpose(1, 2, 0, 3)[::-1, ::-1]  # XLA's is mirrored
        h = jax.lax.conv_transpose(jax.nn.relu(h), kernel, (2, 2), "SAME", dimension_numbers=layout)
    np.testing.assert_allclose(images, h[:, : sides[0], : sides[1]].reshape(3, -1), atol=1e-5)


def test_gaussian_shared_minimises_the_squared_error():
    model, params = model_for(likelihood="gaussian_shared")
    x = jax.random.normal(jax.random.key(1), (6, 64))
    z = jax.random.normal(jax.random.key(2), (1, 6, LATENT_DIM))

    def loss(decoder, log_var):
        decoder = {"params": {**decoder["params"], "log_var": log_var / 10}}
        return -model.log_px_given_z({**params, "decoder": decoder}, x, z).sum()

    mean = model.mean_x(params, z)[0]
    for log_var in (-2.0, 0.0, 1.0):
        var = np.exp(-6 + np.logaddexp(0, log_var + 6))  # bounded below
        squares = 0.5 * np.square(x - mean).sum() / var + 0.5 * x.size * np.log(2 * np.pi * var)
        np.testing.assert_allclose(loss(params["decoder"], jnp.float32(log_var)), squares, rtol=1e-4)
    slopes = [jax.grad(loss)(params["decoder"], jnp.float32(log_var)) for log_var in (-2.0, 1.0)]
    low, high = (slope["params"]["decoder"]["Dense_0"]["kernel"] for slope in slopes)
    np.testing.assert_allclose(low / jnp.linalg.norm(low), high / jnp.linalg.norm(high), atol=1e-5)


def test_bernoulli_means_are_probabilities():
    model, params = model_for()
    means = model.mean_x(params, jax.random.normal(jax.random.key(0), (50, LATENT_DIM)))
    assert (means > 0).all()
    assert (means < 1).all()


def test_gaussian_log_variance_is_learned_and_bounded_below():
    likelihood = Gaussian(min_log_var=-6.0)
    x, mean = jnp.zeros((1, 4)), jnp.full((1, 4), 0.1)
    far_above = jnp.full((1, 4), 2.0)
    np.testing.assert_allclose(
        likelihood.log_prob(x, mean, far_above), log_prob_x_gaussian(x, mean, far_above), rtol=1e-3
    )
    np.testing.assert_allclose(
        likelihood.log_prob(x, mean, jnp.full((1, 4), -1e4)),
        log_prob_x_gaussian(x, mean, jnp.full((1, 4), -6.0)),
        rtol=1e-6,
    )
    gradient = jax.grad(lambda raw: likelihood.log_prob(x, mean, raw).sum())(jnp.zeros((1, 4)))
    assert (jnp.abs(gradient) > 0.1).all()


@pytest.mark.parametrize("network", ["mlp", "conv"])
def test_only_the_log_variance_head_is_reset(network):
    model, params = model_for(network)
    x = jax.random.uniform(jax.random.key(1), (5, 64))
    z_mean, z_log_var = model.encode(params, x)
    reset = {**params, "encoder": with_constant_log_var(params["encoder"], -4.0)}
    new_mean, new_log_var = model.encode(reset, x)
    np.testing.assert_array_equal(new_mean, z_mean)
    np.testing.assert_array_equal(new_log_var, jnp.full_like(new_log_var, -4.0))
    np.testing.assert_array_equal(model.encode(params, x)[1], z_log_var)


def test_conv_network_rejects_rows_that_are_not_images():
    with pytest.raises(ValueError, match="no image shape"):
        make_model(
            network="conv",
            likelihood="bernoulli",
            num_features=64,
            image_shape=None,
            latent_dim=LATENT_DIM,
            hidden=(5,),
            min_log_var=-6.0,
        )
