"""The loss of held-out rows, by which a stage ends early.

Losses within a standard error of the lowest are as good, as in the one-standard-error rule of Breiman et al. (1984):
later epochs have lower learning rates.
"""

import functools
from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import numpy as np

from vade_jax.runs.progress import Progress
from vade_jax.runs.run import KeyUse, Run
from vade_jax.runs.stages import Stage
from vade_jax.settings.rules import ON
from vade_jax.system import processes
from vade_jax.system.devices import replicate
from vade_jax.training.objectives import WEIGHTS, Batch, Objective
from vade_jax.training.train_state import TrainState

_KEPT_FUNCTIONS = 16


class HeldOutLoss:
    """The loss of a run's held-out rows, where its stages are to end early."""

    def __init__(self, run: Run, x: np.ndarray):
        """Takes the held-out ones of the rows x [N, D], as stored."""
        is_on = run.config.optimizer.early_stopping == ON
        self._row_indices = run.held_out_rows if is_on else run.held_out_rows[:0]
        self._x = x[self._row_indices]
        self._keys = jax.random.split(run.key(KeyUse.EARLY_STOPPING), len(self._x)) if len(self._x) else None

    def note(
        self, stage: Stage, state: TrainState, progress: Progress, extra_arrays: Mapping[str, np.ndarray]
    ) -> tuple[TrainState, Progress]:
        """Returns the state and the progress after an epoch, with the loss of the held-out rows added.

        If it is the lowest of the stage, the state also keeps its parameters as the best ones.

        Args:
          stage: of the epoch.
          state: after the epoch.
          progress: after the epoch.
          extra_arrays: name -> [N, ...], the further inputs of the objective.
        """
        if self._keys is None or not _is_comparable(stage):
            return state, progress
        batch = {"x": self._x, **{name: array[self._row_indices] for name, array in extra_arrays.items()}}
        found = _mean_loss(stage.objective)(state, batch, self._keys, np.int32(stage.num_steps))
        loss, error = map(float, processes.decided_by_first(f"{float(found[0])!r} {float(found[1])!r}").split())
        if loss < progress.lowest_held_out_loss:
            state = state.replace(best=replicate(jax.device_get(state.params)))  # the epoch donates the others
            progress = progress._replace(held_out_error=error)
        return state, progress._replace(held_out_losses=[*progress.held_out_losses, loss])


def _is_comparable(stage: Stage) -> bool:
    """Whether the losses of two epochs have the same targets."""
    return "targets" not in stage.extra_arrays


@functools.lru_cache(maxsize=_KEPT_FUNCTIONS)
def _mean_loss(objective: Objective) -> Callable[[TrainState, Batch, jax.Array, np.int32], tuple[jax.Array, jax.Array]]:
    """(state, batch as stored, keys [B], step) -> the weighted mean loss [] and its standard error [], nats."""

    @jax.jit
    def mean_loss(state: TrainState, batch: Batch, keys: jax.Array, step: jax.Array) -> tuple[jax.Array, jax.Array]:
        losses, _ = objective(state.params, {**batch, "x": state.scaling(batch["x"])}, keys, step)
        shares = batch.get(WEIGHTS, jnp.ones_like(losses))
        shares = shares / jnp.sum(shares)
        mean = jnp.sum(shares * losses)
        return mean, jnp.sqrt(jnp.sum((shares * (losses - mean)) ** 2))

    # The loss reads neither of these. With them, states with and without best parameters would be two programs.
    return lambda state, *args: mean_loss(state.replace(opt_state=None, best=None), *args)
