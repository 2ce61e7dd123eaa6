"""What a trained model computes: clusters, the ELBO and the likelihood of rows, and samples.

Every answer on rows is that of a `BoundedModel`, which also takes rows far from the training rows.
"""

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from vade_jax.core.importance_weighted import importance_weighted_bound
from vade_jax.core.mixture_prior import GMMPrior, sample_prior
from vade_jax.inference.far_rows import BoundedModel
from vade_jax.inference.row_map import Allocate, RowMap, make_row_map, padded_size
from vade_jax.networks.model import Model, Params
from vade_jax.training.objectives import Metrics, batch_elbo_terms, elbo_metrics, sample_z_each
from vade_jax.training.train_state import TrainState

_KEPT_PROGRAMS = 64  # functions of the models used last, whose compiled programs are kept
_MAX_DECODED = 8192  # draws of z for one device call of the decoder
MAX_BOUND_BATCH = 256  # rows for one device call of the bound: each row has many draws of z
_X_NOISE = 2  # number of the key of x's noise; `sample_prior` splits the same key into numbers 0 and 1

# log p(x|z), z, z_mean and z_log_var, the first arguments of `importance_weighted_bound`
Draws = tuple[jax.Array, jax.Array, jax.Array, jax.Array]


class Posterior(NamedTuple):
    """The cluster probabilities of N rows.

    Attributes:
      responsibilities: [N, K], q(c|x), float32.
      clusters: [N], argmax_c q(c|x), int32.
    """

    responsibilities: np.ndarray
    clusters: np.ndarray


@functools.lru_cache(maxsize=_KEPT_PROGRAMS)
def model_row_map(fn: Callable, model: Model, batch_size: int, title: str = "rows", **options: Any) -> RowMap:
    """`make_row_map` of fn(bounded, params, x, keys, **options), where bounded is the model for any rows.

    Calls with the same arguments share one function, so the programs of a model are compiled once.
    """
    bounded = BoundedModel(model.encoder, model.decoder, model.likelihood, model.covariates)

    def batch(params: Params, x: jax.Array, keys: jax.Array) -> Any:
        return fn(bounded, params, x, keys, **options)

    return make_row_map(batch, batch_size, title)


def make_embed(model: Model, batch_size: int) -> Callable[[TrainState, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """A function (state, x [N, D] as stored) -> (z_mean, z_log_var), each [N, J]; it is compiled once."""
    row_map = model_row_map(_encode, model, batch_size)
    return lambda state, x: row_map(state.params, state.scaling, x, state.key)


def _encode(model: BoundedModel, params: Params, x: jax.Array, keys: jax.Array) -> tuple[jax.Array, jax.Array]:
    return model.encode(params, x)


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
      batch_size: the most rows per device call.
      allocate: makes the arrays of the result.

    Returns:
      The posterior.
    """
    row_map = model_row_map(_posterior, model, batch_size, "clusters", estimator=estimator)
    return Posterior(*row_map(state.params, state.scaling, x, key, allocate))


def _posterior(
    model: BoundedModel, params: Params, x: jax.Array, keys: jax.Array, *, estimator: str
) -> tuple[jax.Array, jax.Array]:
    # XLA leaves out the decoder, because q(c|x) does not depend on it.
    q_c = jnp.exp(batch_elbo_terms(model, params, {"x": x}, keys, estimator, num_samples=1).log_q_c)
    return q_c, q_c.argmax(axis=-1).astype(jnp.int32)


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
    row_map = model_row_map(_elbo, model, batch_size, "ELBO", estimator=estimator)
    rows = row_map(state.params, state.scaling, x, key, allocate)
    return {name: float(values.mean(dtype=np.float64)) for name, values in rows.items()}


def _elbo(model: BoundedModel, params: Params, x: jax.Array, keys: jax.Array, *, estimator: str) -> Metrics:
    return elbo_metrics(batch_elbo_terms(model, params, {"x": x}, keys, estimator, num_samples=1))


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

    The draws are decoded one after the other, so the memory for decoding does not grow with L. The bound of a row far
    from the training rows is a very low number or -inf, never NaN.
    """
    row_map = model_row_map(
        _log_likelihood, model, min(batch_size, MAX_BOUND_BATCH), "log p(x)", num_samples=num_samples
    )
    return row_map(state.params, state.scaling, x, key, allocate)


def _log_likelihood(
    model: BoundedModel, params: Params, x: jax.Array, keys: jax.Array, *, num_samples: int
) -> jax.Array:
    draws = sample_and_decode(model, params, x, keys, num_samples=num_samples)
    bound = importance_weighted_bound(*draws, params["prior"])
    return jnp.where(model.is_far(x) | jnp.isnan(bound), -jnp.inf, bound)


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
      batch_size: the most rows per device call.

    Returns:
      A function prior -> the importance-weighted bound of log p(x), [N] nats. It is compiled once for each K.
    """
    row_map = model_row_map(_draws_by_row, model, min(batch_size, MAX_BOUND_BATCH), num_samples=num_samples)
    draws = row_map(state.params, state.scaling, x, key)

    @jax.jit
    def bound(draws: Draws, prior: GMMPrior) -> jax.Array:
        def row_bound(row: Draws) -> jax.Array:
            return importance_weighted_bound(*row, prior)

        return jax.lax.map(row_bound, draws, batch_size=batch_size)

    return lambda prior: np.asarray(bound(draws, prior))


def _draws_by_row(model: BoundedModel, params: Params, x: jax.Array, keys: jax.Array, *, num_samples: int) -> Draws:
    """`sample_and_decode` with the row axis first, as in every array of a row map."""
    log_px_given_z, z, z_mean, z_log_var = sample_and_decode(model, params, x, keys, num_samples=num_samples)
    return log_px_given_z.T, z.swapaxes(0, 1), z_mean, z_log_var


def sample_and_decode(model: BoundedModel, params: Params, x: jax.Array, keys: jax.Array, *, num_samples: int) -> Draws:
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
    covariates: np.ndarray | None = None,
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
      covariates: [*shape, S], scaled; None for unknown ones, see `Covariates.encode`.

    Returns:
      x [*shape, D], in the units of the model's input, and c [*shape], int32.

    Raises:
      NotImplementedError: mean is False and the likelihood has no `sample`.
    """
    count = math.prod(shape)
    padded = max(count, padded_size(count, _MAX_DECODED))  # the first draws do not depend on how many follow
    if cluster is not None:
        cluster = jnp.asarray(np.pad(np.broadcast_to(cluster, shape).reshape(-1), (0, padded - count), mode="edge"))
    z, c = (np.asarray(array)[:count] for array in sample_prior(key, params["prior"], (padded,), cluster, truncation))
    if covariates is not None:
        covariates = covariates.reshape(count, -1)
    x = decode(model, params, z, None if mean else jax.random.fold_in(key, _X_NOISE), covariates)
    return x.reshape(*shape, -1), c.reshape(shape)


def decode(
    model: Model,
    params: Params,
    z: jax.Array | np.ndarray,
    key: jax.Array | None = None,
    covariates: np.ndarray | None = None,
) -> np.ndarray:
    """Draws x ~ p(x|z), or computes E[x|z].

    Args:
      model: the networks and the likelihood.
      params: the parameters of the networks.
      z: [..., J], at least one.
      key: random key for the draws; None for E[x|z].
      covariates: [..., S], scaled; None for unknown ones, see `Covariates.encode`.

    Returns:
      [..., D], in the units of the model's input.

    Raises:
      NotImplementedError: there is a key, and the likelihood has no `sample`.
    """
    mean_x, sample_x = _decoders(model)
    flat = np.asarray(z).reshape(-1, z.shape[-1])
    inputs = [flat] if covariates is None else [flat, covariates.reshape(len(flat), -1)]
    parts = []
    for start in range(0, len(flat), _MAX_DECODED):
        rows = slice(start, start + _MAX_DECODED)
        count = len(flat[rows])
        padding = (0, padded_size(count, _MAX_DECODED) - count), (0, 0)
        padded = [np.pad(array[rows], padding, mode="edge") for array in inputs]
        x = mean_x(params, *padded) if key is None else sample_x(params, jax.random.fold_in(key, start), *padded)
        parts.append(np.asarray(x)[:count])
    return np.concatenate(parts).reshape(*z.shape[:-1], -1)


@functools.lru_cache(maxsize=_KEPT_PROGRAMS)
def _decoders(model: Model) -> tuple[Callable, Callable]:
    """The model's `mean_x` and `sample_x`, compiled once for each padded number of z."""
    return jax.jit(model.mean_x), jax.jit(model.sample_x)


def interpolate(start: jax.Array, end: jax.Array, num_steps: int) -> jax.Array:
    """Evenly spaced z from start to end, [..., J] each and both included: [..., num_steps, J]."""
    share = jnp.linspace(0.0, 1.0, num_steps, dtype=start.dtype)
    share = jnp.expand_dims(share, (*range(start.ndim - 1), start.ndim))
    return (1 - share) * jnp.expand_dims(start, -2) + share * jnp.expand_dims(end, -2)
