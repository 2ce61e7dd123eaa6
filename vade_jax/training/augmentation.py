"""Random changes of rows that do not change their cluster: small moves of images, and more gaps."""

import functools
from typing import Protocol

import jax
import jax.numpy as jnp
from jax.scipy.ndimage import map_coordinates


class Augmentation(Protocol):
    """A random change of one row. Hashable: compiled programs are kept by it."""

    def __hash__(self) -> int: ...

    def __call__(self, key: jax.Array, row: jax.Array, /) -> jax.Array:
        """The changed row [D], for a JAX random key and a row [D]."""
        ...


@functools.lru_cache(maxsize=16)  # one object for one augmentation, so that its compiled programs are found again
def make_random_affine(image_shape: tuple[int, int, int], max_degrees: float, max_shift: float) -> Augmentation:
    """Returns `random_affine` with these options; the same object for the same options."""
    return functools.partial(random_affine, image_shape=image_shape, max_degrees=max_degrees, max_shift=max_shift)


@functools.lru_cache(maxsize=16)
def make_random_gaps(share: float, num_covariates: int = 0) -> Augmentation:
    """Returns `random_gaps` with these options; the same object for the same options."""
    return functools.partial(random_gaps, share=share, num_covariates=num_covariates)


def random_gaps(key: jax.Array, row: jax.Array, share: float, num_covariates: int = 0) -> jax.Array:
    """One row [D + S] in which each entry but the S covariates is replaced by a gap, NaN, with a probability."""
    hidden = jax.random.bernoulli(key, share, row.shape)
    if num_covariates:
        hidden = hidden.at[-num_covariates:].set(False)
    return jnp.where(hidden, jnp.nan, row)


@functools.lru_cache(maxsize=16)
def in_turn(first: Augmentation, second: Augmentation) -> Augmentation:
    """Both augmentations, one after the other; the same object for the same augmentations."""

    def both(key: jax.Array, row: jax.Array) -> jax.Array:
        first_key, second_key = jax.random.split(key)
        return second(second_key, first(first_key, row))

    return both


def random_affine(
    key: jax.Array, image: jax.Array, image_shape: tuple[int, int, int], max_degrees: float, max_shift: float
) -> jax.Array:
    """One image rotated about its centre and shifted; pixels from outside repeat the nearest border pixel.

    Args:
      key: a JAX random key.
      image: [D], flat.
      image_shape: (H, W, C) with H * W * C = D.
      max_degrees: the angle is uniform in [-max_degrees, max_degrees].
      max_shift: the shift along a side is uniform in [-max_shift, max_shift], as a share of the side.

    Returns:
      [D]; each pixel is interpolated linearly between the four nearest pixels.
    """
    height, width, _ = image_shape
    *shift, turn = jax.random.uniform(key, (3,), jnp.float32, minval=-1.0)
    angle = turn * jnp.deg2rad(jnp.float32(max_degrees))
    sides = (jnp.arange(size, dtype=jnp.float32) for size in (height, width))
    rows, columns = jnp.meshgrid(*sides, indexing="ij")
    down = rows - (height - 1) / 2 - shift[0] * max_shift * height
    right = columns - (width - 1) / 2 - shift[1] * max_shift * width
    source_positions = (
        jnp.cos(angle) * down - jnp.sin(angle) * right + (height - 1) / 2,
        jnp.sin(angle) * down + jnp.cos(angle) * right + (width - 1) / 2,
    )
    pixels = image.reshape(image_shape)

    def shift_channel(channel: jax.Array) -> jax.Array:
        return map_coordinates(channel, source_positions, 1, "nearest")

    return jax.vmap(shift_channel, -1, -1)(pixels).ravel()
