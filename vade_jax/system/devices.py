"""Where arrays lie and functions run, and how matrices are multiplied there.

On the devices of this process, or on those of all processes that train a run together.
"""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jax import lax

DEVICES = "devices"  # the name of the axis over them


def over_devices(
    fn: Callable, in_axes: tuple, out_axes: Any, donate_argnums: tuple[int, ...] = (), all_processes: bool = False
) -> Callable:
    """fn compiled for devices: an argument with axis 0 is split over them, one with None is the same on each.

    By default these are the devices of this process. With all_processes they are those of every process that trains
    the run, and each process gives and takes its own part. This is the project's one pmap, which JAX implements as
    jit + shard_map: replace this line to move on.
    """
    devices = None if all_processes else jax.local_devices()
    return jax.pmap(
        fn, axis_name=DEVICES, in_axes=in_axes, out_axes=out_axes, donate_argnums=donate_argnums, devices=devices
    )


def replicate(tree: Any) -> Any:
    """The arrays of a pytree on every local device, once, so that no call sends them again."""
    return jax.device_put(tree, sharding())


def sum_over_devices(tree: Any) -> Any:
    """The sum over the devices of what each holds; XLA would copy a lone device's gradients, a twentieth of a step."""
    return lax.psum(tree, DEVICES) if jax.device_count() > 1 else tree


def split_over_devices(batch_size: int, num_devices: int) -> np.ndarray:
    """The places 0, 1, ... of a batch, [devices, ceil(B/devices)] int32; the last may lie beyond the batch."""
    per_device = math.ceil(batch_size / num_devices)
    return np.arange(num_devices * per_device, dtype=np.int32).reshape(num_devices, per_device)


def rows_of_this_process(num_rows: int) -> slice:
    """Those of so many rows that this process reads for `gather_rows`: all, or a part where several train together."""
    each = _rows_of_a_process(num_rows)
    return slice(each * jax.process_index(), min(num_rows, each * (jax.process_index() + 1)))


def gather_rows(part: np.ndarray, num_rows: int) -> jax.Array:
    """All rows [N, ...] on every local device, from each process's `own_rows` of them."""
    if jax.process_count() == 1:
        return replicate(part)
    padding = np.zeros((_rows_of_a_process(num_rows) - len(part), *part.shape[1:]), part.dtype)
    split = sharding(DEVICES, devices=jax.devices())
    rows = jax.make_array_from_process_local_data(split, np.concatenate([part, padding]))
    return to_local(_first_rows(num_rows)(rows))


def _rows_of_a_process(num_rows):
    """As many for each device, the last ones' padding included."""
    return math.ceil(num_rows / jax.device_count()) * jax.local_device_count()


@functools.cache
def _first_rows(num_rows):
    """Of rows that are split over all devices, the first so many, whole on each; compiled once for all shards."""
    return jax.jit(lambda rows: rows[:num_rows], out_shardings=sharding(devices=jax.devices()))


def to_local(tree: Any) -> Any:
    """Arrays that are whole on every device of all processes, as arrays of this process's devices."""
    return _whole_on(tree, sharding())


def to_global(tree: Any) -> Any:
    """`to_local`'s inverse, of arrays that are the same in every process."""
    return _whole_on(tree, sharding(devices=jax.devices()))


def _whole_on(tree, layout):
    if jax.process_count() == 1:
        return tree

    def as_such(array):
        shards = [shard.data for shard in array.addressable_shards]
        return jax.make_array_from_single_device_arrays(array.shape, layout, shards)

    return jax.tree.map(as_such, tree)


def sharding(*axes: str, devices: Sequence[jax.Device] = ()) -> jax.sharding.NamedSharding:
    """Of arrays on these devices, by default the local ones: whole on each, or their first axis split over them."""
    mesh = jax.sharding.Mesh(np.array(devices or jax.local_devices()), (DEVICES,))
    return jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec(*axes))
