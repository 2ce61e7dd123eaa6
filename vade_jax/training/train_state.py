"""The state of a run as one pytree, which a checkpoint holds and a training step updates."""

from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import struct

from vade_jax.data.scaling import Scaling
from vade_jax.networks.model import Params


class TrainState(struct.PyTreeNode):
    """Everything that a training step reads and updates.

    Attributes:
      step: [], int32, the number of updates in this stage.
      params: {'encoder', 'decoder', 'prior'}, the prior a GMMPrior.
      opt_state: the optimizer's state.
      key: the stage's random key. A step folds its number into it and does not change it.
      scaling: maps stored rows to the model's input; not trained.
      rate_factor: [], float32, multiplies every learning rate.
      best: the parameters after the stage's epoch with the lowest loss of held-out rows; None if there is none.
    """

    step: jax.Array
    params: Params
    opt_state: Any
    key: jax.Array
    scaling: Scaling
    rate_factor: jax.Array
    best: Params | None = None

    @classmethod
    def create(cls, params: Params, key: jax.Array, scaling: Scaling) -> "TrainState":
        """A state without an optimizer, as before the first stage."""
        return cls(jnp.zeros((), jnp.int32), params, None, key, scaling, jnp.ones((), jnp.float32))


def start_stage(
    state: TrainState, tx: optax.GradientTransformation, key: jax.Array, rate_factor: float = 1.0
) -> TrainState:
    """The state at a stage's first step: new optimizer state, key and rate factor; the parameters stay the same."""
    return state.replace(
        step=jnp.zeros((), jnp.int32),
        opt_state=tx.init(state.params),
        key=key,
        rate_factor=jnp.asarray(rate_factor, jnp.float32),
        best=None,
    )


def end_stage(state: TrainState, is_behind_best: bool) -> TrainState:
    """The state after a stage: with its best parameters if it is behind them, else with the last ones."""
    return state.replace(params=state.best if is_behind_best and state.best is not None else state.params, best=None)
