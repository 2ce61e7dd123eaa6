"""A function over every row of the data, in batches over the devices, each row once."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from vade_jax.data.scaling import Scaling
from vade_jax.system import console
from vade_jax.system.devices import over_devices, replicate, split_over_devices

_BATCHES_FOR_A_BAR = 200


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

    batch_positions = split_over_devices(batch_size, jax.local_device_count())
    compiled = over_devices(batch_fn, in_axes=(None, None, 0, None, 0), out_axes=0)

    def row_map(
        params: Any, scaling: Scaling, x: np.ndarray, key: jax.Array, allocate: Callable[..., np.ndarray] = np.empty
    ) -> Any:
        params, scaling, key = replicate((params, scaling, key))
        whole, before = None, None
        starts = range(0, len(x), batch_positions.size)
        few = len(starts) < _BATCHES_FOR_A_BAR
        for start in console.progress_bar(starts, disable=few, desc=title, unit="batch", leave=False):
            numbers = np.minimum(start + batch_positions, len(x) - 1, dtype=np.int32)
            batch = compiled(params, scaling, x[numbers], key, numbers)
            if whole is None:
                whole = jax.tree.map(lambda part: allocate((len(x), *part.shape[2:]), part.dtype), batch)
            if before is not None:
                _store_batch(before, whole, start - batch_positions.size)  # while the devices compute the next
            before = batch
        _store_batch(before, whole, start)
        return whole

    return row_map


def _store_batch(batch, whole, start):
    """Copies a batch [devices, B/devices, ...] to the rows [N, ...] from start on; what lies beyond them is padding."""

    def put(part, array):
        rows = np.asarray(part).reshape(-1, *array.shape[1:])[: len(array) - start]
        array[start : start + len(rows)] = rows

    jax.tree.map(put, batch, whole)
