"""A trained model's answers on rows of data: clusters, the bound, the likelihood, samples."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from vade_jax.losses import importance_weighted_bound
from vade_jax.model import Model, Params
from vade_jax.objectives import batch_elbo_terms, elbo_metrics, sample_z_each
from vade_jax.priors import sample_prior
from vade_jax.train_state import TrainState
from vade_jax.training import make_row_map, replicate

Rows = jax.Array | np.ndarray


class Posterior(NamedTuple):
    """What the model says of N rows.

    Attributes:
      responsibilities: [N, K], q(c|x), float32.
      elbo: name -> mean over the rows of the bound ('elbo') and of its five terms, nats.
    """

    responsibilities: np.ndarray
    elbo: dict[str, float]

    @property
    def clusters(self) -> np.ndarray:
        """[N], argmax_c q(c|x), int32."""
        return self.responsibilities.argmax(axis=-1).astype(np.int32)


def embed(model: Model, state: TrainState, x: Rows, batch_size: int) -> tuple[np.ndarray, np.ndarray]:
    """(z_mean, z_log_var), each [N, J], of rows [N, D] as stored."""
    return make_embed(model, x, batch_size)(state)


def make_embed(model: Model, x: Rows, batch_size: int) -> Callable[[TrainState], tuple[np.ndarray, np.ndarray]]:
    """`embed` for one model and the same rows [N, D] again and again, compiled once."""
    row_map = make_row_map(lambda params, x, keys: model.encode(params, x), batch_size)
    rows = replicate(x)
    return lambda state: row_map(state.params, state.scaling, rows, state.key)


def posterior(
    model: Model, state: TrainState, x: Rows, key: jax.Array, *, estimator: str, batch_size: int
) -> Posterior:
    """q(c|x) and the bound of every row, each once.

    Args:
      model: the networks and the likelihood.
      state: their parameters, the prior and the scaling.
      x: [N, D], as stored.
      key: of the draws, one of z for each row.
      estimator: of q(c|x): 'sample', 'mean' or 'optimal'.
      batch_size: rows for one device call.

    Returns:
      The posterior.
    """

    def batch(params, x, keys):
        terms = batch_elbo_terms(model, params, x, keys, estimator, num_samples=1)
        return jnp.exp(terms.log_q_c), elbo_metrics(terms)

    responsibilities, rows = make_row_map(batch, batch_size)(state.params, state.scaling, replicate(x), key)
    means = {name: float(values.mean(dtype=np.float64)) for name, values in rows.items()}
    return Posterior(responsibilities, means)


def log_likelihood(
    model: Model, state: TrainState, x: Rows, key: jax.Array, *, num_samples: int, batch_size: int
) -> np.ndarray:
    """The importance-weighted bound of log p(x), [N] nats, for rows [N, D] as stored; memory does not grow with L."""

    def batch(params: Params, x: jax.Array, keys: jax.Array) -> Any:
        z_mean, z_log_var = model.encode(params, x)
        z = sample_z_each(keys, z_mean, z_log_var, num_samples)
        log_px_given_z = jax.lax.map(lambda draw: model.log_px_given_z(params, x, draw[None])[0], z)
        return importance_weighted_bound(log_px_given_z, z, z_mean, z_log_var, params["prior"])

    return make_row_map(batch, batch_size)(state.params, state.scaling, replicate(x), key)


def generate(model: Model, params: Params, key: jax.Array, num_per_cluster: int) -> np.ndarray:
    """E[x|z] for draws z ~ p(z|c), num_per_cluster of every cluster: [K, num_per_cluster, D]."""
    num_clusters = params["prior"].logits.shape[0]
    cluster = jnp.arange(num_clusters)[:, None]
    z, _ = sample_prior(key, params["prior"], (num_clusters, num_per_cluster), cluster)
    return np.asarray(jax.jit(model.mean_x)(params, z))
