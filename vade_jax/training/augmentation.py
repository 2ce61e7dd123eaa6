"""Images turned and shifted a little, at random, by which they are still of their cluster."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.scipy.ndimage import map_coordinates

Augmentation = Callable[[jax.Array, jax.Array], jax.Array]  # (key, image [D]) -> [D]


def random_affine(
    key: jax.Array, image: jax.Array, image_shape: tuple[int, int, int], max_degrees: float, max_shift: float
) -> jax.Array:
    """One image turned about its centre and shifted; what comes in from outside is the nearest pixel of its rim.

    Args:
      key: a JAX random key.
      image: [D], flat.
      image_shape: (H, W, C) with H * W * C = D.
      max_degrees: the angle is uniform in [-max_degrees, max_degrees].
      max_shift: the shift along each side is uniform within this share of it, either way.

    Returns:
      [D], each pixel interpolated between the four nearest.
    """
    height, width, _ = image_shape
    *shift, turn = jax.random.uniform(key, (3,), minval=-1.0)
    angle = turn * jnp.deg2rad(max_degrees)
    rows, columns = jnp.meshgrid(jnp.arange(float(height)), jnp.arange(float(width)), indexing="ij")
    down = rows - (height - 1) / 2 - shift[0] * max_shift * height
    right = columns - (width - 1) / 2 - shift[1] * max_shift * width
    places = (
        jnp.cos(angle) * down - jnp.sin(angle) * right + (height - 1) / 2,
        jnp.sin(angle) * down + jnp.cos(angle) * right + (width - 1) / 2,
    )
    pixels = image.reshape(image_shape)
    return jax.vmap(lambda colour: map_coordinates(colour, places, 1, "nearest"), -1, -1)(pixels).ravel()
