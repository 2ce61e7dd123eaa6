"""Places arrays and runs functions on devices.

These are the devices of this process, or those of all processes that train one run.
"""

import functools
import math
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jax import lax
from jax._src import pmap as jax_pmap

DEVICES = "devices"  # the name of the mapped axis


def over_devices(
    fn: Callable, in_axes: tuple, out_axes: Any, donate_argnums: tuple[int, ...] = (), all_processes: bool = False
) -> Callable:
    """Compiles fn to run on several devices.

    An argument with axis 0 is split over the devices; one with axis None is the same on each. By default these are
    the devices of this process. With all_processes they are the devices of every process that trains the run; each
    process then passes and receives its own part. This is the project's only pmap, which JAX implements as
    jit + shard_map: replace this line to migrate.
    """
    devices = None if all_processes else jax.local_devices()
    mapped = jax.pmap(
        fn, axis_name=DEVICES, in_axes=in_axes, out_axes=out_axes, donate_argnums=donate_argnums, devices=devices
    )
    if all_processes and jax.process_count() > 1:
        return mapped  # which turns each process's part into global arrays and back

    def call(*args: Any) -> Any:
        return mapped(*args)

    # By itself pmap keeps each compiled program until the process ends. Those of jit go with the function. Not of
    # `mapped` itself: its attribute `lower` would be the pmap's.
    compiled = jax.jit(call, donate_argnums=donate_argnums)
    weakref.finalize(compiled, _forget_traces, fn)
    return compiled


def _forget_traces(fn: Callable) -> None:
    """Frees what pmap keeps of fn's traces until the process ends, megabytes for an epoch. JAX has no public way."""
    evict = getattr(getattr(jax_pmap, "_cached_shard_map", None), "evict_function", None)
    if evict:
        evict(fn)


def replicate(tree: Any) -> Any:
    """Copies the arrays of a pytree to every local device, so that later calls need no transfer."""
    return jax.device_put(tree, sharding())


def sum_over_devices(tree: Any) -> Any:
    """Sums each array over the devices."""
    # On one device XLA would copy the gradients, which takes a twentieth of a step.
    return lax.psum(tree, DEVICES) if jax.device_count() > 1 else tree


def split_over_devices(batch_size: int, num_devices: int) -> np.ndarray:
    """The positions 0, 1, ... in a batch, [devices, ceil(B/devices)] int32; the last ones may be B or more."""
    per_device = math.ceil(batch_size / num_devices)
    return np.arange(num_devices * per_device, dtype=np.int32).reshape(num_devices, per_device)


def rows_of_this_process(num_rows: int) -> slice:
    """The part of num_rows rows that this process reads for `gather_rows`; all rows if there is one process."""
    each = _rows_per_process(num_rows)
    return slice(each * jax.process_index(), min(num_rows, each * (jax.process_index() + 1)))


def gather_rows(part: np.ndarray, num_rows: int) -> jax.Array:
    """All rows [N, ...] on every local device, collected from each process's `rows_of_this_process`."""
    if jax.process_count() == 1:
        return replicate(part)
    padding = np.zeros((_rows_per_process(num_rows) - len(part), *part.shape[1:]), part.dtype)
    split = sharding(DEVICES, devices=jax.devices())
    rows = jax.make_array_from_process_local_data(split, np.concatenate([part, padding]))
    return to_local(_make_replicate_first(num_rows)(rows))


def _rows_per_process(num_rows: int) -> int:
    """The number of rows of each process, with the padding that gives every device equally many."""
    return math.ceil(num_rows / jax.device_count()) * jax.local_device_count()


@functools.cache
def _make_replicate_first(num_rows: int) -> Callable[[jax.Array], jax.Array]:
    """A function that copies the first num_rows rows, split over all devices, to each; compiled once for all shards."""
    return jax.jit(lambda rows: rows[:num_rows], out_shardings=sharding(devices=jax.devices()))


def to_local(tree: Any) -> Any:
    """Arrays replicated on the devices of all processes, as arrays of this process's devices."""
    return _with_sharding(tree, sharding())


def to_global(tree: Any) -> Any:
    """The inverse of `to_local`, for arrays that are the same in every process."""
    return _with_sharding(tree, sharding(devices=jax.devices()))


def _with_sharding(tree: Any, target: jax.sharding.NamedSharding) -> Any:
    """Replicated arrays with another sharding, from the copies on this process's devices."""
    if jax.process_count() == 1:
        return tree

    def convert(array: jax.Array) -> jax.Array:
        shards = [shard.data for shard in array.addressable_shards]
        return jax.make_array_from_single_device_arrays(array.shape, target, shards)

    return jax.tree.map(convert, tree)


def sharding(*axes: str, devices: Sequence[jax.Device] = ()) -> jax.sharding.NamedSharding:
    """The sharding of arrays on devices, by default the local ones.

    Args:
      *axes: DEVICES to split the first axis over the devices; nothing to replicate.
      devices: the devices.

    Returns:
      The sharding.
    """
    mesh = jax.sharding.Mesh(np.array(devices or jax.local_devices()), (DEVICES,))
    return jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec(*axes))
