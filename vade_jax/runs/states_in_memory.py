"""The last checkpoint of a run that keeps none on disk."""

import jax
import jax.numpy as jnp
import numpy as np

from vade_jax.runs.progress import Progress
from vade_jax.system.devices import replicate
from vade_jax.training.train_state import TrainState


class StatesInMemory:
    """Holds the last scheduled state, for a rollback. It has the methods of `Checkpoints` that training calls."""

    def __init__(self) -> None:
        self._last: tuple[TrainState, Progress] | None = None

    def save(self, state: TrainState, progress: Progress, scheduled: bool = True) -> None:
        """Copies a state, which may be donated afterwards; an unscheduled one is not kept."""
        if scheduled:
            self._last = jax.tree.map(_on_host, state), progress

    def restore(self, template: TrainState, scheduled: bool = False) -> tuple[TrainState, Progress] | None:
        """Returns a copy of the last state, on the devices, and its progress; None before the first `save`.

        Args:
          template: a state like the saved one.
          scheduled: not read, as all states here are scheduled.
        """
        if self._last is None:
            return None
        state, progress = self._last
        return replicate(jax.tree.map(_like, state, template)), progress

    def __enter__(self) -> "StatesInMemory":
        return self

    def __exit__(self, *_: object) -> None:
        self._last = None


def _on_host(leaf: jax.Array) -> np.ndarray:
    is_key = jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key)
    return np.array(jax.random.key_data(leaf) if is_key else leaf)


def _like(saved: np.ndarray, leaf: jax.Array) -> jax.Array | np.ndarray:
    """Returns a saved leaf with the type of a leaf of a state."""
    is_key = jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key)
    return jax.random.wrap_key_data(jnp.asarray(saved)) if is_key else saved
