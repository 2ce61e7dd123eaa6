"""Checks and conversions of the types and shapes of arrays."""

import jax
import jax.numpy as jnp
from jax import lax


def as_floats(*arrays: jax.Array) -> list[jax.Array]:
    """Returns the arrays in one floating type: float64 if one is float64, else float32, as sums need it."""
    inputs = [jnp.asarray(array) for array in arrays]
    dtype = jnp.float64 if any(array.dtype == jnp.float64 for array in inputs) else jnp.float32
    return [array.astype(dtype) for array in inputs]


def prepend_axes(array: jax.Array, ndim: int) -> jax.Array:
    """Returns the array with leading axes of length 1, up to ndim; it then broadcasts without rank promotion."""
    return lax.expand_dims(array, range(ndim - array.ndim))


def align_events(name: str, x: jax.Array, other_name: str, other: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Returns both arrays in one type and rank.

    Raises:
      ValueError: the last axes differ, or the others do not broadcast.
    """
    shape, other_shape = jnp.shape(x), jnp.shape(other)
    try:
        fits = shape[-1] == other_shape[-1] and bool(jnp.broadcast_shapes(shape, other_shape))
    except (ValueError, IndexError):
        fits = False
    if not fits:
        raise ValueError(
            f"{name} has shape {shape} and {other_name} {other_shape}: "
            "the last axes must be the same D and the leading ones must broadcast"
        )
    x, other = as_floats(x, other)
    ndim = max(x.ndim, other.ndim)
    return prepend_axes(x, ndim), prepend_axes(other, ndim)


def check_same_shape(name: str, array: jax.Array, other_name: str, other: jax.Array) -> None:
    """Raises a ValueError that names both shapes if they differ."""
    if jnp.shape(array) != jnp.shape(other):
        raise ValueError(
            f"{name} has shape {jnp.shape(array)} and {other_name} {jnp.shape(other)}: they must be the same shape"
        )


def check_draws(z: jax.Array, z_mean: jax.Array) -> None:
    """Raises a ValueError unless z is [L, ..., J] and z_mean [..., J]."""
    if jnp.shape(z)[1:] != jnp.shape(z_mean):
        raise ValueError(
            f"z has shape {jnp.shape(z)} and z_mean {jnp.shape(z_mean)}: they must be [L, ..., J] and [..., J]"
        )


def check_same_draws(log_px_given_z: jax.Array, z: jax.Array) -> None:
    """Raises a ValueError unless both have the same number of draws L on their first axis."""
    if jnp.shape(log_px_given_z)[:1] != jnp.shape(z)[:1]:
        raise ValueError(
            f"log_px_given_z has shape {jnp.shape(log_px_given_z)} and z {jnp.shape(z)}: "
            "the first axes must be the same number of draws L"
        )


def check_log_px(log_px_given_z: jax.Array, z_mean: jax.Array) -> None:
    """Raises a ValueError unless log p(x|z) is [L, ...] and z_mean [..., J]."""
    if jnp.ndim(log_px_given_z) < 1 or jnp.shape(log_px_given_z)[1:] != jnp.shape(z_mean)[:-1]:
        raise ValueError(
            f"log_px_given_z has shape {jnp.shape(log_px_given_z)} and z_mean {jnp.shape(z_mean)}: "
            "they must be [L, ...] and [..., J]"
        )
