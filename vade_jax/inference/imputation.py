"""Fills the gaps of rows by what a model expects in them."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from vade_jax.core.importance_weighted import log_importance_weights
from vade_jax.inference.answers import MAX_BOUND_BATCH, model_row_map, sample_and_decode
from vade_jax.inference.far_rows import LARGEST, BoundedModel
from vade_jax.networks.model import Model, Params
from vade_jax.training.train_state import TrainState


def make_fill(model: Model, batch_size: int) -> Callable[[TrainState, np.ndarray], np.ndarray]:
    """A function (state, x [N, D + S] as stored) -> the scaled rows [N, D + S] with E[x | z = mu_z] in their gaps."""
    row_map = model_row_map(_fill, model, batch_size)
    return lambda state, x: row_map(state.params, state.scaling, x, state.key)


def _fill(model: BoundedModel, params: Params, x: jax.Array, keys: jax.Array) -> jax.Array:
    z_mean, _ = model.encode(params, x)
    return model.fill(params, x, z_mean[None], jnp.ones((1, len(x)), x.dtype))


def impute(
    model: Model, state: TrainState, x: np.ndarray, key: jax.Array, *, num_samples: int, batch_size: int
) -> np.ndarray:
    """E[missing | observed] in the gaps of rows x [N, D + S] as stored; of a category the most probable level.

    L = num_samples draws of q(z|x) are weighted by their importance, p(x|z) p(z) / q(z|x) of the observed entries
    (Mattei and Frellsen 2019, arXiv:1812.02633, eq. 9).

    Returns:
      [N, D], in the units of the model's input.
    """
    size = min(batch_size, MAX_BOUND_BATCH)
    return model_row_map(_impute, model, size, "imputed", num_samples=num_samples)(state.params, state.scaling, x, key)


def _impute(model: BoundedModel, params: Params, x: jax.Array, keys: jax.Array, *, num_samples: int) -> jax.Array:
    draws = sample_and_decode(model, params, x, keys, num_samples=num_samples)
    log_weights = log_importance_weights(*draws, params["prior"])
    weights = jax.nn.softmax(jnp.where(jnp.isfinite(log_weights), log_weights, -LARGEST), axis=0)
    return model.covariates.split(model.fill(params, x, draws[1], weights))[0]
