"""What a trained model computes: clusters, the ELBO and the likelihood of rows, and samples.

A likelihood with the support 'unit_interval' has no log p(x|z) outside [0, 1]. Rows that scaling maps outside, because
they are outside the range of the training rows, are clipped to [0, 1] first.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from vade_jax.core.importance_weighted import importance_weighted_bound
from vade_jax.core.mixture_prior import GMMPrior, sample_prior
from vade_jax.data.scaling import clip_to_unit_interval
from vade_jax.inference.row_map import Allocate, BatchFunction, RowMap, make_row_map
from vade_jax.networks.model import Model, Params
from vade_jax.training.objectives import Metrics, batch_elbo_terms, elbo_metrics, sample_z_each
from vade_jax.training.train_state import TrainState

_MAX_DECODED = 10_000  # draws of z for one device call of the decoder
_X_NOISE = 2  # number of the key of x's noise; `sample_prior` splits the same key into numbers 0 and 1

# log p(x|z), z, z_mean and z_log_var, the first arguments of `importance_weighted_bound`
_Draws = tuple[jax.Array, jax.Array, jax.Array, jax.Array]


class Posterior(NamedTuple):
    """The cluster probabilities of N rows.

    Attributes:
      responsibilities: [N, K], q(c|x), float32.
      clusters: [N], argmax_c q(c|x), int32.
    """

    responsibilities: np.ndarray
    clusters: np.ndarray


def _make_row_map(model: Model, fn: BatchFunction, batch_size: int, title: str = "rows") -> RowMap:
    """`make_row_map` of a function of the model's input, which is clipped to the support of the likelihood."""
    if model.likelihood.support == "real":
        return make_row_map(fn, batch_size, title)
    return make_row_map(lambda params, x, keys: fn(params, clip_to_unit_interval(x), keys), batch_size, title)


def make_embed(model: Model, batch_size: int) -> Callable[[TrainState, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """A function (state, x [N, D] as stored) -> (z_mean, z_log_var), each [N, J]; it is compiled once."""
    row_map = _make_row_map(model, lambda params, x, keys: model.encode(params, x), batch_size)
    return lambda state, x: row_map(state.params, state.scaling, x, state.key)


def posterior(
    model: Model,
    state: TrainState,
    x: np.ndarray,
    key: jax.Array,
    *,
    estimator: str,
    batch_size: int,
    allocate: Allocate = np.empty,
) -> Posterior:
    """q(c|x) and the cluster of every row.

    Args:
      model: the networks and the likelihood.
      state: the parameters and the scaling.
      x: [N, D], as stored.
      key: random key for one draw of z per row.
      estimator: of q(c|x): 'sample', 'mean' or 'optimal'.
      batch_size: rows per device call.
      allocate: makes the arrays of the result.

    Returns:
      The posterior.
    """

    def batch(params: Params, x: jax.Array, keys: jax.Array) -> tuple[jax.Array, jax.Array]:
        # XLA leaves out the decoder, because q(c|x) does not depend on it.
        q_c = jnp.exp(batch_elbo_terms(model, params, {"x": x}, keys, estimator, num_samples=1).log_q_c)
        return q_c, q_c.argmax(axis=-1).astype(jnp.int32)

    row_map = _make_row_map(model, batch, batch_size, "clusters")
    return Posterior(*row_map(state.params, state.scaling, x, key, allocate))


def mean_elbo(
    model: Model,
    state: TrainState,
    x: np.ndarray,
    key: jax.Array,
    *,
    estimator: str,
    batch_size: int,
    allocate: Allocate = np.empty,
) -> dict[str, float]:
    """The means of the ELBO ('elbo') and of its five terms, by name, over rows [N, D] as stored; nats."""

    def batch(params: Params, x: jax.Array, keys: jax.Array) -> Metrics:
        return elbo_metrics(batch_elbo_terms(model, params, {"x": x}, keys, estimator, num_samples=1))

    rows = _make_row_map(model, batch, batch_size, "ELBO")(state.params, state.scaling, x, key, allocate)
    return {name: float(values.mean(dtype=np.float64)) for name, values in rows.items()}


def log_likelihood(
    model: Model,
    state: TrainState,
    x: np.ndarray,
    key: jax.Array,
    *,
    num_samples: int,
    batch_size: int,
    allocate: Allocate = np.empty,
) -> np.ndarray:
    """The importance-weighted bound of log p(x) from L = num_samples draws: [N], nats, for rows [N, D] as stored.

    The draws are decoded one after the other, so the memory for decoding does not grow with L.
    """

    def batch(params: Params, x: jax.Array, keys: jax.Array) -> jax.Array:
        draws = _sample_and_decode(model, params, x, keys, num_samples)
        return importance_weighted_bound(*draws, params["prior"])

    return _make_row_map(model, batch, batch_size, "log p(x)")(state.params, state.scaling, x, key, allocate)


def likelihood_under_priors(
    model: Model, state: TrainState, x: np.ndarray, key: jax.Array, *, num_samples: int, batch_size: int
) -> Callable[[GMMPrior], np.ndarray]:
    """`log_likelihood` as a function of the prior. Rows are encoded and draws decoded once for all priors.

    Args:
      model: the networks and the likelihood.
      state: the parameters and the scaling; its prior is not used.
      x: [N, D], as stored.
      key: random key for the draws.
      num_samples: L.
      batch_size: rows per device call.

    Returns:
      A function prior -> the importance-weighted bound of log p(x), [N] nats. It is compiled once for each K.
    """

    def batch(params: Params, x: jax.Array, keys: jax.Array) -> _Draws:
        log_px_given_z, z, z_mean, z_log_var = _sample_and_decode(model, params, x, keys, num_samples)
        # the row axis comes first, as in every array of a row map
        return log_px_given_z.T, z.swapaxes(0, 1), z_mean, z_log_var

    draws = _make_row_map(model, batch, batch_size)(state.params, state.scaling, x, key)

    @jax.jit
    def bound(draws: _Draws, prior: GMMPrior) -> jax.Array:
        def row_bound(row: _Draws) -> jax.Array:
            return importance_weighted_bound(*row, prior)

        return jax.lax.map(row_bound, draws, batch_size=batch_size)

    return lambda prior: np.asarray(bound(draws, prior))


def _sample_and_decode(model: Model, params: Params, x: jax.Array, keys: jax.Array, num_samples: int) -> _Draws:
    """log p(x|z) [L, B], the draws z [L, B, J] of q(z|x), and its z_mean and z_log_var [B, J]."""
    z_mean, z_log_var = model.encode(params, x)
    z = sample_z_each(keys, z_mean, z_log_var, num_samples)
    log_px_given_z = jax.lax.map(lambda draw: model.log_px_given_z(params, x, draw[None])[0], z)
    return log_px_given_z, z, z_mean, z_log_var


def generate(
    model: Model,
    params: Params,
    key: jax.Array,
    shape: tuple[int, ...],
    cluster: jax.Array | int | None = None,
    truncation: float = math.inf,
    *,
    mean: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """Draws c ~ Cat(pi), z ~ p(z|c) and x ~ p(x|z): the generative model (arXiv:1611.05148, Sec. 3.1).

    The draws of c and z do not depend on `mean`.

    Args:
      model: the networks and the likelihood.
      params: the parameters of the networks and of the prior.
      key: a JAX random key.
      shape: the shape of the draws.
      cluster: None to draw c; else the cluster of every draw, in 0..K-1, as an array that broadcasts to shape.
      truncation: in every dimension z is at most this many standard deviations from its cluster's mean.
      mean: whether to return E[x|z] instead of x.

    Returns:
      x [*shape, D], in the units of the model's input, and c [*shape], int32.

    Raises:
      NotImplementedError: mean is False and the likelihood has no `sample`.
    """
    z, c = sample_prior(key, params["prior"], shape, cluster, truncation)
    return decode(model, params, z, None if mean else jax.random.fold_in(key, _X_NOISE)), np.asarray(c)


def decode(model: Model, params: Params, z: jax.Array, key: jax.Array | None = None) -> np.ndarray:
    """Draws x ~ p(x|z), or computes E[x|z].

    Args:
      model: the networks and the likelihood.
      params: the parameters of the networks.
      z: [..., J], at least one.
      key: random key for the draws; None for E[x|z].

    Returns:
      [..., D], in the units of the model's input.

    Raises:
      NotImplementedError: there is a key, and the likelihood has no `sample`.
    """
    mean_x, sample_x = jax.jit(model.mean_x), jax.jit(model.sample_x)
    flat = z.reshape(-1, z.shape[-1])
    parts = []
    for start in range(0, len(flat), _MAX_DECODED):
        part = flat[start : start + _MAX_DECODED]
        x = mean_x(params, part) if key is None else sample_x(params, jax.random.fold_in(key, start), part)
        parts.append(np.asarray(x))
    return np.concatenate(parts).reshape(*z.shape[:-1], -1)


def interpolate(start: jax.Array, end: jax.Array, num_steps: int) -> jax.Array:
    """Evenly spaced z from start to end, [..., J] each and both included: [..., num_steps, J]."""
    share = jnp.linspace(0.0, 1.0, num_steps)
    share = jnp.expand_dims(share, (*range(start.ndim - 1), start.ndim))
    return (1 - share) * jnp.expand_dims(start, -2) + share * jnp.expand_dims(end, -2)
