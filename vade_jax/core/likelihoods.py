"""log p(x|z) of the Bernoulli, Gaussian, Student-t and categorical likelihoods, and draws x ~ p(x|z)."""

import math

import jax
import jax.numpy as jnp
from jax.scipy.special import gammaln

from vade_jax.core.mixture_prior import log_prob_normal
from vade_jax.core.shapes import align_events, as_floats, check_same_shape

_LARGE = 100.0  # degrees of freedom; from here on a series is exact, and a difference of gammaln is not


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
    x, logits = align_events("x", x, "logits", logits)
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
    x, mean = align_events("x", x, "mean", mean)
    x, mean, log_var = as_floats(x, mean, log_var)
    return log_prob_normal(x, mean, log_var)


def log_prob_x_student_t(x: jax.Array, mean: jax.Array, log_scale: jax.Array, df: jax.Array) -> jax.Array:
    """log p(x|z) = sum_d log t_df((x_d - mean_d) / scale_d) - log_scale_d, a Gaussian with heavier tails.

    Args:
      x: [..., D], real.
      mean: [..., D], real; it is the mean for df > 1.
      log_scale: [..., D], real.
      df: [..., D], degrees of freedom, > 0; a large number gives the Gaussian.

    Returns:
      [...], nats.

    Raises:
      ValueError: the parameters differ in shape, x and mean differ in D, or their leading axes do not broadcast.
    """
    check_same_shape("mean", mean, "log_scale", log_scale)
    check_same_shape("mean", mean, "df", df)
    x, mean = align_events("x", x, "mean", mean)
    _, log_scale = align_events("x", x, "log_scale", log_scale)
    _, df = align_events("x", x, "df", df)
    x, mean, log_scale, df = as_floats(x, mean, log_scale, df)
    distance = (x - mean) * jnp.exp(-log_scale) / jnp.sqrt(df)
    terms = _log_gamma_ratio(df) - 0.5 * jnp.log(math.pi * df) - log_scale - 0.5 * (df + 1) * _log1p_square(distance)
    return jnp.sum(terms, axis=-1)


def log_prob_x_categorical(x: jax.Array, logits: jax.Array) -> jax.Array:
    """log p(x|z) = sum_d log softmax(logits_d)[x_d].

    Args:
      x: [..., D], the numbers 0 .. L-1 of levels, of any dtype. Any other number gives NaN.
      logits: [..., D, L], real.

    Returns:
      [...], nats, at most 0.

    Raises:
      ValueError: x and logits differ in D, or their leading axes do not broadcast.

    Example:
      >>> float(log_prob_x_categorical(jnp.array([2, 0]), jnp.zeros((2, 3))))  # 2 log(1/3)
      -2.1972246170043945
    """
    (logits,) = as_floats(logits)
    x, largest = align_events("x", x, "logits without the axis of levels", logits.max(axis=-1))
    codes = jnp.broadcast_to(x, jnp.broadcast_shapes(x.shape, largest.shape)).astype(jnp.int32)
    codes = jnp.where(jnp.isnan(x) | (x < 0), logits.shape[-1], codes)  # a negative index would count from the end
    log_probs = jax.nn.log_softmax(logits.reshape(*largest.shape, logits.shape[-1]), axis=-1)
    return jnp.sum(jnp.take_along_axis(log_probs, codes[..., None], axis=-1, mode="fill")[..., 0], axis=-1)


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


def sample_x_student_t(key: jax.Array, mean: jax.Array, log_scale: jax.Array, df: jax.Array) -> jax.Array:
    """Draws x ~ p(x|z), Student-t with a mean, a scale and degrees of freedom for each feature.

    Args:
      key: a JAX random key.
      mean: [..., D], real.
      log_scale: [..., D], real.
      df: [..., D], > 0.

    Returns:
      [..., D], float32 (float64 if an argument is float64). It is differentiable in mean and log_scale.

    Raises:
      ValueError: the parameters differ in shape.
    """
    check_same_shape("mean", mean, "log_scale", log_scale)
    check_same_shape("mean", mean, "df", df)
    mean, log_scale, df = as_floats(mean, log_scale, df)
    return mean + jnp.exp(log_scale) * jax.random.t(key, df, mean.shape, mean.dtype)


def sample_x_categorical(key: jax.Array, logits: jax.Array) -> jax.Array:
    """Draws x ~ p(x|z) = prod_d softmax(logits_d)[x_d].

    Args:
      key: a JAX random key.
      logits: [..., D, L], real.

    Returns:
      [..., D], the numbers 0 .. L-1 of levels, float32 (float64 for float64 logits).
    """
    (logits,) = as_floats(logits)
    return jax.random.categorical(key, logits, axis=-1).astype(logits.dtype)


def _log_gamma_ratio(df: jax.Array) -> jax.Array:
    """log Gamma((df + 1) / 2) / Gamma(df / 2), without the cancellation of large df."""
    is_large = df > _LARGE
    small, large = jnp.where(is_large, 1.0, df), jnp.where(is_large, df, _LARGE)
    series = 0.5 * jnp.log(large / 2) - (1 / 4 - (1 / 24 - 1 / 20 / large**2) / large**2) / large
    return jnp.where(is_large, series, gammaln((small + 1) / 2) - gammaln(small / 2))


def _log1p_square(distance: jax.Array) -> jax.Array:
    """log(1 + distance^2), finite also where the square is not."""
    size = jnp.abs(distance)
    far = size > 1
    near, distant = jnp.where(far, 1.0, distance), jnp.where(far, size, 1.0)
    return jnp.where(far, 2 * jnp.log(distant) + jnp.log1p((1 / distant) ** 2), jnp.log1p(near**2))
