"""The last checkpoint of a run that keeps none on disk."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from vade_jax.runs.progress import Progress
from vade_jax.system.devices import replicate
from vade_jax.training.train_state import TrainState


class StatesInMemory:
    """Holds the last scheduled state, for a rollback. It has the methods of `Checkpoints` that training calls."""

    def __init__(self) -> None:
        self._last: tuple[TrainState, Any, Progress] | None = None

    def save(self, state: TrainState, progress: Progress, scheduled: bool = True) -> None:
        """Copies a state, which may be donated afterwards; an unscheduled one is not kept."""
        if scheduled:
            self._last = jax.tree.map(_on_host, state), jax.tree.map(_is_key, state), progress

    def restore(self, template: TrainState, scheduled: bool = False) -> tuple[TrainState, Progress] | None:
        """Returns a copy of the last state, on the devices, and its progress; None before the first `save`.

        Args:
          template: not read, as the saved state has its types.
          scheduled: not read, as all states here are scheduled.
        """
        if self._last is None:
            return None
        state, are_keys, progress = self._last
        return replicate(jax.tree.map(_as_saved, state, are_keys)), progress

    def __enter__(self) -> "StatesInMemory":
        return self

    def __exit__(self, *_: object) -> None:
        self._last = None


def _is_key(leaf: jax.Array) -> bool:
    return bool(jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key))


def _on_host(leaf: jax.Array) -> np.ndarray:
    return np.array(jax.random.key_data(leaf) if _is_key(leaf) else leaf)


def _as_saved(leaf: np.ndarray, is_key: bool) -> jax.Array | np.ndarray:
    return jax.random.wrap_key_data(jnp.asarray(leaf)) if is_key else leaf
