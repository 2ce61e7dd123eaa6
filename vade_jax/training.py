"""The training step, an epoch of it as one device call, and row-wise evaluation, over all local devices.

An epoch's data lies on every device as it is stored; a device takes its rows of each batch, or some of several runs.
Noise belongs to an example's place in the batch, not to a device, so that any number of devices computes the same step.
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

from vade_jax import progress
from vade_jax.devices import DEVICES, over_devices, replicate, sharding, split_over_devices, sum_over_devices
from vade_jax.objectives import Batch, Metrics, Objective
from vade_jax.train_state import Scaling, TrainState

NOT_FINITE = "not_finite_share"  # the metric
_BATCHES_FOR_A_BAR = 200


@jax.jit
def is_finite(tree: Any) -> jax.Array:
    """[], bool: whether every float in a pytree of arrays is finite."""
    floats = [leaf for leaf in jax.tree.leaves(tree) if jnp.issubdtype(leaf.dtype, jnp.floating)]
    return jnp.all(jnp.stack([jnp.isfinite(leaf).all() for leaf in floats]))


def train_step(
    state: TrainState,
    batch: Batch,
    places: jax.Array,
    *,
    objective: Objective,
    tx: optax.GradientTransformation,
    batch_size: int,
    sum_over_devices: Callable[[Any], Any],
) -> tuple[TrainState, Metrics]:
    """One update of every parameter by the gradient of the batch's mean loss.

    Args:
      state: the state before, the same on every device that shares the batch.
      batch: this device's rows, [B/devices, ...] each, as stored.
      places: [B/devices], their places in the whole batch; those from batch_size on are padding and weigh nothing.
      objective: what to minimise.
      tx: the optimizer.
      batch_size: B.
      sum_over_devices: of a pytree, over the devices that share the batch.

    Returns:
      The state after and the batch's mean of the loss and of each metric, the same on every device.
    """
    keys = jax.vmap(jax.random.fold_in, (None, 0))(jax.random.fold_in(state.key, state.step), places)
    weights = jnp.where(places < batch_size, 1.0 / batch_size, 0.0)
    batch = {**batch, "x": state.scaling(batch["x"])}

    def mean_loss(params):
        loss, metrics = objective(params, batch, keys, state.step)
        means = {name: jnp.sum(weights * values) for name, values in {"loss": loss, **metrics}.items()}
        return means["loss"], means

    grads, means = jax.grad(mean_loss, has_aux=True)(state.params)
    grads, means = sum_over_devices((grads, means))
    with jax.numpy_dtype_promotion("standard"):  # optax raises floats to integer powers
        updates, opt_state = tx.update(grads, state.opt_state, state.params)
    params = optax.apply_updates(state.params, jax.tree.map(lambda update: state.rate_factor * update, updates))
    return state.replace(step=state.step + 1, params=params, opt_state=opt_state), means


@dataclasses.dataclass(frozen=True, eq=False)
class EpochProgram:
    """An epoch as one device call.

    Attributes:
      compiled: of (state, data, places).
      places: in a batch, of the rows of each of this process's devices.
    """

    compiled: Any
    places: np.ndarray

    def __call__(self, state: TrainState, data: Batch) -> tuple[TrainState, Metrics]:
        """(state, which is donated; arrays [N, ...]) -> (the state after; means of the loss and of each metric)."""
        return self.compiled(state, data, self.places)

    def compile(self, state: TrainState, data: dict[str, Any]) -> None:
        """Compiles it, so that a call need not: for arrays of these shapes and types, `replicate`d."""
        like = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype, sharding=sharding()), (state, data))
        self.compiled.lower(*like, self.places).compile()


def make_epoch(objective: Objective, tx: optax.GradientTransformation, batch_size: int) -> EpochProgram:
    """An epoch as one device call: a scan of `train_step` over the rows in a new order.

    The N mod B rows that fill no batch sit the epoch out; the next order draws others.

    Args:
      objective: what to minimise.
      tx: the optimizer.
      batch_size: B, at most N.

    Returns:
      The epoch, compiled when it is called first.
    """
    step = functools.partial(
        train_step, objective=objective, tx=tx, batch_size=batch_size, sum_over_devices=sum_over_devices
    )
    places = split_over_devices(batch_size, jax.device_count())
    places = places.reshape(jax.process_count(), jax.local_device_count(), -1)[jax.process_index()]
    compiled = over_devices(
        functools.partial(_epoch, step, batch_size),
        in_axes=(None, None, 0),
        out_axes=None,
        donate_argnums=(0,),
        everywhere=True,
    )
    return EpochProgram(compiled, places)


def _epoch(step, batch_size, state, data, places):
    """The state after a scan of the step over the rows in a new order, and the means of its metrics.

    They are over the steps whose loss is finite; `NOT_FINITE` is the share of the others.
    """
    num_rows = data["x"].shape[0]
    num_steps = num_rows // batch_size
    shuffle_key, noise_key = jax.random.split(state.key)
    order = jax.random.permutation(jax.random.fold_in(shuffle_key, state.step), num_rows)
    order = order[: num_steps * batch_size].reshape(num_steps, batch_size)

    def one(state, batch_rows):
        rows = batch_rows[jnp.minimum(places, batch_size - 1)]
        return step(state, jax.tree.map(lambda array: array[rows], data), places)

    end, metrics = lax.scan(one, state.replace(key=noise_key), order)
    finite = jnp.isfinite(metrics["loss"])
    means = jax.tree.map(lambda values: jnp.mean(values, where=finite), metrics)
    return end.replace(key=state.key), {**means, NOT_FINITE: jnp.mean(jnp.where(finite, 0.0, 1.0))}


def make_epoch_of_runs(
    objective: Objective, tx: optax.GradientTransformation, batch_size: int, num_runs: int
) -> Callable[[Sequence[TrainState], jax.Array, Sequence[Batch]], list[tuple[TrainState, Metrics]]]:
    """`make_epoch` for several runs on the same data as one device call: runs are spread over devices, rows are not.

    Args:
      objective: what to minimise.
      tx: the optimizer.
      batch_size: B, at most N.
      num_runs: R; each call computes so many, whether there are fewer or not.

    Returns:
      (1 to R states, x [N, D] as stored, each run's own arrays [N, ...]) -> each run's state and means, as it would
      have had them alone, to rounding.
    """
    num_devices = jax.local_device_count()
    per_device = math.ceil(num_runs / num_devices)
    step = functools.partial(
        train_step, objective=objective, tx=tx, batch_size=batch_size, sum_over_devices=lambda tree: tree
    )
    places = np.arange(batch_size, dtype=np.int32)

    def epoch(states, rows, x, places):
        return jax.vmap(lambda state, own: _epoch(step, batch_size, state, {"x": x, **own}, places))(states, rows)

    compiled = over_devices(epoch, in_axes=(0, 0, None, None), out_axes=0, donate_argnums=(0,))

    @functools.partial(jax.jit, out_shardings=sharding(DEVICES))
    def stack(*trees):
        fill = (*trees, *(trees[-1:] * (num_devices * per_device - len(trees))))
        return jax.tree.map(lambda *leaves: jnp.stack(leaves).reshape(num_devices, per_device, *leaves[0].shape), *fill)

    @functools.partial(jax.jit, out_shardings=sharding())
    def unstack(trees):
        return [jax.tree.map(lambda leaf, run=run: leaf[divmod(run, per_device)], trees) for run in range(num_runs)]

    def epoch_of_runs(states: Sequence[TrainState], x: jax.Array, rows: Sequence[Batch]) -> list[Any]:
        return unstack(compiled(stack(*states), stack(*rows), x, places))[: len(states)]

    return epoch_of_runs


def make_row_map(fn: Callable[..., Any], batch_size: int, title: str = "rows") -> Callable[..., Any]:
    """fn over every row of the data, in batches over all devices, each row once.

    Args:
      fn: (params, x [B, D], keys [B]) -> pytree of [B, ...] arrays; each row's key belongs to the row's number.
      batch_size: rows for one device call.
      title: of the progress bar, which many batches have.

    Returns:
      (params, scaling, x [N, D] as stored, on the host, key, allocate=numpy.empty) -> the pytree of fn as arrays
      [N, ...] that allocate(shape, dtype) made, whatever N.
    """

    def batch_fn(params, scaling, x, key, numbers):
        return fn(params, scaling(x), jax.vmap(jax.random.fold_in, (None, 0))(key, numbers))

    places = split_over_devices(batch_size, jax.local_device_count())
    compiled = over_devices(batch_fn, in_axes=(None, None, 0, None, 0), out_axes=0)

    def row_map(
        params: Any, scaling: Scaling, x: np.ndarray, key: jax.Array, allocate: Callable[..., np.ndarray] = np.empty
    ) -> Any:
        params, scaling, key = replicate((params, scaling, key))
        whole, before = None, None
        starts = range(0, len(x), places.size)
        few = len(starts) < _BATCHES_FOR_A_BAR
        for start in progress.bar(starts, disable=few, desc=title, unit="batch", leave=False):
            numbers = np.minimum(start + places, len(x) - 1, dtype=np.int32)
            batch = compiled(params, scaling, x[numbers], key, numbers)
            if whole is None:
                whole = jax.tree.map(lambda part: allocate((len(x), *part.shape[2:]), part.dtype), batch)
            if before is not None:
                _put_down(before, whole, start - places.size)  # while the devices compute the next
            before = batch
        _put_down(before, whole, start)
        return whole

    return row_map


def _put_down(batch, whole, start):
    """Copies a batch [devices, B/devices, ...] to the rows [N, ...] from start on; what lies beyond them is padding."""

    def put(part, array):
        rows = np.asarray(part).reshape(-1, *array.shape[1:])[: len(array) - start]
        array[start : start + len(rows)] = rows

    jax.tree.map(put, batch, whole)
