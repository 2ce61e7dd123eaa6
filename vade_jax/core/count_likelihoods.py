"""log p(x|z) of count likelihoods, and draws x ~ p(x|z): Poisson, negative binomial and zero-inflated."""

import jax
import jax.numpy as jnp
from jax.scipy.special import gammaln

from vade_jax.core.shapes import align_events, as_floats, check_same_shape

_LARGE = 100.0  # from here on Stirling's series has the precision of float64, and a difference of gammaln has not


def log_prob_x_poisson(x: jax.Array, log_rate: jax.Array) -> jax.Array:
    """log p(x|z) = sum_d [x_d log_rate_d - exp(log_rate_d) - log x_d!].

    Args:
      x: [..., D], integers >= 0 of any dtype.
      log_rate: [..., D], the log of the mean; -inf is allowed, with 0 log 0 = 0.

    Returns:
      [...], nats, at most 0.

    Raises:
      ValueError: x and log_rate differ in D, or their leading axes do not broadcast.

    Example:
      >>> round(float(log_prob_x_poisson(jnp.array([0, 0]), jnp.zeros(2))), 4)
      -2.0
    """
    x, log_rate = align_events("x", x, "log_rate", log_rate)
    return jnp.sum(_times_log(x, log_rate) - jnp.exp(log_rate) - gammaln(x + 1), axis=-1)


def log_prob_x_negative_binomial(x: jax.Array, log_mean: jax.Array, log_dispersion: jax.Array) -> jax.Array:
    """log p(x|z) of negative binomials with the variances mean + dispersion mean^2.

    A dispersion towards 0 gives the Poisson distribution. The distribution is that of a Poisson count whose rate is
    gamma distributed with the shape 1 / dispersion.

    Args:
      x: [..., D], integers >= 0 of any dtype.
      log_mean: [..., D], real.
      log_dispersion: [..., D], real; in float32 from -40 to 40.

    Returns:
      [...], nats, at most 0.

    Raises:
      ValueError: log_mean and log_dispersion differ in shape, x and log_mean differ in D, or their leading axes do not
        broadcast.
    """
    return jnp.sum(_negative_binomial_terms(x, log_mean, log_dispersion), axis=-1)


def log_prob_x_zero_inflated_negative_binomial(
    x: jax.Array, log_mean: jax.Array, log_dispersion: jax.Array, zero_logits: jax.Array
) -> jax.Array:
    """log p(x|z) of negative binomials of which a share sigmoid(zero_logits) is replaced by 0.

    Args:
      x: [..., D], integers >= 0 of any dtype.
      log_mean: [..., D], of the negative binomial.
      log_dispersion: [..., D], of the negative binomial; see `log_prob_x_negative_binomial`.
      zero_logits: [..., D], real.

    Returns:
      [...], nats, at most 0.

    Raises:
      ValueError: the parameters differ in shape, x differs from them in D, or the leading axes do not broadcast.
    """
    check_same_shape("log_mean", log_mean, "zero_logits", zero_logits)
    x, zero_logits = align_events("x", x, "zero_logits", zero_logits)
    counted = _negative_binomial_terms(x, log_mean, log_dispersion)
    counted, zero_logits = as_floats(counted, zero_logits)
    kept = jax.nn.log_sigmoid(-zero_logits) + counted
    return jnp.sum(jnp.where(x == 0, jnp.logaddexp(jax.nn.log_sigmoid(zero_logits), kept), kept), axis=-1)


def sample_x_poisson(key: jax.Array, log_rate: jax.Array) -> jax.Array:
    """Draws x ~ p(x|z), Poisson counts of the mean exp(log_rate).

    Args:
      key: a JAX random key.
      log_rate: [..., D], real, or -inf for a mean of 0.

    Returns:
      [..., D], integers as float32 (float64 for float64 rates).
    """
    (log_rate,) = as_floats(log_rate)
    return jax.random.poisson(key, jnp.exp(log_rate)).astype(log_rate.dtype)


def sample_x_negative_binomial(key: jax.Array, log_mean: jax.Array, log_dispersion: jax.Array) -> jax.Array:
    """Draws x ~ p(x|z), negative binomial counts as Poisson counts of gamma distributed rates.

    Args:
      key: a JAX random key.
      log_mean: [..., D], real.
      log_dispersion: [..., D], real; the variance is mean + dispersion mean^2.

    Returns:
      [..., D], integers as float32 (float64 if an argument is float64).

    Raises:
      ValueError: log_mean and log_dispersion differ in shape.
    """
    check_same_shape("log_mean", log_mean, "log_dispersion", log_dispersion)
    log_mean, log_dispersion = as_floats(log_mean, log_dispersion)
    rate_key, count_key = jax.random.split(key)
    log_rate = jax.random.loggamma(rate_key, jnp.exp(-log_dispersion), dtype=log_mean.dtype)
    return sample_x_poisson(count_key, log_rate + log_mean + log_dispersion)


def sample_x_zero_inflated_negative_binomial(
    key: jax.Array, log_mean: jax.Array, log_dispersion: jax.Array, zero_logits: jax.Array
) -> jax.Array:
    """Draws x ~ p(x|z): 0 with the probability sigmoid(zero_logits), else a negative binomial count.

    Args:
      key: a JAX random key.
      log_mean: [..., D], real.
      log_dispersion: [..., D], real.
      zero_logits: [..., D], real.

    Returns:
      [..., D], integers as float32 (float64 if an argument is float64).

    Raises:
      ValueError: the parameters differ in shape.
    """
    check_same_shape("log_mean", log_mean, "zero_logits", zero_logits)
    zero_key, count_key = jax.random.split(key)
    x = sample_x_negative_binomial(count_key, log_mean, log_dispersion)
    x, zero_logits = as_floats(x, zero_logits)
    return jnp.where(jax.random.bernoulli(zero_key, jax.nn.sigmoid(zero_logits)), jnp.zeros_like(x), x)


def _negative_binomial_terms(x: jax.Array, log_mean: jax.Array, log_dispersion: jax.Array) -> jax.Array:
    """Returns log p of each count, [..., D], in terms of r = 1 / dispersion.

    It is log Gamma(x + r) / (Gamma(r) r^x x!) + x log mean - (x + r) log(1 + mean / r).
    """
    check_same_shape("log_mean", log_mean, "log_dispersion", log_dispersion)
    x, log_mean = align_events("x", x, "log_mean", log_mean)
    x, log_dispersion = align_events("x", x, "log_dispersion", log_dispersion)
    x, log_mean, log_dispersion = as_floats(x, log_mean, log_dispersion)
    r = jnp.exp(-log_dispersion)
    spread = (x + r) * jax.nn.softplus(log_mean + log_dispersion)
    return _log_rising(x, r, log_dispersion) + _times_log(x, log_mean) - spread - gammaln(x + 1)


def _log_rising(x: jax.Array, r: jax.Array, log_dispersion: jax.Array) -> jax.Array:
    """log Gamma(x + r) / (Gamma(r) r^x), without the cancellation of large r."""
    is_large = r > _LARGE
    small, large = jnp.where(is_large, 1.0, r), jnp.where(is_large, r, _LARGE)
    exact = gammaln(x + small) - gammaln(small) + x * jnp.where(is_large, 0.0, log_dispersion)
    series = (x + large - 0.5) * jnp.log1p(x / large) - x + _stirling(x + large) - _stirling(large)
    return jnp.where(is_large, series, exact)


def _stirling(a: jax.Array) -> jax.Array:
    """The series of log Gamma(a) - [(a - 1/2) log a - a + 1/2 log 2 pi] for large a."""
    return (1 / 12 - (1 / 360 - 1 / 1260 / a**2) / a**2) / a


def _times_log(x: jax.Array, log_value: jax.Array) -> jax.Array:
    """x log_value, with 0 log 0 = 0; its gradient is finite there too."""
    return x * jnp.where(x > 0, log_value, jnp.zeros_like(log_value))
