"""The training step, an epoch of it as one device call, and row-wise evaluation, over all local devices.

An epoch's data lies on every device as it is stored; a device takes its rows of each batch, or some of several runs.
Noise belongs to an example's place in the batch, not to a device, so that any number of devices computes the same step.
"""

import dataclasses
import functools
import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax

from vade_jax import progress
from vade_jax.objectives import Batch, Metrics, Objective
from vade_jax.train_state import Scaling, TrainState

NOT_FINITE = "not_finite_share"  # the metric
_DEVICES = "devices"
_BATCHES_FOR_A_BAR = 200
_EVER = 2**31 - 1


def over_devices(
    fn: Callable, in_axes: tuple, out_axes: Any, donate_argnums: tuple[int, ...] = (), everywhere: bool = False
) -> Callable:
    """fn compiled for devices: an argument with axis 0 is split over them, one with None is the same on each.

    They are those of this process, or, everywhere, those of all processes that train the run together, of which each
    gives and takes its own part. The project's one pmap, which JAX keeps as jit + shard_map: replace this line to move
    on.
    """
    devices = None if everywhere else jax.local_devices()
    return jax.pmap(
        fn, axis_name=_DEVICES, in_axes=in_axes, out_axes=out_axes, donate_argnums=donate_argnums, devices=devices
    )


def replicate(tree: Any) -> Any:
    """The arrays of a pytree on every local device, once, so that no call sends them again."""
    return jax.device_put(tree, _sharding())


def skipped_steps(state: TrainState) -> int:
    """How many steps of the stage changed nothing so far, where `make_tx` was told to skip_not_finite."""
    return int(optax.tree_utils.tree_get(state.opt_state, "total_notfinite", default=0))


@jax.jit
def is_finite(tree: Any) -> jax.Array:
    """[], bool: whether every float in a pytree of arrays is finite."""
    floats = [leaf for leaf in jax.tree.leaves(tree) if jnp.issubdtype(leaf.dtype, jnp.floating)]
    return jnp.all(jnp.stack([jnp.isfinite(leaf).all() for leaf in floats]))


def own_rows(num_rows: int) -> slice:
    """Those of so many rows that this process reads for `gather_rows`: all, or a part where several train together."""
    each = _rows_of_a_process(num_rows)
    return slice(each * jax.process_index(), min(num_rows, each * (jax.process_index() + 1)))


def gather_rows(part: np.ndarray, num_rows: int) -> jax.Array:
    """All rows [N, ...] on every local device, from each process's `own_rows` of them."""
    if jax.process_count() == 1:
        return replicate(part)
    padding = np.zeros((_rows_of_a_process(num_rows) - len(part), *part.shape[1:]), part.dtype)
    split = _sharding(_DEVICES, devices=jax.devices())
    rows = jax.make_array_from_process_local_data(split, np.concatenate([part, padding]))
    return to_local(_first_rows(num_rows)(rows))


def _rows_of_a_process(num_rows):
    """As many for each device, the last ones' padding included."""
    return math.ceil(num_rows / jax.device_count()) * jax.local_device_count()


@functools.cache
def _first_rows(num_rows):
    """Of rows that are split over all devices, the first so many, whole on each; compiled once for all shards."""
    return jax.jit(lambda rows: rows[:num_rows], out_shardings=_sharding(devices=jax.devices()))


def to_local(tree: Any) -> Any:
    """Arrays that are whole on every device of all processes, as arrays of this process's devices."""
    return _whole_on(tree, _sharding())


def to_global(tree: Any) -> Any:
    """`to_local`'s inverse, of arrays that are the same in every process."""
    return _whole_on(tree, _sharding(devices=jax.devices()))


def _whole_on(tree, sharding):
    if jax.process_count() == 1:
        return tree

    def as_such(array):
        shards = [shard.data for shard in array.addressable_shards]
        return jax.make_array_from_single_device_arrays(array.shape, sharding, shards)

    return jax.tree.map(as_such, tree)


def _sharding(*axes: str, devices: Sequence[jax.Device] = ()) -> jax.sharding.NamedSharding:
    """Of arrays on these devices, by default the local ones: whole on each, or their first axis split over them."""
    mesh = jax.sharding.Mesh(np.array(devices or jax.local_devices()), (_DEVICES,))
    return jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec(*axes))


# name -> what JAX calls the products of float32 matrices so; on a CPU all are float32.
PRECISIONS = {
    "default": None,  # the device's own: tensorfloat32 on an NVIDIA GPU since Ampere, bfloat16 on a TPU
    "float32": "float32",
    "tensorfloat32": "TF32_TF32_F32",
    "bfloat16": "BF16_BF16_F32",
}


def products_in(precision: str) -> AbstractContextManager:
    """A context in which matrices are multiplied in a precision of PRECISIONS; sums and all else stay in float32."""
    if jax.default_backend() == "cpu":
        return nullcontext()
    return jax.default_matmul_precision(PRECISIONS[precision])


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
        like = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype, sharding=_sharding()), (state, data))
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
        train_step, objective=objective, tx=tx, batch_size=batch_size, sum_over_devices=_sum_over_devices
    )
    places = _split_over_devices(batch_size, jax.device_count())
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

    @functools.partial(jax.jit, out_shardings=_sharding(_DEVICES))
    def stack(*trees):
        fill = (*trees, *(trees[-1:] * (num_devices * per_device - len(trees))))
        return jax.tree.map(lambda *leaves: jnp.stack(leaves).reshape(num_devices, per_device, *leaves[0].shape), *fill)

    @functools.partial(jax.jit, out_shardings=_sharding())
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

    places = _split_over_devices(batch_size, jax.local_device_count())
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


def _sum_over_devices(tree):
    """The sum over the devices of what each holds; XLA would copy a lone device's gradients, a twentieth of a step."""
    return lax.psum(tree, _DEVICES) if jax.device_count() > 1 else tree


def _split_over_devices(batch_size, num_devices):
    """The places 0, 1, ... of a batch, [devices, ceil(B/devices)] int32; the last may lie beyond the batch."""
    per_device = math.ceil(batch_size / num_devices)
    return np.arange(num_devices * per_device, dtype=np.int32).reshape(num_devices, per_device)


def make_schedule(
    schedule: str, learning_rate: float, final_fraction: float, decay_rate: float, decay_steps: int, num_steps: int
) -> optax.Schedule:
    """The learning rate at a step.

    Args:
      schedule: a key of SCHEDULES: 'constant'; 'cosine', down to final_fraction of its start over num_steps;
        'staircase', times decay_rate every decay_steps steps, not below final_fraction of its start.
      learning_rate: at step 0.
      final_fraction: in [0, 1].
      decay_rate: of 'staircase', in (0, 1].
      decay_steps: of 'staircase', at least 1.
      num_steps: of the stage, at least 1.

    Returns:
      step -> learning rate.
    """
    return SCHEDULES[schedule](learning_rate, final_fraction, decay_rate, decay_steps, num_steps)


SCHEDULES: dict[str, Callable[[float, float, float, int, int], optax.Schedule]] = {
    "constant": lambda rate, final, decay, decay_steps, steps: optax.constant_schedule(rate),
    "cosine": lambda rate, final, decay, decay_steps, steps: optax.cosine_decay_schedule(rate, steps, final),
    "staircase": lambda rate, final, decay, decay_steps, steps: optax.exponential_decay(
        rate, decay_steps, decay, staircase=True, end_value=final * rate
    ),
}


def make_tx(
    networks_schedule: optax.Schedule,
    prior_schedule: optax.Schedule,
    adam_epsilon: float,
    max_grad_norm: float,
    skip_not_finite: bool = False,
) -> optax.GradientTransformation:
    """Adam for the networks and for the prior, each with its own learning rate, after clipping by the global norm.

    Args:
      networks_schedule: learning rate of encoder and decoder at a step.
      prior_schedule: learning rate of the prior at a step.
      adam_epsilon: Adam's epsilon.
      max_grad_norm: gradients of a larger norm are scaled down to it; 0 for no clipping.
      skip_not_finite: whether a gradient that is not finite changes nothing; else it spoils the parameters.

    Returns:
      The transformation, for params {'encoder', 'decoder', 'prior'}.
    """
    adam = optax.partition(
        {
            "networks": optax.adam(networks_schedule, eps=adam_epsilon),
            "prior": optax.adam(prior_schedule, eps=adam_epsilon),
        },
        {"encoder": "networks", "decoder": "networks", "prior": "prior"},
    )
    clip = optax.clip_by_global_norm(max_grad_norm) if max_grad_norm else optax.identity()
    tx = optax.chain(clip, adam)
    return optax.apply_if_finite(tx, max_consecutive_errors=_EVER) if skip_not_finite else tx
