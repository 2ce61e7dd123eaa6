"""The state of a run as one pytree: what a checkpoint holds and what a training step maps to its successor."""

from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import struct

from vade_jax.data.scaling import Scaling
from vade_jax.networks.model import Params


class TrainState(struct.PyTreeNode):
    """All that a run carries from step to step.

    Attributes:
      step: [], int32, updates done in this stage.
      params: {'encoder', 'decoder', 'prior'}, the prior a GMMPrior.
      opt_state: the optimizer's.
      key: the stage's random key; steps fold their number into it and never change it.
      scaling: from data as stored to the model's input; not trained.
      rate_factor: [], float32, on the stage's learning rates.
    """

    step: jax.Array
    params: Params
    opt_state: Any
    key: jax.Array
    scaling: Scaling
    rate_factor: jax.Array

    @classmethod
    def create(cls, params: Params, key: jax.Array, scaling: Scaling) -> "TrainState":
        """A state that no stage has started yet: it has no optimizer."""
        return cls(jnp.zeros((), jnp.int32), params, None, key, scaling, jnp.ones(()))


def start_stage(
    state: TrainState, tx: optax.GradientTransformation, key: jax.Array, rate_factor: float = 1.0
) -> TrainState:
    """The state at a stage's first step: its own optimizer state, key and rates, the parameters kept."""
    return state.replace(
        step=jnp.zeros((), jnp.int32),
        opt_state=tx.init(state.params),
        key=key,
        rate_factor=jnp.asarray(rate_factor, jnp.float32),
    )
