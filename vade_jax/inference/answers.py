"""What a trained model computes: clusters, the ELBO and the likelihood of rows, and samples."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from vade_jax.core.importance_weighted import importance_weighted_bound
from vade_jax.core.mixture_prior import GMMPrior, sample_prior
from vade_jax.inference.row_map import Allocate, make_row_map
from vade_jax.networks.model import Model, Params
from vade_jax.training.objectives import Metrics, batch_elbo_terms, elbo_metrics, sample_z_each
from vade_jax.training.train_state import TrainState

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


def make_embed(model: Model, batch_size: int) -> Callable[[TrainState, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """A function (state, x [N, D] as stored) -> (z_mean, z_log_var), each [N, J]; it is compiled once."""
    row_map = make_row_map(lambda params, x, keys: model.encode(params, x), batch_size)
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

    return Posterior(*make_row_map(batch, batch_size, "clusters")(state.params, state.scaling, x, key, allocate))


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

    rows = make_row_map(batch, batch_size, "ELBO")(state.params, state.scaling, x, key, allocate)
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

    return make_row_map(batch, batch_size, "log p(x)")(state.params, state.scaling, x, key, allocate)


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

    draws = make_row_map(batch, batch_size)(state.params, state.scaling, x, key)

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
    clusters: Sequence[int],
    num_per_cluster: int,
    truncation: float = math.inf,
) -> np.ndarray:
    """E[x|z] for draws z ~ p(z|c).

    Args:
      model: the networks and the likelihood.
      params: the parameters of the networks and of the prior.
      key: random key for the draws.
      clusters: C cluster numbers, each in 0..K-1.
      num_per_cluster: n.
      truncation: in every dimension a draw is at most this many standard deviations from its cluster's mean.

    Returns:
      [C, n, D], in the units of the model's input.
    """
    cluster = jnp.asarray(clusters)[:, None]
    z, _ = sample_prior(key, params["prior"], (len(clusters), num_per_cluster), cluster, truncation)
    return np.asarray(jax.jit(model.mean_x)(params, z))


def interpolate(model: Model, params: Params, start: jax.Array, end: jax.Array, num_steps: int) -> np.ndarray:
    """E[x|z] at evenly spaced z from start to end, [..., J] each and both included: [..., num_steps, D]."""
    share = jnp.linspace(0.0, 1.0, num_steps)
    share = jnp.expand_dims(share, (*range(start.ndim - 1), start.ndim))
    z = (1 - share) * jnp.expand_dims(start, -2) + share * jnp.expand_dims(end, -2)
    return np.asarray(jax.jit(model.mean_x)(params, z))
