"""The training step, and an epoch of training steps as one call on all devices.

Every device holds the epoch's data as stored. The devices share either the rows of each batch or several runs.
An example's noise depends on its position in the batch, so a step is the same on any number of devices.
"""

import dataclasses
import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax

from vade_jax.networks.model import Params
from vade_jax.system.devices import DEVICES, over_devices, sharding, split_over_devices, sum_over_devices
from vade_jax.training.objectives import WEIGHTS, Batch, Metrics, Objective
from vade_jax.training.train_state import TrainState

_KEPT_EPOCHS = 8  # compiled epochs that were made last, tens of MiB each; a run has about four
NOT_FINITE = "not_finite_share"  # metric: the share of an epoch's steps whose loss is not finite

Step = Callable[[TrainState, Batch, jax.Array, Any], tuple[TrainState, Metrics]]  # `train_step` with options fixed


@jax.jit
def is_finite(tree: Any) -> jax.Array:
    """Whether every float in a pytree of arrays is finite: [], bool."""
    floats = [leaf for leaf in jax.tree.leaves(tree) if jnp.issubdtype(leaf.dtype, jnp.floating)]
    return jnp.all(jnp.stack([jnp.isfinite(leaf).all() for leaf in floats]))


def train_step(
    state: TrainState,
    batch: Batch,
    batch_positions: jax.Array,
    rates: Any = 1.0,
    *,
    objective: Objective,
    tx: optax.GradientTransformation,
    batch_size: int,
    sum_over_devices: Callable[[Any], Any],
) -> tuple[TrainState, Metrics]:
    """Updates the parameters once, by the gradient of the batch's mean loss.

    Args:
      state: the state before the step, the same on every device that shares the batch.
      batch: this device's rows, [B/devices, ...] each, as stored.
      batch_positions: [B/devices], the positions of these rows in the complete batch. Rows at positions >= batch_size
        are padding and have weight 0.
      rates: factors [] on the optimizer's updates, a pytree that is a prefix of the parameters, such as one for each
        of 'encoder', 'decoder' and 'prior'.
      objective: what to minimise.
      tx: the optimizer.
      batch_size: B.
      sum_over_devices: sums a pytree over the devices that share the batch.

    Returns:
      The state after the step, and the batch's mean of the loss and of each metric; the same on every device. With
      weights, whose mean over all rows is 1, each row counts in the mean as its weight says.
    """
    keys = jax.vmap(jax.random.fold_in, (None, 0))(jax.random.fold_in(state.key, state.step), batch_positions)
    weights = jnp.where(batch_positions < batch_size, 1.0 / batch_size, 0.0)
    if WEIGHTS in batch:
        weights = weights * batch[WEIGHTS]
    batch = {**batch, "x": state.scaling(batch["x"])}

    def mean_loss(params: Params) -> tuple[jax.Array, Metrics]:
        loss, metrics = objective(params, batch, keys, state.step)
        means = {name: jnp.sum(weights * values) for name, values in {"loss": loss, **metrics}.items()}
        return means["loss"], means

    grads, means = jax.grad(mean_loss, has_aux=True)(state.params)
    grads, means = sum_over_devices((grads, means))
    with jax.numpy_dtype_promotion("standard"):  # optax raises floats to integer powers
        updates, opt_state = tx.update(grads, state.opt_state, state.params)
    updates = jax.tree.map(
        lambda rate, of_part: jax.tree.map(lambda update: state.rate_factor * (rate * update), of_part), rates, updates
    )
    params = optax.apply_updates(state.params, updates)
    return state.replace(step=state.step + 1, params=params, opt_state=opt_state), means


@dataclasses.dataclass(frozen=True, eq=False)
class EpochProgram:
    """An epoch as one device call.

    Attributes:
      compiled: the function (state, data, batch_positions, rates) -> (state, metrics), as `over_devices` returns it.
      batch_positions: [local devices, rows per device], the positions in a batch that each device computes.
    """

    compiled: Any
    batch_positions: np.ndarray

    def __call__(self, state: TrainState, data: Batch, rates: Any = 1.0) -> tuple[TrainState, Metrics]:
        """Trains one epoch.

        Args:
          state: the state before the epoch; its buffers are donated.
          data: arrays [N, ...] on every local device, 'x' as stored.
          rates: see `train_step`. Other values need no other program.

        Returns:
          The state after the epoch, and the means of the loss and of each metric.
        """
        return self.compiled(state, data, self.batch_positions, _as_arrays(rates))

    def compile(self, state: TrainState, data: dict[str, Any], rates: Any = 1.0) -> None:
        """Compiles the epoch before its first call, for `replicate`d arrays of these shapes and dtypes."""
        like = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype, sharding=sharding()), (state, data))
        self.compiled.lower(*like, self.batch_positions, _as_arrays(rates)).compile()


def _as_arrays(rates: Any) -> Any:
    return jax.tree.map(np.float32, rates)


@functools.lru_cache(maxsize=_KEPT_EPOCHS)
def make_epoch(
    objective: Objective, tx: optax.GradientTransformation, batch_size: int, num_passes: int = 1
) -> EpochProgram:
    """An epoch as one device call: a scan of `train_step` over the rows in random order, once or several times.

    The last N mod B rows of the order fill no batch and are left out of the pass. Every pass draws a new order.

    Args:
      objective: what to minimise.
      tx: the optimizer.
      batch_size: B, at most N.
      num_passes: how often the epoch goes through the rows.

    Returns:
      The epoch; it is compiled at its first call. The same object for the same arguments.
    """
    step = functools.partial(
        train_step, objective=objective, tx=tx, batch_size=batch_size, sum_over_devices=sum_over_devices
    )
    batch_positions = split_over_devices(batch_size, jax.device_count())
    batch_positions = batch_positions.reshape(jax.process_count(), jax.local_device_count(), -1)[jax.process_index()]
    compiled = over_devices(
        functools.partial(_epoch, step, batch_size, num_passes),
        in_axes=(None, None, 0, None),
        out_axes=None,
        donate_argnums=(0,),
        all_processes=True,
    )
    return EpochProgram(compiled, batch_positions)


def _epoch(
    step: Step,
    batch_size: int,
    num_passes: int,
    state: TrainState,
    data: Batch,
    batch_positions: jax.Array,
    rates: Any,
) -> tuple[TrainState, Metrics]:
    """The state after scans of the step over the rows in random orders, and the means of its metrics.

    The means are over the steps whose loss is finite; `NOT_FINITE` is the share of the other steps.
    """
    num_rows = data["x"].shape[0]
    num_steps = num_rows // batch_size
    shuffle_key, noise_key = jax.random.split(state.key)

    def step_on_batch(state: TrainState, batch_rows: jax.Array) -> tuple[TrainState, Metrics]:
        rows = batch_rows[jnp.minimum(batch_positions, batch_size - 1)]
        return step(state, jax.tree.map(lambda array: array[rows], data), batch_positions, rates)

    def one_pass(state: TrainState, _: None) -> tuple[TrainState, Metrics]:
        rows = jnp.arange(num_rows, dtype=jnp.int32)
        order = jax.random.permutation(jax.random.fold_in(shuffle_key, state.step), rows)
        return lax.scan(step_on_batch, state, order[: num_steps * batch_size].reshape(num_steps, batch_size))

    end, metrics = lax.scan(one_pass, state.replace(key=noise_key), length=num_passes)
    finite = jnp.isfinite(metrics["loss"])
    means = jax.tree.map(lambda values: jnp.mean(values, where=finite), metrics)
    return end.replace(key=state.key), {**means, NOT_FINITE: jnp.mean(jnp.where(finite, 0.0, 1.0))}


@functools.lru_cache(maxsize=_KEPT_EPOCHS)
def make_epoch_of_runs(
    objective: Objective, tx: optax.GradientTransformation, batch_size: int, num_runs: int, num_passes: int = 1
) -> Callable[..., list[tuple[TrainState, Metrics]]]:
    """An epoch of several runs on the same data as one device call; each device computes complete runs.

    Args:
      objective: what to minimise.
      tx: the optimizer.
      batch_size: B, at most N.
      num_runs: R. Every call computes R runs, even if it gets fewer states.
      num_passes: how often the epoch goes through the rows.

    Returns:
      A function (1 to R states, x [N, D] as stored, each run's own arrays [N, ...], rates=1.0) -> each run's state and
      means. Up to rounding they are those of `make_epoch`. The same object for the same arguments.
    """
    num_devices = jax.local_device_count()
    per_device = math.ceil(num_runs / num_devices)
    step = functools.partial(
        train_step, objective=objective, tx=tx, batch_size=batch_size, sum_over_devices=lambda tree: tree
    )
    batch_positions = np.arange(batch_size, dtype=np.int32)

    def epoch(
        states: TrainState, extra_arrays: Batch, x: jax.Array, batch_positions: jax.Array, rates: Any
    ) -> tuple[TrainState, Metrics]:
        """An epoch of one device's runs; the leaves of states and extra_arrays have a leading axis over them."""

        def epoch_of_run(state: TrainState, own: Batch) -> tuple[TrainState, Metrics]:
            return _epoch(step, batch_size, num_passes, state, {"x": x, **own}, batch_positions, rates)

        return jax.vmap(epoch_of_run)(states, extra_arrays)

    compiled = over_devices(epoch, in_axes=(0, 0, None, None, None), out_axes=0, donate_argnums=(0,))

    @functools.partial(jax.jit, out_shardings=sharding(DEVICES))
    def stack(*trees: Any) -> Any:
        """The runs' pytrees as one, with leading axes [devices, runs per device]; the last run fills up."""
        fill = (*trees, *(trees[-1:] * (num_devices * per_device - len(trees))))
        return jax.tree.map(lambda *leaves: jnp.stack(leaves).reshape(num_devices, per_device, *leaves[0].shape), *fill)

    @functools.partial(jax.jit, out_shardings=sharding())
    def unstack(trees: Any) -> list[Any]:
        return [jax.tree.map(lambda leaf, run=run: leaf[divmod(run, per_device)], trees) for run in range(num_runs)]

    def epoch_of_runs(
        states: Sequence[TrainState], x: jax.Array, extra_arrays: Sequence[Batch], rates: Any = 1.0
    ) -> list[Any]:
        trained = compiled(stack(*states), stack(*extra_arrays), x, batch_positions, _as_arrays(rates))
        return unstack(trained)[: len(states)]

    return epoch_of_runs
