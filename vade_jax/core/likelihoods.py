"""log p(x|z) of the Bernoulli and Gaussian likelihoods, and draws x ~ p(x|z)."""

import jax
import jax.numpy as jnp

from vade_jax.core.mixture_prior import log_prob_normal
from vade_jax.core.shapes import as_floats, check_same_shape, prepend_axes


def log_prob_x_bernoulli(x: jax.Array, logits: jax.Array) -> jax.Array:
    """log p(x|z) = sum_d [x_d log mu_d + (1 - x_d) log(1 - mu_d)], mu = sigmoid(logits) (arXiv:1611.05148, Sec. 3.1).

    Args:
      x: [..., D], in [0, 1]; grey values count as probabilities, as in the paper.
      logits: [..., D], real.

    Returns:
      [...], nats, at most 0.

    Raises:
      ValueError: x and logits differ in D, or their leading axes do not broadcast.

    Example:
      >>> float(log_prob_x_bernoulli(jnp.ones(4), jnp.zeros(4)))  # 4 log(1/2)
      -2.7725887298583984
    """
    x, logits = _align_events("x", x, "logits", logits)
    return jnp.sum(x * jax.nn.log_sigmoid(logits) + (1 - x) * jax.nn.log_sigmoid(-logits), axis=-1)


def log_prob_x_gaussian(x: jax.Array, mean: jax.Array, log_var: jax.Array) -> jax.Array:
    """log p(x|z) = log N(x | mean, diag(exp log_var)) (arXiv:1611.05148, Sec. 3.1).

    Args:
      x: [..., D], real.
      mean: [..., D], real.
      log_var: [..., D], real.

    Returns:
      [...], nats.

    Raises:
      ValueError: mean and log_var differ in shape, x and mean differ in D, or their leading axes do not broadcast.
    """
    check_same_shape("mean", mean, "log_var", log_var)
    x, mean = _align_events("x", x, "mean", mean)
    x, mean, log_var = as_floats(x, mean, log_var)
    return log_prob_normal(x, mean, log_var)


def sample_x_bernoulli(key: jax.Array, logits: jax.Array) -> jax.Array:
    """Draws x ~ p(x|z) = prod_d Ber(x_d | mu_d), mu = sigmoid(logits) (arXiv:1611.05148, Sec. 3.1).

    Args:
      key: a JAX random key.
      logits: [..., D], real.

    Returns:
      [..., D], each value 0 or 1, float32 (float64 for float64 logits).
    """
    (logits,) = as_floats(logits)
    uniform = jax.random.uniform(key, logits.shape, logits.dtype)
    return (uniform < jax.nn.sigmoid(logits)).astype(logits.dtype)


def sample_x_gaussian(key: jax.Array, mean: jax.Array, log_var: jax.Array) -> jax.Array:
    """Draws x ~ p(x|z) = N(x | mean, diag(exp log_var)) (arXiv:1611.05148, Sec. 3.1).

    Args:
      key: a JAX random key.
      mean: [..., D], real.
      log_var: [..., D], real.

    Returns:
      [..., D], float32 (float64 if an argument is float64). It is differentiable in mean and log_var.

    Raises:
      ValueError: mean and log_var differ in shape.
    """
    check_same_shape("mean", mean, "log_var", log_var)
    mean, log_var = as_floats(mean, log_var)
    return mean + jnp.exp(0.5 * log_var) * jax.random.normal(key, mean.shape, mean.dtype)


def _align_events(name: str, x: jax.Array, other_name: str, other: jax.Array) -> tuple[jax.Array, jax.Array]:
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
