"""The encoder g(x; phi) and the decoder f(z; theta) as Flax Linen modules.

An encoder maps x [..., D] to (z_mean, z_log_var), each [..., J]. A decoder maps z [..., J] to a tuple of `num_heads`
arrays [..., D], the parameters of p(x|z). A new network is one such pair and its entry in NETWORKS.
"""

import itertools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
from flax import linen as nn

from vade_jax.system.registry import Registry


class MLPEncoder(nn.Module):
    """The paper's D-500-500-2000-J perceptron with ReLU units (arXiv:1611.05148, Sec. 4.2).

    Attributes:
      latent_dim: J.
      hidden: the widths between D and J.
    """

    latent_dim: int
    hidden: Sequence[int] = (500, 500, 2000)

    @nn.compact
    def __call__(self, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        """(z_mean, z_log_var), each [..., J], for x [..., D]."""
        return _latent_heads(_dense_relu(x, self.hidden), self.latent_dim)


class MLPDecoder(nn.Module):
    """The mirror of `MLPEncoder`, J-2000-500-500-D for the same `hidden`.

    Attributes:
      num_features: D.
      hidden: the encoder's widths; the decoder uses them in reverse order.
      num_heads: the number of parameters of p(x|z) for each feature.
    """

    num_features: int
    hidden: Sequence[int] = (500, 500, 2000)
    num_heads: int = 1

    @nn.compact
    def __call__(self, z: jax.Array) -> tuple[jax.Array, ...]:
        """num_heads arrays [..., D] for z [..., J]."""
        h = _dense_relu(z, tuple(reversed(self.hidden)))
        return tuple(jnp.split(nn.Dense(self.num_heads * self.num_features)(h), self.num_heads, axis=-1))


class ConvEncoder(nn.Module):
    """Two convolutions of 3 x 3 pixels and stride 2, then one dense layer; x is flat.

    Attributes:
      latent_dim: J.
      image_shape: (H, W, C) with H * W * C = D.
      channels: of the two convolutions.
      width: of the dense layer.
    """

    latent_dim: int
    image_shape: tuple[int, int, int]
    channels: tuple[int, int] = (32, 64)
    width: int = 512

    @nn.compact
    def __call__(self, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        """(z_mean, z_log_var), each [..., J], for x [..., D]."""
        h = x.reshape(*x.shape[:-1], *self.image_shape)
        for channels in self.channels:
            # A matrix product of patches, since XLA's convolution in a scan is several times slower on a CPU.
            h = nn.relu(nn.Dense(channels)(_patches(h, 3, 2)))
        h = h.reshape(*h.shape[:-3], -1)
        return _latent_heads(_dense_relu(h, (self.width,)), self.latent_dim)


class ConvDecoder(nn.Module):
    """Two dense layers, then two transposed convolutions of 2 x 2 pixels and stride 2; the images are flat.

    Attributes:
      image_shape: (H, W, C).
      channels: the encoder's channels; the decoder uses them in reverse order.
      width: of the first dense layer.
      num_heads: the number of parameters of p(x|z) for each pixel and channel.
    """

    image_shape: tuple[int, int, int]
    channels: tuple[int, int] = (32, 64)
    width: int = 512
    num_heads: int = 1

    @nn.compact
    def __call__(self, z: jax.Array) -> tuple[jax.Array, ...]:
        """num_heads arrays [..., D] for z [..., J]."""
        height, width, colours = self.image_shape
        rows, columns = math.ceil(height / 4), math.ceil(width / 4)
        h = _dense_relu(z, (self.width, rows * columns * self.channels[1]))
        h = h.reshape(*h.shape[:-1], rows, columns, self.channels[1])
        h = nn.relu(_depth_to_space(nn.Dense(4 * self.channels[0])(h), 2))
        h = _depth_to_space(nn.Dense(4 * self.num_heads * colours)(h), 2)
        h = h[..., :height, :width, :]  # drops the pixels by which sides were rounded up to multiples of 4
        return tuple(head.reshape(*head.shape[:-3], -1) for head in jnp.split(h, self.num_heads, axis=-1))


class SharedLogVar(nn.Module):
    """Adds one learned log-variance, shared by all features and all z, to a decoder of means.

    Attributes:
      decoder: a decoder with one head.
      rate: how many times faster than the other parameters the log-variance learns.
    """

    decoder: nn.Module
    rate: float = 10.0

    @nn.compact
    def __call__(self, z: jax.Array) -> tuple[jax.Array, jax.Array]:
        """(mean, log_var), each [..., D], for z [..., J]."""
        (mean,) = self.decoder(z)
        # Adam moves each parameter by about the learning rate in a step, which is too slow for a scale.
        log_var = self.rate * self.param("log_var", nn.initializers.zeros, (), jnp.float32)
        return mean, jnp.broadcast_to(log_var, mean.shape)


class LearnedNumbers(nn.Module):
    """Adds learned numbers that are the same for all z to the heads of a decoder.

    Attributes:
      decoder: any decoder.
      first: the values before training.
      each_column: whether each value gives a head [..., D] of one number for each column; else all of them are one
        head [..., len(first)].
      rate: how many times faster than the other parameters they learn, as in `SharedLogVar`.
    """

    decoder: nn.Module
    first: tuple[float, ...]
    each_column: bool = True
    rate: float = 10.0

    @nn.compact
    def __call__(self, z: jax.Array) -> tuple[jax.Array, ...]:
        """The decoder's heads and the learned ones, for z [..., J]."""
        heads = self.decoder(z)
        *leading, num_columns = heads[0].shape
        first = jnp.array(self.first, jnp.float32)
        first = jnp.broadcast_to(first[:, None], (len(self.first), num_columns)) if self.each_column else first[None]
        learned = self.rate * self.param("numbers", lambda _: first / self.rate)
        return (*heads, *(jnp.broadcast_to(numbers, (*leading, len(numbers))) for numbers in learned))


class Shapes(NamedTuple):
    """The sizes that an encoder and a decoder are built for.

    Attributes:
      num_features: D.
      image_shape: (H, W, C) with H * W * C = D, or None if rows are not images.
      latent_dim: J.
      hidden: widths of the hidden layers, for the networks that take them.
      num_heads: the number of parameters of p(x|z) for each feature.
    """

    num_features: int
    image_shape: tuple[int, int, int] | None
    latent_dim: int
    hidden: tuple[int, ...]
    num_heads: int


def _mlp(shapes: Shapes) -> tuple[nn.Module, nn.Module]:
    return (
        MLPEncoder(shapes.latent_dim, shapes.hidden),
        MLPDecoder(shapes.num_features, shapes.hidden, shapes.num_heads),
    )


def _conv(shapes: Shapes) -> tuple[nn.Module, nn.Module]:
    if shapes.image_shape is None:
        raise ValueError("the 'conv' network needs images, and these rows have no image shape")
    return (
        ConvEncoder(shapes.latent_dim, shapes.image_shape),
        ConvDecoder(shapes.image_shape, num_heads=shapes.num_heads),
    )


class NetworkFactory(Protocol):
    """A function that makes a pair of networks."""

    def __call__(self, shapes: Shapes, /) -> tuple[nn.Module, nn.Module]:
        """Returns (encoder, decoder), as the top of this file describes them.

        The encoder's two output layers are `nn.Dense` layers named 'z_mean' and 'z_log_var'.

        Raises:
          ValueError: the network cannot have these shapes.
        """


NETWORKS: Registry[NetworkFactory] = Registry("network", "model.network", {"mlp": _mlp, "conv": _conv})


def register_network(name: str, factory: NetworkFactory) -> None:
    """Adds a network that the setting `model.network` can name.

    Args:
      name: a new name.
      factory: function of `Shapes` that returns (encoder, decoder). The encoder maps x [..., D] to
        (z_mean, z_log_var), each [..., J]; these come from `nn.Dense` layers of those names. The decoder maps
        z [..., J] to a tuple of `shapes.num_heads` arrays [..., D].

    Raises:
      ValueError: the name is taken, or cannot be used.

    Example:
      >>> def small(shapes):
      ...     encoder = MLPEncoder(shapes.latent_dim, hidden=(32,))
      ...     return encoder, MLPDecoder(shapes.num_features, hidden=(32,), num_heads=shapes.num_heads)
      >>> register_network("small", small)  # then: --config.model.network=small
    """
    NETWORKS.register(name, factory)


def with_constant_log_var(encoder_params: dict[str, Any], log_var: float) -> dict[str, Any]:
    """Returns the encoder's parameters with a log-variance head that is log_var for every x.

    Pretraining does not train that head, so its random weights would scatter the draws of z.

    Args:
      encoder_params: the parameters of an encoder whose heads are named 'z_mean' and 'z_log_var'.
      log_var: log sigma_z^2 to start from.

    Returns:
      A new dict of parameters; the given one is not changed.
    """
    head = encoder_params["params"]["z_log_var"]
    constant = {"kernel": jnp.zeros_like(head["kernel"]), "bias": jnp.full_like(head["bias"], log_var)}
    return {**encoder_params, "params": {**encoder_params["params"], "z_log_var": constant}}


def _dense_relu(h: jax.Array, widths: Sequence[int]) -> jax.Array:
    for width in widths:
        h = nn.relu(nn.Dense(width)(h))
    return h


def _patches(images: jax.Array, size: int, stride: int) -> jax.Array:
    """The patches that a zero-padded convolution reads.

    [..., H, W, C] -> [..., H / stride, W / stride, size * size * C], with H / stride and W / stride rounded up.
    """
    padding, stops = [(0, 0)] * images.ndim, []
    for axis in (-3, -2):
        length = images.shape[axis]
        stop = stride * (math.ceil(length / stride) - 1) + 1  # one past the last patch's first pixel
        zeros = max(stop - 1 + size - length, 0)
        padding[axis] = (zeros // 2, zeros - zeros // 2)
        stops.append(stop)
    padded = jnp.pad(images, padding)
    offsets = itertools.product(range(size), repeat=2)
    pixels = [padded[..., i : i + stops[0] : stride, j : j + stops[1] : stride, :] for i, j in offsets]
    return jnp.concatenate(pixels, axis=-1)


def _depth_to_space(h: jax.Array, size: int) -> jax.Array:
    """Splits each pixel into size x size pixels: [..., H, W, size * size * C] -> [..., size * H, size * W, C]."""
    *batch, height, width, channels = h.shape
    h = h.reshape(*batch, height, width, size, size, channels // size**2)
    return h.swapaxes(-4, -3).reshape(*batch, size * height, size * width, -1)


def _latent_heads(h: jax.Array, latent_dim: int) -> tuple[jax.Array, jax.Array]:
    return nn.Dense(latent_dim, name="z_mean")(h), nn.Dense(latent_dim, name="z_log_var")(h)
