"""Applies a function to every row of the data once, in batches that are split over the devices."""

from typing import Any, Protocol

import jax
import numpy as np

from vade_jax.data.scaling import Scaling
from vade_jax.system import console
from vade_jax.system.devices import over_devices, replicate, split_over_devices

_MIN_BATCHES_FOR_BAR = 200


class Allocate(Protocol):
    """Makes an array to be filled, as numpy.empty does."""

    def __call__(self, shape: tuple[int, ...], dtype: Any, /) -> np.ndarray:
        """An array of this shape and dtype, with any content."""
        ...


class BatchFunction(Protocol):
    """A function of a batch of rows that computes every row on its own."""

    def __call__(self, params: Any, x: jax.Array, keys: jax.Array, /) -> Any:
        """A pytree of arrays [B, ...], for the parameters, the model's input x [B, D] and random keys [B]."""
        ...


class RowMap(Protocol):
    """A function of all rows."""

    def __call__(
        self, params: Any, scaling: Scaling, x: np.ndarray, key: jax.Array, allocate: Allocate = np.empty
    ) -> Any:
        """The batch function's pytree for all rows, as arrays [N, ...] that allocate made.

        Args:
          params: passed on to the batch function.
          scaling: maps stored rows to the model's input.
          x: [N, D], as stored, on the host.
          key: a JAX random key; a row's key depends on this key and the row's number only.
          allocate: makes the arrays of the result.
        """
        ...


def padded_size(count: int, most: int) -> int:
    """The next power of two from count on, at most `most`: a program for each of these few sizes serves any count."""
    return min(most, 1 << (count - 1).bit_length())


def make_row_map(fn: BatchFunction, batch_size: int, title: str = "rows") -> RowMap:
    """A function that applies fn to every row once, in batches that are split over the local devices.

    Args:
      fn: the function of a batch.
      batch_size: the most rows per device call.
      title: title of the progress bar, which is shown for many batches only.

    Returns:
      The function of all rows. It is compiled once for any N >= batch_size, and once for the N below it that have the
      same next power of two, to which they are padded.
    """

    def batch_fn(params: Any, scaling: Scaling, x: jax.Array, key: jax.Array, row_indices: jax.Array) -> Any:
        return fn(params, scaling(x), jax.vmap(jax.random.fold_in, (None, 0))(key, row_indices))

    compiled = over_devices(batch_fn, in_axes=(None, None, 0, None, 0), out_axes=0)

    def row_map(params: Any, scaling: Scaling, x: np.ndarray, key: jax.Array, allocate: Allocate = np.empty) -> Any:
        params, scaling, key = replicate((params, scaling, key))
        results, before = None, None
        batch_positions = split_over_devices(padded_size(len(x), batch_size), jax.local_device_count())
        starts = range(0, len(x), batch_positions.size)
        few = len(starts) < _MIN_BATCHES_FOR_BAR
        for start in console.progress_bar(starts, disable=few, desc=title, unit="batch", leave=False):
            row_indices = np.minimum(start + batch_positions, len(x) - 1, dtype=np.int32)
            batch = compiled(params, scaling, x[row_indices], key, row_indices)
            if results is None:
                results = jax.tree.map(lambda part: allocate((len(x), *part.shape[2:]), part.dtype), batch)
            if before is not None:
                _store_batch(before, results, start - batch_positions.size)  # while the devices compute this batch
            before = batch
        _store_batch(before, results, start)
        return results

    return row_map


def _store_batch(batch: Any, results: Any, start: int) -> None:
    """Copies a batch [devices, B/devices, ...] to the rows from start of arrays [N, ...], without its padding."""

    def store(part: jax.Array, array: np.ndarray) -> None:
        rows = np.asarray(part).reshape(-1, *array.shape[1:])[: len(array) - start]
        array[start : start + len(rows)] = rows

    jax.tree.map(store, batch, results)
